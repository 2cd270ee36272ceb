//! The one thing every wait in this library looks at: has the budget run out, has somebody cancelled?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long anything blocks before it looks again: the bound on how late a cancellation is seen.
pub const SLICE: Duration = Duration::from_millis(100);

/// Why a wait ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The call, or the client, was cancelled.
    Cancelled,
    /// The time is up.
    DeadlinePassed,
}

/// A flag that is raised once and stays up.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Raises it; for any thread.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is up.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A deadline, and the flags that end a wait before it.
#[derive(Clone, Debug)]
pub struct Deadline {
    deadline: Instant,
    client: CancelFlag,
    call: Option<CancelFlag>,
}

impl Deadline {
    /// Ends at `deadline`, or when the client is shut down, or the call cancelled.
    pub fn new(deadline: Instant, client: CancelFlag, call: Option<CancelFlag>) -> Deadline {
        Deadline { deadline, client, call }
    }

    /// The same, ending earlier.
    pub fn until(&self, deadline: Instant) -> Deadline {
        Deadline { deadline: self.deadline.min(deadline), ..self.clone() }
    }

    /// When the time is up.
    pub fn instant(&self) -> Instant {
        self.deadline
    }

    /// Whether to go on.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.next_slice().map(drop)
    }

    /// Whether somebody cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.client.is_set() || self.call.as_ref().is_some_and(CancelFlag::is_set)
    }

    /// How long to block before the next look; never zero.
    pub fn slice(&self) -> Duration {
        self.left().clamp(Duration::from_millis(1), SLICE)
    }

    /// Whether to go on, and if so, how long to block before the next look.
    pub fn next_slice(&self) -> Result<Duration, Interrupted> {
        if self.is_cancelled() {
            return Err(Interrupted::Cancelled);
        }
        let left = self.left();
        if left.is_zero() {
            Err(Interrupted::DeadlinePassed)
        } else {
            Ok(left.clamp(Duration::from_millis(1), SLICE))
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Sleeps, unless something ends it.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(self.slice()));
        }
    }
}

/// Now plus a duration that may be larger than the clock can tell.
pub fn far(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365))
}
