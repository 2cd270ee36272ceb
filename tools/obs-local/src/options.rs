//! How a server is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

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
    /// A listing's page has at most this many entries, whatever was asked for (1000).
    pub page_cap: usize,
    pub list_quirks: Vec<ListQuirk>,
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
            list_quirks: Vec::new(),
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

/// What real servers and proxies get wrong in a list of uploads. A page that fails or lacks its Date is a
/// [`Fault`](crate::Fault) with `query("uploads")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListQuirk {
    /// Every truncated page names the markers that were sent (or the page's first upload): the listing never advances.
    RepeatMarkers,
    /// IsTruncated is true, and there are no markers.
    OmitMarkers,
    /// The next markers lie before the ones sent.
    BackwardMarkers,
    /// encoding-type=url is not understood: keys as they are, and no EncodingType.
    IgnoreEncodingType,
    /// Keys are encoded, but the answer does not say so.
    HideEncodingType,
    /// Keys are encoded without being asked for, and the answer says so.
    ForceEncodingType,
    /// The document ends in the middle, and its length says that it is whole.
    TruncatedXml,
    /// The root is ListBucketResult, as when a proxy strips the query.
    WrongRoot,
    OmitIsTruncated,
    /// Uploads outside the prefix are listed too.
    IgnorePrefix,
    /// The uploads of one key come by the time they were initiated, not by id.
    OrderByTime,
    /// upload-id-marker is not understood: the uploads of a key that do not fit on its first page are never listed.
    PageByKey,
    /// EncodingType is echoed, and the keys are as they are (SeaweedFS).
    EchoEncodingType,
    /// max-uploads is not understood: pages of as many uploads as the cap allows (the MinIO family).
    IgnoreMaxUploads,
    /// Control characters in keys stand in the XML as they are: not well formed.
    RawControlCharacters,
}
