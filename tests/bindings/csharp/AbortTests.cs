using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using ObsAbort;
using static Harness;

static class AbortTests
{
    public static void AbortThenAgain()
    {
        ObsLocal server = new ObsLocal();
        ObsAbortClient client = server.Client();
        List<Upload> uploads = server.NewUploads(3);
        client.Abort(Bucket, uploads[0].Key, uploads[0].UploadId);
        client.AbortAsync(Bucket, uploads[1].Key, uploads[1].UploadId).Wait();
        Outcome outcome = client.TryAbort(Bucket, uploads[2].Key, uploads[2].UploadId);
        Equal(ObsAbortCode.Ok, outcome.Code, "the code");
        Equal(204, outcome.HttpStatus, "the status");
        Equal(null, outcome.Message, "the message");
        Equal(0, server.Uploads().Count, "uploads that are left");

        foreach (Action again in new Action[]
        {
            () => client.Abort(Bucket, uploads[0].Key, uploads[0].UploadId),
            () => client.AbortAsync(Bucket, uploads[0].Key, uploads[0].UploadId).Wait(),
        })
        {
            ObsAbortException failure = Fails(ObsAbortCode.NoSuchUpload, again);
            That(failure.Message.StartsWith("no_such_upload: 404 NoSuchUpload "), "the message is {0}", failure.Message);
            outcome = failure.Outcome;
            That(outcome.Code == failure.Code && outcome.Message == failure.Message && outcome.HttpStatus == 404
                && outcome.ServiceCode == "NoSuchUpload" && !string.IsNullOrEmpty(outcome.RequestId) && !string.IsNullOrEmpty(outcome.HostId)
                && outcome.Attempts == 1 && outcome.Key == uploads[0].Key && outcome.UploadId == uploads[0].UploadId
                && outcome.Index == null && outcome.Initiated == null, "the outcome is {0}", outcome);
        }
        Equal(ObsAbortCode.NoSuchUpload, client.TryAbort(Bucket, uploads[0].Key, uploads[0].UploadId).Code, "TryAbort");
        Equal(ObsAbortCode.NoSuchUpload, client.TryAbortAsync(Bucket, uploads[0].Key, uploads[0].UploadId).Result.Code, "TryAbortAsync");
        Fails(ObsAbortCode.NoSuchBucket, () => client.Abort("no-such-bucket", "key", "id"));
    }

    private static readonly string[] badTexts = { "a\0b", "\0", "a\ud800", "\udc00b" };

    public static void BadTextsAreRefused()
    {
        ObsLocal server = new ObsLocal();
        ObsAbortClient client = server.Client();
        int before = server.Count("counts", "requests");
        foreach (string bad in badTexts)
        {
            foreach (string[] texts in new[] { new[] { bad, "key", "id" }, new[] { Bucket, bad, "id" }, new[] { Bucket, "key", bad } })
            {
                Fails(ObsAbortCode.InvalidArgument, () => client.Abort(texts[0], texts[1], texts[2]));
                Fails(ObsAbortCode.InvalidArgument, () => client.AbortAsync(texts[0], texts[1], texts[2]).Wait());
                Equal(ObsAbortCode.InvalidArgument, client.TryAbort(texts[0], texts[1], texts[2]).Code, "TryAbort");
            }
            foreach (Upload upload in new[] { new Upload(bad, "id"), new Upload("key", bad) })
            {
                ObsAbortException failure = Fails(ObsAbortCode.InvalidArgument, () => client.AbortMany(Bucket, new[] { new Upload("a", "b"), upload }));
                That(failure.Message.Contains("upload 1") && failure.Report == null, "{0}", failure);
            }
            Fails(ObsAbortCode.InvalidArgument, () => client.AbortMany(bad, new Upload[0]));
            Fails(ObsAbortCode.InvalidArgument, () => client.AbortStale(bad, "", TimeSpan.FromHours(1)));
            Fails(ObsAbortCode.InvalidArgument, () => client.AbortStale(Bucket, bad, TimeSpan.FromHours(1)));
            Fails(ObsAbortCode.InvalidArgument, () => client.AbortStaleAsync(Bucket, bad, TimeSpan.FromHours(1)).Wait());
            Fails(ObsAbortCode.InvalidArgument, () => client.SetCredentials(new ObsAbortCredentials("A", bad)));
        }
        Throws<ArgumentNullException>(() => client.Abort(Bucket, null, "id"));
        Throws<ArgumentNullException>(() => client.AbortAsync(Bucket, "key", null).Wait());
        Throws<ArgumentNullException>(() => client.AbortMany(Bucket, null));
        Throws<ArgumentNullException>(() => client.AbortMany(Bucket, new Upload[1]));
        Throws<ArgumentNullException>(() => client.SetCredentials(null));
        Throws<ArgumentNullException>(() => new ObsAbortCredentials("A", null));
        Throws<ArgumentNullException>(() => new ObsAbortClient(null));
        Equal(before, server.Count("counts", "requests"), "requests");
    }

