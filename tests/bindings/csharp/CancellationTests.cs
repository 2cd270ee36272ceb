using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using ObsAbort;
using static Harness;

static class CancellationTests
{
    private delegate void Verb(ObsAbortClient client, List<Upload> uploads, CancellationToken token);

    private static readonly TimeSpan hour = TimeSpan.FromHours(1);
    private static readonly Dictionary<string, Verb> verbs = new Dictionary<string, Verb>
    {
        { "Abort", (c, u, t) => c.Abort(Bucket, u[0].Key, u[0].UploadId, t) },
        { "AbortAsync", (c, u, t) => c.AbortAsync(Bucket, u[0].Key, u[0].UploadId, t).GetAwaiter().GetResult() },
        { "AbortMany", (c, u, t) => c.AbortMany(Bucket, u, null, t) },
        { "AbortManyAsync", (c, u, t) => c.AbortManyAsync(Bucket, u, new Reports(_ => { }), t).GetAwaiter().GetResult() },
        { "AbortStale", (c, u, t) => c.AbortStale(Bucket, "", hour, StaleOptions.None, null, t) },
        { "Sweep", (c, u, t) => c.Sweep(Bucket, new SweepSelection { OlderThan = hour, Idle = hour }, StaleOptions.None, null, t) },
        { "SweepAsync", (c, u, t) => c.SweepAsync(Bucket, new SweepSelection { Idle = hour }, StaleOptions.None, new Reports(_ => { }), t).GetAwaiter().GetResult() },
        { "AbortStaleAsync", (c, u, t) => c.AbortStaleAsync(Bucket, "", hour, StaleOptions.None, new Reports(_ => { }), t).GetAwaiter().GetResult() },
    };

    public static void TwentyCancellations()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(20);
        server.Hangs();
        ObsAbortClient client = server.Client();
        for (int i = 0; i < 20; i++)
        {
            string key = uploads[i].Key, id = uploads[i].UploadId;
            Stopwatch clock = new Stopwatch();
            using (CancellationTokenSource source = new CancellationTokenSource())
            {
                CancellationToken token = source.Token;
                Timer timer = new Timer(_ => { clock.Start(); source.Cancel(); }, null, 20 + 7 * i, Timeout.Infinite);
                Outcome outcome;
                if (i % 4 == 3)
                    outcome = client.TryAbort(Bucket, key, id, token);
                else
                {
                    Task task = null;
                    ObsAbortCanceledException exception = Throws<ObsAbortCanceledException>(() =>
                    {
                        if (i % 2 == 0)
                            (task = client.AbortAsync(Bucket, key, id, token)).GetAwaiter().GetResult();
                        else
                            client.Abort(Bucket, key, id, token);
                    });
                    Equal(token, exception.CancellationToken, "the token");
                    That(task == null || task.IsCanceled, "the task is not cancelled");
                    outcome = exception.Outcome;
                }
                Within(Promised, clock, "cancellation " + i);
                That(outcome.Code == ObsAbortCode.Cancelled && outcome.Attempts == 1, "{0}, {1} attempts", outcome, outcome.Attempts);
                timer.Dispose();
            }
        }
        Equal(20, server.Uploads().Count, "uploads that are left");
    }

    public static void CancellationOfManyAndStale()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(100);
        server.Hangs();
        ObsAbortClient client = server.Client(c => c.MaxConnections = 8);
        foreach (KeyValuePair<string, Verb> verb in verbs)
        {
            if (verb.Key.StartsWith("AbortA") || verb.Key == "Abort")
                continue;
            Stopwatch clock = new Stopwatch();
            CancellationTokenSource source = new CancellationTokenSource();
            using (new Timer(_ => { clock.Start(); source.Cancel(); }, null, 300, Timeout.Infinite))
            {
                Report report = Throws<ObsAbortCanceledException>(() => verb.Value(client, uploads, source.Token)).Report;
                Within(Promised, clock, verb.Key);
                That(report.Total == 100 && report.Failed == 8 && report.Kept == 92 && report.Failures[0].Code == ObsAbortCode.Cancelled, "{0}: {1}", verb.Key, report);
            }
        }
    }

    public static void Deadline()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(1);
        server.Hangs();
        ObsAbortClient client = server.Client();
        foreach (KeyValuePair<string, Verb> verb in verbs)
        {
            TimeSpan limit = TimeSpan.FromMilliseconds(400);
            Stopwatch clock = Stopwatch.StartNew();
            using (CancellationTokenSource source = new CancellationTokenSource(limit))
                Throws<OperationCanceledException>(() => verb.Value(client, uploads, source.Token));
            Within(limit + Promised, clock, verb.Key);
            // Timers are not as exact as stopwatches.
            That(clock.Elapsed > limit - TimeSpan.FromMilliseconds(20), "{0} ended after {1}", verb.Key, clock.Elapsed);
        }
        // The client's own limit is no cancellation, although there is a token.
        ObsAbortClient hasty = server.Client(c => c.Timeout = TimeSpan.FromMilliseconds(300));
        using (CancellationTokenSource source = new CancellationTokenSource(TimeSpan.FromMinutes(1)))
            Fails(ObsAbortCode.Timeout, () => hasty.AbortAsync(Bucket, uploads[0].Key, uploads[0].UploadId, source.Token).Wait());
    }

    public static void TokenThatIsCancelledBefore()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(1);
        ObsAbortClient client = server.Client();
        int before = server.Count("counts", "requests");
        foreach (Verb verb in verbs.Values)
            Throws<OperationCanceledException>(() => verb(client, uploads, new CancellationToken(true)));
        Equal(before, server.Count("counts", "requests"), "requests");
    }

    // By the token, and by an exception.
    public static void StopFromProgressWhileTheServerHangs()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(500);
        ObsAbortClient client = server.Client(c => c.MaxConnections = 8);
        long left = 500;
        foreach (bool throws in new[] { false, true })
            foreach (bool stale in new[] { false, true })
            {
                server.Hangs(3);
                Stopwatch clock = new Stopwatch();
                CancellationTokenSource source = new CancellationTokenSource();
                // On the first heartbeat after the 3rd outcome.
                Reports progress = new Reports(p =>
                {
                    if (p.Outcome != null || p.Done < 3 || clock.IsRunning)
                        return;
                    clock.Start();
                    if (throws)
                        throw new InvalidOperationException("enough");
                    source.Cancel();
                });
                Action verb = () =>
                {
                    if (stale)
                        client.AbortStale(Bucket, "", hour, StaleOptions.None, progress, source.Token);
                    else
                        client.AbortMany(Bucket, uploads, progress, source.Token);
                };
                if (throws)
                    Equal("enough", Throws<InvalidOperationException>(verb).Message, "the exception");
                else
                    Equal(3L, Throws<ObsAbortCanceledException>(verb).Report.Aborted, "aborted");
                Within(TimeSpan.FromMilliseconds(300), clock, "the end");
                // What is gone can't be aborted again.
                left -= 3;
                uploads = server.Uploads();
                Equal(left, uploads.Count, "uploads that are left");
            }
    }
}
