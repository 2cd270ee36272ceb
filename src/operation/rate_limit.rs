//! The common rate of the workers of one call: unlimited until the service asks to slow down, then additive increase,
//! multiplicative decrease.
//!
//! Not by a crate: those limit to a rate that is known beforehand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::deadline::after;
use crate::base::deadline::{CHECK_INTERVAL, CancelFlag, Deadline, Interrupted};

/// The lowest rate, in requests a second, however often the service complains.
const MIN_RATE: f64 = 1.0;
/// The pause after a complaint. A service that counts requests has time to forget, and a request that was refused is
/// not refused again and again until its attempts are used up.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(100);
/// The seconds in which the rate regains what it was cut by. It goes on to grow at that slope.
const RECOVERY_SECONDS: f64 = 4.0;
/// Complaints less than this apart belong to one series, about one overload. Well above a second, the interval at the
/// lowest rate.
const SERIES_GAP: Duration = Duration::from_secs(5);
/// Within a series the rate that recovery aims at was too high, too. It is cut by this part of what the rate is cut
/// by: a fifth if that is halved.
const PEAK_DECREASE: f64 = 0.4;
/// The part of its first rate that a series can cut the rate to. From there it is halved every second. A service that
/// refuses everything for a moment is not a slow one.
const SERIES_FLOOR: f64 = 1.0 / 64.0;

/// A rate limiter, shared by the workers of one call.
#[derive(Debug)]
pub struct RateLimiter {
    state: Mutex<State>,
    /// Throttled responses so far.
    throttled: AtomicU64,
    /// Set if no new upload is begun: a wait for a first turn ends.
    closed: CancelFlag,
}

/// Why a request got no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireError {
    /// The deadline passed, or the call was cancelled.
    Interrupted(Interrupted),
    /// The service asked all to wait this long, which is beyond the deadline.
    Throttled(Duration),
}

#[derive(Debug)]
struct State {
    /// Requests a second. None: unlimited.
    rate: Option<f64>,
    /// What is added to the rate a second.
    slope: f64,
    /// The rate that recovery aims at.
    peak: f64,
    /// The rate before this series of complaints, and when it began.
    series: (f64, Instant),
    /// The time for which `rate` holds.
    updated: Instant,
    /// The time from which the next request may be sent.
    next: Instant,
    /// The time until which the service wants no request.
    held: Instant,
    /// The last cut. Complaints about requests sent before it are ignored.
    cut: Option<Instant>,
    /// Requests since `window`, for the rate that the first cut halves.
    sent: u32,
    window: Instant,
    /// The tickets of those that wait, in order of arrival. Without an order some would wait a minute, at a request a
    /// second.
    line: VecDeque<u64>,
    tickets: u64,
}

impl RateLimiter {
    /// A limiter without a limit yet.
    pub fn new(closed: CancelFlag) -> RateLimiter {
        let now = Instant::now();
        let state = Mutex::new(State {
            rate: None,
            slope: 0.0,
            peak: 0.0,
            series: (0.0, now),
            updated: now,
            next: now,
            held: now,
            cut: None,
            sent: 0,
            window: now,
            line: VecDeque::new(),
            tickets: 0,
        });
        RateLimiter { state, throttled: AtomicU64::new(0), closed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. `begun` says that the request is not the first for its upload.
    pub fn acquire(&self, deadline: &Deadline, begun: bool) -> Result<(), AcquireError> {
        let mut ticket = Ticket { rate_limiter: self, ticket: None };
        loop {
            let now = Instant::now();
            let mut state = self.lock();
            let Err(wait) = state.try_acquire(&mut ticket.ticket, now) else { return Ok(()) };
            let held = state.held;
            drop(state);
            if !begun && self.closed.is_set() {
                return Err(AcquireError::Interrupted(Interrupted::Cancelled));
            }
            if held >= deadline.instant() {
                return Err(AcquireError::Throttled(held.saturating_duration_since(now)));
            }
            // Checked again after an interval: the rate may have changed, and those ahead may have left.
            deadline.sleep(wait.min(CHECK_INTERVAL)).map_err(AcquireError::Interrupted)?;
        }
    }

    /// Throttled responses so far.
    pub fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    /// Takes note of the response to a request that was sent at `sent`. A Retry-After holds for all workers.
    pub fn observe(&self, throttled: bool, retry_after: Option<Duration>, sent: Instant) {
        if throttled {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            self.lock().on_throttled(Instant::now(), retry_after, sent);
        }
    }
}

/// A ticket in the line, given up when dropped.
struct Ticket<'a> {
    rate_limiter: &'a RateLimiter,
    ticket: Option<u64>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.rate_limiter.lock().line.retain(|other| *other != ticket);
        }
    }
}

