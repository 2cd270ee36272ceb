//! The log of a call.

use crate::operation::config::{Level, Log};

/// The log for one thread of a call. On the thread that made the call it is the caller's callback. A worker's passes
/// its lines to that thread, since a callback may run only on threads that the caller's runtime knows.
#[derive(Clone, Copy)]
pub struct Logger<'a> {
    /// The highest level that is logged. None without a callback.
    level: Option<Level>,
    write: &'a dyn Fn(Level, String),
}

impl<'a> Logger<'a> {
    /// A log that calls the callback on the thread that logs.
    pub fn direct(log: Option<&'a Log>) -> Logger<'a> {
        match log {
            Some(log) => Logger { level: Some(log.level), write: &*log.sink },
            None => Logger { level: None, write: &|_, _| () },
        }
    }

    /// A log with the same level that writes to `write`.
    pub fn through(self, write: &dyn Fn(Level, String)) -> Logger<'_> {
        Logger { level: self.level, write }
    }

    /// Returns whether lines of this level are logged.
    pub fn is_on(self, level: Level) -> bool {
        self.level.is_some_and(|most| level <= most)
    }

    /// Logs a line, which is made only if its level is logged.
    pub fn log(self, level: Level, line: impl FnOnce() -> String) {
        if self.is_on(level) {
            (self.write)(level, line());
        }
    }
}
