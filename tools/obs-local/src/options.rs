//! How a server is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::quirk::ListQuirk;

/// The access key of `Options::default()`.
pub const ACCESS_KEY: &str = "LOCALACCESSKEY000001";
/// The secret key of `Options::default()`.
pub const SECRET_KEY: &str = "local/Secret+Key=0123456789abcdefghijklm";

/// Everything that can be chosen at the start. Take what you need and leave the rest:
/// `Options { latency: Duration::from_millis(20), ..Options::default() }`.
#[derive(Clone, Debug)]
pub struct Options {
    /// 127.0.0.1 and a free port.
    pub listen: SocketAddr,
    /// One key, `ACCESS_KEY` and `SECRET_KEY`. More can be added and removed while the server runs.
    pub access_keys: Vec<AccessKey>,
    /// Off: any signature, or none, will do (for benchmarks of something else).
    pub verify: bool,
    /// Hosts below which the first labels name a bucket (`localhost`, `obs.test`); the hosts themselves, and IP literals, take
    /// the bucket from the path.
    pub domains: Vec<String>,
    /// Custom domains: host and bucket.
    pub custom_domains: Vec<(String, String)>,
    /// Buckets that exist from the start.
    pub buckets: Vec<String>,
    /// What each answer waits, counted from the request's arrival; requests do not wait for each other.
    pub latency: Duration,
    /// How far the server's clock is ahead of the machine's, in seconds.
    pub clock_offset_s: i64,
    pub rate: Option<Rate>,
    /// A listing's page has at most this many uploads or objects, whatever was asked for (1000).
    pub page_cap: usize,
    /// The same for parts (1000).
    pub parts_page_cap: usize,
    /// The same for buckets; None: 1000 if pages are asked for, else all of them.
    pub buckets_page_cap: Option<usize>,
    pub bucket_paging: BucketPaging,
    /// Of the list of uploads.
    pub list_quirks: Vec<ListQuirk>,
    /// Of the list of parts.
    pub parts_quirks: Vec<ListQuirk>,
    /// Of the list of buckets.
    pub buckets_quirks: Vec<ListQuirk>,
    /// Lists show the uploads as they were so many listings before. For servers of one bucket.
    pub list_lag: usize,
    /// What lists say of every upload's Initiated, whenever it was initiated.
    pub initiated: Option<String>,
    pub tls: Option<Tls>,
    pub journal: JournalMode,
    /// Each answered request as one line of JSON.
    pub journal_file: Option<PathBuf>,
    /// Of the faults with a probability.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            access_keys: vec![AccessKey::new(ACCESS_KEY, SECRET_KEY)],
            verify: true,
            domains: vec!["localhost".into(), "obs.test".into()],
            custom_domains: Vec::new(),
            buckets: Vec::new(),
            latency: Duration::ZERO,
            clock_offset_s: 0,
            rate: None,
            page_cap: 1000,
            parts_page_cap: 1000,
            buckets_page_cap: None,
            bucket_paging: BucketPaging::Marker,
            list_quirks: Vec::new(),
            parts_quirks: Vec::new(),
            buckets_quirks: Vec::new(),
            list_lag: 0,
            initiated: None,
            tls: None,
            journal: JournalMode::Full,
            journal_file: None,
            seed: 1,
        }
    }
}

/// An access key; with a security token it is temporary, and requests must carry (and sign) the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    pub access_key: String,
    pub secret_key: String,
    pub security_token: Option<String>,
}

impl AccessKey {
    pub fn new(access_key: &str, secret_key: &str) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into(), security_token: None }
    }

    pub fn temporary(access_key: &str, secret_key: &str, security_token: &str) -> Self {
        Self { security_token: Some(security_token.into()), ..Self::new(access_key, secret_key) }
    }
}

/// A token bucket: `burst` requests at once, then `per_second`. What goes beyond is answered 503 SlowDown and not executed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
    /// Sent as `Retry-After` with each 503.
    pub retry_after_s: Option<u64>,
}

impl Rate {
    /// `per_second` requests a second, in bursts of a tenth of that.
    pub fn per_second(per_second: f64) -> Self {
        Self { per_second, burst: (per_second / 10.0).max(1.0), retry_after_s: None }
    }
}

/// How a list of buckets is paged; a server knows one of these, and ignores the other's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketPaging {
    /// `max-keys` and `marker`, answered by IsTruncated and NextMarker (as Huawei's SDK for Go has it).
    Marker,
    /// `max-buckets` and `continuation-token`, answered by ContinuationToken if there is more (Amazon S3).
    Token,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate, then the intermediate ones.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Clients must show a certificate that one of these issued.
    pub client_ca: Option<PathBuf>,
    pub versions: TlsVersions,
}

impl Tls {
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            client_ca: None,
            versions: TlsVersions::Both,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersions {
    Both,
    Only12,
    Only13,
}

/// How much of each request is kept; counts are kept always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    Full,
    /// The last so many requests.
    Last(usize),
    /// Nothing but counts: memory stays flat over millions of requests.
    CountsOnly,
}