impl State {
    /// Takes a turn, or returns the time to wait for one and puts a ticket in the line.
    fn try_acquire(&mut self, ticket: &mut Option<u64>, now: Instant) -> Result<(), Duration> {
        let ahead = match *ticket {
            Some(mine) => self.line.iter().take_while(|other| **other != mine).count(),
            None => self.line.len(),
        };
        let at = self.next.max(self.held);
        if ahead > 0 || at > now {
            if ticket.is_none() {
                self.tickets += 1;
                *ticket = Some(self.tickets);
                self.line.push_back(self.tickets);
            }
            let apart = self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            let wait = at.saturating_duration_since(now).saturating_add(apart.saturating_mul(ahead));
            return Err(wait.max(Duration::from_millis(1)));
        }
        if ticket.take().is_some() {
            self.line.pop_front();
        }
        self.grow(now);
        if now.duration_since(self.window) > Duration::from_secs(1) {
            (self.window, self.sent) = (now, 0);
        }
        self.sent += 1;
        if let Some(rate) = self.rate {
            // Unused time is not saved up: that would be a burst.
            let from = now.checked_sub(Duration::from_millis(50)).unwrap_or(now);
            self.next = self.next.max(from) + Duration::from_secs_f64(1.0 / rate);
        }
        Ok(())
    }

    fn grow(&mut self, now: Instant) {
        if let Some(rate) = &mut self.rate {
            *rate += self.slope * now.saturating_duration_since(self.updated).as_secs_f64();
            self.updated = now;
        }
    }

    fn on_throttled(&mut self, now: Instant, retry_after: Option<Duration>, sent: Instant) {
        if let Some(wait) = retry_after {
            self.held = self.held.max(now.checked_add(wait).unwrap_or_else(|| after(wait)));
        }
        // A request that was under way when the rate was cut was sent at the rate before.
        if self.cut.is_some_and(|cut| sent <= cut) {
            return;
        }
        self.grow(now);
        let seconds = now.saturating_duration_since(self.window).as_secs_f64().max(0.05);
        let before = self.rate.unwrap_or_else(|| f64::from(self.sent) / seconds);
        let in_series = self.cut.is_some_and(|cut| now.saturating_duration_since(cut) < SERIES_GAP);
        if !in_series {
            self.series = (before, now);
        }
        let (first, began) = self.series;
        let floor = first * SERIES_FLOOR * halved_every_second(now.saturating_duration_since(began));
        // A complaint never raises the rate.
        let rate = (before / 2.0).max(floor).min(before).max(MIN_RATE);
        let before = before.max(rate);
        self.peak = if in_series {
            before.max(self.peak * (1.0 - PEAK_DECREASE * (1.0 - rate / before)))
        } else {
            before
        };
        self.rate = Some(rate);
        self.slope = (self.peak - rate).max(MIN_RATE) / RECOVERY_SECONDS;
        self.cut = Some(now);
        self.next = self.next.max(now + PAUSE_AFTER_CUT);
        self.updated = self.next;
    }
}

