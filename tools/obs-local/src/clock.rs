//! Dates: what the server thinks the time is, and how it writes it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The server's clock: the machine's, moved by an offset that tests choose.
pub(crate) struct Clock {
    offset_s: AtomicI64,
    /// A Date header is the same for a whole second; rendering it anew for each answer would show in soaks.
    rendered: Mutex<(i64, String)>,
}

impl Clock {
    pub fn new(offset_s: i64) -> Self {
        Self { offset_s: AtomicI64::new(offset_s), rendered: Mutex::new((i64::MIN, String::new())) }
    }

    pub fn set_offset(&self, offset_s: i64) {
        self.offset_s.store(offset_s, Ordering::Relaxed);
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        unix_ms(SystemTime::now()) + self.offset_s.load(Ordering::Relaxed) * 1000
    }

    /// A Date header that is wrong by so many seconds.
    pub fn wrong_date_header(&self, offset_s: i64) -> String {
        http_date(self.now_ms().div_euclid(1000) + offset_s)
    }

    pub fn date_header(&self) -> String {
        let second = self.now_ms().div_euclid(1000);
        let mut rendered = self.rendered.lock().unwrap();
        if rendered.0 != second {
            *rendered = (second, http_date(second));
        }
        rendered.1.clone()
    }
}

/// Milliseconds since the epoch, negative before it.
pub fn unix_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    }
}

/// `Wed, 01 Jul 2015 05:28:27 GMT`
pub fn http_date(unix_s: i64) -> String {
    // httpdate knows no years before 1970; a server whose clock is that wrong is not worth a case.
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_s.max(0) as u64))
}

/// `2015-07-01T02:30:54.582Z`
pub fn iso_date(unix_ms: i64) -> String {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    // Howard Hinnant's civil_from_days: a year that begins in March puts the leap day last.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_obs_writes_them() {
        assert_eq!(http_date(1_435_728_507), "Wed, 01 Jul 2015 05:28:27 GMT");
        assert_eq!(iso_date(1_435_717_854_582), "2015-07-01T02:30:54.582Z");
        assert_eq!(iso_date(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso_date(-1), "1969-12-31T23:59:59.999Z");
    }
}
