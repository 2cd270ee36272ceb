using System;
using System.Collections.Generic;

namespace ObsAbort
{
    /// <summary>An upload in a list for AbortMany.</summary>
    public struct Upload
    {
        /// <summary>The key of the object, not percent-encoded.</summary>
        public string Key { get; }
        /// <summary>The upload id that OBS returned when the upload was initiated.</summary>
        public string UploadId { get; }

        /// <summary>An upload.</summary>
        public Upload(string key, string uploadId)
        {
            Key = key;
            UploadId = uploadId;
        }
    }

    /// <summary>All that is known about the abort of one upload. It never changes.</summary>
    public sealed class Outcome
    {
        /// <summary>The code: Ok if the upload is gone.</summary>
        public ObsAbortCode Code { get; }
        /// <summary>The HTTP status of the response that decided the code. 0 if no response did.</summary>
        public int HttpStatus { get; }
        /// <summary>One line that describes the failure and contains no secret. Null on success.</summary>
        public string Message { get; }
        /// <summary>The error code of the service, for example "NoSuchUpload". Null if there is none.</summary>
        public string ServiceCode { get; }
        /// <summary>The request id, for which Huawei's support asks. Null if there is none.</summary>
        public string RequestId { get; }
        /// <summary>The host id, for which Huawei's support asks, too. Null if there is none.</summary>
        public string HostId { get; }
        /// <summary>How many abort requests were sent.</summary>
        public long Attempts { get; }
        /// <summary>The key.</summary>
        public string Key { get; }
        /// <summary>The upload id.</summary>
        public string UploadId { get; }
        /// <summary>When the upload was initiated, by the clock of the service. Null unless AbortStale or Sweep knows it.</summary>
        public DateTimeOffset? Initiated { get; }
        /// <summary>The index in the list of AbortMany. Null if there is no list.</summary>
        public long? Index { get; }
        /// <summary>The number of parts. 0 unless Sweep looked at them, for the idle time or to measure.</summary>
        public long Parts { get; }
        /// <summary>The bytes of the parts. 0 unless Sweep looked at them.</summary>
        public long Bytes { get; }
        /// <summary>When the youngest part was written. Null if there is none, or it is not known.</summary>
        public DateTimeOffset? LastPart { get; }

        // It does not free what it reads.
        internal Outcome(IntPtr outcome)
        {
            Code = (ObsAbortCode)Native.obs_abort_outcome_code(outcome);
            HttpStatus = Native.obs_abort_outcome_http_status(outcome);
            Message = Utf8.Read(Native.obs_abort_outcome_message(outcome));
            ServiceCode = Utf8.Read(Native.obs_abort_outcome_service_code(outcome));
            RequestId = Utf8.Read(Native.obs_abort_outcome_request_id(outcome));
            HostId = Utf8.Read(Native.obs_abort_outcome_host_id(outcome));
            Attempts = Native.obs_abort_outcome_attempts(outcome);
            Key = Utf8.Read(Native.obs_abort_outcome_key(outcome));
            UploadId = Utf8.Read(Native.obs_abort_outcome_upload_id(outcome));
            Initiated = Time(Native.obs_abort_outcome_initiated(outcome));
            long index = Native.obs_abort_outcome_index(outcome);
            if (index >= 0)
                Index = index;
            Parts = (long)Native.obs_abort_outcome_parts(outcome);
            Bytes = (long)Native.obs_abort_outcome_bytes(outcome);
            LastPart = Time(Native.obs_abort_outcome_last_part(outcome));
        }

        private static DateTimeOffset? Time(long seconds)
        {
            const long EndOf9999 = 253402300799;
            return seconds >= 0 && seconds <= EndOf9999 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : (DateTimeOffset?)null;
        }

        // For an upload of which the library was not asked.
        internal Outcome(ObsAbortCode code, string reason, string key, string uploadId)
        {
            Code = code;
            Message = code.Name() + ": " + reason;
            Key = key;
            UploadId = uploadId;
        }

        /// <summary>The message, or "ok".</summary>
        public override string ToString()
        {
            return Message ?? "ok";
        }
    }

    /// <summary>The results of AbortMany, AbortStale or Sweep. Each upload is counted once.</summary>
    public sealed class Report
    {
        /// <summary>The number of uploads: aborted, missing, failed and kept.</summary>
        public long Total { get; }
        /// <summary>Uploads that are gone because of this call. In a dry run, those that would be.</summary>
        public long Aborted { get; }
        /// <summary>Uploads that did not exist when their abort was sent.</summary>
        public long Missing { get; }
        /// <summary>Uploads whose abort failed.</summary>
        public long Failed { get; }
        /// <summary>Uploads that were left alone: too young, of unknown age, active, kept by SweepSelection.Keep, or not begun when the call ended.</summary>
        public long Kept { get; }
        /// <summary>How often the service asked to slow down.</summary>
        public long Throttled { get; }
        /// <summary>Kept uploads whose age is unknown.</summary>
        public long UnknownAge { get; }
        /// <summary>Kept uploads that were initiated at the cutoff or later.</summary>
        public long Younger { get; }
        /// <summary>Kept uploads with a part younger than the idle time, or whose parts could not be listed.</summary>
        public long Active { get; }
        /// <summary>The bytes of the aborted uploads, if the selection has Measure or Idle. In a dry run, of those that would be.</summary>
        public long Bytes { get; }
        /// <summary>Whether a whole last listing showed nothing left to do, and all parts could be listed.</summary>
        public bool Complete { get; }
        /// <summary>The outcomes of the first 1000 failures.</summary>
        public IReadOnlyList<Outcome> Failures { get; }

        internal Report(IntPtr report)
        {
            Total = (long)Native.obs_abort_report_total(report);
            Aborted = (long)Native.obs_abort_report_aborted(report);
            Missing = (long)Native.obs_abort_report_missing(report);
            Failed = (long)Native.obs_abort_report_failed(report);
            Kept = (long)Native.obs_abort_report_kept(report);
            Throttled = (long)Native.obs_abort_report_throttled(report);
            UnknownAge = (long)Native.obs_abort_report_unknown_age(report);
            Younger = (long)Native.obs_abort_report_younger(report);
            Active = (long)Native.obs_abort_report_active(report);
            Bytes = (long)Native.obs_abort_report_bytes(report);
            Complete = Native.obs_abort_report_complete(report) != 0;
            Outcome[] failures = new Outcome[(int)Native.obs_abort_report_failure_count(report)];
            for (int i = 0; i < failures.Length; i++)
                failures[i] = new Outcome(Native.obs_abort_report_failure(report, (UIntPtr)i));
            Failures = Array.AsReadOnly(failures);
        }

        /// <summary>The numbers.</summary>
        public override string ToString()
        {
            return Total + " uploads: " + Aborted + " aborted, " + Missing + " missing, " + Failed + " failed, " + Kept + " kept";
        }
    }

    /// <summary>How far AbortMany, AbortStale or Sweep has come.</summary>
    public sealed class AbortProgress
    {
        /// <summary>The outcome of an upload. Null if the call only says, at least every 250 ms, that it is at work.</summary>
        public Outcome Outcome { get; }
        /// <summary>The number of uploads that are settled so far. It never decreases.</summary>
        public long Done { get; }
        /// <summary>The number of uploads that are known so far. It never decreases.</summary>
        public long Total { get; }

        internal AbortProgress(Outcome outcome, long done, long total)
        {
            Outcome = outcome;
            Done = done;
            Total = total;
        }
    }
}