/// What is left of 1 after this time. Linear between the seconds: powf would be the only use of libm in this library.
fn halved_every_second(after: Duration) -> f64 {
    let whole = i32::try_from(after.as_secs()).unwrap_or(i32::MAX);
    0.5_f64.powi(whole) * (1.0 - f64::from(after.subsec_nanos()) / 2e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second() {
        for (ms, left) in [(0, 1.0), (500, 0.75), (1000, 0.5), (1500, 0.375), (2000, 0.25)] {
            assert!((halved_every_second(Duration::from_millis(ms)) - left).abs() < 1e-9, "{ms}");
        }
        assert!(halved_every_second(Duration::MAX).abs() < 1e-9);
    }

    fn new() -> State {
        RateLimiter::new(CancelFlag::default()).state.into_inner().expect("not poisoned")
    }

    /// One who asks again and again.
    fn sent_in(state: &mut State, from: Instant, seconds: u64) -> u32 {
        let mut sent = 0;
        let mut ticket = None;
        for ms in 0..seconds * 1000 {
            while state.rate.is_some()
                && state.try_acquire(&mut ticket, from + Duration::from_millis(ms)).is_ok()
            {
                sent += 1;
            }
        }
        state.line.clear();
        sent
    }

    #[test]
    fn down_and_up() {
        let mut state = new();
        let start = state.window;
        for n in 0..1000 {
            assert!(
                state.try_acquire(&mut None, start + Duration::from_millis(n)).is_ok(),
                "no limit before the first complaint"
            );
        }
        let cut = start + Duration::from_secs(1);
        state.on_throttled(cut, None, start);
        state.on_throttled(cut + Duration::from_millis(1), None, start);
        let rate = state.rate.expect("a rate");
        assert!((450.0..550.0).contains(&rate), "halved once, not twice: {rate}");
        let first = sent_in(&mut state, cut, 1);
        assert!((400..700).contains(&first), "{first}");
        let later = sent_in(&mut state, cut + Duration::from_secs(4), 1);
        assert!(later > 950, "it recovers: {later}");
        let held = cut + Duration::from_secs(5);
        state.on_throttled(held, Some(Duration::from_secs(3)), held);
        assert!(
            state.try_acquire(&mut Some(0), held + Duration::from_millis(2900)).is_err(),
            "Retry-After holds"
        );
        assert!(state.try_acquire(&mut None, held + Duration::from_millis(3100)).is_ok());
        for n in 0..100 {
            let now = cut + Duration::from_secs(10 + n);
            state.on_throttled(now, None, now);
        }
        assert!(state.rate.is_some_and(|rate| rate >= MIN_RATE));
    }

    #[test]
    fn a_series_of_complaints_is_climbed_out_of_again() {
        let mut state = new();
        let start = state.window;
        for n in 0..1000 {
            assert!(state.try_acquire(&mut None, start + Duration::from_millis(n)).is_ok());
        }
        let mut now = start + Duration::from_secs(1);
        for _ in 0..8 {
            state.on_throttled(now, None, now);
            now += Duration::from_millis(110);
        }
        assert!(state.rate.is_some_and(|rate| (8.0..32.0).contains(&rate)), "{state:?}");
        let later = sent_in(&mut state, now, 10);
        assert!(later > 400, "not for ever at the bottom: {later}");
    }

    #[test]
    fn turns_come_in_the_order_of_arrival() {
        let mut state = new();
        let start = state.window;
        state.on_throttled(start, None, start);
        let mut places = [None, None, None];
        for ticket in &mut places {
            assert!(state.try_acquire(ticket, start).is_err());
        }
        let late = start + Duration::from_secs(30);
        let [first, second, third] = &mut places;
        assert!(state.try_acquire(third, late).is_err() && state.try_acquire(second, late).is_err());
        assert!(state.try_acquire(&mut None, late).is_err(), "nor for who comes now");
        assert!(state.try_acquire(first, late).is_ok() && first.is_none());
    }
}