    public static void BadSettingsAreRefused()
    {
        foreach (string name in new[] { "Endpoint", "CaFile", "ClientCertificate", "ClientKey", "Proxy", "UserAgent" })
            foreach (string bad in badTexts)
            {
                ObsAbortConfig config = Config("http://127.0.0.1:1");
                typeof(ObsAbortConfig).GetProperty(name).SetValue(config, bad, null);
                ObsAbortException failure = Fails(ObsAbortCode.InvalidConfig, () => new ObsAbortClient(config));
                That(failure.Message.Contains(name), "{0} is not named: {1}", name, failure.Message);
            }
        foreach (Action<ObsAbortConfig> set in new Action<ObsAbortConfig>[]
        {
            c => c.Endpoint = null,
            c => c.Endpoint = "http://127.0.0.1:1/a",
            c => c.Credentials = new ObsAbortCredentials("A", "\0"),
            c => c.Credentials = new ObsAbortCredentials("A", ""),
            c => c.CredentialSource = CredentialSource.Ecs, // beside credentials
            c => { c.Credentials = null; c.CredentialSource = (CredentialSource)9; },
            c => c.Addressing = (Addressing)9,
            c => c.Addressing = Addressing.VirtualHost, // of an IP address
            c => c.Signature = (Signature)(-1),
            c => c.Timeout = TimeSpan.Zero,
            c => c.ResponseTimeout = TimeSpan.FromMilliseconds(-1),
            c => c.ConnectTimeout = TimeSpan.MaxValue,
            c => c.MaxAttempts = 0,
            c => c.MaxConnections = 1025,
            c => c.MaxConcurrent = -1,
            c => c.ClientCertificate = "/dev/null",
            c => c.CaFile = "/dev/null",
            c => c.Proxy = "ftp://127.0.0.1",
            c => c.UserAgent = "a\nb",
            c => { c.Log = (level, line) => { }; c.LogLevel = (ObsAbortLogLevel)5; },
        })
        {
            ObsAbortConfig config = Config("http://127.0.0.1:1");
            set(config);
            Fails(ObsAbortCode.InvalidConfig, () => new ObsAbortClient(config));
        }
        new ObsAbortClient(Config("http://127.0.0.1:1")).Dispose();
    }

    public static void SettingsReachTheLibrary()
    {
        ObsLocal server = new ObsLocal();
        Upload upload = server.NewUploads(1)[0];
        server.Must("fault answer=500;method=DELETE;always");
        ObsAbortClient client = server.Client(c =>
        {
            c.MaxAttempts = 2;
            c.Addressing = Addressing.Path;
            c.Signature = Signature.Obs;
            c.ConnectTimeout = c.ResponseTimeout = TimeSpan.FromSeconds(1);
            c.Timeout = TimeSpan.FromSeconds(10);
            c.MaxConnections = 3;
            c.MaxConcurrent = 5;
            c.Confirm = c.RequestPayer = true;
            c.UserAgent = "csharp-tests/1";
        });
        Equal(2, Fails(ObsAbortCode.Server, () => client.Abort(Bucket, upload.Key, upload.UploadId)).Outcome.Attempts, "attempts");
        server.Hangs();
        ObsAbortClient hasty = server.Client(c => c.Timeout = TimeSpan.FromMilliseconds(300));
        Fails(ObsAbortCode.Timeout, () => hasty.Abort(Bucket, upload.Key, upload.UploadId));
        server.Must("clear-faults");
        client.Abort(Bucket, upload.Key, upload.UploadId);
    }

    public static void SecretsAreNotPrinted()
    {
        Equal("AK", new ObsAbortCredentials("AK", "hidden", "hidden").ToString(), "credentials");
    }

