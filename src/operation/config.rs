//! What a client is made from: plain settings with their defaults, each checked when it is set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;

use crate::auth::credentials::Choice;
use crate::base::error::Error;
use crate::base::origin::Origin;
use crate::http::proxy::Proxy;
use crate::http::tls;
use crate::obs::bucket::Addressing;
use crate::obs::sign::Scheme;

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Calls that failed.
    Error = 1,
    /// Attempts that failed and will be repeated.
    Warn = 2,
    /// What each call came to.
    Info = 3,
    /// Every request and response.
    Debug = 4,
}

/// Takes a line.
pub type Sink = Arc<dyn Fn(Level, String) + Send + Sync>;

/// Who is told.
#[derive(Clone)]
pub struct Log {
    /// The most that is told.
    pub level: Level,
    /// Called only on threads that are inside a call, with no lock held.
    pub sink: Sink,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({:?})", self.level)
    }
}

/// Which proxy requests go through.
#[derive(Clone, Debug)]
pub enum ProxySetting {
    /// What the environment says.
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one.
    Proxy(Proxy),
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the service is.
    pub endpoint: Option<Origin>,
    /// Whose keys are used.
    pub credentials: Option<Choice>,
    /// How the bucket is addressed.
    pub addressing: Addressing,
    /// The scheme of signatures. None: by the addressing.
    pub scheme: Option<Scheme>,
    /// One attempt's resolution, connection and handshake.
    pub connect_timeout: Duration,
    /// One abort with all that belongs to it.
    pub timeout: Duration,
    /// 1 = no retry.
    pub max_attempts: u32,
    /// Kept open, and used at once by many and stale.
    pub max_connections: u32,
    /// Trusted instead of the system's roots.
    pub ca_file: Option<Arc<RootCertStore>>,
    /// Shown to a server that asks.
    pub identity: Option<Arc<tls::Identity>>,
    /// The proxy, if any.
    pub proxy: ProxySetting,
    /// Whether the parts are listed after the abort.
    pub confirm: bool,
    /// Whether the requester pays.
    pub request_payer: bool,
    /// Put before our own product.
    pub user_agent: Option<String>,
    /// Who is told what happens.
    pub log: Option<Log>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            endpoint: None,
            credentials: None,
            addressing: Addressing::Auto,
            scheme: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            max_attempts: 4,
            max_connections: 32,
            ca_file: None,
            identity: None,
            proxy: ProxySetting::Environment,
            confirm: false,
            request_payer: false,
            user_agent: None,
            log: None,
        }
    }
}

/// Settings, and which of them were refused when they were set.
#[derive(Debug, Default)]
pub struct Config {
    /// What is set so far.
    pub settings: Settings,
    refused: Vec<(&'static str, Error)>,
}

impl Config {
    /// Sets one thing. A refusal is remembered under its name until the same thing is set rightly: a caller who
    /// ignored it must not be served with less safety than asked for.
    pub fn set(
        &mut self,
        name: &'static str,
        set: impl FnOnce(&mut Settings) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outcome = set(&mut self.settings);
        self.refused.retain(|(refused, _)| *refused != name);
        if let Err(e) = &outcome {
            self.refused.push((name, e.clone()));
        }
        outcome
    }

    /// What can only be judged together.
    pub fn checked(&self) -> Result<&Settings, Error> {
        if let Some((name, error)) = self.refused.first() {
            return Err(Error::config(format!("{name} was refused: {}", error.detail)));
        }
        let settings = &self.settings;
        let Some(endpoint) = &settings.endpoint else {
            return Err(Error::config("no endpoint: call obs_abort_config_set_endpoint"));
        };
        if endpoint.is_ip_literal() && settings.addressing == Addressing::VirtualHost {
            return Err(Error::config(
                "addressing VIRTUAL_HOST can't go with an endpoint that is an IP address: use PATH or AUTO",
            ));
        }
        Ok(settings)
    }
}

/// A number that may not be 0.
pub fn nonzero(what: &str, value: u32) -> Result<u32, Error> {
    if value == 0 {
        return Err(Error::argument(format!("{what} may not be 0")));
    }
    Ok(value)
}

/// How many connections, and so how many threads, a call may use at once.
pub fn max_connections(n: u32) -> Result<u32, Error> {
    if !(1..=1024).contains(&n) {
        return Err(Error::argument(format!("max_connections is {n}: 1 to 1024 are allowed")));
    }
    Ok(n)
}

/// A path that is not empty.
pub fn path(what: &str, path: &str) -> Result<PathBuf, Error> {
    if path.is_empty() {
        return Err(Error::argument(format!("the {what} is empty")));
    }
    Ok(PathBuf::from(path))
}

/// A product for the User-Agent header.
pub fn user_agent(product: &str) -> Result<String, Error> {
    if product.is_empty() {
        return Err(Error::argument("the user agent is empty"));
    }
    if product.len() > 256 {
        return Err(Error::argument("the user agent is too long: 256 characters are allowed"));
    }
    if !product.bytes().all(|b| b.is_ascii_graphic() || b == b' ') || product.trim() != product {
        return Err(Error::argument(
            "the user agent has a character other than visible ASCII and spaces within",
        ));
    }
    Ok(product.to_owned())
}
