using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using ObsAbort;
using static Harness;

static class SweepTests
{
    private static readonly TimeSpan hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan day = TimeSpan.FromDays(1);

    public static void IdleAndMeasure()
    {
        ObsLocal server = new ObsLocal("--uploads", Bucket + ":5:172800:old/", "--uploads", Bucket + ":1:172800:live");
        server.Must("parts " + Bucket + ":live:3:10000:5");
        ObsAbortClient client = server.Client();
        Dictionary<string, Outcome> found = new Dictionary<string, Outcome>();
        Reports progress = new Reports(p =>
        {
            if (p.Outcome != null)
                found.Add(p.Outcome.Key, p.Outcome);
        });
        Report dry = client.Sweep(Bucket, new SweepSelection { Measure = true }, StaleOptions.DryRun, progress);
        That(dry.Aborted == 6 && dry.Bytes == 30000 && found.Count == 6, "a dry run: {0}, {1} bytes", dry, dry.Bytes);
        foreach (Outcome outcome in found.Values)
            if (outcome.Key.StartsWith("live"))
                That(outcome.Parts == 3 && outcome.Bytes == 30000 && DateTimeOffset.UtcNow - outcome.LastPart.Value < TimeSpan.FromMinutes(1),
                    "{0} parts, {1} bytes, {2}", outcome.Parts, outcome.Bytes, outcome.LastPart);
            else
                That(outcome.Parts == 0 && outcome.Bytes == 0 && outcome.LastPart == null, "{0} parts of {1}", outcome.Parts, outcome.Key);

        Report report = client.Sweep(Bucket, new SweepSelection { Idle = hour, Measure = true });
        That(report.Aborted == 5 && report.Active == 1 && report.Kept == 1 && report.Younger == 0 && report.Bytes == 0 && report.Complete, "{0}", report);
        That(server.Uploads().Single().Key.StartsWith("live"), "it is gone");

        report = client.SweepAsync(Bucket, new SweepSelection { Idle = TimeSpan.FromSeconds(1) }).Result;
        That(report.Aborted == 1 && report.Bytes == 30000 && report.Active == 0, "{0}, {1} bytes", report, report.Bytes);
        Equal(0, server.Uploads().Count, "uploads that are left");
    }

    public static void BoundsHoldTogether()
    {
        ObsLocal server = new ObsLocal("--uploads", Bucket + ":4:172800:a/", "--uploads", Bucket + ":3:90000:a/", "--uploads",
            Bucket + ":2:172800:b/", "--uploads", Bucket + ":1:60:a/");
        ObsAbortClient client = server.Client();
        DateTimeOffset now = DateTimeOffset.Now;
        Action<long, SweepSelection> wouldAbort = (expected, selection) =>
            Equal(expected, client.Sweep(Bucket, selection, StaleOptions.DryRun).Aborted, "aborted");
        wouldAbort(9, new SweepSelection { OlderThan = day });
        wouldAbort(6, new SweepSelection { InitiatedBefore = now.AddHours(-30) });
        wouldAbort(6, new SweepSelection { InitiatedBefore = now.AddHours(-30), OlderThan = hour });
        wouldAbort(6, new SweepSelection { InitiatedBefore = now.AddHours(-1), OlderThan = TimeSpan.FromHours(30) });
        wouldAbort(4, new SweepSelection { Prefix = "a/", OlderThan = TimeSpan.FromHours(30) });
        wouldAbort(10, new SweepSelection { InitiatedBefore = DateTimeOffset.MaxValue });
        Equal(10, server.Uploads().Count, "uploads that are left after dry runs");
    }

