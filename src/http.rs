//! One request, one answer, over connections that are kept. The only file that names ureq, whose
//! `unversioned` part is outside semver and pinned to one exact version.
//!
//! ureq runs the exchange, parses what comes back and keeps the pool; the resolver, connector and transport are ours,
//! since exact budgets, cancellation, proxies and few system calls need them, and so is the head that is sent ([`Head`]).
//! ureq calls them on the thread that makes the request: what they need to know of the exchange, and what they have to
//! tell of it, lies in a thread-local.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use ureq::Agent;
use ureq::http::header::{HOST, HeaderValue};
use ureq::http::uri::{self, Parts, PathAndQuery, Scheme};
pub use ureq::http::{HeaderMap, HeaderName};
use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::error::{Code, Error};
use crate::watch::{Stop, Watch};

mod connect;
mod leftover;
mod lookup;
pub mod proxy;
pub mod tls;
mod wire;

use leftover::may_leave_bytes;
use lookup::Lookups;
use proxy::{Proxies, Proxy};
use wire::Wire;

/// The metadata service of an ECS: link-local, and never behind a proxy.
pub const METADATA_HOST: &str = "169.254.169.254";

/// An answer's head fits, or it is not one.
const INPUT_BUFFER: usize = 16 * 1024;
/// For ureq's stand-in of a head, with a host name of 253 characters.
const OUTPUT_BUFFER: usize = 1024;
/// An answer's body beyond this is not read, and its connection not kept.
const MAX_BODY: u64 = 16 * 1024;
/// A server that has told the status gets this long for the body.
const BODY_PATIENCE: Duration = Duration::from_secs(2);
/// Shorter than what servers and the state tables on the way usually allow an idle connection.
const MAX_IDLE: Duration = Duration::from_secs(15);

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

/// A host, and a port where it is not the scheme's default, parsed once: all requests to a bucket share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(uri::Authority);

impl Authority {
    /// None for what is no authority, which target.rs lets nobody make.
    pub fn new(text: &str) -> Option<Authority> {
        text.parse().ok().map(Authority)
    }

    /// As it stands in the Host header.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request's head, written once, into one buffer: it goes onto the wire as it is.
///
/// ureq runs the exchange, and would write a head of its own, through types that copy, check and hash what has been
/// checked before. Its head is a stand-in that never leaves: the transport sends this one instead.
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

