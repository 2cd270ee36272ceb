//! How fast the workers of one clean-up go together: additive increase, multiplicative decrease, once the service
//! asks to slow down. Until then, as fast as they can.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::deadline::far;
use crate::base::deadline::{CancelFlag, Deadline, Interrupted, SLICE};

/// However often the service complains, one request a second goes out.
const SLOWEST: f64 = 1.0;
/// After a complaint nothing goes out for so long: a service that counts has time to forget, and who was refused is
/// not refused again until its attempts are used up.
const PAUSE: Duration = Duration::from_millis(100);
/// What the rate was cut by comes back over so many seconds, and as much again over the next.
const RECOVERY: f64 = 4.0;
/// Complaints that follow each other faster are about one overload: well above the slowest rate's second.
const SERIES: Duration = Duration::from_secs(5);
/// Within a series the rate to return to was too high, too: it loses this part of what the rate loses, a fifth by a
/// halving.
const RELENT: f64 = 0.4;
/// A series takes the rate down to this part of what it was, and from there by half a second: a service that refuses
/// everything for a moment is not a slow one.
const FLOOR: f64 = 1.0 / 64.0;

/// Shared by the workers.
#[derive(Debug)]
pub struct RateLimiter {
    state: Mutex<State>,
    /// Nothing new is begun: who waits for a first turn need not.
    closed: CancelFlag,
}

/// Why a turn did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTurn {
    /// The deadline ended the wait.
    Interrupted(Interrupted),
    /// The service asked all to wait this long, which is beyond the deadline.
    Held(Duration),
}

#[derive(Debug)]
struct State {
    /// Requests a second; None = as fast as they can.
    rate: Option<f64>,
    /// What is added a second.
    slope: f64,
    /// The rate that recovery aims at.
    peak: f64,
    /// The rate before this series of complaints, and when it began.
    series: (f64, Instant),
    /// When the rate was last brought up to date.
    updated: Instant,
    /// When the next request may go out.
    next: Instant,
    /// Before this, the service wants no request at all.
    held: Instant,
    /// Complaints about requests from before this are old.
    cut: Option<Instant>,
    /// Requests since `window`, for the rate that is cut the first time.
    sent: u32,
    window: Instant,
    /// Who waits, in the order of arrival: at a request a second, luck would pass some over for a minute.
    line: VecDeque<u64>,
    tickets: u64,
}

impl RateLimiter {
    /// No limit yet.
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
        RateLimiter { state, closed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this request's turn; `begun`: it is not the first of what it belongs to.
    pub fn wait(&self, deadline: &Deadline, begun: bool) -> Result<(), NoTurn> {
        let mut ticket = Ticket { rate_limiter: self, ticket: None };
        loop {
            let now = Instant::now();
            let mut state = self.lock();
            let Err(wait) = state.turn(&mut ticket.ticket, now) else { return Ok(()) };
            let held = state.held;
            drop(state);
            if !begun && self.closed.is_set() {
                return Err(NoTurn::Interrupted(Interrupted::Cancelled));
            }
            if held >= deadline.instant() {
                return Err(NoTurn::Held(held.saturating_duration_since(now)));
            }
            // Again after a slice: the rate_limiter may have changed meanwhile, and who is ahead may have left.
            deadline.sleep(wait.min(SLICE)).map_err(NoTurn::Interrupted)?;
        }
    }

    /// Learns from the response to a request that went out at `sent`. `retry_after` holds for all.
    pub fn observe(&self, throttled: bool, retry_after: Option<Duration>, sent: Instant) {
        if throttled {
            self.lock().complaint(Instant::now(), retry_after, sent);
        }
    }
}

/// A ticket in the line, given up when this is dropped.
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
    /// Takes a turn, or says how long to wait for one, and notes the ticket in the line.
    fn turn(&mut self, ticket: &mut Option<u64>, now: Instant) -> Result<(), Duration> {
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
            // Time that nobody used is not saved up: that would be a burst.
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

    fn complaint(&mut self, now: Instant, retry_after: Option<Duration>, sent: Instant) {
        if let Some(wait) = retry_after {
            self.held = self.held.max(now.checked_add(wait).unwrap_or_else(|| far(wait)));
        }
        // What was under way when the rate was cut complains about the rate before.
        if self.cut.is_some_and(|cut| sent <= cut) {
            return;
        }
        self.grow(now);
        let seconds = now.saturating_duration_since(self.window).as_secs_f64().max(0.05);
        let before = self.rate.unwrap_or_else(|| f64::from(self.sent) / seconds);
        let in_series = self.cut.is_some_and(|cut| now.saturating_duration_since(cut) < SERIES);
        if !in_series {
            self.series = (before, now);
        }
        let (first, began) = self.series;
        let floor = first * FLOOR * halved_every_second(now.saturating_duration_since(began));
        // No complaint raises it.
        let rate = (before / 2.0).max(floor).min(before).max(SLOWEST);
        let before = before.max(rate);
        self.peak =
            if in_series { before.max(self.peak * (1.0 - RELENT * (1.0 - rate / before))) } else { before };
        self.rate = Some(rate);
        self.slope = (self.peak - rate).max(SLOWEST) / RECOVERY;
        self.cut = Some(now);
        self.next = self.next.max(now + PAUSE);
        self.updated = self.next;
    }
}

/// What is left of one; by a straight line between the seconds, since a power of any number would be the only thing in
/// this library that needs libm.
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
            while state.rate.is_some() && state.turn(&mut ticket, from + Duration::from_millis(ms)).is_ok() {
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
                state.turn(&mut None, start + Duration::from_millis(n)).is_ok(),
                "no limit before the first complaint"
            );
        }
        let cut = start + Duration::from_secs(1);
        state.complaint(cut, None, start);
        state.complaint(cut + Duration::from_millis(1), None, start);
        let rate = state.rate.expect("a rate");
        assert!((450.0..550.0).contains(&rate), "halved once, not twice: {rate}");
        let first = sent_in(&mut state, cut, 1);
        assert!((400..700).contains(&first), "{first}");
        let later = sent_in(&mut state, cut + Duration::from_secs(4), 1);
        assert!(later > 950, "it recovers: {later}");
        let held = cut + Duration::from_secs(5);
        state.complaint(held, Some(Duration::from_secs(3)), held);
        assert!(state.turn(&mut Some(0), held + Duration::from_millis(2900)).is_err(), "Retry-After holds");
        assert!(state.turn(&mut None, held + Duration::from_millis(3100)).is_ok());
        for n in 0..100 {
            let now = cut + Duration::from_secs(10 + n);
            state.complaint(now, None, now);
        }
        assert!(state.rate.is_some_and(|rate| rate >= SLOWEST));
    }

    #[test]
    fn a_series_of_complaints_is_climbed_out_of_again() {
        let mut state = new();
        let start = state.window;
        for n in 0..1000 {
            assert!(state.turn(&mut None, start + Duration::from_millis(n)).is_ok());
        }
        let mut now = start + Duration::from_secs(1);
        for _ in 0..8 {
            state.complaint(now, None, now);
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
        state.complaint(start, None, start);
        let mut places = [None, None, None];
        for ticket in &mut places {
            assert!(state.turn(ticket, start).is_err());
        }
        let late = start + Duration::from_secs(30);
        let [first, second, third] = &mut places;
        assert!(state.turn(third, late).is_err() && state.turn(second, late).is_err());
        assert!(state.turn(&mut None, late).is_err(), "nor for who comes now");
        assert!(state.turn(first, late).is_ok() && first.is_none());
    }
}