    public static void SelectionsThatAreMistakes()
    {
        ObsLocal server = new ObsLocal("--uploads", Bucket + ":3:90000");
        ObsAbortClient client = server.Client();
        int before = server.Count("counts", "requests");
        foreach (SweepSelection selection in new[]
        {
            new SweepSelection(),
            new SweepSelection { Measure = true },
            new SweepSelection { OlderThan = new TimeSpan(24) },
            new SweepSelection { OlderThan = -hour },
            new SweepSelection { Idle = TimeSpan.FromSeconds(1.5) },
            new SweepSelection { InitiatedBefore = DateTimeOffset.UtcNow + hour },
            new SweepSelection { InitiatedBefore = DateTimeOffset.MinValue },
            new SweepSelection { Idle = hour, Prefix = "a\0b" },
            new SweepSelection { Idle = hour, Prefix = "a\ud800" },
            new SweepSelection { Idle = hour, Prefix = new string('p', 1025) },
        })
        {
            Equal(null, Fails(ObsAbortCode.InvalidArgument, () => client.Sweep(Bucket, selection)).Report, "a report");
            Fails(ObsAbortCode.InvalidArgument, () => client.SweepAsync(Bucket, selection).Wait());
        }
        Fails(ObsAbortCode.InvalidArgument, () => client.Sweep("a\0b", new SweepSelection { Idle = hour }));
        Throws<ArgumentNullException>(() => client.Sweep(Bucket, null));
        Throws<ArgumentNullException>(() => client.SweepAsync(null, new SweepSelection { Idle = hour }).Wait());
        Equal(before, server.Count("counts", "requests"), "requests");
        Equal(3L, client.Sweep(Bucket, new SweepSelection(), StaleOptions.IncludeLive).Aborted, "aborted");
    }

    public static void Keep()
    {
        ObsLocal server = new ObsLocal("--uploads", Bucket + ":1500:172800:old/", "--uploads", Bucket + ":5:60:young/");
        ObsAbortClient client = server.Client();
        HashSet<string> asked = new HashSet<string>(), kept = new HashSet<string>();
        SweepSelection selection = new SweepSelection { OlderThan = day, Measure = true };
        selection.Keep = candidate =>
        {
            asked.Add(candidate.Key);
            That(candidate.Initiated != null && candidate.Attempts == 0 && candidate.Parts == 0, "{0}", candidate.Key);
            if (candidate.Key.EndsWith("7"))
                kept.Add(candidate.Key);
            return candidate.Key.EndsWith("7");
        };
        Reports progress = new Reports(p => That(p.Outcome == null || (asked.Contains(p.Outcome.Key) && !kept.Contains(p.Outcome.Key)), "{0}", p.Outcome));
        // The call has its own copy of the selection.
        Task<Report> task = client.SweepAsync(Bucket, selection, StaleOptions.None, progress);
        selection.OlderThan = TimeSpan.Zero;
        Report report = task.Result;
        That(report.Aborted == 1350 && report.Kept == 155 && report.Younger == 5 && report.Complete, "{0}", report);
        That(asked.Count == 1500 && kept.Count == 150, "asked about {0}, kept {1}", asked.Count, kept.Count);
        Equal(155, server.Uploads().Count, "uploads that are left");
    }

    // What is cancelled, or throws, in Keep sends nothing for the upload that it was asked about.
    public static void KeepThatEndsTheCall()
    {
        ObsLocal server = new ObsLocal();
        server.NewUploads(100);
        ObsAbortClient client = server.Client();
        int asked = 0;
        CancellationTokenSource source = new CancellationTokenSource();
        SweepSelection cancels = new SweepSelection
        {
            Idle = hour,
            Keep = candidate =>
            {
                asked++;
                source.Cancel();
                return false;
            },
        };
        Report report = Throws<ObsAbortCanceledException>(() => client.Sweep(Bucket, cancels, token: source.Token)).Report;
        That(report.Aborted == 0 && asked == 1, "{0}; asked {1} times", report, asked);
        asked = 0;
        SweepSelection throws = new SweepSelection
        {
            Idle = hour,
            Keep = candidate =>
            {
                asked++;
                throw new InvalidOperationException("from Keep");
            },
        };
        Equal("from Keep", Throws<InvalidOperationException>(() => client.Sweep(Bucket, throws)).Message, "the exception");
        Equal("from Keep", Throws<InvalidOperationException>(() => client.SweepAsync(Bucket, throws).Wait()).Message, "the exception");
        Equal(2, asked, "times that it was asked");
        Equal(100, server.Uploads().Count, "uploads that are left");
    }

    public static void Buckets()
    {
        ObsLocal server = new ObsLocal("--bucket", "more-bindings");
        ObsAbortClient client = server.Client();
        Equal("bindings more-bindings", string.Join(" ", client.Buckets().Select(bucket => bucket.Name)), "the buckets");
        Equal(2, client.BucketsAsync().Result.Count, "buckets");
        Throws<ObsAbortCanceledException>(() => client.Buckets(new CancellationToken(true)));
        server.Must("fault answer=403;error=AccessDenied;method=GET;always");
        Fails(ObsAbortCode.AccessDenied, () => client.Buckets());
        Fails(ObsAbortCode.AccessDenied, () => client.BucketsAsync().Wait());
    }
}
