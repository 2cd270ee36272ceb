//! What belongs to one call: cancellation, and a budget of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::base::deadline::Flag;

/// Shared by the threads that call and the thread that cancels.
#[derive(Debug, Default)]
pub struct Call {
    cancelled: Flag,
    /// 0 = the client's rules.
    timeout_ms: AtomicU32,
}

impl Call {
    /// Ends every call that uses it, and every later one.
    pub fn cancel(&self) {
        self.cancelled.raise();
    }

    /// Up once it is cancelled.
    pub fn flag(&self) -> &Flag {
        &self.cancelled
    }

    /// Bounds each call that uses it.
    pub fn set_timeout_ms(&self, ms: u32) {
        self.timeout_ms.store(ms, Ordering::Relaxed);
    }

    /// The budget of a whole call, if one was set.
    pub fn timeout(&self) -> Option<Duration> {
        match self.timeout_ms.load(Ordering::Relaxed) {
            0 => None,
            ms => Some(Duration::from_millis(ms.into())),
        }
    }
}
