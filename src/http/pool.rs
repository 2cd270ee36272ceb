//! Connections that are kept from one exchange to the next.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::origin::Origin;

use super::connect::Connection;

/// The longest time that a connection stays idle: shorter than what servers and NAT tables usually allow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The idle connections of one client in one process.
pub struct Pool {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sorted by `since`.
    idle: VecDeque<Idle>,
    closed: bool,
}

struct Idle {
    origin: Origin,
    since: Instant,
    connection: Connection,
}

impl Pool {
    /// A pool that keeps at most `most` connections.
    pub fn new(most: usize) -> Pool {
        Pool { most, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to this origin on which nothing has arrived since its last response.
    pub fn take(&self, origin: &Origin, now: Instant) -> Option<Connection> {
        loop {
            // The one used last, so that the others can grow old.
            let last = {
                let mut state = self.lock();
                let index = state.idle.iter().rposition(|idle| idle.origin == *origin)?;
                state.idle.remove(index)?
            };
            if now.saturating_duration_since(last.since) < IDLE_TIMEOUT
                && last.connection.stream.has_no_input()
            {
                return Some(last.connection);
            }
        }
    }

    /// Keeps a connection whose last response was read to its end.
    pub fn put(&self, origin: &Origin, mut connection: Connection) {
        if connection.stream.holds_unread_input() {
            return;
        }
        let since = Instant::now();
        let idle = Idle { origin: origin.clone(), since, connection };
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.idle.push_back(idle);
        while let Some(first) = state.idle.front()
            && (state.idle.len() > self.most || since.saturating_duration_since(first.since) >= IDLE_TIMEOUT)
        {
            state.idle.pop_front();
        }
    }

    /// Closes the idle connections to an origin.
    pub fn close_origin(&self, origin: &Origin) {
        self.lock().idle.retain(|idle| idle.origin != *origin);
    }

    /// Closes all idle connections, and keeps none from now on.
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

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::base::deadline::CHECK_INTERVAL;
    use crate::base::sys::socket::Socket;
    use crate::http::stream::Stream;
    use std::io::Write as _;
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A connection, and the server's end of it: a pair of sockets without a network between them.
    pub fn pair() -> (Connection, UnixStream) {
        let (socket, end) = UnixStream::pair().expect("a pair of sockets");
        let socket = Socket::new(TcpStream::from(OwnedFd::from(socket)), CHECK_INTERVAL).expect("timeouts");
        (Connection::direct(Stream::new(socket, "h".into())), end)
    }

    fn here() -> Origin {
        Origin::new(false, "h", None)
    }

    #[test]
    fn one_that_is_quiet_serves_again_for_the_same_place() {
        let pool = Pool::new(4);
        let (connection, _end) = pair();
        pool.put(&here(), connection);
        let now = Instant::now();
        assert!(pool.take(&Origin::new(true, "h", Some(80)), now).is_none(), "another scheme");
        assert!(pool.take(&Origin::new(false, "h", Some(81)), now).is_none(), "another port");
        assert!(pool.take(&here(), now).is_some());
        assert!(pool.take(&here(), now).is_none(), "it is taken");
    }

    #[test]
    fn one_on_which_anything_has_happened_does_not() {
        let pool = Pool::new(4);
        let (connection, mut end) = pair();
        pool.put(&here(), connection);
        end.write_all(b"\n").expect("a byte");
        let (connection, other_end) = pair();
        pool.put(&here(), connection);
        drop(other_end);
        // Delivered when write and close return.
        assert!(pool.take(&here(), Instant::now()).is_none());
        assert!(pool.lock().idle.is_empty(), "neither is tried again");
    }

    #[test]
    fn none_is_kept_too_long() {
        let pool = Pool::new(4);
        let (first, _first_end) = pair();
        pool.put(&here(), first);
        assert!(pool.take(&here(), Instant::now() + IDLE_TIMEOUT).is_none());
        let (old, _old_end) = pair();
        pool.put(&here(), old);
        if let Some(old) = pool.lock().idle.front_mut() {
            old.since = old.since.checked_sub(IDLE_TIMEOUT).unwrap_or(old.since);
        }
        let (new, _new_end) = pair();
        pool.put(&Origin::new(false, "elsewhere", None), new);
        assert_eq!(pool.lock().idle.len(), 1, "a place that nobody asks for any more is forgotten, too");
    }

    #[test]
    fn no_more_than_so_many() {
        let pool = Pool::new(2);
        let ends: Vec<UnixStream> = (0..3)
            .map(|_| {
                let (connection, end) = pair();
                pool.put(&here(), connection);
                end
            })
            .collect();
        assert_eq!((ends.len(), pool.lock().idle.len()), (3, 2));
        pool.close();
        assert!(pool.lock().idle.is_empty());
        let (late, _end) = pair();
        pool.put(&here(), late);
        assert!(pool.take(&here(), Instant::now()).is_none(), "closed for good");
    }
}
