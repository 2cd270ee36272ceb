using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using ObsAbort;
using static Harness;

static class CallbackTests
{
    private static readonly TimeSpan hour = TimeSpan.FromHours(1);

    private delegate void Place(ObsAbortClient client, List<Upload> uploads, Action callback);

    // Each calls back at least once: from the log if the name says so.
    private static readonly Dictionary<string, Place> places = new Dictionary<string, Place>
    {
        { "progress of many", (c, u, callback) => c.AbortMany(Bucket, u, new Reports(_ => callback())) },
        { "progress of stale", (c, u, callback) => c.AbortStale(Bucket, "", hour, StaleOptions.None, new Reports(_ => callback())) },
        { "keep of sweep", (c, u, callback) => c.Sweep(Bucket, Keeping(callback)) },
        { "keep of sweep, asynchronous", (c, u, callback) => c.SweepAsync(Bucket, Keeping(callback)).GetAwaiter().GetResult() },
        { "progress of many, asynchronous", (c, u, callback) => c.AbortManyAsync(Bucket, u, new Reports(_ => callback())).GetAwaiter().GetResult() },
        { "log of one", (c, u, _) => c.Abort(Bucket, u[0].Key, u[0].UploadId) },
        { "log of one, asynchronous", (c, u, _) => c.AbortAsync(Bucket, u[0].Key, u[0].UploadId).GetAwaiter().GetResult() },
        { "log of many", (c, u, _) => c.AbortMany(Bucket, u) },
        { "log of stale", (c, u, _) => c.AbortStale(Bucket, "", hour) },
    };

    private static SweepSelection Keeping(Action callback)
    {
        return new SweepSelection
        {
            OlderThan = hour,
            Keep = candidate =>
            {
                callback();
                return false;
            },
        };
    }

    private sealed class OnPurpose : Exception { }

    private sealed class Node
    {
        public Node Next = null;
    }

    private static readonly Dictionary<Type, Action> misdeeds = new Dictionary<Type, Action>
    {
        { typeof(OnPurpose), () => { throw new OnPurpose(); } },
        // The runtime makes the exception of a signal.
        { typeof(NullReferenceException), () => new Node().Next.Next = null },
        // .NET has no Thread.Abort any more.
        { typeof(ThreadAbortException), () => Thread.CurrentThread.Abort() },
    };

    public static void CallbacksThatThrow()
    {
        bool mono = Type.GetType("Mono.Runtime") != null;
        foreach (KeyValuePair<string, Place> place in places)
            foreach (KeyValuePair<Type, Action> misdeed in misdeeds)
            {
                bool aborts = misdeed.Key == typeof(ThreadAbortException);
                if (aborts && !mono)
                    continue;
                string what = place.Key + ", " + misdeed.Key.Name;
                ObsLocal server = new ObsLocal();
                Action logged = null;
                ObsAbortClient client = server.Client(c =>
                {
                    // The first 2 requests that arrive are among the first 10 uploads.
                    c.MaxConnections = 8;
                    c.LogLevel = ObsAbortLogLevel.Debug;
                    c.Log = (level, line) => logged?.Invoke();
                });
                List<Upload> uploads = server.NewUploads(20);
                server.Hangs(2);
                Stopwatch clock = new Stopwatch();
                Action misbehave = () =>
                {
                    clock.Start();
                    misdeed.Value();
                };
                if (place.Key.StartsWith("log"))
                    logged = misbehave;
                Exception thrown = null;
                Thread thread = new Thread(() =>
                {
                    try
                    {
                        place.Value(client, uploads, misbehave);
                    }
                    catch (Exception exception)
                    {
                        if (exception is ThreadAbortException && (Thread.CurrentThread.ThreadState & System.Threading.ThreadState.AbortRequested) != 0)
                            Thread.ResetAbort();
                        thrown = exception;
                    }
                });
                thread.Start();
                thread.Join();
                Within(Promised, clock, what);
                Equal(misdeed.Key, thrown?.GetType(), what);
                That(aborts || thrown.StackTrace.Contains("misdeeds") || thrown.StackTrace.Contains("CallbackTests"), "{0}: no trace of the callback: {1}", what, thrown);

                // The client is as good as before.
                logged = null;
                server.Must("clear-faults");
                foreach (Upload upload in uploads.Skip(10))
                    client.Abort(Bucket, upload.Key, upload.UploadId);
                client.Dispose();
                Eventually(what + ": the connections are closed", () => server.Count("connections", "open") == 0);
            }
    }

