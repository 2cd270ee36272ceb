//! A client: fixed settings, replaceable credentials, a corrected clock, and the connections of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::auth::credentials::{Credentials, CredentialsError, CredentialsProvider, ProviderChoice};
use crate::auth::ecs::{self, EcsProvider};
use crate::base::date;
use crate::base::deadline::{self, CancelFlag, Deadline};
use crate::base::error::Error;
use crate::base::origin::Origin;
use crate::base::panic::internal;
use crate::base::sys::fork;
use crate::base::text::{sanitize, without_secrets};
use crate::http::proxy::Proxies;
use crate::http::{self, HttpClient, tls};
use crate::obs::bucket::Bucket;
use crate::operation::call::CallOptions;
use crate::operation::config::{Config, ProxySetting, Settings};
use crate::operation::log::{Log, Logger};

/// A client, shared by any number of threads. Nothing in it that outlives a fork is guarded by a lock.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    endpoint: Origin,
    user_agent: String,
    http_settings: http::HttpSettings,
    last_bucket: ArcSwapOption<Bucket>,
    provider: Arc<ArcSwap<CredentialsProvider>>,
    /// Only if the config asks for credentials from ECS.
    ecs: Option<Arc<EcsProvider>>,
    /// The server's clock minus this machine's, in seconds.
    clock_offset: AtomicI64,
    shutdown: CancelFlag,
    process: ArcSwap<ProcessState>,
    secrets: CurrentSecrets,
}

/// The secrets that a client has now. An attempt knows its own; these are for texts that outlive the attempt that they
/// came with, such as the keys of a listing.
#[derive(Clone, Debug)]
struct CurrentSecrets {
    provider: Arc<ArcSwap<CredentialsProvider>>,
    ecs: Option<Arc<EcsProvider>>,
    proxies: Proxies,
}

impl CurrentSecrets {
    fn remove_from(&self, text: String) -> String {
        let credentials = match &**self.provider.load() {
            CredentialsProvider::Static(credentials) => Some(Arc::clone(credentials)),
            CredentialsProvider::Ecs => self.ecs.as_ref().and_then(|ecs| ecs.current()),
            CredentialsProvider::Missing(_) => None,
        };
        let of_credentials = credentials.iter().flat_map(|credentials| credentials.secrets());
        let secrets: Vec<&str> = of_credentials.chain(self.proxies.secrets()).collect();
        without_secrets(text, &secrets)
    }

    /// The same log, without secrets in its lines.
    fn filter(self, log: Log) -> Log {
        let sink = log.sink;
        Log { level: log.level, sink: Arc::new(move |level, line| sink(level, self.remove_from(line))) }
    }
}

/// The state of one process: locks, threads, sockets. A forked child leaks its parent's, and makes its own.
#[derive(Debug)]
pub struct ProcessState {
    generation: u64,
    /// The connections.
    pub http: HttpClient,
    /// The fetches of an agency's credentials.
    pub fetches: Arc<ecs::FetchState>,
}

impl ProcessState {
    fn new(settings: &http::HttpSettings) -> ProcessState {
        let mut settings = settings.clone();
        // A new cache of TLS sessions: the parent's has a lock, and its sessions belong to the parent.
        settings.tls = settings.tls.map(|config| {
            let mut own = rustls::ClientConfig::clone(&config);
            own.resumption = rustls::client::Resumption::default();
            Arc::new(own)
        });
        ProcessState {
            generation: fork::generation(),
            http: HttpClient::new(settings),
            fetches: Arc::default(),
        }
    }
}

