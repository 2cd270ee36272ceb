//! The common rate of the workers of one call: unlimited until the service refuses too much, then as much as it
//! accepts.
//!
//! Refusals come from a limit, which a lower rate helps against, or at random, and then a lower rate only costs time.
//! What tells them apart is the share of requests that is refused: below a limit nothing is. So:
//!
//! - A share of 15 % is tolerated. That little is cheap, and random refusals hardly exceed it.
//! - Beyond that the rate is cut to the part of it that was accepted. Under a limit, that is the limit.
//! - From there it grows, slowly at first, until the tolerance is exceeded again.
//! - If the share stays although the rate was halved, the rate is not the reason: the limit is lifted, and that share
//!   is tolerated until a cut helps again.
//! - If nearly everything is refused, the rate is not known. It is searched for with single requests.
//! - Before an upload is tried for the third and fourth time there is a quiet moment, so that the service has a token
//!   for it: an upload must not fail because it was unlucky while the rate was found.
//!
//! Not by a crate: those limit to a rate that is known beforehand. The constants were found by simulation; `tests.rs`
//! repeats the main scenarios.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::deadline::{CHECK_INTERVAL, CancelFlag, Deadline, Interrupted, after};

/// The longest Retry-After that is waited for.
const MAX_HOLD: Duration = Duration::from_secs(600);
/// The lowest rate, in requests a second, however much is refused.
const MIN_RATE: f64 = 1.0;
/// The share of refused requests that is tolerated.
const TOLERATED_SHARE: f64 = 0.15;
/// With a lower share than this the rate is below the limit, if there is one.
const CALM_SHARE: f64 = 0.075;
/// With a higher share, refusals are not random.
const MAX_RANDOM: f64 = 0.5;
/// If a higher share than this is refused at half the rate, over [`RANDOM_RESPONSES`], refusals are random. A limit that
/// the rate exceeded by less than twice would refuse none.
const MIN_RANDOM: f64 = 0.2;
/// Responses at half the rate and below that are enough to tell.
const RANDOM_RESPONSES: u32 = 30;
/// Responses that a window has at least.
const WINDOW_RESPONSES: u32 = 20;
/// The least duration of a window: a burst that is accepted at once says little about the rate.
const WINDOW_DURATION: Duration = Duration::from_millis(100);
/// Responses that are enough at a limited rate if none is a refusal: 20 take long if the rate is low.
const WINDOW_WITHOUT_REFUSAL: u32 = 8;
/// Refusals beyond the tolerated ones that end a window early.
const ALARMING_REFUSALS: f64 = 4.0;
/// What is left of the rate at a cut, at least. If less was accepted, the rate is searched for.
const LEAST_LEFT: f64 = 0.25;
/// The growth after the first good window. It doubles with each one after that, up to [`MAX_GROWTH`].
const FIRST_GROWTH: f64 = 0.015;
/// The greatest growth from window to window.
const MAX_GROWTH: f64 = 0.3;
/// A rate that is so many times what is sent limits nothing.
const UNUSED_RATIO: f64 = 4.0;
/// A rate this many times what is sent does not grow while some are refused.
const HARDLY_USED_RATIO: f64 = 1.5;
/// What a request may come late and still be followed at the usual distance from when it was due.
const LATENESS: Duration = Duration::from_millis(10);
/// The longest quiet moment before a request.
const MAX_QUIET_SECONDS: f64 = 3.0;

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
    /// The service asked all to wait this long, which is beyond [`MAX_HOLD`], or beyond the call's deadline.
    Throttled(Duration),
}

/// What a response made the limiter do, for the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slowdown {
    /// So many requests a second from now on.
    Rate(f64),
    /// No request for so long.
    Wait(Duration),
}

impl fmt::Display for Slowdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slowdown::Rate(rate) => write!(f, "throttled: {rate:.0} requests a second from now on"),
            Slowdown::Wait(wait) => {
                write!(f, "throttled: no request for {} s, as the service asked", wait.as_secs())
            }
        }
    }
}

