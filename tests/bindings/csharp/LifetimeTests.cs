using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using ObsAbort;
using static Harness;

static class LifetimeTests
{
    private static int Threads()
    {
        return Directory.GetDirectories("/proc/self/task").Length;
    }

    public static void ThousandHangingCallsOnBoundedThreads()
    {
        SilentServer server = new SilentServer();
        ObsAbortClient client = Client(server.Endpoint, c => c.MaxConcurrent = 16);
        int before = Threads();
        using (CancellationTokenSource source = new CancellationTokenSource())
        {
            Task[] tasks = Enumerable.Range(0, 1000).Select(i => client.AbortAsync(Bucket, "key" + i, "id", source.Token)).ToArray();
            Eventually("16 requests have arrived", () => Volatile.Read(ref server.Arrived) == 16);
            // The others have had their chance, and the pool is free.
            Stopwatch clock = Stopwatch.StartNew();
            Task.WaitAll(Enumerable.Range(0, 100).Select(i => Task.Run(() => Thread.Sleep(1))).ToArray());
            Within(TimeSpan.FromMilliseconds(500), clock, "the program's own tasks");
            Thread.Sleep(300);
            // The pool's own threads come and go.
            That(Threads() <= before + 16 + 20, "{0} threads, {1} before", Threads(), before);
            clock = Stopwatch.StartNew();
            source.Cancel();
            Throws<OperationCanceledException>(() => Task.WaitAll(tasks));
            Within(Promised, clock, "1000 cancellations");
            Equal(1000, tasks.Count(task => task.IsCanceled), "cancelled tasks");
            Equal(16, server.Arrived, "requests");
        }
        Eventually("the client's threads end", () => Threads() <= before + 20);
    }

    public static void AsynchronousCallsAfterTheThreadsHaveEnded()
    {
        ObsLocal server = new ObsLocal();
        ObsAbortClient client = server.Client(c => c.MaxConcurrent = 2);
        for (int i = 0; i < 2; i++)
        {
            Task<Outcome>[] tasks = Enumerable.Range(0, 50).Select(_ => client.TryAbortAsync(Bucket, "key", "id")).ToArray();
            That(Task.WaitAll(tasks, 10000), "they hang");
            That(tasks.All(task => task.Result.Code == ObsAbortCode.NoSuchUpload), "{0}", tasks[0].Result);
            Thread.Sleep(2300);
        }
    }

    public static void DisposeUnderHundredCallers()
    {
        SilentServer server = new SilentServer();
        ObsAbortClient client = Client(server.Endpoint);
        Stopwatch clock = new Stopwatch();
        int queued = 0, cancelled = 0;
        Thread closer = new Thread(() =>
        {
            // A third is asynchronous, and 32 of these at once.
            SpinWait.SpinUntil(() => Volatile.Read(ref server.Arrived) == 66 + 32 && Volatile.Read(ref queued) == 34, 10000);
            clock.Start();
            client.Dispose();
            client.Dispose();
        });
        closer.Start();
        Together(100, i =>
        {
            Fails(ObsAbortCode.Cancelled, () =>
            {
                if (i % 3 == 0)
                {
                    Task task = client.AbortAsync(Bucket, "key", "id");
                    Interlocked.Increment(ref queued);
                    task.Wait();
                }
                else if (i % 3 == 1)
                    client.Abort(Bucket, "key", "id");
                else
                    client.AbortStale(Bucket, "", TimeSpan.FromHours(1));
            });
            Interlocked.Increment(ref cancelled);
        });
        Within(Promised, clock, "the end of 100 calls");
        closer.Join();
        Equal(66 + 32, server.Arrived, "requests");
        Equal(100, cancelled, "calls that were cancelled");

        Throws<ObjectDisposedException>(() => client.Abort(Bucket, "key", "id"));
        Throws<ObjectDisposedException>(() => client.TryAbort(Bucket, "key", "id"));
        Throws<ObjectDisposedException>(() => client.AbortAsync(Bucket, "key", "id").Wait());
        Throws<ObjectDisposedException>(() => client.AbortMany(Bucket, new Upload[0]));
        Throws<ObjectDisposedException>(() => client.SetCredentials(Credentials));
    }

