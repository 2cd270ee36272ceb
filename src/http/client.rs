//! The HTTP client: one exchange over a kept connection or a new one.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::origin::Origin;

use super::body::Body;
use super::connect::{Connection, Connector, HttpSettings};
use super::error::TransportError;
use super::headers::Headers;
use super::pool::Pool;
use super::response_head::{ResponseHead, read_head};

/// The most that is read of a body that only explains a status.
const MAX_ERROR_BODY: u64 = 16 * 1024;
/// The longest wait for such a body.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// How an exchange ended without a response.
#[derive(Debug)]
pub struct ExchangeError {
    /// The cause.
    pub error: TransportError,
    /// Whether the whole request was sent, so that it may have been carried out.
    pub request_sent: bool,
    /// Whether a kept connection proved dead before any byte of a response: it may have died before the request.
    pub stale_connection: bool,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// As much of the body as is worth reading; empty if the body went to a reader.
    pub body: Vec<u8>,
}

/// The head of a request, written once into one buffer.
pub struct RequestHead(Vec<u8>);

impl RequestHead {
    /// The request line and the Host field. The caller makes sure that no part holds a line end.
    pub fn new(method: &str, request_target: &str, origin: &Origin) -> RequestHead {
        let authority = origin.authority();
        let mut head = Vec::with_capacity(request_target.len() + authority.len() + 320);
        for part in [method, " ", request_target, " HTTP/1.1\r\nHost: ", authority, "\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        RequestHead(head)
    }

    /// Appends a header field, its value given in parts. The caller makes sure that no part holds a line end.
    pub fn header(&mut self, name: &str, value: &[&[u8]]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        for part in value {
            self.0.extend_from_slice(part);
        }
        self.0.extend_from_slice(b"\r\n");
    }
}

/// A request, and the bounds of its exchange.
pub struct Request<'a> {
    /// Where it goes.
    pub origin: &'a Origin,
    /// What is sent.
    pub head: RequestHead,
    /// Bounds the whole exchange.
    pub deadline: &'a Deadline,
    /// Bounds resolution, connection and handshake, within the deadline.
    pub connect_timeout: Duration,
    /// Bounds, within the deadline, the sending of the request, the wait for the whole response head, and each read of
    /// a body that goes to a reader.
    pub response_timeout: Duration,
    /// Takes no kept connection.
    pub new_connection: bool,
}

impl Request<'_> {
    /// The deadline of a step that begins now and depends on the peer.
    fn step_deadline(&self) -> Deadline {
        self.deadline.capped_at(Instant::now() + self.response_timeout)
    }

    /// A step that has passed its deadline, but not that of the call, has met a silent peer.
    fn transport_error(&self, error: TransportError) -> TransportError {
        match error {
            TransportError::Interrupted(Interrupted::DeadlinePassed)
                if Instant::now() < self.deadline.instant() =>
            {
                TransportError::TimedOut(Error::new(
                    Code::Timeout,
                    format!(
                        "{} did not respond within the response timeout of {} ms: check it and the network between, \
                         or set a longer one with obs_abort_config_set_response_timeout_ms",
                        self.origin,
                        self.response_timeout.as_millis()
                    ),
                ))
            }
            other => other,
        }
    }
}

/// A client: settings and the connections of one process.
#[derive(Debug)]
pub struct HttpClient {
    connector: Connector,
    pool: Pool,
}

impl HttpClient {
    /// A client without a connection.
    pub fn new(settings: HttpSettings) -> HttpClient {
        HttpClient { pool: Pool::new(settings.max_connections), connector: Connector::new(settings) }
    }

    /// Closes the idle connections, and keeps none from now on.
    pub fn shutdown(&self) {
        self.pool.close();
    }

    /// Sends a request and reads its response, the body within bounds of size and time.
    pub fn send(&self, request: Request<'_>) -> Result<Response, ExchangeError> {
        self.exchange(request, |response, body| {
            read_error_body(response, body);
            Ok(())
        })
    }

