//! Dates in the protocol's formats: RFC 1123 in requests and responses, ISO 8601 in listings and credentials.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of this machine's clock, in Unix seconds.
pub fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// `Wed, 01 Jul 2015 05:28:27 GMT`, in English whatever the locale.
pub fn rfc1123(unix: i64) -> [u8; 29] {
    // A daemon signs thousands of requests a second, in which the date changes once.
    thread_local!(static LAST: Cell<(i64, [u8; 29])> = const { Cell::new((i64::MIN, [0; 29])) });
    LAST.with(|last| {
        let (at, text) = last.get();
        if at == unix {
            return text;
        }
        let text = format_rfc1123(unix);
        last.set((unix, text));
        text
    })
}

fn format_rfc1123(unix: i64) -> [u8; 29] {
    // The range httpdate can print: the epoch to the end of the year 9999.
    let seconds = u64::try_from(unix).unwrap_or(0).min(253_402_300_799);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    let mut bytes = [b' '; 29];
    let n = text.len().min(29);
    bytes[..n].copy_from_slice(&text.as_bytes()[..n]);
    bytes
}

/// Parses a Date header into Unix seconds: the three forms of RFC 9110, 5.6.7, and what servers write in place of the
/// first of them.
pub fn parse_http(text: &str) -> Option<i64> {
    let text = text.trim();
    match httpdate::parse_http_date(text) {
        Ok(at) => i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok(),
        Err(_) => parse_nearly_http(text).filter(|at| *at >= 0),
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// From the day of the epoch on.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Parses `[Wed,] 1 Jul 2015 05:28:27 +0000`, an RFC 5322 date with a zone that is GMT or a number. A date without a zone,
/// or with a zone that only has a name, is no point in time: None.
fn parse_nearly_http(text: &str) -> Option<i64> {
    let (weekday, rest) = match text.split_once(',') {
        Some((weekday, rest)) => (Some(weekday.trim()), rest),
        None => (None, text),
    };
    let mut parts = rest.split_ascii_whitespace();
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    if parts.next().is_some() || !(1..=2).contains(&day.len()) || year.len() != 4 {
        return None;
    }
    let mut clock = time.split(':');
    let mut two_digits = || clock.next().filter(|text| text.len() == 2).and_then(digits);
    let (hour, minute, second) = (two_digits()?, two_digits()?, two_digits()?);
    if clock.next().is_some() {
        return None;
    }
    let month = (1..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(month))?.0;
    let at = unix_seconds([digits(year)?, month, digits(day)?, hour, minute, second])?;
    // A weekday that contradicts the date makes both unfit, as in the forms above.
    if let Some(weekday) = weekday {
        let name = WEEKDAYS[usize::try_from((at - second).div_euclid(86_400).rem_euclid(7)).ok()?];
        if !weekday.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
            return None;
        }
    }
    let is_gmt = ["GMT", "UTC", "UT", "Z"].iter().any(|name| name.eq_ignore_ascii_case(zone));
    Some(at - if is_gmt { 0 } else { zone_offset(zone)? })
}

/// A number of digits alone.
fn digits(text: &str) -> Option<i64> {
    text.bytes().try_fold(0_i64, |n, d| {
        d.is_ascii_digit().then(|| n.checked_mul(10)?.checked_add(i64::from(d - b'0'))).flatten()
    })
}

/// No place on Earth is further from Greenwich than 14 hours.
const MAX_ZONE: i64 = 14 * 3600;

/// Parses `2015-07-01T02:30:54[.582](Z|+08:00)` into Unix seconds. Without a zone it is not a point in time: None.
///
/// Not by a crate: time and chrono each weigh more in the library than these lines.
pub fn parse_iso8601(text: &str) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if bytes.len() < 20
        || separators.iter().any(|(at, c)| bytes[*at] != *c)
        || !matches!(bytes[10], b'T' | b't' | b' ')
    {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(digits);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let at = unix_seconds([year, month, day, hour, minute, second])?;
    let mut zone = text.get(19..)?;
    if let Some(fraction) = zone.strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        zone = &fraction[digits..];
    }
    Some(at - if zone.eq_ignore_ascii_case("Z") { 0 } else { zone_offset(zone)? })
}

/// Parses `+08`, `+0800` or `+08:00` into seconds east of Greenwich.
fn zone_offset(zone: &str) -> Option<i64> {
    match zone.as_bytes() {
        [sign @ (b'+' | b'-'), h1 @ b'0'..=b'9', h2 @ b'0'..=b'9', rest @ ..] => {
            let minutes = match rest {
                [] => 0,
                [b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] | [m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] => {
                    i64::from(m1 - b'0') * 10 + i64::from(m2 - b'0')
                }
                _ => return None,
            };
            let seconds = (i64::from(h1 - b'0') * 10 + i64::from(h2 - b'0')) * 3600 + minutes * 60;
            if seconds > MAX_ZONE {
                return None;
            }
            Some(if *sign == b'+' { seconds } else { -seconds })
        }
        _ => None,
    }
}

