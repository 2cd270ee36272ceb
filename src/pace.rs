//! How fast the workers of one clean-up go together: additive increase, multiplicative decrease, once the service
//! asks to slow down. Until then, as fast as they can.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::watch::{Stop, Watch};

/// However often the service complains, one request a second goes out.
const SLOWEST: f64 = 1.0;
/// Requests that were under way when the rate was cut complain about the rate before.
const DEAF: Duration = Duration::from_millis(200);
/// What the rate was cut by comes back over this time, and as much again over the next.
const RECOVERY: f64 = 4.0;

/// Shared by the workers.
#[derive(Debug)]
pub struct Pace(Mutex<State>);

impl Default for Pace {
    fn default() -> Pace {
        Pace::new()
    }
}

#[derive(Debug)]
struct State {
    /// Requests a second; None = as fast as they can.
    rate: Option<f64>,
    /// What is added a second.
    slope: f64,
    /// When the rate was last brought up to date.
    updated: Instant,
    /// When the next request may go out.
    next: Instant,
    /// Before this, complaints are old.
    deaf_until: Instant,
    /// Requests since `window`, for the rate that is cut the first time.
    sent: u32,
    window: Instant,
}

impl Pace {
    /// No limit yet.
    pub fn new() -> Pace {
        let now = Instant::now();
        Pace(Mutex::new(State {
            rate: None,
            slope: 0.0,
            updated: now,
            next: now,
            deaf_until: now,
            sent: 0,
            window: now,
        }))
    }

    /// Waits for this request's turn.
    pub fn wait(&self, watch: &Watch) -> Result<(), Stop> {
        loop {
            let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).turn(Instant::now());
            match turn {
                Ok(()) => return Ok(()),
                // Again after the wait: the pace may have changed meanwhile.
                Err(wait) => watch.sleep(wait)?,
            }
        }
    }

    /// Learns from an answer. `retry_after` holds for all.
    pub fn heard(&self, throttled: bool, retry_after: Option<Duration>) {
        if throttled {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).cut(Instant::now(), retry_after);
        }
    }
}

impl State {
    fn turn(&mut self, now: Instant) -> Result<(), Duration> {
        if self.next > now {
            return Err(self.next - now);
        }
        self.grow(now);
        if now.duration_since(self.window) > Duration::from_secs(1) {
            (self.window, self.sent) = (now, 0);
        }
        self.sent += 1;
        if let Some(rate) = self.rate {
            // Time that nobody used is not saved up: that would be a burst.
            self.next = self.next.max(now.checked_sub(Duration::from_millis(50)).unwrap_or(now))
                + Duration::from_secs_f64(1.0 / rate);
        }
        Ok(())
    }

    fn grow(&mut self, now: Instant) {
        if let Some(rate) = &mut self.rate {
            *rate += self.slope * now.duration_since(self.updated).as_secs_f64();
            self.updated = now;
        }
    }

    fn cut(&mut self, now: Instant, retry_after: Option<Duration>) {
        if let Some(wait) = retry_after.and_then(|wait| now.checked_add(wait)) {
            self.next = self.next.max(wait);
        }
        if now < self.deaf_until {
            return;
        }
        self.deaf_until = now + DEAF;
        self.grow(now);
        let seconds = now.duration_since(self.window).as_secs_f64().max(0.05);
        let before = self.rate.unwrap_or_else(|| f64::from(self.sent) / seconds);
        let rate = (before / 2.0).max(SLOWEST);
        self.rate = Some(rate);
        self.slope = (before - rate).max(SLOWEST) / RECOVERY;
        self.updated = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_in(state: &mut State, from: Instant, seconds: u64) -> u32 {
        let mut sent = 0;
        for ms in 0..seconds * 1000 {
            while state.turn(from + Duration::from_millis(ms)).is_ok() {
                sent += 1;
                if sent > 10_000_000 || state.rate.is_none() {
                    break;
                }
            }
        }
        sent
    }

    #[test]
    fn down_and_up() {
        let Pace(state) = Pace::new();
        let mut state = state.into_inner().expect("not poisoned");
        let start = state.window;
        for n in 0..1000 {
            assert!(
                state.turn(start + Duration::from_millis(n)).is_ok(),
                "no limit before the first complaint"
            );
        }
        let cut = start + Duration::from_secs(1);
        state.cut(cut, None);
        state.cut(cut + Duration::from_millis(1), None);
        let rate = state.rate.expect("a rate");
        assert!((450.0..550.0).contains(&rate), "halved once, not twice: {rate}");
        let first = sent_in(&mut state, cut, 1);
        assert!((450..700).contains(&first), "{first}");
        let later = sent_in(&mut state, cut + Duration::from_secs(4), 1);
        assert!(later > 950, "it recovers: {later}");
        state.cut(cut + Duration::from_secs(5), Some(Duration::from_secs(3)));
        assert!(state.turn(cut + Duration::from_millis(7900)).is_err(), "Retry-After holds");
        assert!(state.turn(cut + Duration::from_millis(8100)).is_ok());
        for n in 0..100 {
            state.cut(cut + Duration::from_secs(10 + n), None);
        }
        assert!(state.rate.is_some_and(|rate| rate >= SLOWEST));
    }
}