    /// Sends a request and has `read` take the body of a 200, as long as the deadline allows. The body of another
    /// status is read as by [`HttpClient::send`].
    pub fn send_streaming(
        &self,
        request: Request<'_>,
        mut read: impl FnMut(&Response, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<Response, ExchangeError> {
        self.exchange(request, |response, body| {
            if response.status == 200 {
                return read(response, body);
            }
            read_error_body(response, body);
            Ok(())
        })
    }

    fn exchange(
        &self,
        mut request: Request<'_>,
        read: impl FnOnce(&mut Response, &mut Body<'_>) -> Result<(), Error>,
    ) -> Result<Response, ExchangeError> {
        request.head.0.extend_from_slice(b"\r\n");
        let kept = if request.new_connection { None } else { self.pool.take(request.origin, Instant::now()) };
        let was_kept = kept.is_some();
        let failed = |error: TransportError, request_sent: bool, response_begun: bool| {
            let error = request.transport_error(error);
            if !matches!(error, TransportError::Interrupted(Interrupted::Cancelled)) {
                // Kept connections die together: none is left for the next call to stumble over.
                self.pool.close_origin(request.origin);
            }
            let broke = matches!(&error, TransportError::Transient(e) if e.code == Code::Io);
            ExchangeError { error, request_sent, stale_connection: was_kept && !response_begun && broke }
        };
        let mut connection = match kept {
            Some(connection) => connection,
            None => self
                .connector
                .connect(request.origin, request.connect_timeout, request.deadline)
                .map_err(|error| failed(error, false, false))?,
        };
        connection
            .send(&request.head.0, &request.step_deadline())
            .map_err(|error| failed(error, false, false))?;
        let (head, arrived) = read_head(&mut connection.stream, &request.step_deadline())
            .map_err(|(error, begun)| failed(error, true, begun))?;
        let (response, reusable) = receive(&mut connection, head, arrived, &request, read)
            .map_err(|error| failed(error, true, true))?;
        if reusable {
            self.pool.put(request.origin, connection);
        }
        Ok(response)
    }
}

/// Reads what follows a head, and says whether the connection can serve again.
fn receive(
    connection: &mut Connection,
    head: ResponseHead,
    arrived: Vec<u8>,
    request: &Request<'_>,
    read: impl FnOnce(&mut Response, &mut Body<'_>) -> Result<(), Error>,
) -> Result<(Response, bool), TransportError> {
    let (deadline, read_timeout) = (request.deadline.clone(), request.response_timeout);
    let mut body = Body::new(&mut connection.stream, deadline, read_timeout, &head, arrived);
    let mut response = Response { status: head.status, headers: head.headers, body: Vec::new() };
    if let Err(error) = read(&mut response, &mut body) {
        // What stopped the stream says more than what the reader made of it.
        return Err(body.error.unwrap_or(match error.code {
            Code::Io => TransportError::Transient(error),
            _ => TransportError::Permanent(error),
        }));
    }
    let reusable = body.connection_is_reusable();
    match body.error {
        Some(cancelled @ TransportError::Interrupted(Interrupted::Cancelled)) => Err(cancelled),
        // The body of an error may be cut short, and its status still counts.
        _ => Ok((response, reusable)),
    }
}

/// Reads a body that only explains a status: as much of it as comes in time.
fn read_error_body(response: &mut Response, body: &mut Body<'_>) {
    body.deadline = body.deadline.capped_at(Instant::now() + ERROR_BODY_TIMEOUT);
    body.read_timeout = ERROR_BODY_TIMEOUT;
    let _ = body.take(MAX_ERROR_BODY).read_to_end(&mut response.body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::deadline::{CancelFlag, after};
    use crate::http::proxy::Proxies;
    use crate::http::tls::Trust;
    use std::net::TcpListener;

    /// More than the buffers of both sockets hold, which no head that an abort can have comes near.
    #[test]
    fn a_peer_that_does_not_read_the_request() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let origin = Origin::new(false, "127.0.0.1", Some(port));
        let mut head = RequestHead::new("DELETE", "/", &origin);
        head.header("X", &[&vec![b'x'; 64 << 20]]);
        let client = HttpClient::new(HttpSettings {
            max_connections: 1,
            proxies: Proxies::default(),
            tls: None,
            trust: Trust::default(),
        });
        let deadline = Deadline::new(after(Duration::from_secs(30)), CancelFlag::default(), None);
        let timeout = Duration::from_millis(300);
        let failed = client.send(Request {
            origin: &origin,
            head,
            deadline: &deadline,
            connect_timeout: Duration::from_secs(5),
            response_timeout: timeout,
            new_connection: false,
        });
        let failed = failed.expect_err("no response");
        assert!(
            matches!(&failed.error, TransportError::TimedOut(e) if e.code == Code::Timeout),
            "{failed:?}"
        );
        assert!(!failed.request_sent && !failed.stale_connection, "{failed:?}");
    }
}
