//! Pure: how an attempt ended in, what follows from it out.

use std::time::Duration;

use crate::obs::response::Verdict;

/// The first backoff lies between zero and this.
const BASE: Duration = Duration::from_millis(100);
/// No backoff is longer.
const CAP: Duration = Duration::from_secs(5);

/// Whether the same request may be sent again after a response with this verdict.
pub fn is_worth_another_try(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Throttled | Verdict::Server | Verdict::RequestTimeout)
}

/// Whether a request that was answered so may have been carried out all the same, so that a later NoSuchUpload
/// tells of its success: the response came from something in between, or from a server that lost track.
pub fn may_have_been_carried_out(verdict: Verdict, status: u16) -> bool {
    verdict == Verdict::RequestTimeout || matches!(status, 500 | 502 | 504)
}

/// How long to wait before the next attempt: exponential with full jitter, `random` being 0 to 1, and never less
/// than what the server asked for.
pub fn backoff(attempts_so_far: u32, random: f64, retry_after: Option<Duration>) -> Duration {
    let doublings = attempts_so_far.saturating_sub(1).min(16);
    let most = CAP.min(BASE * (1 << doublings));
    most.mul_f64(random.clamp(0.0, 1.0)).max(retry_after.unwrap_or_default())
}

/// Reads Retry-After: seconds, or a date against the server's own clock.
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

    #[test]
    fn responses() {
        use Verdict as M;
        for (verdict, status, again, maybe) in [
            (M::Done, 204, false, false),
            (M::NoSuchUpload, 404, false, false),
            (M::NoSuchBucket, 404, false, false),
            (M::ClockSkew, 403, false, false),
            (M::AccessDenied, 403, false, false),
            (M::Throttled, 429, true, false),
            (M::Throttled, 503, true, false),
            (M::Server, 500, true, true),
            (M::Server, 502, true, true),
            (M::Server, 504, true, true),
            (M::Server, 501, true, false),
            (M::RequestTimeout, 408, true, true),
            (M::RequestTimeout, 400, true, true),
            (M::Redirect, 307, false, false),
            (M::OtherRedirect, 301, false, false),
            (M::Rejected, 400, false, false),
            (M::Unexpected, 200, false, false),
        ] {
            assert_eq!(is_worth_another_try(verdict), again, "{verdict:?}");
            assert_eq!(may_have_been_carried_out(verdict, status), maybe, "{verdict:?} {status}");
        }
    }

    #[test]
    fn waits() {
        let ms = Duration::from_millis;
        for (attempts, random, after, want) in [
            (1, 0.0, None, ms(0)),
            (1, 1.0, None, ms(100)),
            (2, 1.0, None, ms(200)),
            (2, 0.5, None, ms(100)),
            (6, 1.0, None, ms(3200)),
            (7, 1.0, None, ms(5000)),
            (u32::MAX, 1.0, None, ms(5000)),
            (1, 1.0, Some(ms(50)), ms(100)),
            (1, 1.0, Some(ms(2000)), ms(2000)),
        ] {
            assert_eq!(backoff(attempts, random, after), want, "{attempts} {random} {after:?}");
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
