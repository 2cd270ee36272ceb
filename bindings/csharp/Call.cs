using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace ObsAbort
{
    // One call of the library: its cancellation and its callbacks. The library calls back on the thread that made the call
    // only, so that the thread knows whose callback it is.
    internal sealed class Call
    {
        // Fields, so that the library's pointers to them stay valid.
        internal static readonly LogCallback OnLog = Log;
        internal static readonly ProgressCallback OnProgress = Progress;
        internal static readonly FilterCallback OnCandidate = Candidate;
        internal static readonly BucketCallback OnBucket = Bucket;

        [ThreadStatic] private static Call current;

        // Mono does not exit while a thread is in a library, and a call retries what Mono's signals interrupt. Its
        // Environment.Exit hangs, too, if threads contend for a lock, or several wait in Monitor.Wait for one object: it
        // suspends them while they hold what it needs itself.
        private static readonly LinkedList<Call> running = new LinkedList<Call>();
        private static readonly TimeSpan ExitTime = TimeSpan.FromSeconds(1);
        private static volatile bool exiting;
        private static int exitingThread;

        private readonly Action<ObsAbortLogLevel, string> log;
        private readonly IProgress<AbortProgress> progress;
        private readonly Func<Outcome, bool> keep;
        private readonly int thread = Thread.CurrentThread.ManagedThreadId;
        private CallHandle handle;
        private Exception thrown;

        // Those that the library has named.
        internal readonly List<ObsBucket> Buckets = new List<ObsBucket>();

        static Call()
        {
            if (Type.GetType("Mono.Runtime") != null)
                AppDomain.CurrentDomain.ProcessExit += (sender, arguments) => CancelAll();
        }

        internal Call(Action<ObsAbortLogLevel, string> log, IProgress<AbortProgress> progress = null, Func<Outcome, bool> keep = null)
        {
            this.log = log;
            this.progress = progress;
            this.keep = keep;
        }

        // The exception of a callback comes out here, after the library has returned.
        internal T Run<T>(Func<CallHandle, T> verb, CancellationToken token)
        {
            T result;
            Call outer = current;
            using (handle = new CallHandle())
            {
                if (handle.IsInvalid)
                    throw ObsAbortException.Refused(ObsAbortCode.Internal, "no call handle");
                // Disposing of the registration waits for a cancellation that is in progress.
                using (token.Register(state => ((Call)state).Cancel(), this, false))
                {
                    LinkedListNode<Call> node = Begin();
                    current = this;
                    try
                    {
                        result = verb(handle);
                    }
                    finally
                    {
                        current = outer;
                        End(node);
                    }
                    RestIfExiting(token);
                }
            }
            if (thrown is ThreadAbortException)
                Thread.CurrentThread.Abort();
            else if (thrown != null)
                ExceptionDispatchInfo.Capture(thrown).Throw();
            return result;
        }

        private LinkedListNode<Call> Begin()
        {
            // Without the lock, once there is an exit that contention might hang.
            if (!exiting)
                lock (running)
                    if (!exiting)
                        return running.AddLast(this);
            Cancel();
            return null;
        }

        private static void End(LinkedListNode<Call> node)
        {
            if (node != null)
                lock (running)
                    running.Remove(node);
        }

        // What the thread would do next may contend for locks. Who waits for it in an exit handler does not wait for ever.
        private static void RestIfExiting(CancellationToken token)
        {
            if (exiting && Thread.CurrentThread.ManagedThreadId != exitingThread)
                token.WaitHandle.WaitOne(ExitTime);
        }

        private static void CancelAll()
        {
            exitingThread = Thread.CurrentThread.ManagedThreadId;
            lock (running)
            {
                exiting = true;
                foreach (Call call in running)
                    call.Cancel();
            }
            // Not for calls whose callback exits.
            for (Stopwatch clock = Stopwatch.StartNew(); AnyOnOtherThreads() && clock.Elapsed < ExitTime; )
                Thread.Sleep(1);
        }

        private static bool AnyOnOtherThreads()
        {
            lock (running)
                return running.Any(call => call.thread != exitingThread);
        }

        private void Cancel()
        {
            Native.obs_abort_call_cancel(handle);
        }

        private void Failed(Exception exception)
        {
            // It would go on by itself, through the library.
            if (exception is ThreadAbortException)
                Thread.ResetAbort();
            thrown = exception;
            Cancel();
        }

        private static void Log(int level, IntPtr message, IntPtr userdata)
        {
            Call call = current;
            if (call?.log == null || call.thrown != null)
                return;
            try
            {
                call.log((ObsAbortLogLevel)level, Utf8.Read(message));
            }
            catch (Exception exception)
            {
                call.Failed(exception);
            }
        }

        private static int Progress(IntPtr outcome, ulong done, ulong total, IntPtr userdata)
        {
            Call call = current;
            if (call.thrown != null)
                return 1;
            try
            {
                call.progress.Report(new AbortProgress(outcome == IntPtr.Zero ? null : new Outcome(outcome), (long)done, (long)total));
                return 0;
            }
            catch (Exception exception)
            {
                call.Failed(exception);
                return 1;
            }
        }

        // An upload that the function was not asked about, or threw for, is kept.
        private static int Candidate(IntPtr candidate, IntPtr userdata)
        {
            Call call = current;
            if (call.thrown != null)
                return 1;
            try
            {
                return call.keep(new Outcome(candidate)) ? 1 : 0;
            }
            catch (Exception exception)
            {
                call.Failed(exception);
                return 1;
            }
        }

        private static int Bucket(IntPtr name, IntPtr location, IntPtr userdata)
        {
            Call call = current;
            try
            {
                call.Buckets.Add(new ObsBucket(Utf8.Read(name), Utf8.Read(location)));
                return 0;
            }
            catch (Exception exception)
            {
                call.Failed(exception);
                return 1;
            }
        }
    }
}
