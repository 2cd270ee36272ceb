//! Deadlines and cancellation, which every wait in this library checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
#[derive(Clone, Debug)]
pub struct Deadline {
    deadline: Instant,
    client: CancelFlag,
    call: Option<CancelFlag>,
}

impl Deadline {
    /// A deadline that also ends when the client is shut down or the call is cancelled.
    pub fn new(deadline: Instant, client: CancelFlag, call: Option<CancelFlag>) -> Deadline {
        Deadline { deadline, client, call }
    }

    /// The same deadline, or `deadline` if that is earlier.
    pub fn until(&self, deadline: Instant) -> Deadline {
        Deadline { deadline: self.deadline.min(deadline), ..self.clone() }
    }

    /// The point in time.
    pub fn instant(&self) -> Instant {
        self.deadline
    }

    /// Returns an error if the deadline has passed or the call was cancelled.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.check_interval().map(drop)
    }

    /// Returns whether the call was cancelled or the client shut down.
    pub fn is_cancelled(&self) -> bool {
        self.client.is_set() || self.call.as_ref().is_some_and(CancelFlag::is_set)
    }

    /// The time to block before the next check. Never zero.
    pub fn interval(&self) -> Duration {
        self.left().clamp(Duration::from_millis(1), CHECK_INTERVAL)
    }

    /// Checks, and returns the time to block before the next check.
    pub fn check_interval(&self) -> Result<Duration, Interrupted> {
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
        self.deadline.saturating_duration_since(Instant::now())
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
            std::thread::sleep(left.min(self.interval()));
        }
    }
}

/// The time after `duration`, which may be longer than the clock can represent.
pub fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365))
}
