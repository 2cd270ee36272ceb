//! Deadlines and cancellation, which every wait in this library checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest time that anything blocks between two checks. It bounds how late a cancellation is noticed.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Why a wait ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The call, or the client, was cancelled.
    Cancelled,
    /// The deadline has passed.
    DeadlinePassed,
}

/// A flag that is set once and stays set. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Sets the flag. May be called from any thread.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A point in time, and the flags that end a wait before it.
#[derive(Debug)]
pub struct Deadline {
    deadline: Instant,
    /// The nanoseconds by which it was put off. A clone has its own.
    put_off: AtomicU64,
    /// The latest instant that it can be put off to.
    latest: Instant,
    client: CancelFlag,
    call: Option<CancelFlag>,
}

impl Clone for Deadline {
    fn clone(&self) -> Deadline {
        self.capped_at(self.latest)
    }
}

impl Deadline {
    /// A deadline that also ends when the client is shut down or the call is cancelled.
    pub fn new(deadline: Instant, client: CancelFlag, call: Option<CancelFlag>) -> Deadline {
        Deadline { deadline, put_off: AtomicU64::new(0), latest: deadline, client, call }
    }

    /// This deadline, or `deadline` if that is earlier. It can be put off as far as this one.
    pub fn capped_at(&self, deadline: Instant) -> Deadline {
        let latest = self.instant();
        Deadline {
            deadline: latest.min(deadline),
            put_off: AtomicU64::new(0),
            latest,
            client: self.client.clone(),
            call: self.call.clone(),
        }
    }

    /// The point in time.
    pub fn instant(&self) -> Instant {
        let put_off = Duration::from_nanos(self.put_off.load(Ordering::Relaxed));
        self.deadline.checked_add(put_off).map_or(self.latest, |deadline| deadline.min(self.latest))
    }

    /// The latest point in time that it can be put off to.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// Puts it off: what it bounds does not run for so long.
    pub fn put_off(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.put_off.fetch_add(by, Ordering::Relaxed);
    }

    /// Returns an error if the deadline has passed or the call was cancelled.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.check_next_wait().map(drop)
    }

    /// Returns whether the call was cancelled or the client shut down.
    pub fn is_cancelled(&self) -> bool {
        self.client.is_set() || self.call.as_ref().is_some_and(CancelFlag::is_set)
    }

    /// The time to block before the next check. Never zero.
    pub fn next_wait(&self) -> Duration {
        self.left().clamp(Duration::from_millis(1), CHECK_INTERVAL)
    }

    /// Checks, and returns the time to block before the next check.
    pub fn check_next_wait(&self) -> Result<Duration, Interrupted> {
        if self.is_cancelled() {
            return Err(Interrupted::Cancelled);
        }
        let left = self.left();
        if left.is_zero() {
            Err(Interrupted::DeadlinePassed)
        } else {
            Ok(left.clamp(Duration::from_millis(1), CHECK_INTERVAL))
        }
    }

    fn left(&self) -> Duration {
        self.instant().saturating_duration_since(Instant::now())
    }

    /// Sleeps, unless the deadline passes or the call is cancelled first.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(self.next_wait()));
        }
    }
}

/// The time after `duration`, which may be longer than the clock can represent.
pub fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365))
}