#[derive(Debug)]
struct State {
    /// Requests a second. None: unlimited.
    rate: Option<f64>,
    /// The share by which the rate grows after the next good window.
    growth: f64,
    /// The responses to requests that were sent at this rate.
    window: Window,
    /// The window before, unless the rate was cut after it.
    previous: Window,
    /// The most that was accepted in a second while there was no limit.
    accepted: f64,
    /// The share of refusals that is tolerated.
    tolerance: f64,
    /// The rate at which too much was refused first, and the responses since then at half of it and below.
    suspected: Option<(f64, Window)>,
    search: Option<Search>,
    /// The time when the last turn was due.
    due: Instant,
    /// The time when the last turn was taken.
    taken: Instant,
    /// The time until which the service wants no request.
    held: Instant,
    /// The service wants a wait that is longer than [`MAX_HOLD`].
    held_too_long: Option<Duration>,
    /// The tickets of those that wait, in order of arrival. Without an order some would wait a minute, at a request a
    /// second.
    line: VecDeque<u64>,
    tickets: u64,
}

/// Responses to requests that were sent after `start`.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    /// When the last of them was sent.
    end: Instant,
    /// How much of that time the service wanted no request.
    held: Duration,
    accepted: u32,
    refused: u32,
}

impl Window {
    fn new(start: Instant) -> Window {
        Window { start, end: start, held: Duration::ZERO, accepted: 0, refused: 0 }
    }

    fn count(&self) -> u32 {
        self.accepted + self.refused
    }

    fn share(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.count().max(1))
    }

    fn duration(&self) -> Duration {
        self.end.saturating_duration_since(self.start).saturating_sub(self.held)
    }

    /// The rate of `count` responses in this window, per second.
    fn rate_of(&self, count: u32) -> f64 {
        f64::from(count) / self.duration().max(WINDOW_DURATION).as_secs_f64()
    }

    /// This window, with the one before it.
    fn joined_with(&self, other: &Window) -> Window {
        Window {
            start: self.start.checked_sub(other.duration()).unwrap_or(self.start),
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            ..*self
        }
    }
}

/// The search for a rate: down until a request is accepted, then up until one is refused or the goal is reached.
#[derive(Clone, Copy, Debug)]
enum Search {
    Down { goal: f64 },
    Up { goal: f64 },
}

