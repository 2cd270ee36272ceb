using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace ObsAbort
{
    /// <summary>Options of AbortStale and Sweep.</summary>
    [Flags]
    public enum StaleOptions
    {
        /// <summary>Abort what is older than the age, which must not be 0, or what a selection with a bound describes.</summary>
        None = 0,
        /// <summary>List the uploads that would be aborted, and abort none.</summary>
        DryRun = 1,
        /// <summary>Allow an age of 0, or a selection without a bound, which aborts uploads in progress, too.</summary>
        IncludeLive = 2,
    }

    /// <summary>
    /// Aborts multipart uploads. Create one client and keep it: it keeps its connections. Any number of threads may use it at
    /// once. A CancellationToken ends a call within 250 ms.
    /// </summary>
    public sealed class ObsAbortClient : IDisposable
    {
        private const int DefaultMaxConcurrent = 32;

        private readonly ClientHandle handle;
        private readonly Action<ObsAbortLogLevel, string> log;
        private readonly CallThreads aborts;
        // Their callbacks may wait for an abort.
        private readonly CallThreads batches;
        // A handle that other callers hold can be held again after it was disposed of.
        private int disposed;

        /// <summary>Creates a client. It reads the environment and the trusted certificate authorities, and sends nothing.</summary>
        /// <exception cref="ObsAbortException">A setting cannot be used: InvalidConfig.</exception>
        public ObsAbortClient(ObsAbortConfig config)
        {
            if (config == null)
                throw new ArgumentNullException(nameof(config));
            using (ConfigHandle native = new ConfigHandle())
            {
                if (native.IsInvalid)
                    throw ObsAbortException.Refused(ObsAbortCode.Internal, "no config");
                config.Fill(native);
                int code = Native.obs_abort_client_new(native, out IntPtr client, out IntPtr error);
                handle = new ClientHandle(client);
                ThrowUnlessOk(code, Utf8.Take(error));
            }
            log = config.Log;
            aborts = new CallThreads(config.MaxConcurrent ?? DefaultMaxConcurrent);
            batches = new CallThreads(config.MaxConcurrent ?? DefaultMaxConcurrent);
        }

        /// <summary>The version of the library that is loaded.</summary>
        public static string LibraryVersion
        {
            get { return Utf8.Read(Native.obs_abort_version()); }
        }

        /// <summary>
        /// Replaces the credentials, whatever their source was. Attempts that are signed from now on use the new ones, also in
        /// calls in progress. If it fails, the client keeps the old ones.
        /// </summary>
        public void SetCredentials(ObsAbortCredentials credentials)
        {
            if (credentials == null)
                throw new ArgumentNullException(nameof(credentials));
            Begin();
            try
            {
                IntPtr error = IntPtr.Zero;
                int code = credentials.Lend(ObsAbortCode.InvalidArgument, (accessKey, secretKey, securityToken) =>
                    Native.obs_abort_client_set_credentials(handle, accessKey, secretKey, securityToken, out error));
                ThrowUnlessOk(code, Utf8.Take(error));
            }
            finally
            {
                End();
            }
        }

        /// <summary>
        /// Cancels all calls of the client. Those in progress end within 250 ms, plus the time that a callback takes; later
        /// ones throw ObjectDisposedException. It does not wait for them, so that a callback may call it.
        /// </summary>
        public void Dispose()
        {
            if (Interlocked.Exchange(ref disposed, 1) != 0)
                return;
            Native.obs_abort_client_shutdown(handle);
            aborts.CancelWaiting();
            batches.CancelWaiting();
            handle.Dispose();
        }

        /// <summary>Aborts one upload, on the calling thread.</summary>
        /// <exception cref="ObsAbortException">The upload may still exist, or did not exist: NoSuchUpload.</exception>
        /// <exception cref="OperationCanceledException">The token ended the call.</exception>
        public void Abort(string bucket, string key, string uploadId, CancellationToken token = default(CancellationToken))
        {
            ThrowUnlessOk(TryAbort(bucket, key, uploadId, token), token);
        }

        /// <summary>Aborts one upload, on the calling thread. Its outcome says whether it failed, or was cancelled.</summary>
        public Outcome TryAbort(string bucket, string key, string uploadId, CancellationToken token = default(CancellationToken))
        {
            CheckNotNull(bucket, key, uploadId);
            return RunHere(() => AbortOne(bucket, key, uploadId, token));
        }

        /// <summary>Aborts one upload, on a thread of the client: see <see cref="ObsAbortConfig.MaxConcurrent"/>.</summary>
        /// <exception cref="ObsAbortException">The upload may still exist, or did not exist: NoSuchUpload.</exception>
        /// <exception cref="OperationCanceledException">The token ended the call.</exception>
        public async Task AbortAsync(string bucket, string key, string uploadId, CancellationToken token = default(CancellationToken))
        {
            ThrowUnlessOk(await TryAbortAsync(bucket, key, uploadId, token).ConfigureAwait(false), token);
        }

        /// <summary>The same, but its outcome says whether it failed, or was cancelled.</summary>
        public Task<Outcome> TryAbortAsync(string bucket, string key, string uploadId, CancellationToken token = default(CancellationToken))
        {
            CheckNotNull(bucket, key, uploadId);
            return Queue(aborts, () => AbortOne(bucket, key, uploadId, token),
                () => new Outcome(ObsAbortCode.Cancelled, "the call was cancelled before it began", key, uploadId), token);
        }

        /// <summary>Aborts many uploads of one bucket, several at once. Reports come on the calling thread.</summary>
        /// <exception cref="ObsAbortException">Some uploads failed: Partial. Its Report says which.</exception>
        /// <exception cref="OperationCanceledException">The token ended the call.</exception>
        public Report AbortMany(string bucket, IEnumerable<Upload> uploads, IProgress<AbortProgress> progress = null, CancellationToken token = default(CancellationToken))
        {
            return RunHere(Many(bucket, uploads, progress, token)).ReportOrThrow(token);
        }

        /// <summary>The same on a thread of the client. Reports come on that thread.</summary>
        public async Task<Report> AbortManyAsync(string bucket, IEnumerable<Upload> uploads, IProgress<AbortProgress> progress = null, CancellationToken token = default(CancellationToken))
        {
            Func<Result> work = Many(bucket, uploads, progress, token);
            return (await Queue(batches, work, Result.NotBegun, token).ConfigureAwait(false)).ReportOrThrow(token);
        }

        /// <summary>
        /// Finds and aborts the uploads whose keys begin with a prefix, and that were initiated longer ago than an age of whole
        /// seconds. Reports come on the calling thread.
        /// </summary>
        /// <exception cref="ObsAbortException">Some uploads failed: Partial. Its Report says which.</exception>
        /// <exception cref="OperationCanceledException">The token ended the call.</exception>
        public Report AbortStale(string bucket, string prefix, TimeSpan age, StaleOptions options = StaleOptions.None, IProgress<AbortProgress> progress = null, CancellationToken token = default(CancellationToken))
        {
            return RunHere(Stale(bucket, prefix, age, options, progress, token)).ReportOrThrow(token);
        }

        /// <summary>The same on a thread of the client. Reports come on that thread.</summary>
        public async Task<Report> AbortStaleAsync(string bucket, string prefix, TimeSpan age, StaleOptions options = StaleOptions.None, IProgress<AbortProgress> progress = null, CancellationToken token = default(CancellationToken))
        {
            Func<Result> work = Stale(bucket, prefix, age, options, progress, token);
            return (await Queue(batches, work, Result.NotBegun, token).ConfigureAwait(false)).ReportOrThrow(token);
        }

        /// <summary>
        /// Finds and aborts the uploads of a bucket that a selection describes. Its Keep is called, and reports come, on the
        /// calling thread.
        /// </summary>
        /// <exception cref="ObsAbortException">Some uploads failed: Partial. Its Report says which.</exception>
        /// <exception cref="OperationCanceledException">The token ended the call.</exception>
        public Report Sweep(string bucket, SweepSelection selection, StaleOptions options = StaleOptions.None, IProgress<AbortProgress> progress = null, CancellationToken token = default(CancellationToken))
        {
            return RunHere(Selected(bucket, selection, options, progress, token)).ReportOrThrow(token);
        }

        /// <summary>The same on a thread of the client. Keep is called, and reports come, on that thread.</summary>
        public async Task<Report> SweepAsync(string bucket, SweepSelection selection, StaleOptions options = StaleOptions.None, IProgress<AbortProgress> progress = null, CancellationToken token = default(CancellationToken))
        {
            Func<Result> work = Selected(bucket, selection, options, progress, token);
            return (await Queue(batches, work, Result.NotBegun, token).ConfigureAwait(false)).ReportOrThrow(token);
        }

        /// <summary>Returns the buckets of the account.</summary>
        /// <exception cref="ObsAbortException">They cannot be listed.</exception>
        /// <exception cref="OperationCanceledException">The token ended the call.</exception>
        public IReadOnlyList<ObsBucket> Buckets(CancellationToken token = default(CancellationToken))
        {
            return RunHere(() => ListBuckets(token)).BucketsOrThrow(token);
        }

        /// <summary>The same on a thread of the client.</summary>
        public async Task<IReadOnlyList<ObsBucket>> BucketsAsync(CancellationToken token = default(CancellationToken))
        {
            Result result = await Queue(aborts, () => ListBuckets(token), Result.NotBegun, token).ConfigureAwait(false);
            return result.BucketsOrThrow(token);
        }

        private sealed class Result
        {
            internal ObsAbortCode Code;
            internal string Message;
            internal Report Report;
            internal List<ObsBucket> Buckets;

            internal static Result NotBegun()
            {
                const ObsAbortCode Code = ObsAbortCode.Cancelled;
                return new Result { Code = Code, Message = Code.Name() + ": the call was cancelled before it began" };
            }

            internal Report ReportOrThrow(CancellationToken token)
            {
                ThrowUnlessOk(token);
                return Report;
            }

            internal IReadOnlyList<ObsBucket> BucketsOrThrow(CancellationToken token)
            {
                ThrowUnlessOk(token);
                return Buckets.AsReadOnly();
            }

            private void ThrowUnlessOk(CancellationToken token)
            {
                if (Code == ObsAbortCode.Ok)
                    return;
                if (Code == ObsAbortCode.Cancelled && token.IsCancellationRequested)
                    throw new ObsAbortCanceledException(Message, Report, token);
                throw new ObsAbortException(Code, Message, Report);
            }
        }

        private Func<Result> Many(string bucket, IEnumerable<Upload> uploads, IProgress<AbortProgress> progress, CancellationToken token)
        {
            byte[] bucketBytes = Bytes(nameof(bucket), bucket);
            List<Upload> list = new List<Upload>(uploads);
            List<byte[]> texts = new List<byte[]>(2 * list.Count);
            for (int i = 0; i < list.Count; i++)
            {
                texts.Add(Bytes("the key of upload " + i, list[i].Key));
                texts.Add(Bytes("the upload id of upload " + i, list[i].UploadId));
            }
            return () => RunBatch(progress, null, token, (CallHandle call, ProgressCallback callback, out IntPtr report, out IntPtr error) =>
            {
                using (NativeTexts array = new NativeTexts(texts))
                    return Native.obs_abort_many(handle, call, bucketBytes, array.Pointers, (UIntPtr)list.Count, callback, IntPtr.Zero, out report, out error);
            });
        }

        private Func<Result> Stale(string bucket, string prefix, TimeSpan age, StaleOptions options, IProgress<AbortProgress> progress, CancellationToken token)
        {
            byte[] bucketBytes = Bytes(nameof(bucket), bucket);
            byte[] prefixBytes = prefix == null ? null : Bytes(nameof(prefix), prefix);
            ulong seconds = SweepSelection.Seconds("the age", age);
            return () => RunBatch(progress, null, token, (CallHandle call, ProgressCallback callback, out IntPtr report, out IntPtr error) =>
                Native.obs_abort_stale(handle, call, bucketBytes, prefixBytes, seconds, (uint)options, callback, IntPtr.Zero, out report, out error));
        }

        private Func<Result> Selected(string bucket, SweepSelection selection, StaleOptions options, IProgress<AbortProgress> progress, CancellationToken token)
        {
            byte[] bucketBytes = Bytes(nameof(bucket), bucket);
            if (selection == null)
                throw new ArgumentNullException(nameof(selection));
            SelectionHandle native = selection.ToNative();
            Func<Outcome, bool> keep = selection.Keep;
            return () => RunBatch(progress, keep, token, (CallHandle call, ProgressCallback callback, out IntPtr report, out IntPtr error) =>
            {
                using (native)
                    return Native.obs_abort_sweep(handle, call, bucketBytes, native, (uint)options, callback, IntPtr.Zero, out report, out error);
            });
        }

        private Result ListBuckets(CancellationToken token)
        {
            Call buckets = new Call(log);
            return buckets.Run(call =>
            {
                int code = Native.obs_abort_buckets(handle, call, Call.OnBucket, IntPtr.Zero, out IntPtr error);
                return new Result { Code = (ObsAbortCode)code, Message = Utf8.Take(error), Buckets = buckets.Buckets };
            }, token);
        }

        private delegate int Batch(CallHandle call, ProgressCallback callback, out IntPtr report, out IntPtr error);

        private Result RunBatch(IProgress<AbortProgress> progress, Func<Outcome, bool> keep, CancellationToken token, Batch batch)
        {
            return new Call(log, progress, keep).Run(call =>
            {
                int code = batch(call, progress == null ? null : Call.OnProgress, out IntPtr report, out IntPtr error);
                try
                {
                    return new Result
                    {
                        Code = (ObsAbortCode)code,
                        Message = Utf8.Take(error),
                        Report = report == IntPtr.Zero ? null : new Report(report),
                    };
                }
                finally
                {
                    Native.obs_abort_report_free(report);
                }
            }, token);
        }

        private Outcome AbortOne(string bucket, string key, string uploadId, CancellationToken token)
        {
            string[] texts = { bucket, key, uploadId };
            string[] names = { nameof(bucket), nameof(key), "upload id" };
            for (int i = 0; i < texts.Length; i++)
            {
                string why = Utf8.Refusal(texts[i]);
                if (why != null)
                    return new Outcome(ObsAbortCode.InvalidArgument, "the " + names[i] + " " + why, key, uploadId);
            }
            return new Call(log).Run(call =>
            {
                Native.obs_abort_multipart_outcome(handle, call, Utf8.Bytes(bucket), Utf8.Bytes(key), Utf8.Bytes(uploadId), out IntPtr outcome);
                try
                {
                    return new Outcome(outcome);
                }
                finally
                {
                    Native.obs_abort_outcome_free(outcome);
                }
            }, token);
        }

        // From here to End, Dispose does not free the client.
        private void Begin()
        {
            if (Volatile.Read(ref disposed) != 0)
                throw new ObjectDisposedException(nameof(ObsAbortClient));
            bool held = false;
            handle.DangerousAddRef(ref held);
        }

        private void End()
        {
            handle.DangerousRelease();
        }

        private T RunHere<T>(Func<T> work)
        {
            Begin();
            return Ending(work);
        }

        private Task<T> Queue<T>(CallThreads threads, Func<T> work, Func<T> cancelled, CancellationToken token)
        {
            Begin();
            try
            {
                return threads.Run(() => Ending(work), () => Ending(cancelled), token);
            }
            catch
            {
                End();
                throw;
            }
        }

        private T Ending<T>(Func<T> work)
        {
            try
            {
                return work();
            }
            finally
            {
                End();
            }
        }

        private static void CheckNotNull(string bucket, string key, string uploadId)
        {
            if (bucket == null)
                throw new ArgumentNullException(nameof(bucket));
            if (key == null)
                throw new ArgumentNullException(nameof(key));
            if (uploadId == null)
                throw new ArgumentNullException(nameof(uploadId));
        }

        private static byte[] Bytes(string name, string text)
        {
            if (text == null)
                throw new ArgumentNullException(name);
            string why = Utf8.Refusal(text);
            if (why != null)
                throw ObsAbortException.Refused(ObsAbortCode.InvalidArgument, name + " " + why);
            return Utf8.Bytes(text);
        }

        private static void ThrowUnlessOk(int code, string message)
        {
            if (code != 0)
                throw new ObsAbortException((ObsAbortCode)code, message, null);
        }

        private static void ThrowUnlessOk(Outcome outcome, CancellationToken token)
        {
            if (outcome.Code == ObsAbortCode.Cancelled && token.IsCancellationRequested)
                throw new ObsAbortCanceledException(outcome, token);
            if (outcome.Code != ObsAbortCode.Ok)
                throw new ObsAbortException(outcome);
        }

        // Strings for C, and the array of pointers to them, which is an array of obs_abort_upload.
        private sealed class NativeTexts : IDisposable
        {
            internal IntPtr Pointers { get; }

            internal NativeTexts(List<byte[]> texts)
            {
                long pointers = (long)texts.Count * IntPtr.Size, size = pointers;
                foreach (byte[] text in texts)
                    size += text.Length;
                Pointers = Marshal.AllocHGlobal((IntPtr)size);
                long at = (long)Pointers, next = at + pointers;
                foreach (byte[] text in texts)
                {
                    Marshal.WriteIntPtr((IntPtr)at, (IntPtr)next);
                    Marshal.Copy(text, 0, (IntPtr)next, text.Length);
                    at += IntPtr.Size;
                    next += text.Length;
                }
            }

            public void Dispose()
            {
                Marshal.FreeHGlobal(Pointers);
            }
        }
    }
}