    // While callers come and go, none of them ever sees a client that was freed, and the client is freed at once.
    public static void DisposeUnderOverlappingCallers()
    {
        ObsLocal server = new ObsLocal();
        ObsAbortClient client = server.Client();
        Stopwatch clock = new Stopwatch();
        using (new Timer(_ => { clock.Start(); client.Dispose(); }, null, 300, Timeout.Infinite))
            Together(8, i =>
            {
                try
                {
                    for (;;)
                    {
                        ObsAbortCode code = client.TryAbort(Bucket, "key", "id").Code;
                        That(code == ObsAbortCode.NoSuchUpload || (code == ObsAbortCode.Cancelled && clock.IsRunning), "{0}", code);
                        // Without an end of their own, they would hold the client for ever.
                        That(!clock.IsRunning || clock.Elapsed < TimeSpan.FromSeconds(5), "the client does not end");
                    }
                }
                catch (ObjectDisposedException)
                {
                }
            });
        Within(Promised, clock, "the end of the callers");
        Eventually("the connections are closed", () => server.Count("connections", "open") == 0);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(ObsLocal server)
    {
        for (int i = 0; i < 20; i++)
        {
            ObsAbortClient client = null;
            // The log refers to the client.
            client = new ObsAbortClient(new ObsAbortConfig { Endpoint = server.Endpoint, Credentials = Credentials, Proxy = "", Log = (level, line) => GC.KeepAlive(client) });
            if (i % 2 == 0)
                client.TryAbort(Bucket, "key", "id");
            else
                client.TryAbortAsync(Bucket, "key", "id").Wait();
        }
    }

    public static void ForgottenClientIsFreed()
    {
        ObsLocal server = new ObsLocal();
        // Not on this thread, whose stack Mono scans without knowing what it means.
        Together(1, _ => Forget(server));
        That(server.Count("connections", "open") > 0, "no connection was kept: this shows nothing");
        Eventually("the connections of all clients are closed", () =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return server.Count("connections", "open") == 0;
        });
    }