/// Seconds since the epoch; None if there is no such day or time. The last second of a day may be a leap second.
fn unix_seconds([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    let month_days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > month_days || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since the epoch in the proleptic Gregorian calendar. The year begins in March here, so that the leap day is
/// its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_and_written() {
        assert_eq!(&rfc1123(1_435_728_507), b"Wed, 01 Jul 2015 05:28:27 GMT");
        assert_eq!(&rfc1123(1_435_728_507), b"Wed, 01 Jul 2015 05:28:27 GMT", "from the cache");
        assert_eq!(parse_http("Wed, 01 Jul 2015 05:28:27 GMT"), Some(1_435_728_507));
        assert_eq!(parse_http("yesterday"), None);
    }

    #[test]
    fn http_dates() {
        for fine in [
            " Wed, 01 Jul 2015 05:28:27 GMT\t",
            "Wednesday, 01-Jul-15 05:28:27 GMT",
            "Wed Jul  1 05:28:27 2015",
            "Wed, 1 Jul 2015 05:28:27 GMT",
            "Wed,  01 Jul 2015  05:28:27 GMT",
            "Wed,01 Jul 2015 05:28:27 GMT",
            "wed, 01 JUL 2015 05:28:27 gmt",
            "Wednesday, 01 Jul 2015 05:28:27 GMT",
            "01 Jul 2015 05:28:27 GMT",
            "Wed, 01 Jul 2015 05:28:27 UTC",
            "Wed, 01 Jul 2015 05:28:27 UT",
            "Wed, 01 Jul 2015 05:28:27 Z",
            "Wed, 01 Jul 2015 05:28:27 +0000",
            "Wed, 01 Jul 2015 05:28:27 -0000",
            "Wed, 01 Jul 2015 05:28:27 +00:00",
            "Wed, 01 Jul 2015 13:28:27 +0800",
            "Tue, 30 Jun 2015 21:58:27 -0730",
        ] {
            assert_eq!(parse_http(fine), Some(1_435_728_507), "{fine}");
        }
        assert_eq!(parse_http("Tue, 30 Jun 2015 23:59:60 +0000"), Some(1_435_708_800));
        assert_eq!(parse_http("Fri, 02 Jan 1970 00:00:00 +2400"), None);
        for bad in [
            "",
            ",",
            "Wed, 01 Jul 2015 05:28:27",
            "Wed, 01 Jul 2015 05:28 GMT",
            "Wed, 01 Jul 2015 5:28:27 GMT",
            "Wed, 01 Jul 2015 05:28:27:00 GMT",
            "Wed, 01 Jul 2015 05:28:27 GMT GMT",
            "Wed, 01 Jul 2015 05:28:27 CEST",
            "Wed, 01 Jul 2015 05:28:27 PST",
            "Wed, 01 Jul 2015 05:28:27 +8",
            "Wed, 01 Jul 2015 05:28:27 +1500",
            "Wed, 01 Jul 2015 05:28:27 0000",
            "Wed, 01 Jul 2015 24:28:27 UTC",
            "Wed, 01 Jul 2015 05:60:27 UTC",
            "Wed, 01 Jul 2015 05:28:61 UTC",
            "Wed, 31 Jun 2015 05:28:27 UTC",
            "Wed, 00 Jul 2015 05:28:27 UTC",
            "Wed, 001 Jul 2015 05:28:27 UTC",
            "Wed, 01 Juli 2015 05:28:27 UTC",
            "Mit, 01 Jul 2015 05:28:27 UTC",
            "Mon, 01 Jul 2015 05:28:27 UTC",
            "W\u{e9}d, 01 Jul 2015 05:28:27 UTC",
            "Wed, 01 Jul 15 05:28:27 UTC",
            "Wed, 01 Jul 99999999999999999999 05:28:27 UTC",
            "Wed, +1 Jul 2015 05:28:27 UTC",
            "2015-07-01T05:28:27Z",
            "1435728507",
        ] {
            assert_eq!(parse_http(bad), None, "{bad}");
        }
    }

    #[test]
    fn iso8601() {
        for (text, want) in [
            ("2015-07-01T05:28:27.582Z", Some(1_435_728_507)),
            ("2015-07-01T05:28:27Z", Some(1_435_728_507)),
            ("2015-07-01T13:28:27+08:00", Some(1_435_728_507)),
            ("2015-07-01T05:28:27.1-0000", Some(1_435_728_507)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400)),
            ("2100-02-29T00:00:00Z", None),
            ("2015-07-01T05:28:27", None),
            ("2015-13-01T05:28:27Z", None),
            ("2015-07-01T05:28:27.Z", None),
            ("2015-07-01T05:28:2é", None),
            ("2015-07-01T19:28:27+14:00", Some(1_435_728_507)),
            ("2015-07-01T05:28:27+14:01", None),
            ("2015-07-01T05:28:27-99:00", None),
            ("", None),
        ] {
            assert_eq!(parse_iso8601(text), want, "{text}");
        }
    }
}
