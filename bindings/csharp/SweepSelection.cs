using System;

namespace ObsAbort
{
    /// <summary>Which uploads Sweep looks for. The bounds that are set hold together. Times are whole seconds.</summary>
    public sealed class SweepSelection
    {
        /// <summary>Only uploads whose keys begin with it are listed. Null or "" for all.</summary>
        public string Prefix { get; set; }
        /// <summary>Only uploads that were initiated longer ago, by the clock of the service. Zero if the age does not matter.</summary>
        public TimeSpan OlderThan { get; set; }
        /// <summary>Only uploads that were initiated before it, in seconds, rounded down. Null if it does not matter.</summary>
        public DateTimeOffset? InitiatedBefore { get; set; }
        /// <summary>
        /// Only uploads that were neither initiated nor got a part within this time. The parts are listed right before each
        /// abort; if they cannot be, the upload is kept. Zero if the parts do not matter.
        /// </summary>
        public TimeSpan Idle { get; set; }
        /// <summary>Whether to fill Parts, Bytes and LastPart of outcomes, and Bytes of the report. Idle does, too.</summary>
        public bool Measure { get; set; }
        /// <summary>
        /// Returns whether an upload is to be kept although it is old enough. It is called on the thread that makes the call,
        /// before anything is sent for the upload, and again if the upload is listed again. It may throw. The parts are not
        /// known then. May be null.
        /// </summary>
        public Func<Outcome, bool> Keep { get; set; }

        // A copy: the caller may go on to change this.
        internal SelectionHandle ToNative()
        {
            ulong olderThan = Seconds(nameof(OlderThan), OlderThan), idle = Seconds(nameof(Idle), Idle);
            string why = Utf8.Refusal(Prefix ?? "");
            if (why != null)
                throw ObsAbortException.Refused(ObsAbortCode.InvalidArgument, nameof(Prefix) + " " + why);
            SelectionHandle native = new SelectionHandle();
            if (native.IsInvalid)
                throw ObsAbortException.Refused(ObsAbortCode.Internal, "no selection");
            // It remembers what it refuses, and obs_abort_sweep says what that was.
            Native.obs_abort_selection_set_prefix(native, Utf8.Bytes(Prefix ?? ""));
            Native.obs_abort_selection_set_older_than_seconds(native, olderThan);
            if (InitiatedBefore.HasValue)
                Native.obs_abort_selection_set_initiated_before(native, InitiatedBefore.Value.ToUnixTimeSeconds());
            Native.obs_abort_selection_set_idle_seconds(native, idle);
            Native.obs_abort_selection_set_measure(native, Measure ? 1 : 0);
            if (Keep != null)
                Native.obs_abort_selection_set_filter(native, Call.OnCandidate, IntPtr.Zero);
            return native;
        }

        // new TimeSpan(24) means 2.4 microseconds.
        internal static ulong Seconds(string name, TimeSpan time)
        {
            if (time < TimeSpan.Zero || time.Ticks % TimeSpan.TicksPerSecond != 0)
                throw ObsAbortException.Refused(ObsAbortCode.InvalidArgument, name + ", " + time + ", is not a number of whole seconds");
            return (ulong)(time.Ticks / TimeSpan.TicksPerSecond);
        }
    }

    /// <summary>A bucket of the account.</summary>
    public sealed class ObsBucket
    {
        /// <summary>The name.</summary>
        public string Name { get; }
        /// <summary>The region. Null if the service does not tell.</summary>
        public string Location { get; }

        internal ObsBucket(string name, string location)
        {
            Name = name;
            Location = location;
        }
    }
}
