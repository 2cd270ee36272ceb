//! New connections: proxy, name, TCP, tunnel and TLS, within one timeout for all of these steps.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::origin::Origin;

use super::error::TransportError;
use super::proxy::{Proxies, Proxy};
use super::resolver::Resolver;
use super::response_head::MAX_HEAD;
use super::stream::Stream;
use super::{tcp, tls};

/// What does not change for the life of a client.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The most connections that are kept.
    pub max_connections: usize,
    /// The proxies, and the hosts that they do not serve.
    pub proxies: Proxies,
    /// The TLS configuration. None if the endpoint is plain http: reading the roots can wait for a redirect to https.
    pub tls: Option<Arc<ClientConfig>>,
    /// What that configuration is made from.
    pub trust: tls::Trust,
}

/// An open connection to an origin, or to a proxy that forwards to it.
pub struct Connection {
    pub stream: Stream,
    /// For http through a proxy: the proxy, and the origin that the absolute form names.
    absolute_form: Option<(Proxy, Origin)>,
}

impl Connection {
    #[cfg(test)]
    pub fn direct(stream: Stream) -> Connection {
        Connection { stream, absolute_form: None }
    }

    /// Sends a whole head.
    pub fn send(&mut self, head: &[u8], deadline: &Deadline) -> Result<(), TransportError> {
        let rewritten = match &self.absolute_form {
            Some((proxy, origin)) => proxy.absolute_form(origin.authority(), head),
            None => None,
        };
        self.stream.write_all(rewritten.as_ref().map_or(head, |rewritten| rewritten.as_slice()), deadline)
    }
}

/// What it takes to open one.
#[derive(Debug)]
pub struct Connector {
    settings: HttpSettings,
    resolver: Resolver,
}

impl Connector {
    pub fn new(settings: HttpSettings) -> Connector {
        Connector { settings, resolver: Resolver::default() }
    }

    /// A new connection, within `timeout` and within the budget.
    pub fn connect(
        &self,
        origin: &Origin,
        timeout: Duration,
        budget: &Deadline,
    ) -> Result<Connection, TransportError> {
        let deadline = budget.capped_at(Instant::now() + timeout);
        self.open(origin, &deadline).map_err(|error| match error {
            // The code of the step that was slow, unless the whole budget has run out.
            TransportError::TimedOut(error) if Instant::now() < budget.instant() => {
                TransportError::Transient(error)
            }
            TransportError::TimedOut(_) | TransportError::Interrupted(Interrupted::DeadlinePassed) => {
                TransportError::Interrupted(Interrupted::DeadlinePassed)
            }
            other => other,
        })
    }

    fn tls_config(&self, origin: &Origin) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = &self.settings.tls {
            return Ok(Arc::clone(config));
        }
        // The endpoint is plain http, and redirected.
        let config = self.settings.trust.client_config();
        config.map(Arc::new).map_err(|error| {
            Error::new(error.code, format!("for the redirect to https://{origin}: {}", error.detail))
        })
    }

    fn open(&self, origin: &Origin, deadline: &Deadline) -> Result<Connection, TransportError> {
        let (host, port) = (origin.host(), origin.port());
        let proxy = self.settings.proxies.proxy_for(origin).map_err(TransportError::Permanent)?;
        let (to_host, to_port) = proxy.map_or((host, port), |proxy| (proxy.host.as_str(), proxy.port));
        let addresses = self.resolver.resolve(to_host, deadline).map_err(|t| with_proxy_context(proxy, t))?;
        let socket =
            tcp::connect(to_host, &addresses, to_port, deadline).map_err(|t| with_proxy_context(proxy, t))?;
        let mut stream = Stream::new(socket, host.to_owned());
        if origin.is_https() {
            if let Some(proxy) = proxy {
                tunnel(&mut stream, proxy, host, port, deadline)?;
            }
            let config = self.tls_config(origin).map_err(TransportError::Permanent)?;
            let unusable = |e: &dyn fmt::Display| {
                TransportError::Permanent(Error::new(Code::Tls, format!("TLS with {host}: {e}")))
            };
            let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(name).map_err(|e| unusable(&e))?;
            let session = ClientConnection::new(config, name).map_err(|e| unusable(&e))?;
            stream.handshake(session, deadline)?;
        }
        let absolute_form = proxy.filter(|_| !origin.is_https()).map(|proxy| (proxy.clone(), origin.clone()));
        Ok(Connection { stream, absolute_form })
    }
}

/// Names the proxy as what could not be reached.
fn with_proxy_context(proxy: Option<&Proxy>, error: TransportError) -> TransportError {
    let Some(_) = proxy else { return error };
    let name = |error: Error| Error::new(error.code, format!("the proxy: {}", error.detail));
    match error {
        TransportError::Transient(error) => TransportError::Transient(name(error)),
        TransportError::TimedOut(error) => TransportError::TimedOut(name(error)),
        other => other,
    }
}

fn tunnel(
    stream: &mut Stream,
    proxy: &Proxy,
    host: &str,
    port: u16,
    deadline: &Deadline,
) -> Result<(), TransportError> {
    let failed = |why: &str| proxy.no_tunnel(host, port, why);
    let slow = |error| match error {
        TransportError::Interrupted(Interrupted::DeadlinePassed) => {
            TransportError::TimedOut(failed("no response within the time allowed"))
        }
        TransportError::Transient(error) => failed(&error.detail).into(),
        other => other,
    };
    stream.write_all(proxy.connect_request(host, port).as_bytes(), deadline).map_err(slow)?;
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    // Byte by byte: what follows the head belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if stream.read(&mut byte, deadline).map_err(slow)? == 0 {
            let why = if head.is_empty() { "it closed the connection" } else { "its response is cut short" };
            return Err(failed(why).into());
        }
        head.push(byte[0]);
        if head.len() >= MAX_HEAD {
            return Err(failed("the head of its response is too large").into());
        }
    }
    proxy.check_connect_response(host, port, &head)
}