    /// One more line. The value may not hold a line end, which whoever read it from outside has seen to.
    pub fn header(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
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
    /// Takes no kept connection.
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
pub struct Http {
    agent: Agent,
}

impl Http {
    /// No connection yet.
    pub fn new(settings: Settings) -> Http {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirected DELETE would become a GET without a signature: send.rs follows what is safe.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_idle_connections(settings.max_connections)
            .max_idle_connections_per_host(settings.max_connections)
            .max_idle_age(MAX_IDLE)
            // One byte less than the buffer: a head that fills it is refused, not waited for.
            .max_response_header_size(INPUT_BUFFER - 1)
            .build();
        let lookups = Lookups::default();
        let agent = Agent::with_parts(config, Dialer { settings, lookups }, NoResolver);
        // Outside an exchange the dialer opens nothing, so this ends in an error. It has ureq set up what it sets up behind
        // a lock when it is first used: a fork in another thread's first call would leave that lock shut in the child.
        let _ = agent.run(Request::get("http://-/").body(()).unwrap_or_default());
        Http { agent }
    }

    /// Closes what is idle.
    pub fn close_idle(&self) {
        self.agent.clone().shutdown();
    }

    /// Sends, and reads the whole answer, its body within bounds of size and time.
    pub fn ask(&self, ask: Ask<'_>) -> Result<Answer, Unanswered> {
        self.ask_reading(ask, |answer, body| {
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
        self.ask_reading(ask, |answer, body| {
            if answer.status != 200 {
                let _ = body.take(MAX_BODY).read_to_end(&mut answer.body);
                return Ok(());
            }
            with_exchange(|exchange| exchange.watch = exchange.budget.clone());
            page(answer, body)
        })
    }

    fn ask_reading(
        &self,
        mut ask: Ask<'_>,
        read: impl FnOnce(&mut Answer, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<Answer, Unanswered> {
        ask.head.0.extend_from_slice(b"\r\n");
        let _exchange = Begun::new(&mut ask);
        let outcome = self.run(&ask, read);
        outcome.map_err(|error| {
            let told = with_exchange(|exchange| {
                let stale = exchange.kept && exchange.received == 0;
                (exchange.trouble.take(), exchange.sent, stale, exchange.received)
            });
            let (trouble, sent, stale, received) = told.unwrap_or((None, false, false, 0));
            let trouble = trouble.unwrap_or_else(|| explain(error, received));
            let stale = stale && matches!(&trouble, Trouble::Failed(e) if e.code == Code::Io);
            Unanswered { trouble, sent, stale }
        })
    }

    fn run(
        &self,
        ask: &Ask<'_>,
        read: impl FnOnce(&mut Answer, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<Answer, ureq::Error> {
        let mut parts = Parts::default();
        parts.scheme = Some(if ask.https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(ask.at.0.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let mut request = Request::new(());
        // A GET is read as the answers to all our methods are; see Head. Without a Host, ureq would format one.
        request.headers_mut().insert(HOST, HeaderValue::from_static("-"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(ureq::http::Error::from)?;
        let response = self.agent.run(request)?;
        let (parts, mut body) = response.into_parts();
        let mut answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body: Vec::new() };
        if answer.status != 204 {
            with_exchange(|exchange| exchange.watch = exchange.watch.until(Instant::now() + BODY_PATIENCE));
            let read = read(&mut answer, &mut body.as_reader());
            if let Err(error) = read {
                // What stopped the transport says more than what the reader made of it.
                note(if error.code == Code::Io { Trouble::Failed(error) } else { Trouble::Final(error) });
                return Err(ureq::Error::BodyStalled);
            }
            // An error's body may be cut short by time, and its status still counts; a caller who cancels is told so.
            let trouble = with_exchange(|exchange| exchange.trouble.take()).flatten();
            if let Some(stop @ Trouble::Stopped(Stop::Cancelled)) = trouble {
                return Err(stop_ureq(stop));
            }
        }
        Ok(answer)
    }
}

/// What ureq says where our own parts said nothing.
fn explain(error: ureq::Error, received: usize) -> Trouble {
    let error = match error {
        ureq::Error::Protocol(e) => Error::new(Code::Protocol, format!("the answer is not valid HTTP: {e}")),
        ureq::Error::LargeResponseHeader(..) => {
            Error::new(Code::Protocol, format!("the head of the answer is larger than {INPUT_BUFFER} bytes"))
        }
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof && received == 0 => {
            Error::new(Code::Io, "the server closed the connection without an answer")
        }
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(Code::Io, "the server closed the connection in the middle of its answer")
        }
        ureq::Error::Io(e) => Error::new(Code::Io, format!("the connection broke: {e}")),
        other => {
            return Trouble::Final(Error::new(
                Code::Internal,
                format!("the request could not be made: {other}"),
            ));
        }
    };
    Trouble::Failed(error)
}

/// What the transport needs to know of the exchange under way on this thread, and what it tells of it.
struct Exchange {
    /// Bounds the whole of it.
    budget: Watch,
    /// Bounds what is going on now.
    watch: Watch,
    connect_timeout: Duration,
    fresh: bool,
    /// Until it is sent.
    head: Option<Vec<u8>>,
    /// The connection was taken from the pool.
    kept: bool,
    sent: bool,
    received: usize,
    trouble: Option<Trouble>,
}

thread_local!(static EXCHANGE: RefCell<Option<Exchange>> = const { RefCell::new(None) });

fn with_exchange<R>(f: impl FnOnce(&mut Exchange) -> R) -> Option<R> {
    EXCHANGE.with_borrow_mut(|exchange| exchange.as_mut().map(f))
}

/// An exchange, from its beginning until this is dropped.
struct Begun;

impl Begun {
    fn new(ask: &mut Ask<'_>) -> Begun {
        EXCHANGE.set(Some(Exchange {
            budget: ask.watch.clone(),
            watch: ask.watch.clone(),
            connect_timeout: ask.connect_timeout,
            fresh: ask.fresh,
            head: Some(std::mem::take(&mut ask.head.0)),
            kept: true,
            sent: false,
            received: 0,
            trouble: None,
        }));
        Begun
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        EXCHANGE.set(None);
    }
}

/// Keeps the first thing that went wrong.
fn note(trouble: Trouble) {
    with_exchange(|exchange| {
        exchange.trouble.get_or_insert(trouble);
    });
}

/// Keeps what went wrong for `ask_reading`, and gives ureq something to stop for.
fn stop_ureq(trouble: Trouble) -> ureq::Error {
    note(trouble);
    ureq::Error::ConnectionFailed
}

/// ureq resolves before it looks at its pool; we resolve when a connection is opened.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut addresses = ResolvedSocketAddrs::from_fn(|_| nowhere);
        // ureq wants one at least.
        addresses.push(nowhere);
        Ok(addresses)
    }
}

/// Opens connections.
#[derive(Debug)]
struct Dialer {
    settings: Settings,
    lookups: Lookups,
}

impl Connector for Dialer {
    type Out = Kept;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Kept>, ureq::Error> {
        let https = details.needs_tls();
        let host = details.uri.host().unwrap_or_default();
        let port = details.uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let Some((budget, timeout)) = with_exchange(|exchange| {
            exchange.kept = false;
            (exchange.budget.clone(), exchange.connect_timeout)
        }) else {
            return Ok(None);
        };
        let watch = budget.until(Instant::now() + timeout);
        self.dial(https, host, port, &watch).map(Some).map_err(|trouble| {
            stop_ureq(match trouble {
                // By where it stood, unless it is the budget itself that ran out.
                Trouble::TooSlow(error) if Instant::now() < budget.deadline() => Trouble::Failed(error),
                Trouble::TooSlow(_) | Trouble::Stopped(Stop::Deadline) => Trouble::Stopped(Stop::Deadline),
                other => other,
            })
        })
    }
}

impl Dialer {
    fn dial(&self, https: bool, host: &str, port: u16, watch: &Watch) -> Result<Kept, Trouble> {
        let proxy = self.settings.proxies.serving(https, host, port);
        let (to_host, to_port) = proxy.map_or((host, port), |proxy| (proxy.host.as_str(), proxy.port));
        let addresses = self.lookups.resolve(to_host, watch).map_err(|t| through(proxy, t))?;
        let socket = connect::connect(to_host, &addresses, to_port, watch).map_err(|t| through(proxy, t))?;
        let mut wire = Wire::new(socket, host.to_owned());
        if https {
            if let Some(proxy) = proxy {
                tunnel(&mut wire, proxy, host, port, watch)?;
            }
            let config = match &self.settings.tls {
                Some(config) => Arc::clone(config),
                None => Arc::new(self.settings.trust.client_config().map_err(Trouble::Final)?),
            };
            let unusable =
                |e: &dyn fmt::Display| Trouble::Final(Error::new(Code::Tls, format!("TLS with {host}: {e}")));
            let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(name).map_err(|e| unusable(&e))?;
            let session = ClientConnection::new(config, name).map_err(|e| unusable(&e))?;
            wire.handshake(session, watch)?;
        }
        Ok(Kept {
            wire,
            buffers: LazyBuffers::new(INPUT_BUFFER, OUTPUT_BUFFER),
            absolute_form: proxy.filter(|_| !https).map(|proxy| {
                let authority = if port == 80 { host.to_owned() } else { format!("{host}:{port}") };
                (proxy.clone(), authority)
            }),
            in_use: true,
            spoiled: false,
        })
    }
}

/// Names the proxy as what could not be reached.
fn through(proxy: Option<&Proxy>, trouble: Trouble) -> Trouble {
    let Some(_) = proxy else { return trouble };
    let name = |error: Error| Error::new(error.code, format!("the proxy: {}", error.detail));
    match trouble {
        Trouble::Failed(error) => Trouble::Failed(name(error)),
        Trouble::TooSlow(error) => Trouble::TooSlow(name(error)),
        other => other,
    }
}

fn tunnel(wire: &mut Wire, proxy: &Proxy, host: &str, port: u16, watch: &Watch) -> Result<(), Trouble> {
    let failed = |why: &str| {
        Error::new(Code::Connect, format!("the proxy {proxy} opened no tunnel to {host} port {port}: {why}"))
    };
    let slow = |trouble| match trouble {
        Trouble::Stopped(Stop::Deadline) => Trouble::TooSlow(failed("no answer within the time allowed")),
        Trouble::Failed(error) => failed(&error.detail).into(),
        other => other,
    };
    wire.write_all(proxy.connect_request(host, port).as_bytes(), watch).map_err(slow)?;
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    // Byte by byte: what follows the head belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if wire.read(&mut byte, watch).map_err(slow)? == 0 {
            let why = if head.is_empty() { "it closed the connection" } else { "its answer is cut short" };
            return Err(failed(why).into());
        }
        head.push(byte[0]);
        if head.len() >= INPUT_BUFFER {
            return Err(failed("the head of its answer is too large").into());
        }
    }
    proxy.judge_tunnel(host, port, &head)
}

/// A connection as ureq's pool keeps it.
struct Kept {
    wire: Wire,
    buffers: LazyBuffers,
    /// For http through a proxy: which, and the authority that the absolute form names.
    absolute_form: Option<(Proxy, String)>,
    /// Between the request and the return to the pool. ureq probes on both sides of the idle time: on the way in,
    /// what has been read tells; on the way out, the socket does.
    in_use: bool,
    /// A 204 announced a body, which no 204 has, or may have done so: its bytes could be read as the next answer.
    spoiled: bool,
}

impl Kept {
    fn watch() -> Result<Watch, ureq::Error> {
        with_exchange(|exchange| exchange.watch.clone()).ok_or(ureq::Error::ConnectionFailed)
    }
}

impl Transport for Kept {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let told = with_exchange(|exchange| (exchange.watch.clone(), exchange.head.take()));
        // A second part would be a body, which no request of ours has.
        let Some((watch, Some(head))) = told else { return Err(ureq::Error::ConnectionFailed) };
        self.in_use = true;
        let rewritten = match &self.absolute_form {
            Some((proxy, authority)) => proxy.absolute_form(authority, &head),
            None => None,
        };
        let head = rewritten.as_ref().map_or(head.as_slice(), |rewritten| rewritten.as_slice());
        self.wire.write_all(head, &watch).map_err(stop_ureq)?;
        with_exchange(|exchange| exchange.sent = true);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let watch = Kept::watch()?;
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            let error = Error::new(
                Code::Protocol,
                format!("the head of the answer is larger than {INPUT_BUFFER} bytes"),
            );
            return Err(stop_ureq(error.into()));
        }
        let n = self.wire.read(room, &watch).map_err(stop_ureq)?;
        self.buffers.input_appended(n);
        let received = with_exchange(|exchange| {
            exchange.received += n;
            exchange.received
        });
        // As long as nothing has been consumed, it is a head, and not a body, that is coming in.
        let input = self.buffers.input();
        self.spoiled = self.spoiled || (received == Some(input.len()) && may_leave_bytes(input));
        Ok(n > 0)
    }

    fn is_open(&mut self) -> bool {
        if self.in_use {
            self.in_use = false;
            return !self.spoiled && !self.wire.has_pending_plaintext();
        }
        let wanted = with_exchange(|exchange| !exchange.fresh).unwrap_or(true);
        wanted && self.wire.is_quiet()
    }

    fn is_tls(&self) -> bool {
        self.wire.is_tls()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}
