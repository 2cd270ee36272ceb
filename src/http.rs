//! One request, one answer, over connections that are kept. The only file that names ureq, whose
//! `unversioned` part is outside semver and pinned to one exact version.
//!
//! An exchange is one write and one read: the head goes out as it was built ([`Head`]), and a plain 204, which nearly
//! every abort is answered with, is understood as it comes ([`plain_204`]). Whatever else an answer can be, with its body,
//! in pieces, after interim ones, or nothing that HTTP allows, is ureq's to read: its resolver, connector and transport
//! are ours, and what they give it is the connection on which the answer has begun to arrive. ureq's own exchange, which
//! takes more instructions than all the rest together, is not on the way of an abort that goes well.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::header::HOST;
pub use ureq::http::{HeaderMap, HeaderName, HeaderValue};
use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::error::{Code, Error};
use crate::target::Authority;
use crate::watch::{Stop, Watch};

mod connect;
mod dial;
mod leftover;
mod lookup;
mod plain;
mod pool;
pub mod proxy;
pub mod tls;
mod wire;

use dial::{Connection, Dialer};
use leftover::may_leave_bytes;
use plain::plain_204;
use pool::Pool;
use proxy::Proxies;

/// The metadata service of an ECS: link-local, and never behind a proxy.
pub const METADATA_HOST: &str = "169.254.169.254";

/// What is read at first: the head of a 204 fits, with room to spare.
const FIRST_READ: usize = 2048;
/// An answer's head fits, or it is not one.
const INPUT_BUFFER: usize = 16 * 1024;
/// For ureq's stand-in of a head, which never leaves.
const OUTPUT_BUFFER: usize = 256;
/// An answer's body beyond this is not read, and its connection not kept.
const MAX_BODY: u64 = 16 * 1024;
/// A server that has told the status gets this long for the body.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no answer, inside an exchange.
#[derive(Debug)]
pub enum Trouble {
    /// The watch ended it.
    Stopped(Stop),
    /// A part of it took longer than it may; the error says which.
    TooSlow(Error),
    /// It failed, and may work the next time.
    Failed(Error),
    /// It failed, and will fail the next time.
    Final(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Failed(error)
    }
}

/// How an exchange ended without an answer, and what the server may have made of it.
#[derive(Debug)]
pub struct Unanswered {
    /// Why.
    pub trouble: Trouble,
    /// Whether the whole request went out: it may have been carried out.
    pub sent: bool,
    /// Whether a kept connection proved dead before any byte of an answer: its end may be older than the request.
    pub stale: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// As much of the body as is worth reading.
    pub body: Vec<u8>,
}

/// A request's head, written once, into one buffer: it goes onto the wire as it is.
pub struct Head(Vec<u8>);

