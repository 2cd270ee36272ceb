//! What follows from a failed attempt: pure, without I/O and without a clock.

use std::time::Duration;

use crate::obs::response::Verdict;

/// The first backoff lies between zero and this.
const BASE: Duration = Duration::from_millis(100);
/// No backoff is longer.
const CAP: Duration = Duration::from_secs(5);
/// How often a redirect is followed.
const MAX_REDIRECTS: u32 = 3;

/// What the attempts of one operation have come to.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// Requests that were sent.
    pub sent: u32,
    /// Attempts that count towards max_attempts.
    pub counted: u32,
    /// Throttled responses.
    pub throttled: u32,
    /// Whether one of them may have been carried out without a response that says so.
    pub may_have_succeeded: bool,
    /// Whether the next attempt is free: it does not count.
    next_is_free: bool,
    /// Whether the credentials were fetched anew.
    pub credentials_renewed: bool,
    clock_corrected: bool,
    connection_replaced: bool,
    redirects: u32,
}

impl Attempts {
    /// None yet, after a request of the same call that may have been carried out, or after none.
    pub fn resuming_after(may_have_succeeded: bool) -> Attempts {
        Attempts { may_have_succeeded, ..Attempts::default() }
    }

    /// Counts the attempt that begins.
    pub fn begin(&mut self) {
        if !std::mem::take(&mut self.next_is_free) {
            self.counted += 1;
        }
    }

    /// Takes note of how an attempt failed.
    pub fn record(&mut self, failure: &FailureCause) {
        self.throttled += u32::from(failure.is_throttled());
        match *failure {
            FailureCause::Response { verdict, status, .. } => {
                self.sent += 1;
                self.may_have_succeeded |= may_have_been_carried_out(verdict, status);
            }
            FailureCause::Transport { request_sent, .. } => {
                self.sent += u32::from(request_sent);
                self.may_have_succeeded |= request_sent;
            }
        }
    }

    /// Takes note of what follows.
    pub fn apply(&mut self, next: &Next) {
        match next {
            Next::CorrectClock => self.clock_corrected = true,
            Next::RenewCredentials => self.credentials_renewed = true,
            Next::FollowRedirect => self.redirects += 1,
            Next::ReplaceConnection => self.connection_replaced = true,
            Next::GiveUp | Next::Retry(_) | Next::OutOfTime(_) => return,
        }
        self.next_is_free = true;
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// A response other than success.
    Response {
        verdict: Verdict,
        status: u16,
        /// What Retry-After asks for.
        retry_after: Option<Duration>,
        /// Whether its Date can correct the clock.
        tells_time: bool,
        /// Whether its Location may be followed.
        redirect_is_safe: bool,
        /// Whether it refuses the credentials, and their source may have others.
        credentials_refused: bool,
    },
    /// No response.
    Transport { permanent: bool, request_sent: bool, stale_connection: bool },
}

impl FailureCause {
    /// Whether the service asked to slow down.
    pub fn is_throttled(&self) -> bool {
        matches!(self, FailureCause::Response { verdict: Verdict::Throttled, .. })
    }
}

/// The bounds of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_attempts: u32,
    /// The time until the deadline.
    pub time_left: Duration,
}

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The failure is the result.
    GiveUp,
    /// Corrects the clock by the response's Date, and tries again at once.
    CorrectClock,
    /// Has the credentials fetched anew, and tries again at once.
    RenewCredentials,
    /// Tries again at once where the redirect leads.
    FollowRedirect,
    /// Tries again at once over a new connection.
    ReplaceConnection,
    /// Waits so long, and tries again.
    Retry(Duration),
    /// The failure is the result, since the wait before another attempt would pass the deadline.
    OutOfTime(Duration),
}

/// Decides. `jitter` gives 0 to 1, and is asked only if there is a wait.
pub fn next(
    attempts: &Attempts,
    failure: &FailureCause,
    limits: Limits,
    jitter: impl FnOnce() -> f64,
) -> Next {
    let retry_after = match *failure {
        FailureCause::Response { verdict: Verdict::ClockSkew, tells_time: true, .. }
            if !attempts.clock_corrected =>
        {
            return Next::CorrectClock;
        }
        FailureCause::Response { credentials_refused: true, .. } if !attempts.credentials_renewed => {
            return Next::RenewCredentials;
        }
        FailureCause::Response { verdict: Verdict::Redirect, redirect_is_safe: true, .. }
            if attempts.redirects < MAX_REDIRECTS =>
        {
            return Next::FollowRedirect;
        }
        FailureCause::Response { verdict, retry_after, .. } if is_retryable(verdict) => retry_after,
        FailureCause::Response { .. } | FailureCause::Transport { permanent: true, .. } => {
            return Next::GiveUp;
        }
        FailureCause::Transport { stale_connection: true, .. } if !attempts.connection_replaced => {
            return Next::ReplaceConnection;
        }
        FailureCause::Transport { .. } => None,
    };
    if attempts.counted >= limits.max_attempts {
        return Next::GiveUp;
    }
    let wait = backoff(attempts.counted, jitter(), retry_after);
    if wait >= limits.time_left { Next::OutOfTime(wait) } else { Next::Retry(wait) }
}