    public static void ClientIsNotFreedDuringItsLastCall()
    {
        SilentServer server = new SilentServer(1500);
        bool ended = false;
        Thread collector = new Thread(() =>
        {
            for (; !Volatile.Read(ref ended); Thread.Sleep(10))
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            new ObsAbortClient(Config(server.Endpoint)).Abort(Bucket, "key", "id");
            new ObsAbortClient(Config(server.Endpoint)).AbortAsync(Bucket, "key", "id").Wait();
        }
        finally
        {
            Volatile.Write(ref ended, true);
            collector.Join();
        }
    }

    public static void RotationUnderLoad()
    {
        ObsAbortCredentials first = new ObsAbortCredentials("FIRST", "first-secret"), second = new ObsAbortCredentials("SECOND", "second-secret", "a-token");
        ObsLocal server = new ObsLocal();
        server.Must("add-key FIRST first-secret", "add-key SECOND second-secret a-token");
        List<Upload> uploads = server.NewUploads(2000);
        ObsAbortClient rotated = server.Client(c => c.Credentials = first), steady = server.Client();
        int rotations = 0;
        bool ended = false;
        Thread rotator = new Thread(() =>
        {
            for (; !Volatile.Read(ref ended); Thread.Sleep(1))
                rotated.SetCredentials(rotations++ % 2 == 0 ? second : first);
        });
        rotator.Start();
        try
        {
            Together(8, i =>
            {
                foreach (Upload upload in uploads.Skip(250 * i).Take(250))
                    (i % 2 == 0 ? rotated : steady).Abort(Bucket, upload.Key, upload.UploadId);
            });
        }
        finally
        {
            Volatile.Write(ref ended, true);
            rotator.Join();
        }
        That(rotations >= 10, "only {0} rotations", rotations);
        Equal(0, server.Uploads().Count, "uploads that are left");

        // The last credentials are those that are used, and only by this client.
        rotated.SetCredentials(second);
        Equal("true", server.Control("remove-key FIRST"), "remove-key");
        Equal(ObsAbortCode.NoSuchUpload, rotated.TryAbort(Bucket, "key", "id").Code, "the second key");
        Fails(ObsAbortCode.InvalidArgument, () => rotated.SetCredentials(new ObsAbortCredentials("white space", "x")));
        Equal(ObsAbortCode.NoSuchUpload, rotated.TryAbort(Bucket, "key", "id").Code, "the second key still");
        rotated.SetCredentials(first);
        Equal(ObsAbortCode.AccessDenied, rotated.TryAbort(Bucket, "key", "id").Code, "the first key");
        Equal(ObsAbortCode.NoSuchUpload, steady.TryAbort(Bucket, "key", "id").Code, "the other client");
    }

    private static readonly string[] works = { "asynchronous", "asynchronous, again and again", "on 64 threads", "on 64 threads, again and again" };

    private static async void AbortForEver(ObsAbortClient client)
    {
        for (;;)
            await client.TryAbortAsync(Bucket, "key", "id");
    }

    // ENDPOINT HOW WORK, of which the last is an index.
    internal static int ExitWithCallsInFlight(string[] arguments)
    {
        ObsAbortConfig config = Config(arguments[0]);
        config.MaxConcurrent = 64;
        config.LogLevel = ObsAbortLogLevel.Debug;
        config.Log = (level, line) => { };
        ObsAbortClient client = new ObsAbortClient(config);
        string work = works[int.Parse(arguments[2])];
        for (int i = 0; i < 64; i++)
            if (work == "asynchronous")
                client.AbortAsync(Bucket, "key", "id");
            else if (work.StartsWith("asynchronous"))
                AbortForEver(client);
            else
                new Thread(() =>
                {
                    // What follows a call contends for the console.
                    do
                        Console.WriteLine(client.TryAbort(Bucket, "key", "id"));
                    while (work.EndsWith("again"));
                }) { IsBackground = true }.Start();
        Console.In.Read();
        if (arguments[1] == "exit")
            Environment.Exit(7);
        if (arguments[1] == "throw")
            throw new Exception("that nobody catches");
        return 7;
    }

    // 4 at once, so that the machine is busy.
    public static void ExitWith64CallsInFlight()
    {
        foreach (KeyValuePair<string, int> way in new Dictionary<string, int> { { "exit", 5 }, { "return", 2 }, { "throw", 1 } })
            Together(4, work =>
            {
                for (int i = 0; i < way.Value; i++)
                    ExitsOnce(way.Key, work);
            });
    }

    private static void ExitsOnce(string way, int work)
    {
        SilentServer server = new SilentServer();
        string[] run = Environment.GetEnvironmentVariable("TEST_PROGRAM").Split(new[] { ' ' }, 2);
        using (Process program = Process.Start(new ProcessStartInfo(run[0], run[1] + " exit-with-calls-at " + server.Endpoint + " " + way + " " + work)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        }))
        {
            Eventually("64 requests have arrived", () => Volatile.Read(ref server.Arrived) == 64);
            Stopwatch clock = Stopwatch.StartNew();
            // Its end might not arrive, if programs that were started meanwhile have the pipe, too.
            program.StandardInput.WriteLine();
            program.StandardInput.Flush();
            if (!program.WaitForExit(10000))
                program.Kill();
            program.WaitForExit();
            Within(TimeSpan.FromSeconds(5), clock, way + " with calls " + works[work]);
            That((program.ExitCode == 7) == (way != "throw"), "{0} with calls {1}: {2}", way, works[work], program.ExitCode);
        }
    }
}