    public static void CallbacksRunOnTheCallersThreadAndSurviveCollection()
    {
        foreach (KeyValuePair<string, Place> place in places)
        {
            ObsLocal server = new ObsLocal();
            int count = 0, wrong = 0, caller = Thread.CurrentThread.ManagedThreadId;
            bool elsewhere = place.Key.Contains("asynchronous");
            Action callback = () =>
            {
                count++;
                if (caller == Thread.CurrentThread.ManagedThreadId == elsewhere || (elsewhere && Thread.CurrentThread.IsThreadPoolThread))
                    wrong++;
                GC.Collect();
                GC.WaitForPendingFinalizers();
            };
            ObsAbortClient client = server.Client(c =>
            {
                c.LogLevel = ObsAbortLogLevel.Debug;
                c.Log = (level, line) =>
                {
                    if (place.Key.StartsWith("log"))
                        callback();
                };
            });
            place.Value(client, server.NewUploads(20), callback);
            That(count > 0 && wrong == 0, "{0}: {1} callbacks, {2} on a wrong thread", place.Key, count, wrong);
        }
    }

    public static void Log()
    {
        ObsLocal server = new ObsLocal();
        List<string> lines = new List<string>();
        ObsAbortClient client = server.Client(c => c.Log = (level, line) => lines.Add(level + " " + line));
        Upload upload = server.NewUploads(1)[0];
        server.Must("fault answer=500;method=DELETE;times=1");
        client.Abort(Bucket, upload.Key, upload.UploadId);
        That(lines.Count == 1 && lines[0].StartsWith("Warn 500 (request id "), "the lines are: {0}", string.Join("; ", lines));
    }

    // The asynchronous calls of a client share threads, but not what belongs to a caller.
    public static void AsynchronousCallbacksHaveTheContextOfTheirCaller()
    {
        ObsLocal server = new ObsLocal();
        AsyncLocal<string> caller = new AsyncLocal<string>();
        List<string> callers = new List<string>();
        ObsAbortClient client = server.Client(c =>
        {
            c.MaxConcurrent = 1;
            c.LogLevel = ObsAbortLogLevel.Info;
            c.Log = (level, line) => callers.Add(caller.Value);
        });
        foreach (Upload upload in server.NewUploads(3))
        {
            caller.Value = upload.Key;
            client.AbortAsync(Bucket, upload.Key, upload.UploadId).Wait();
            Equal(upload.Key, callers.Last(), "the caller");
        }
        Equal(3, callers.Count, "lines");
    }

    public static void CallbacksMayUseTheClient()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(10);
        ObsAbortClient client = server.Client(c => c.MaxConcurrent = 1);
        Report report = client.AbortManyAsync(Bucket, uploads.Take(5), new Reports(p =>
        {
            if (p.Outcome == null)
                return;
            Upload upload = uploads[5 + (int)p.Outcome.Index.Value];
            client.AbortAsync(Bucket, upload.Key, upload.UploadId).Wait();
            client.SetCredentials(Credentials);
        })).Result;
        Equal(5L, report.Aborted, "aborted");
        Equal(0, server.Uploads().Count, "uploads that are left");
    }

    public static void CallbackMayDisposeOfTheClient()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(100);
        ObsAbortClient client = server.Client(c => c.MaxConnections = 4);
        ObsAbortException failure = Fails(ObsAbortCode.Cancelled, () => client.AbortMany(Bucket, uploads, new Reports(_ => client.Dispose())));
        Equal(100L, failure.Report.Total, "uploads of the report");
        Eventually("the connections are closed", () => server.Count("connections", "open") == 0);
    }

    // Progress<T> is the runtime's own: it posts to the pool.
    public static void ProgressOfTheRuntime()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(50);
        int outcomes = 0;
        Progress<AbortProgress> progress = new Progress<AbortProgress>(p =>
        {
            if (p.Outcome != null && p.Outcome.Code == ObsAbortCode.Ok)
                Interlocked.Increment(ref outcomes);
        });
        server.Client().AbortManyAsync(Bucket, uploads, progress).Wait();
        Eventually("50 outcomes", () => Volatile.Read(ref outcomes) == 50);
    }
}
