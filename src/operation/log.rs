//! The log: its levels, the caller's callback, and the log of one thread of a call.

use std::sync::Arc;

/// The levels of the log. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Calls that failed.
    Error = 1,
    /// Attempts that failed and will be repeated.
    Warn = 2,
    /// The result of each call.
    Info = 3,
    /// Every request and response.
    Debug = 4,
}

/// The function that takes a line.
pub type Sink = Arc<dyn Fn(Level, String) + Send + Sync>;

/// The log callback.
#[derive(Clone)]
pub struct Log {
    /// The highest level that is logged.
    pub level: Level,
    /// Called only on threads that are inside a call, with no lock held.
    pub sink: Sink,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({:?})", self.level)
    }
}

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