impl Head {
    /// Request line and Host. Neither part may hold a line end, which target.rs sees to.
    pub fn new(method: &str, path_and_query: &str, at: &Authority) -> Head {
        let mut head = Vec::with_capacity(path_and_query.len() + at.as_str().len() + 320);
        for part in [method, " ", path_and_query, " HTTP/1.1\r\nHost: ", at.as_str(), "\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        Head(head)
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
pub struct Ask<'a> {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Where to.
    pub at: &'a Authority,
    /// What is sent.
    pub head: Head,
    /// Bounds everything.
    pub watch: &'a Watch,
    /// Bounds resolution, connection and handshake, within the watch.
    pub connect_timeout: Duration,
    /// Takes no kept connection, and has those to this place forgotten.
    pub fresh: bool,
    /// Whether anybody looks at the headers of a plain 204.
    pub headers: bool,
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
pub struct Http {
    dialer: Dialer,
    pool: Pool,
    reading: Config,
}

impl Http {
    /// No connection yet.
    pub fn new(settings: Settings) -> Http {
        let reading = Agent::config_builder()
            .http_status_as_error(false)
            // A redirected DELETE would become a GET without a signature: send.rs follows what is safe.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            // One byte less than the buffer: a head that fills it is refused, not waited for.
            .max_response_header_size(INPUT_BUFFER - 1)
            .build();
        // Without a connection this ends in an error. It has ureq set up what it sets up behind a lock when it is first
        // used: a fork in another thread's first call would leave that lock shut in the child.
        let _ = Agent::with_parts(reading.clone(), Handover(Mutex::default()), NoResolver).run(stand_in());
        Http { pool: Pool::new(settings.max_connections), dialer: Dialer::new(settings), reading }
    }

    /// Closes what is idle, and keeps nothing from here on.
    pub fn close_idle(&self) {
        self.pool.close();
    }

    /// Sends, and reads the whole answer, its body within bounds of size and time.
    pub fn ask(&self, ask: Ask<'_>) -> Result<Answer, Unanswered> {
        self.exchange(ask, |answer, body, _| {
            // The status and the headers count, whatever becomes of the body.
            let _ = body.take(MAX_BODY).read_to_end(&mut answer.body);
            Ok(())
        })
    }

    /// Sends, and hands the body to `page`, which takes as long as the watch allows. An answer other than 200 is
    /// read as by `ask`, and not handed on.
    pub fn ask_page(
        &self,
        ask: Ask<'_>,
        mut page: impl FnMut(&Answer, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<Answer, Unanswered> {
        let budget = ask.watch;
        self.exchange(ask, |answer, body, arrival| {
            if answer.status != 200 {
                let _ = body.take(MAX_BODY).read_to_end(&mut answer.body);
                return Ok(());
            }
            lock(arrival).watch = budget.clone();
            page(answer, body)
        })
    }

    fn exchange(
        &self,
        mut ask: Ask<'_>,
        read: impl FnOnce(&mut Answer, &mut dyn Read, &Mutex<Arrival>) -> Result<(), Error>,
    ) -> Result<Answer, Unanswered> {
        ask.head.0.extend_from_slice(b"\r\n");
        let kept = if ask.fresh {
            // Kept connections die together: none of the others is left for the next call to stumble over.
            self.pool.forget(ask.https, ask.at);
            None
        } else {
            self.pool.take(ask.https, ask.at, Instant::now())
        };
        let was_kept = kept.is_some();
        let unanswered = |trouble, sent| {
            let stale = was_kept && matches!(&trouble, Trouble::Failed(e) if e.code == Code::Io);
            Unanswered { trouble, sent, stale }
        };
        let mut connection = match kept {
            Some(connection) => connection,
            None => self
                .dialer
                .dial(ask.https, ask.at, ask.connect_timeout, ask.watch)
                .map_err(|trouble| unanswered(trouble, false))?,
        };
        connection.send(&ask.head.0, ask.watch).map_err(|trouble| unanswered(trouble, false))?;
        let mut first = [0_u8; FIRST_READ];
        let n = connection.wire.read(&mut first, ask.watch).map_err(|trouble| unanswered(trouble, true))?;
        if n == 0 {
            let error = Error::new(Code::Io, "the server closed the connection without an answer");
            return Err(unanswered(error.into(), true));
        }
        if let Some(headers) = plain_204(&first[..n], ask.headers) {
            self.pool.put(ask.https, ask.at, connection);
            return Ok(Answer { status: 204, headers, body: Vec::new() });
        }
        self.read_on(&ask, connection, &first[..n], read).map_err(|trouble| Unanswered {
            trouble,
            sent: true,
            stale: false,
        })
    }

    /// Has ureq read an answer that began with these bytes.
    fn read_on(
        &self,
        ask: &Ask<'_>,
        connection: Connection,
        begun: &[u8],
        read: impl FnOnce(&mut Answer, &mut dyn Read, &Mutex<Arrival>) -> Result<(), Error>,
    ) -> Result<Answer, Trouble> {
        let arrival = Arc::new(Mutex::new(Arrival {
            connection,
            watch: ask.watch.clone(),
            received: begun.len(),
            spoiled: may_leave_bytes(begun),
            settled: false,
            trouble: None,
        }));
        let handover = Handover(Mutex::new(Some(Resumed::new(begun, Arc::clone(&arrival)))));
        let outcome = {
            let agent = Agent::with_parts(self.reading.clone(), handover, NoResolver);
            read_answer(&agent, &arrival, read)
        };
        let trouble = lock(&arrival).trouble.take();
        let answer = outcome.map_err(|error| trouble.unwrap_or_else(|| explain(error)))?;
        // ureq has dropped its half along with agent and body.
        let arrival =
            Arc::into_inner(arrival).map(|whole| whole.into_inner().unwrap_or_else(PoisonError::into_inner));
        if let Some(Arrival { connection, settled: true, .. }) = arrival {
            self.pool.put(ask.https, ask.at, connection);
        }
        Ok(answer)
    }
}

/// What ureq believes to have asked. The answers to all our methods are read as those to a GET.
fn stand_in() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("http://-/");
    // Without a Host, ureq would format one.
    request.headers_mut().insert(HOST, HeaderValue::from_static("-"));
    request
}

fn read_answer(
    agent: &Agent,
    arrival: &Mutex<Arrival>,
    read: impl FnOnce(&mut Answer, &mut dyn Read, &Mutex<Arrival>) -> Result<(), Error>,
) -> Result<Answer, ureq::Error> {
    let (parts, mut body) = agent.run(stand_in())?.into_parts();
    let mut answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body: Vec::new() };
    if answer.status == 204 {
        return Ok(answer);
    }
    {
        let mut arrival = lock(arrival);
        arrival.watch = arrival.watch.until(Instant::now() + BODY_PATIENCE);
    }
    if let Err(error) = read(&mut answer, &mut body.as_reader(), arrival) {
        // What stopped the transport says more than what the reader made of it.
        let trouble = if error.code == Code::Io { Trouble::Failed(error) } else { Trouble::Final(error) };
        return Err(lock(arrival).stop(trouble));
    }
    // An error's body may be cut short by time, and its status still counts; a caller who cancels is told so.
    match lock(arrival).trouble {
        Some(Trouble::Stopped(Stop::Cancelled)) => Err(ureq::Error::ConnectionFailed),
        _ => Ok(answer),
    }
}

/// What ureq says where our own parts said nothing.
fn explain(error: ureq::Error) -> Trouble {
    let error = match error {
        ureq::Error::Protocol(e) => Error::new(Code::Protocol, format!("the answer is not valid HTTP: {e}")),
        ureq::Error::LargeResponseHeader(..) => head_too_large(),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(Code::Io, "the server closed the connection in the middle of its answer")
        }
        ureq::Error::Io(e) => Error::new(Code::Io, format!("the connection broke: {e}")),
        other => {
            return Trouble::Final(Error::new(
                Code::Internal,
                format!("the answer could not be read: {other}"),
            ));
        }
    };
    Trouble::Failed(error)
}

fn head_too_large() -> Error {
    Error::new(Code::Protocol, format!("the head of the answer is larger than {INPUT_BUFFER} bytes"))
}

/// An answer on its way: what the transport works with, and what it tells of it.
struct Arrival {
    connection: Connection,
    /// Bounds what is going on now.
    watch: Watch,
    received: usize,
    /// A 204 announced a body, which no 204 has, or may have done so: its bytes could be read as the next answer.
    spoiled: bool,
    /// The answer was read to its end, and the connection can serve for another.
    settled: bool,
    trouble: Option<Trouble>,
}

impl Arrival {
    /// Keeps the first thing that went wrong, and stops ureq, which passes an error on without looking at it.
    fn stop(&mut self, trouble: Trouble) -> ureq::Error {
        self.trouble.get_or_insert(trouble);
        ureq::Error::ConnectionFailed
    }
}

fn lock(arrival: &Mutex<Arrival>) -> MutexGuard<'_, Arrival> {
    arrival.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands ureq the connection that there is.
struct Handover(Mutex<Option<Resumed>>);

impl Connector for Handover {
    type Out = Resumed;

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Resumed>, ureq::Error> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

/// A connection as ureq sees it: what it sends is lost, and what it reads first is there already.
struct Resumed {
    buffers: LazyBuffers,
    begun: bool,
    arrival: Arc<Mutex<Arrival>>,
}

impl Resumed {
    fn new(begun: &[u8], arrival: Arc<Mutex<Arrival>>) -> Resumed {
        let mut buffers = LazyBuffers::new(INPUT_BUFFER, OUTPUT_BUFFER);
        buffers.input_append_buf()[..begun.len()].copy_from_slice(begun);
        buffers.input_appended(begun.len());
        Resumed { buffers, begun: true, arrival }
    }
}

impl Transport for Resumed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        if std::mem::take(&mut self.begun) {
            return Ok(true);
        }
        let mut arrival = lock(&self.arrival);
        let arrival = &mut *arrival;
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            return Err(arrival.stop(head_too_large().into()));
        }
        let n = match arrival.connection.wire.read(room, &arrival.watch) {
            Ok(n) => n,
            Err(trouble) => return Err(arrival.stop(trouble)),
        };
        self.buffers.input_appended(n);
        arrival.received += n;
        // As long as nothing has been consumed, it is a head, and not a body, that is coming in.
        let input = self.buffers.input();
        arrival.spoiled = arrival.spoiled || (arrival.received == input.len() && may_leave_bytes(input));
        Ok(n > 0)
    }

    /// ureq asks when it has read all of an answer, and nothing more has come along with it.
    fn is_open(&mut self) -> bool {
        let mut arrival = lock(&self.arrival);
        arrival.settled = !arrival.spoiled;
        arrival.settled
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resumed")
    }
}

/// ureq resolves before it asks for a connection, which is long past here.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut addresses = ResolvedSocketAddrs::from_fn(|_| nowhere);
        // It wants one at least.
        addresses.push(nowhere);
        Ok(addresses)
    }
}
