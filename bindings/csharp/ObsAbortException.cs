using System;
using System.Threading;

namespace ObsAbort
{
    /// <summary>An abort that failed, or a setting that cannot be used.</summary>
    public sealed class ObsAbortException : Exception
    {
        /// <summary>The code.</summary>
        public ObsAbortCode Code { get; }
        /// <summary>What is known about the upload. Null unless Abort failed.</summary>
        public Outcome Outcome { get; }
        /// <summary>What AbortMany, AbortStale or Sweep achieved before it failed. Null if nothing was begun.</summary>
        public Report Report { get; }

        internal ObsAbortException(Outcome outcome) : base(outcome.Message)
        {
            Code = outcome.Code;
            Outcome = outcome;
        }

        internal ObsAbortException(ObsAbortCode code, string message, Report report) : base(message)
        {
            Code = code;
            Report = report;
        }

        internal static ObsAbortException Refused(ObsAbortCode code, string reason)
        {
            return new ObsAbortException(code, code.Name() + ": " + reason, null);
        }
    }

    /// <summary>A call that its CancellationToken ended.</summary>
    public sealed class ObsAbortCanceledException : OperationCanceledException
    {
        /// <summary>What is known about the upload. If its Attempts are not 0, the upload may be gone. Null unless Abort was cancelled.</summary>
        public Outcome Outcome { get; }
        /// <summary>What AbortMany, AbortStale or Sweep achieved before. Null if nothing was begun.</summary>
        public Report Report { get; }

        internal ObsAbortCanceledException(Outcome outcome, CancellationToken token) : base(outcome.Message, token)
        {
            Outcome = outcome;
        }

        internal ObsAbortCanceledException(string message, Report report, CancellationToken token) : base(message, token)
        {
            Report = report;
        }
    }
}
