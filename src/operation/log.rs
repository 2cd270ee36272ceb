//! Where the log lines of a call go.

use crate::operation::config::{Level, Log};

/// The log as one thread of a call sees it. On the thread that made the call it is the caller's callback; a worker's
/// hands its lines to that thread: a callback may run only on threads that the caller's runtime knows.
#[derive(Clone, Copy)]
pub struct Logger<'a> {
    /// None: there is no callback.
    level: Option<Level>,
    write: &'a dyn Fn(Level, String),
}

impl<'a> Logger<'a> {
    /// Calls the callback, if there is one, on the thread that logs.
    pub fn direct(log: Option<&'a Log>) -> Logger<'a> {
        match log {
            Some(log) => Logger { level: Some(log.level), write: &*log.sink },
            None => Logger { level: None, write: &|_, _| () },
        }
    }

    /// The same levels, written by `write`.
    pub fn through(self, write: &dyn Fn(Level, String)) -> Logger<'_> {
        Logger { level: self.level, write }
    }

    /// Whether lines of this level are wanted.
    pub fn is_on(self, level: Level) -> bool {
        self.level.is_some_and(|most| level <= most)
    }

    /// Writes a line, which is made only if its level is wanted.
    pub fn log(self, level: Level, line: impl FnOnce() -> String) {
        if self.is_on(level) {
            (self.write)(level, line());
        }
    }
}
