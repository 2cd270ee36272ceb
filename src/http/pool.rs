//! Connections that are kept from one exchange to the next.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::target::Authority;

use super::dial::Connection;

/// Shorter than what servers and the state tables on the way usually allow an idle connection.
const MAX_IDLE: Duration = Duration::from_secs(15);

/// The idle connections of one client in one process.
pub struct Pool {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order in which they came back.
    idle: VecDeque<Idle>,
    closed: bool,
}

struct Idle {
    https: bool,
    at: Authority,
    since: Instant,
    connection: Connection,
}

impl Pool {
    /// Keeps at most so many.
    pub fn new(most: usize) -> Pool {
        Pool { most, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to this place on which nothing has arrived since its last answer.
    pub fn take(&self, https: bool, at: &Authority, now: Instant) -> Option<Connection> {
        loop {
            // The last one back: the others may grow old.
            let last = {
                let mut state = self.lock();
                let to_there = |idle: &Idle| idle.https == https && idle.at == *at;
                let index = state.idle.iter().rposition(to_there)?;
                state.idle.remove(index)?
            };
            if now.saturating_duration_since(last.since) < MAX_IDLE && last.connection.wire.is_quiet() {
                return Some(last.connection);
            }
        }
    }

    /// Keeps a connection whose last answer was read to its end.
    pub fn put(&self, https: bool, at: &Authority, mut connection: Connection) {
        if connection.wire.has_pending_plaintext() {
            return;
        }
        let since = Instant::now();
        let back = Idle { https, at: at.clone(), since, connection };
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.idle.push_back(back);
        let is_one_too_many = |state: &State| {
            let first = state.idle.front()?;
            Some(state.idle.len() > self.most || since.saturating_duration_since(first.since) >= MAX_IDLE)
        };
        while is_one_too_many(&state) == Some(true) {
            state.idle.pop_front();
        }
    }

    /// Closes all that is idle, and keeps nothing from here on.
    pub fn close(&self) {
        let idle = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        drop(idle);
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}