    public static void CodesAreThoseOfTheLibrary()
    {
        for (int number = 0; number < 256; number++)
        {
            ObsAbortCode code = (ObsAbortCode)number;
            StringBuilder name = new StringBuilder();
            if (Enum.IsDefined(typeof(ObsAbortCode), code))
                foreach (char c in code.ToString())
                    name.Append(char.IsUpper(c) && name.Length > 0 ? "_" : "").Append(char.ToLowerInvariant(c));
            else
                name.Append("unknown");
            Equal(name.ToString(), code.Name(), "the name of " + number);
            That(code.Description().Length > 5, "{0} has no description", number);
        }
        Equal(Environment.GetEnvironmentVariable("TEST_VERSION"), ObsAbortClient.LibraryVersion, "the version");
    }

    public static void ManyUploads()
    {
        ObsLocal server = new ObsLocal();
        List<Upload> uploads = server.NewUploads(200);
        uploads[7] = new Upload(uploads[7].Key, " white space ");
        uploads[11] = uploads[10];
        ObsAbortClient client = server.Client();
        Dictionary<long, Outcome> outcomes = new Dictionary<long, Outcome>();
        long done = 0;
        Reports progress = new Reports(p =>
        {
            That(p.Done >= done && p.Total == 200, "{0} of {1} after {2}", p.Done, p.Total, done);
            done = p.Done;
            if (p.Outcome != null)
                outcomes.Add(p.Outcome.Index.Value, p.Outcome);
        });
        Report report = Fails(ObsAbortCode.Partial, () => client.AbortMany(Bucket, uploads, progress)).Report;
        That(report.Total == 200 && report.Aborted == 198 && report.Missing == 1 && report.Failed == 1 && report.Kept == 0, "{0}", report);
        That(outcomes.Count == 200 && done == 200, "{0} outcomes, {1} done", outcomes.Count, done);
        That(outcomes.All(o => o.Value.Key == uploads[(int)o.Key].Key), "outcomes of other uploads");
        That(report.Failures.Single().Index == 7 && outcomes[7].Code == ObsAbortCode.InvalidArgument, "{0}", report.Failures[0]);
        Equal(2, server.Uploads().Count, "uploads that are left, whose names were overwritten");

        Equal(0L, client.AbortManyAsync(Bucket, new Upload[0]).Result.Total, "uploads of an empty list");
        report = client.AbortManyAsync(Bucket, server.Uploads()).Result;
        That(report.Total == 2 && report.Aborted == 2 && report.Failures.Count == 0, "{0}", report);
    }

    public static void StaleUploads()
    {
        ObsLocal server = new ObsLocal("--uploads", Bucket + ":3000:90000", "--uploads", Bucket + ":5:60:young/");
        ObsAbortClient client = server.Client();
        Report dry = client.AbortStale(Bucket, null, TimeSpan.FromDays(1), StaleOptions.DryRun);
        That(dry.Aborted == 3000 && dry.Kept == 5 && server.Uploads().Count == 3005, "a dry run: {0}", dry);

        int outcomes = 0;
        long done = 0, total = 0;
        Reports progress = new Reports(p =>
        {
            That(p.Done >= done && p.Total >= total && p.Done <= p.Total, "{0} of {1} after {2} of {3}", p.Done, p.Total, done, total);
            done = p.Done;
            total = p.Total;
            if (p.Outcome == null)
                return;
            outcomes++;
            double age = (DateTimeOffset.UtcNow - p.Outcome.Initiated.Value).TotalHours;
            That(p.Outcome.Code == ObsAbortCode.Ok && age > 24.9 && age < 25.1, "{0}, {1} h old", p.Outcome, age);
        });
        Task<Report> task = client.AbortStaleAsync(Bucket, "", TimeSpan.FromDays(1), StaleOptions.None, progress);
        Report report = task.Result;
        That(outcomes == 3000 && report.Total == 3005 && report.Aborted == 3000 && report.Kept == 5, "{0} outcomes; {1}", outcomes, report);
        Equal(5, server.Uploads().Count, "uploads that are left");
    }

    public static void AgesThatAreMistakes()
    {
        ObsLocal server = new ObsLocal("--uploads", Bucket + ":3:90000");
        ObsAbortClient client = server.Client();
        int before = server.Count("counts", "requests");
        foreach (TimeSpan age in new[] { TimeSpan.Zero, new TimeSpan(24), TimeSpan.FromHours(-1), TimeSpan.FromSeconds(1.5) })
            Equal(null, Fails(ObsAbortCode.InvalidArgument, () => client.AbortStale(Bucket, "", age)).Report, "a report");
        Equal(before, server.Count("counts", "requests"), "requests");
        Equal(3L, client.AbortStale(Bucket, "", TimeSpan.Zero, StaleOptions.IncludeLive).Aborted, "aborted");
    }
}