impl RateLimiter {
    /// A limiter without a limit yet.
    pub fn new(closed: CancelFlag) -> RateLimiter {
        let state = Mutex::new(State::new(Instant::now()));
        RateLimiter { state, throttled: AtomicU64::new(0), closed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn, for a request whose upload was `refused` so often. `begun` says that it is not the first for
    /// its upload. The wait takes nothing from the deadline, as far as that can be put off.
    pub fn acquire(&self, deadline: &Deadline, begun: bool, refused: u32) -> Result<(), AcquireError> {
        let mut ticket = Ticket { rate_limiter: self, ticket: None };
        loop {
            let mut state = self.lock();
            // With the lock: no turn was taken after it.
            let now = Instant::now();
            if let Some(wait) = state.held_too_long {
                return Err(AcquireError::Throttled(wait));
            }
            let Err(wait) = state.try_acquire(&mut ticket.ticket, refused, now) else { return Ok(()) };
            let held = state.held;
            drop(state);
            if !begun && self.closed.is_set() {
                return Err(AcquireError::Interrupted(Interrupted::Cancelled));
            }
            if held >= deadline.latest() {
                return Err(AcquireError::Throttled(held.saturating_duration_since(now)));
            }
            // Checked again after an interval: the rate may have changed, and those ahead may have left.
            let wait = wait.min(CHECK_INTERVAL);
            deadline.put_off(wait);
            deadline.sleep(wait).map_err(AcquireError::Interrupted)?;
            // A busy machine may sleep longer, each time.
            deadline.put_off(now.elapsed().saturating_sub(wait));
        }
    }

    /// Throttled responses so far.
    pub fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    /// The wait that the service asked for, if it is too long: no request gets a turn any more.
    pub fn held_too_long(&self) -> Option<Duration> {
        self.lock().held_too_long
    }

    /// Whether the service wants no request before this time, or later still.
    pub fn is_held_until(&self, time: Instant) -> bool {
        self.lock().held >= time
    }

    /// Takes note of a response other than a throttled one, to a request that was sent at `sent`.
    pub fn record_accepted(&self, sent: Instant) {
        self.lock().observe(Instant::now(), sent, None);
    }

    /// Takes note of a throttled response to a request that was sent at `sent`: the upload was `refused` so often by
    /// now. A Retry-After holds for all workers.
    pub fn record_refused(
        &self,
        sent: Instant,
        refused: u32,
        retry_after: Option<Duration>,
    ) -> Option<Slowdown> {
        self.throttled.fetch_add(1, Ordering::Relaxed);
        let (mut state, now) = (self.lock(), Instant::now());
        let waits = retry_after.filter(|wait| state.hold(now, *wait)).map(Slowdown::Wait);
        let before = state.rate;
        state.observe(now, sent, Some(refused));
        let is_cut = state.rate.is_some_and(|rate| before.is_none_or(|before| rate < before));
        waits.or(state.rate.filter(|_| is_cut).map(Slowdown::Rate))
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
    fn new(now: Instant) -> State {
        State {
            rate: None,
            growth: FIRST_GROWTH,
            window: Window::new(now),
            previous: Window::new(now),
            accepted: 0.0,
            tolerance: TOLERATED_SHARE,
            suspected: None,
            search: None,
            due: now,
            taken: now,
            held: now,
            held_too_long: None,
            line: VecDeque::new(),
            tickets: 0,
        }
    }

    /// Takes a turn, or returns the time to wait for one and puts a ticket in the line.
    fn try_acquire(&mut self, ticket: &mut Option<u64>, refused: u32, now: Instant) -> Result<(), Duration> {
        let ahead = match *ticket {
            Some(mine) => self.line.iter().take_while(|other| **other != mine).count(),
            None => self.line.len(),
        };
        let apart = self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        let quiet = self.quiet(refused);
        let at = self.held.max(self.due + apart).max(self.taken + quiet);
        if ahead > 0 || at > now {
            if ticket.is_none() {
                self.tickets += 1;
                *ticket = Some(self.tickets);
                self.line.push_back(self.tickets);
            }
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            let wait = at.saturating_duration_since(now).saturating_add(apart.saturating_mul(ahead));
            return Err(wait.max(Duration::from_millis(1)));
        }
        if ticket.take().is_some() {
            self.line.pop_front();
        }
        // Unused time is not saved up: that would be a burst. After a quiet moment the next one keeps its distance.
        let late = if quiet.is_zero() { LATENESS } else { Duration::ZERO };
        self.due = (self.due + apart).max(now.checked_sub(late).unwrap_or(now));
        self.taken = now;
        Ok(())
    }

    /// How long there must have been no request before one whose upload was refused so often: the time in which the
    /// service accepts some.
    fn quiet(&self, refused: u32) -> Duration {
        let accepts = match refused {
            0 | 1 => return Duration::ZERO,
            2 => 2.0,
            _ => 10.0,
        };
        let rate = self.rate.unwrap_or(self.accepted);
        if rate > 0.0 {
            Duration::from_secs_f64((accepts / rate).min(MAX_QUIET_SECONDS))
        } else {
            Duration::ZERO
        }
    }

    /// Takes note of a Retry-After. Returns whether it is worth a line in the log.
    fn hold(&mut self, now: Instant, wait: Duration) -> bool {
        if wait > MAX_HOLD {
            return self.held_too_long.replace(wait).is_none();
        }
        let until = now.checked_add(wait).unwrap_or_else(|| after(wait));
        let longer = until.saturating_duration_since(self.held.max(now));
        let is_new = self.held <= now;
        self.held = self.held.max(until);
        self.window.held += longer;
        !longer.is_zero() && (is_new || longer >= Duration::from_secs(1))
    }

    /// Takes note of a response. `refused`: how often its upload has been refused by now, if this response is a refusal.
    fn observe(&mut self, now: Instant, sent: Instant, refused: Option<u32>) {
        // A request that was sent before the window began was sent at another rate.
        if sent <= self.window.start {
            return;
        }
        if let (Some(search), Some(rate)) = (self.search, self.rate) {
            return self.search(now, search, rate, refused.is_some());
        }
        self.window.end = self.window.end.max(sent);
        match refused {
            Some(_) => self.window.refused += 1,
            None => self.window.accepted += 1,
        }
        if self.is_full() || refused.is_some_and(|refused| self.is_alarming(refused)) {
            self.judge(now);
        }
    }

    fn is_full(&self) -> bool {
        let is_clean = self.rate.is_some() && self.window.refused == 0;
        let enough = if is_clean { WINDOW_WITHOUT_REFUSAL } else { WINDOW_RESPONSES };
        self.window.count() >= enough && self.window.duration() >= WINDOW_DURATION
    }

    /// Whether a refusal is reason enough to judge the window before it is full.
    fn is_alarming(&self, refused: u32) -> bool {
        let window = &self.window;
        if f64::from(window.refused) > self.tolerance * f64::from(window.count()) + ALARMING_REFUSALS {
            return true;
        }
        // Few workers: not many are refused, but the same again and again.
        self.rate.is_none() && refused >= 3 && window.joined_with(&self.previous).share() > MAX_RANDOM
    }

    /// Draws the conclusions from a window, and begins the next.
    fn judge(&mut self, now: Instant) {
        let is_full = self.is_full();
        let mut window = self.window;
        if self.rate.is_none() {
            if !is_full {
                window = window.joined_with(&self.previous);
            }
            self.accepted = self.accepted.max(window.rate_of(window.accepted));
        }
        let sent = window.rate_of(window.count());
        let (share, rate) = (window.share(), self.rate.unwrap_or(sent));
        let is_good = share <= self.tolerance;
        if is_good && !is_full {
            return;
        }
        if self.is_random(&window, rate) {
            self.rate = None;
            self.growth = FIRST_GROWTH;
            self.begin_window(now, false);
            return;
        }
        if share < CALM_SHARE {
            (self.suspected, self.tolerance) = (None, TOLERATED_SHARE);
        }
        if !is_good {
            self.cut(now, rate, share);
        } else if let Some(rate) = &mut self.rate {
            if window.refused == 0 && *rate > UNUSED_RATIO * sent {
                self.rate = None;
            } else if window.refused == 0 || *rate <= HARDLY_USED_RATIO * sent {
                *rate *= 1.0 + self.growth;
                self.growth = (self.growth * 2.0).min(MAX_GROWTH);
            }
        }
        self.begin_window(now, is_good);
    }

    fn cut(&mut self, now: Instant, rate: f64, share: f64) {
        // The first cut is not held against a limit: bursts are accepted beyond it.
        if self.rate.is_some() && self.suspected.is_none() && share < MAX_RANDOM {
            self.suspected = Some((rate, Window::new(now)));
        }
        let left = 1.0 - share;
        if left < LEAST_LEFT {
            self.search = Some(Search::Down { goal: rate / 2.0 });
        }
        self.rate = Some((rate * left.max(LEAST_LEFT)).max(MIN_RATE));
        self.growth = FIRST_GROWTH;
    }

    /// Whether cuts have not helped. Then that share is tolerated.
    fn is_random(&mut self, window: &Window, rate: f64) -> bool {
        let Some((suspected, mut since)) = self.suspected else { return false };
        if rate > suspected / 2.0 {
            if window.share() <= self.tolerance {
                self.suspected = None;
            }
            return false;
        }
        since.accepted += window.accepted;
        since.refused += window.refused;
        if since.count() < RANDOM_RESPONSES {
            self.suspected = Some((suspected, since));
            return false;
        }
        self.suspected = None;
        let is_random = (MIN_RANDOM..MAX_RANDOM).contains(&since.share());
        if is_random {
            self.tolerance = since.share() + TOLERATED_SHARE;
        }
        is_random
    }

    /// The next step of a search, after each response.
    fn search(&mut self, now: Instant, search: Search, rate: f64, is_refused: bool) {
        let (rate, search) = match (search, is_refused) {
            (Search::Down { .. }, true) => (rate * LEAST_LEFT, Some(search)),
            (Search::Down { goal } | Search::Up { goal }, false) => {
                self.growth = MAX_GROWTH;
                (rate * 2.0, (rate * 2.0 < goal).then_some(Search::Up { goal }))
            }
            (Search::Up { .. }, true) => {
                // A single refusal is a weak reason to stop here.
                self.growth = 1.0;
                (rate / 2.0, None)
            }
        };
        (self.rate, self.search) = (Some(rate.max(MIN_RATE)), search);
        self.begin_window(now, false);
    }

    fn begin_window(&mut self, now: Instant, keep: bool) {
        self.previous = if keep { self.window } else { Window::new(now) };
        self.window = Window::new(now);
        self.window.held = self.held.saturating_duration_since(now);
    }
}

#[cfg(test)]
mod tests;