impl Client {
    /// Validates the config as a whole, and reads the environment and the trusted roots.
    pub fn new(config: &Config) -> Result<Client, Error> {
        let (settings, endpoint) = config.checked()?;
        let (mut settings, endpoint) = (settings.clone(), endpoint.clone());
        // A value that is not UTF-8 becomes a URL that is refused, rather than no proxy.
        let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let proxies = match &settings.proxy {
            ProxySetting::Environment => Proxies::from_env(variable),
            ProxySetting::Direct => Proxies::default(),
            ProxySetting::Proxy(proxy) => Proxies::fixed(proxy.clone()),
        };
        proxies.proxy_for(&endpoint)?;
        let trust = tls::Trust {
            ca_file: settings.ca_file.clone(),
            environment: tls::Environment::read(),
            identity: settings.identity.clone(),
        };
        let tls = if endpoint.is_https() { Some(Arc::new(trust.client_config()?)) } else { None };
        let product = concat!("libobsabort/", env!("CARGO_PKG_VERSION"));
        let user_agent = match &settings.user_agent {
            Some(own) => format!("{own} {product}"),
            None => product.to_owned(),
        };
        let http_settings =
            http::HttpSettings { max_connections: settings.max_connections as usize, proxies, tls, trust };
        fork::watch();
        let provider = ProviderChoice::resolve(settings.credentials.as_ref());
        let ecs =
            matches!(provider, CredentialsProvider::Ecs).then(|| Arc::new(EcsProvider::new(&user_agent)));
        let provider = Arc::new(ArcSwap::from_pointee(provider));
        let proxies = http_settings.proxies.clone();
        let secrets = CurrentSecrets { provider: Arc::clone(&provider), ecs: ecs.clone(), proxies };
        settings.log = settings.log.take().map(|log| secrets.clone().filter(log));
        Ok(Client {
            last_bucket: ArcSwapOption::empty(),
            provider,
            secrets,
            ecs,
            clock_offset: AtomicI64::new(0),
            shutdown: CancelFlag::default(),
            process: ArcSwap::from_pointee(ProcessState::new(&http_settings)),
            settings,
            endpoint,
            user_agent,
            http_settings,
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The User-Agent header.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Returns the bucket of this name, validated, with this client's addressing.
    pub fn bucket(&self, name: &str) -> Result<Arc<Bucket>, Error> {
        // Most clients know one bucket.
        if let Some(last) = self.last_bucket.load().as_ref().filter(|last| last.name() == name) {
            return Ok(Arc::clone(last));
        }
        let Settings { addressing, scheme, .. } = self.settings;
        let bucket = Arc::new(Bucket::new(&self.endpoint, addressing, scheme, name)?);
        self.last_bucket.store(Some(Arc::clone(&bucket)));
        Ok(bucket)
    }

    /// Returns the service itself, which lists buckets.
    pub fn service(&self) -> Result<Bucket, Error> {
        let Settings { addressing, scheme, .. } = self.settings;
        Bucket::service(&self.endpoint, addressing, scheme)
    }

    /// The deadline of a call that begins now and has `budget`.
    pub fn deadline(&self, call: &CallOptions, budget: Duration) -> Deadline {
        Deadline::new(deadline::after(budget), self.shutdown.clone(), call.cancelled.clone())
    }

    /// The deadline of one upload, or of one page, of a call with the deadline `whole`.
    pub fn per_upload_deadline(&self, whole: &Deadline) -> Deadline {
        whole.capped_at(deadline::after(self.settings.timeout))
    }

    /// The state of this process, made anew after a fork.
    pub fn process_state(&self) -> Arc<ProcessState> {
        let current = self.process.load_full();
        if current.generation == fork::generation() {
            return current;
        }
        let own = Arc::new(ProcessState::new(&self.http_settings));
        let old = self.process.swap(Arc::clone(&own));
        for not_ours in [current, old] {
            if not_ours.generation != own.generation {
                // Dropping it would close the parent's TLS sessions, and take locks that nobody will release.
                std::mem::forget(not_ours);
            }
        }
        own
    }

    /// Returns the credentials for the next attempt.
    pub fn credentials(&self, deadline: &Deadline) -> Result<Arc<Credentials>, CredentialsError> {
        match &**self.provider.load() {
            CredentialsProvider::Static(credentials) => Ok(Arc::clone(credentials)),
            CredentialsProvider::Missing(error) => Err(CredentialsError::Unavailable(error.clone())),
            CredentialsProvider::Ecs => {
                let ecs = self.ecs.as_ref().ok_or_else(|| {
                    CredentialsError::Unavailable(internal("a client for ECS without its provider"))
                })?;
                // Expiry is measured by this machine's clock, as when they were fetched: not by the storage service's.
                ecs.credentials(&self.process_state().fetches, date::unix_now(), deadline)
            }
        }
    }

    /// Returns whether credentials that the service refuses can be replaced by others of the same source.
    pub fn can_renew_credentials(&self) -> bool {
        matches!(&**self.provider.load(), CredentialsProvider::Ecs)
    }

    /// Has the credentials fetched anew, unless others have taken the place of the refused ones already.
    pub fn renew_credentials(
        &self,
        refused: &Arc<Credentials>,
        deadline: &Deadline,
    ) -> Result<(), CredentialsError> {
        match &self.ecs {
            Some(ecs) if self.can_renew_credentials() => {
                ecs.renew(&self.process_state().fetches, refused, deadline)
            }
            _ => Ok(()),
        }
    }

    /// Replaces the credentials, whatever their source.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.provider.store(Arc::new(CredentialsProvider::Static(Arc::new(credentials))));
    }

    /// The time in Unix seconds by the server's clock, as far as that is known.
    pub fn now(&self) -> i64 {
        date::unix_now().saturating_add(self.clock_offset())
    }

    /// The server's clock minus this machine's, in seconds.
    pub fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed)
    }

    /// Corrects the clock.
    pub fn set_clock_offset(&self, offset: i64) {
        self.clock_offset.store(offset, Ordering::Relaxed);
    }

    /// Cancels every call in flight, and every later one.
    pub fn shutdown(&self) {
        self.shutdown.set();
        self.process_state().http.shutdown();
    }

    /// The proxy on the way to this origin, as host and port, for messages.
    pub fn proxy_for(&self, origin: &Origin) -> Option<String> {
        self.http_settings.proxies.proxy_for(origin).ok().flatten().map(ToString::to_string)
    }

    /// The proxies' secrets, which a server or a proxy might echo.
    pub fn proxy_secrets(&self) -> impl Iterator<Item = &str> {
        self.http_settings.proxies.secrets()
    }

    /// Text of a listing, made fit for a message.
    pub fn sanitize(&self, text: &str) -> String {
        sanitize(self.secrets.remove_from(text.to_owned()), &[])
    }

    /// The log of a thread that makes a call.
    pub fn logger(&self) -> Logger<'_> {
        Logger::direct(self.settings.log.as_ref())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let current = self.process.load_full();
        if current.generation != fork::generation() {
            std::mem::forget(current);
        }
    }
}
