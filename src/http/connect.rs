//! Opens connections: proxy, name, TCP, tunnel, TLS, each within the time that is left for all of them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::base::deadline::{Stop, Watch};
use crate::base::error::{Code, Error};
use crate::base::origin::Authority;

use super::exchange::MAX_HEAD;
use super::proxy::Proxy;
use super::resolver::Lookups;
use super::stream::Wire;
use super::{Settings, Trouble, tcp};

/// An open connection to where requests go.
pub struct Connection {
    pub wire: Wire,
    /// For http through a proxy: which, and the authority that the absolute form names.
    absolute_form: Option<(Proxy, Authority)>,
}

impl Connection {
    #[cfg(test)]
    pub fn direct(wire: Wire) -> Connection {
        Connection { wire, absolute_form: None }
    }

    /// Sends a whole head.
    pub fn send(&mut self, head: &[u8], watch: &Watch) -> Result<(), Trouble> {
        let rewritten = match &self.absolute_form {
            Some((proxy, at)) => proxy.absolute_form(at.as_str(), head),
            None => None,
        };
        self.wire.write_all(rewritten.as_ref().map_or(head, |rewritten| rewritten.as_slice()), watch)
    }
}

/// What it takes to open one.
#[derive(Debug)]
pub struct Dialer {
    settings: Settings,
    lookups: Lookups,
}

impl Dialer {
    pub fn new(settings: Settings) -> Dialer {
        Dialer { settings, lookups: Lookups::default() }
    }

    /// A new connection, within `timeout` and within the budget.
    pub fn dial(
        &self,
        https: bool,
        at: &Authority,
        timeout: Duration,
        budget: &Watch,
    ) -> Result<Connection, Trouble> {
        let watch = budget.until(Instant::now() + timeout);
        self.open(https, at, &watch).map_err(|trouble| match trouble {
            // By where it stood, unless it is the budget itself that ran out.
            Trouble::TooSlow(error) if Instant::now() < budget.deadline() => Trouble::Failed(error),
            Trouble::TooSlow(_) | Trouble::Stopped(Stop::Deadline) => Trouble::Stopped(Stop::Deadline),
            other => other,
        })
    }

    fn open(&self, https: bool, at: &Authority, watch: &Watch) -> Result<Connection, Trouble> {
        let (host, port) = (at.host(), at.port().unwrap_or(if https { 443 } else { 80 }));
        let proxy = self.settings.proxies.serving(https, host, port);
        let (to_host, to_port) = proxy.map_or((host, port), |proxy| (proxy.host.as_str(), proxy.port));
        let addresses = self.lookups.resolve(to_host, watch).map_err(|t| through(proxy, t))?;
        let socket = tcp::connect(to_host, &addresses, to_port, watch).map_err(|t| through(proxy, t))?;
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
        let absolute_form = proxy.filter(|_| !https).map(|proxy| (proxy.clone(), at.clone()));
        Ok(Connection { wire, absolute_form })
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
        if head.len() >= MAX_HEAD {
            return Err(failed("the head of its answer is too large").into());
        }
    }
    proxy.judge_tunnel(host, port, &head)
}
