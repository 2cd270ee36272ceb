//! Requests and responses over connections that are kept.
//!
//! An exchange is one write and, for nearly every abort, one read: the head goes out as it was built ([`RequestHead`]), and
//! [`exchange`] reads what comes back. The connection is kept if nothing that follows can be taken for the next response.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::origin::Authority;

mod connect;
mod exchange;
mod pool;
pub mod proxy;
mod resolver;
mod stream;
mod tcp;
pub mod tls;

use connect::{Connection, Connector};
pub use exchange::Headers;
use exchange::{Body, ResponseHead};
use pool::Pool;
use proxy::Proxies;

/// A response's body beyond this is not read, and its connection not kept.
const MAX_BODY: u64 = 16 * 1024;
/// A server that has told the status gets this long for the body.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no response, inside an exchange.
#[derive(Debug)]
pub enum TransportError {
    /// The deadline ended it.
    Interrupted(Interrupted),
    /// A part of it took longer than it may; the error says which.
    TimedOut(Error),
    /// It failed, and may work the next time.
    Transient(Error),
    /// It failed, and will fail the next time.
    Permanent(Error),
}

impl From<Error> for TransportError {
    fn from(error: Error) -> TransportError {
        TransportError::Transient(error)
    }
}

/// How an exchange ended without a response, and what the server may have made of it.
#[derive(Debug)]
pub struct ExchangeError {
    /// Why.
    pub error: TransportError,
    /// Whether the whole request went out: it may have been carried out.
    pub sent: bool,
    /// Whether a kept connection proved dead before any byte of a response: its end may be older than the request.
    pub stale: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// As much of the body as is worth reading.
    pub body: Vec<u8>,
}

/// A request's head, written once, into one buffer: it goes onto the stream as it is.
pub struct RequestHead(Vec<u8>);

impl RequestHead {
    /// Request line and Host. Neither part may hold a line end, which target.rs sees to.
    pub fn new(method: &str, path_and_query: &str, at: &Authority) -> RequestHead {
        let mut head = Vec::with_capacity(path_and_query.len() + at.as_str().len() + 320);
        for part in [method, " ", path_and_query, " HTTP/1.1\r\nHost: ", at.as_str(), "\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        RequestHead(head)
    }

    /// One more line. No part of the value may hold a line end, which whoever read it from outside has seen to.
    pub fn header(&mut self, name: &str, value: &[&[u8]]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        for part in value {
            self.0.extend_from_slice(part);
        }
        self.0.extend_from_slice(b"\r\n");
    }
}

/// What is asked.
pub struct Request<'a> {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Where to.
    pub at: &'a Authority,
    /// What is sent.
    pub head: RequestHead,
    /// Bounds everything.
    pub deadline: &'a Deadline,
    /// Bounds resolution, connection and handshake, within the deadline.
    pub connect_timeout: Duration,
    /// Takes no kept connection, and has those to this place forgotten.
    pub fresh: bool,
}

/// What is settled for the life of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many connections are kept.
    pub max_connections: usize,
    /// Which hosts are reached through which proxy.
    pub proxies: Proxies,
    /// What TLS goes by; None where the endpoint is plain http, and reading the roots can wait for a redirect to https.
    pub tls: Option<Arc<ClientConfig>>,
    /// What it is made from.
    pub trust: tls::Trust,
}

/// The connections of one client in one process.
#[derive(Debug)]
pub struct HttpClient {
    dialer: Connector,
    pool: Pool,
}

impl HttpClient {
    /// No connection yet.
    pub fn new(settings: Settings) -> HttpClient {
        HttpClient { pool: Pool::new(settings.max_connections), dialer: Connector::new(settings) }
    }

    /// Closes what is idle, and keeps nothing from here on.
    pub fn close_idle(&self) {
        self.pool.close();
    }

    /// Sends, and reads the whole response, its body within bounds of size and time.
    pub fn ask(&self, ask: Request<'_>) -> Result<Response, ExchangeError> {
        self.exchange(ask, |response, body| {
            read_error_body(response, body);
            Ok(())
        })
    }

    /// Sends, and hands the body to `page`, which takes as long as the deadline allows. A response other than 200 is
    /// read as by `ask`, and not handed on.
    pub fn ask_page(
        &self,
        ask: Request<'_>,
        mut page: impl FnMut(&Response, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<Response, ExchangeError> {
        self.exchange(ask, |response, body| {
            if response.status == 200 {
                return page(response, body);
            }
            read_error_body(response, body);
            Ok(())
        })
    }

    fn exchange(
        &self,
        mut ask: Request<'_>,
        read: impl FnOnce(&mut Response, &mut Body<'_>) -> Result<(), Error>,
    ) -> Result<Response, ExchangeError> {
        ask.head.0.extend_from_slice(b"\r\n");
        let kept = if ask.fresh {
            // Kept connections die together: none of the others is left for the next call to stumble over.
            self.pool.forget(ask.https, ask.at);
            None
        } else {
            self.pool.take(ask.https, ask.at, Instant::now())
        };
        let was_kept = kept.is_some();
        let unanswered = |error: TransportError, sent: bool, begun: bool| {
            let stale =
                was_kept && !begun && matches!(&error, TransportError::Transient(e) if e.code == Code::Io);
            ExchangeError { error, sent, stale }
        };
        let mut connection = match kept {
            Some(connection) => connection,
            None => self
                .dialer
                .dial(ask.https, ask.at, ask.connect_timeout, ask.deadline)
                .map_err(|error| unanswered(error, false, false))?,
        };
        connection.send(&ask.head.0, ask.deadline).map_err(|error| unanswered(error, false, false))?;
        let (head, arrived) = exchange::read_head(&mut connection.stream, ask.deadline)
            .map_err(|(error, begun)| unanswered(error, true, begun))?;
        let (response, reusable) = receive(&mut connection, head, arrived, ask.deadline, read)
            .map_err(|error| unanswered(error, true, true))?;
        if reusable {
            self.pool.put(ask.https, ask.at, connection);
        }
        Ok(response)
    }
}

/// Reads what follows a head, and tells whether the connection can serve again.
fn receive(
    connection: &mut Connection,
    head: ResponseHead,
    arrived: Vec<u8>,
    deadline: &Deadline,
    read: impl FnOnce(&mut Response, &mut Body<'_>) -> Result<(), Error>,
) -> Result<(Response, bool), TransportError> {
    let mut body = Body::new(&mut connection.stream, deadline.clone(), &head, arrived);
    let mut response = Response { status: head.status, headers: head.headers, body: Vec::new() };
    if let Err(error) = read(&mut response, &mut body) {
        // What stopped the stream says more than what the reader made of it.
        let by_reader = if error.code == Code::Io {
            TransportError::Transient(error)
        } else {
            TransportError::Permanent(error)
        };
        return Err(body.error.unwrap_or(by_reader));
    }
    let reusable = body.leaves_reusable();
    match body.error {
        Some(cancelled @ TransportError::Interrupted(Interrupted::Cancelled)) => Err(cancelled),
        // An error's body may be cut short, and its status still counts.
        _ => Ok((response, reusable)),
    }
}

/// Reads a body that only explains a status: as much of it as comes in time.
fn read_error_body(response: &mut Response, body: &mut Body<'_>) {
    body.deadline = body.deadline.until(Instant::now() + BODY_PATIENCE);
    let _ = body.take(MAX_BODY).read_to_end(&mut response.body);
}