/// Whether the same request may be sent again after such a response.
fn is_retryable(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Throttled | Verdict::ServerFailure | Verdict::RequestTimeout | Verdict::Conflict
    )
}

/// Whether a request with this response may have been carried out all the same, so that a later NoSuchUpload means
/// success: the response comes from something in between, or from a server that lost track.
fn may_have_been_carried_out(verdict: Verdict, status: u16) -> bool {
    verdict == Verdict::RequestTimeout || matches!(status, 500 | 502 | 504)
}

/// The wait before another attempt: exponential with full jitter, and never less than the server asked for.
pub fn backoff(attempts_so_far: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
    let doublings = attempts_so_far.saturating_sub(1).min(16);
    let most = CAP.min(BASE * (1 << doublings));
    most.mul_f64(jitter.clamp(0.0, 1.0)).max(retry_after.unwrap_or_default())
}

/// Reads Retry-After: seconds, or a date by the server's own clock (RFC 9110, 10.2.3).
pub fn retry_after(value: &str, server_now: i64) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More than u64 seconds is beyond every budget.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = crate::base::date::parse_http(value)?;
    Some(Duration::from_secs(u64::try_from(at.saturating_sub(server_now)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn responded(
        verdict: Verdict,
        status: u16,
        [tells_time, redirect_is_safe, credentials_refused]: [bool; 3],
    ) -> FailureCause {
        FailureCause::Response {
            verdict,
            status,
            retry_after: None,
            tells_time,
            redirect_is_safe,
            credentials_refused,
        }
    }

    fn refused(verdict: Verdict, status: u16) -> FailureCause {
        responded(verdict, status, [true, true, false])
    }

    fn after(seconds: u64) -> FailureCause {
        FailureCause::Response {
            verdict: Verdict::Throttled,
            status: 503,
            retry_after: Some(Duration::from_secs(seconds)),
            tells_time: true,
            redirect_is_safe: false,
            credentials_refused: false,
        }
    }

    fn broke(permanent: bool, request_sent: bool, stale_connection: bool) -> FailureCause {
        FailureCause::Transport { permanent, request_sent, stale_connection }
    }

    #[test]
    fn decisions() {
        use Verdict as V;
        let no_date = responded(V::ClockSkew, 403, [false, false, false]);
        let unsafe_redirect = responded(V::Redirect, 307, [true, false, false]);
        let of_credentials = responded(V::AccessDenied, 403, [true, false, true]);
        let first = Attempts { counted: 1, ..Attempts::default() };
        let last = Attempts { counted: 4, ..Attempts::default() };
        let corrected = Attempts { clock_corrected: true, ..first.clone() };
        let renewed = Attempts { credentials_renewed: true, ..first.clone() };
        let replaced = Attempts { connection_replaced: true, ..first.clone() };
        let replaced_last = Attempts { connection_replaced: true, ..last.clone() };
        let followed = |redirects| Attempts { redirects, ..first.clone() };
        let retry = Next::Retry(MS(50));
        for (attempts, failure, next_is) in [
            (&first, refused(V::NoSuchUpload, 404), Next::GiveUp),
            (&first, refused(V::NoSuchBucket, 404), Next::GiveUp),
            (&first, refused(V::AccessDenied, 403), Next::GiveUp),
            (&first, refused(V::Rejected, 400), Next::GiveUp),
            (&first, refused(V::Unexpected, 200), Next::GiveUp),
            (&first, refused(V::OtherRedirect, 301), Next::GiveUp),
            (&first, refused(V::Throttled, 429), retry),
            (&first, refused(V::Throttled, 503), retry),
            (&first, refused(V::ServerFailure, 500), retry),
            (&first, refused(V::RequestTimeout, 408), retry),
            (&first, refused(V::Conflict, 409), retry),
            (&last, refused(V::Conflict, 409), Next::GiveUp),
            (&last, refused(V::Throttled, 503), Next::GiveUp),
            (&last, refused(V::ServerFailure, 500), Next::GiveUp),
            (&first, after(2), Next::Retry(MS(2000))),
            (&first, after(60), Next::OutOfTime(MS(60_000))),
            (&last, after(2), Next::GiveUp),
            (&first, refused(V::ClockSkew, 403), Next::CorrectClock),
            (&last, refused(V::ClockSkew, 403), Next::CorrectClock),
            (&corrected, refused(V::ClockSkew, 403), Next::GiveUp),
            (&first, no_date, Next::GiveUp),
            (&first, of_credentials, Next::RenewCredentials),
            (&last, of_credentials, Next::RenewCredentials),
            (&renewed, of_credentials, Next::GiveUp),
            (&first, refused(V::Redirect, 307), Next::FollowRedirect),
            (&last, refused(V::Redirect, 308), Next::FollowRedirect),
            (&followed(2), refused(V::Redirect, 307), Next::FollowRedirect),
            (&followed(3), refused(V::Redirect, 307), Next::GiveUp),
            (&first, unsafe_redirect, Next::GiveUp),
            (&first, broke(false, false, false), retry),
            (&first, broke(false, true, false), retry),
            (&last, broke(false, true, false), Next::GiveUp),
            (&first, broke(true, false, false), Next::GiveUp),
            (&first, broke(false, true, true), Next::ReplaceConnection),
            (&last, broke(false, true, true), Next::ReplaceConnection),
            (&replaced, broke(false, true, true), retry),
            (&replaced_last, broke(false, true, true), Next::GiveUp),
        ] {
            let limits = Limits { max_attempts: 4, time_left: MS(30_000) };
            assert_eq!(next(attempts, &failure, limits, || 0.5), next_is, "{attempts:?} {failure:?}");
        }
        let no_time = Limits { max_attempts: 4, time_left: MS(50) };
        assert_eq!(next(&first, &broke(false, true, false), no_time, || 0.5), Next::OutOfTime(MS(50)));
        assert_eq!(next(&first, &broke(false, true, false), no_time, || 0.4), Next::Retry(MS(40)));
    }

    #[test]
    fn what_is_counted() {
        let mut attempts = Attempts::default();
        for (failure, next, sent, counted, may_have_succeeded) in [
            (broke(false, true, true), Next::ReplaceConnection, 1, 1, true),
            (refused(Verdict::Redirect, 307), Next::FollowRedirect, 2, 1, true),
            (refused(Verdict::ClockSkew, 403), Next::CorrectClock, 3, 1, true),
            (broke(false, false, false), Next::Retry(MS(0)), 3, 1, true),
            (refused(Verdict::Throttled, 503), Next::Retry(MS(0)), 4, 2, true),
            (refused(Verdict::Throttled, 503), Next::GiveUp, 5, 3, true),
        ] {
            attempts.begin();
            attempts.record(&failure);
            attempts.apply(&next);
            let so_far = (attempts.sent, attempts.counted, attempts.may_have_succeeded);
            assert_eq!(so_far, (sent, counted, may_have_succeeded), "{failure:?}");
        }
        assert!(attempts.connection_replaced && attempts.clock_corrected);
        assert_eq!((attempts.redirects, attempts.throttled), (1, 2));
    }

    #[test]
    fn what_may_have_been_carried_out() {
        use Verdict as V;
        for (failure, maybe) in [
            (refused(V::NoSuchUpload, 404), false),
            (refused(V::AccessDenied, 403), false),
            (refused(V::Throttled, 429), false),
            (refused(V::Throttled, 503), false),
            (refused(V::ServerFailure, 500), true),
            (refused(V::ServerFailure, 501), false),
            (refused(V::ServerFailure, 502), true),
            (refused(V::ServerFailure, 504), true),
            (refused(V::RequestTimeout, 408), true),
            (refused(V::RequestTimeout, 400), true),
            (refused(V::Conflict, 409), false),
            (refused(V::Redirect, 307), false),
            (refused(V::Unexpected, 200), false),
            (broke(false, true, false), true),
            (broke(true, true, false), true),
            (broke(false, false, false), false),
        ] {
            let mut attempts = Attempts::default();
            attempts.record(&failure);
            assert_eq!(attempts.may_have_succeeded, maybe, "{failure:?}");
        }
    }

    #[test]
    fn waits() {
        for (attempts, jitter, after, want) in [
            (1, 0.0, None, MS(0)),
            (1, 1.0, None, MS(100)),
            (2, 1.0, None, MS(200)),
            (2, 0.5, None, MS(100)),
            (6, 1.0, None, MS(3200)),
            (7, 1.0, None, MS(5000)),
            (u32::MAX, 1.0, None, MS(5000)),
            (1, 1.0, Some(MS(50)), MS(100)),
            (1, 1.0, Some(MS(2000)), MS(2000)),
        ] {
            assert_eq!(backoff(attempts, jitter, after), want, "{attempts} {jitter} {after:?}");
        }
    }

    #[test]
    fn retry_after_values() {
        let now = 1_435_728_507;
        for (value, want) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Wed, 01 Jul 2015 05:28:37 GMT", Some(10)),
            ("Wed, 01 Jul 2015 05:28:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), want.map(Duration::from_secs), "{value}");
        }
    }
}
