//! The settings of a client with their defaults. Each is validated when it is set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;

use crate::auth::credentials::ProviderChoice;
use crate::base::error::Error;
use crate::base::origin::Origin;
use crate::http::proxy::Proxy;
use crate::http::tls;
use crate::obs::bucket::Addressing;
use crate::obs::sign::SignatureScheme;
use crate::operation::log::Log;

/// The choice of a proxy.
#[derive(Clone, Debug)]
pub enum ProxySetting {
    /// The proxy that the environment names.
    Environment,
    /// No proxy, whatever the environment says.
    Direct,
    /// This proxy.
    Proxy(Proxy),
}

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The endpoint of the service.
    pub endpoint: Option<Origin>,
    /// The source of credentials.
    pub credentials: Option<ProviderChoice>,
    /// The addressing of buckets.
    pub addressing: Addressing,
    /// The scheme of signatures. None: by the addressing.
    pub scheme: Option<SignatureScheme>,
    /// The timeout of one attempt's resolution, connection and handshake.
    pub connect_timeout: Duration,
    /// The longest silence of the server within one attempt.
    pub response_timeout: Duration,
    /// The budget of one abort, retries, waits and confirmation included.
    pub timeout: Duration,
    /// The most attempts of one operation. 1: no retry.
    pub max_attempts: u32,
    /// The most connections that are kept, and the workers of a call over many uploads.
    pub max_connections: u32,
    /// Roots to trust instead of the system's.
    pub ca_file: Option<Arc<RootCertStore>>,
    /// The certificate for a server that asks for one.
    pub identity: Option<Arc<tls::Identity>>,
    /// The choice of a proxy.
    pub proxy: ProxySetting,
    /// Whether an abort is confirmed by a list of the parts.
    pub confirm: bool,
    /// Whether the requester pays.
    pub request_payer: bool,
    /// The product before this library's in the User-Agent header.
    pub user_agent: Option<String>,
    /// The log callback.
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
            response_timeout: Duration::from_secs(20),
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

/// A config.
pub type Config = Draft<Settings>;

/// Settings under way, and the refusals of setters.
#[derive(Debug, Default)]
pub struct Draft<T> {
    /// The settings so far.
    pub settings: T,
    refused: Vec<(&'static str, Error)>,
}

impl<T> Draft<T> {
    /// Changes a setting. A refusal is remembered under its name until the same setting succeeds: a caller that
    /// ignored it must not get a client, or a sweep, with less safety than asked for.
    pub fn set(
        &mut self,
        name: &'static str,
        set: impl FnOnce(&mut T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outcome = set(&mut self.settings);
        self.refused.retain(|(refused, _)| *refused != name);
        if let Err(e) = &outcome {
            self.refused.push((name, e.clone()));
        }
        outcome
    }

    /// The first setting that was refused, with the reason.
    pub fn refusal(&self) -> Option<String> {
        self.refused.first().map(|(name, error)| format!("{name} was refused: {}", error.detail))
    }
}

impl Config {
    /// Returns the settings and the endpoint if all setters succeeded and the settings go together.
    pub fn checked(&self) -> Result<(&Settings, &Origin), Error> {
        if let Some(refusal) = self.refusal() {
            return Err(Error::config(refusal));
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
        Ok((settings, endpoint))
    }
}

/// Validates a number that may not be 0.
pub fn check_nonzero(what: &str, value: u32) -> Result<u32, Error> {
    if value == 0 {
        return Err(Error::argument(format!("{what} may not be 0")));
    }
    Ok(value)
}

/// Validates the number of connections, which is also that of the threads of a call.
pub fn check_max_connections(n: u32) -> Result<u32, Error> {
    if !(1..=1024).contains(&n) {
        return Err(Error::argument(format!("max_connections is {n}: 1 to 1024 are allowed")));
    }
    Ok(n)
}

/// Validates a path.
pub fn check_path(what: &str, path: &str) -> Result<PathBuf, Error> {
    if path.is_empty() {
        return Err(Error::argument(format!("the {what} is empty")));
    }
    Ok(PathBuf::from(path))
}

/// Validates a product for the User-Agent header.
pub fn check_user_agent(product: &str) -> Result<String, Error> {
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
