//! TLS: roots of trust, client certificates, and the messages of failures. There is no switch that turns verification
//! off.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, PeerIncompatible, RootCertStore};

use crate::base::error::{Code, Error};
use crate::base::sys::descriptors::{error_text, is_exhaustion};
use crate::base::sys::file;
use crate::base::sys::roots::{ADVICE, Sources};

use super::error::TransportError;

/// The roots that were read last, kept for the process as long as their files and the system's store are the same: a
/// daemon's next client trusts what a replaced bundle says. Without a lock: if one were held at a fork, the child would
/// hang. Parsing twice does no harm.
static ROOTS: ArcSwapOption<CachedRoots> = ArcSwapOption::const_empty();

struct CachedRoots {
    files: Vec<FileVersion>,
    certificates: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

/// What tells a file from the one that takes its place.
#[derive(Debug, PartialEq)]
struct FileVersion {
    path: PathBuf,
    identity: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

impl FileVersion {
    fn read(path: PathBuf) -> Option<FileVersion> {
        let metadata = std::fs::metadata(&path).ok()?;
        Some(FileVersion {
            path,
            identity: file::identity(&metadata),
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

/// The size of the largest PEM file that is read. A bundle of all public roots has a quarter of a megabyte.
const MAX_PEM: u64 = 16 * 1024 * 1024;

/// Reads a whole file, up to a limit: the path may name a device that never ends.
fn read_pem(path: &Path) -> io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    let length = File::open(path)?.take(MAX_PEM + 1).read_to_end(&mut pem)?;
    if length as u64 > MAX_PEM {
        return Err(io::Error::other(format!("it is larger than {MAX_PEM} bytes")));
    }
    Ok(pem)
}

/// Reads the certificates of a PEM file that can serve as roots.
pub fn roots_from(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    add_roots(&mut roots, path)?;
    Ok(roots)
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let pem = read_pem(path).map_err(|e| unusable_roots(path, error_text(&e)))?;
    add_certificates(roots, path, &pem)
}

fn unusable_roots(path: &Path, why: impl Display) -> Error {
    Error::config(format!("the CA file {path:?} can't be used: {why}"))
}

fn add_certificates(roots: &mut RootCertStore, path: &Path, pem: &[u8]) -> Result<(), Error> {
    let before = roots.len();
    let (mut seen, mut refused) = (0_usize, None);
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|e| unusable_roots(path, format_args!("it is not PEM: {e}")))?;
        seen += 1;
        // Bundles hold a few certificates that webpki can't read. The others serve.
        if let Err(e) = roots.add(certificate) {
            refused = Some(e);
        }
    }
    match (roots.len() == before, refused) {
        (false, _) => Ok(()),
        (true, None) => Err(unusable_roots(path, "it holds no certificate")),
        (true, Some(e)) => {
            Err(unusable_roots(path, format_args!("none of its {seen} certificates can be read: {e}")))
        }
    }
}

/// The sources of trusted roots that the environment names, if the caller sets no CA file.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// SSL_CERT_FILE: a bundle.
    pub ssl_cert_file: Option<PathBuf>,
    /// SSL_CERT_DIR: directories of files that are named by a hash, as OpenSSL reads them.
    pub ssl_cert_dir: Vec<PathBuf>,
}

impl Environment {
    /// Reads the variables. Either, or both, take the place of the system's store.
    pub fn read() -> Environment {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let directories = variable("SSL_CERT_DIR").unwrap_or_default();
        Environment {
            ssl_cert_file: variable("SSL_CERT_FILE").map(PathBuf::from),
            ssl_cert_dir: std::env::split_paths(&directories)
                .filter(|path| !path.as_os_str().is_empty())
                .collect(),
        }
    }

    /// What to read: what the variables name, or else the system's.
    fn sources(&self) -> Sources {
        if self.ssl_cert_file.is_some() || !self.ssl_cert_dir.is_empty() {
            return Sources {
                bundle: self.ssl_cert_file.clone(),
                directories: self.ssl_cert_dir.clone(),
                certificates: Vec::new(),
            };
        }
        Sources::system()
    }

    /// The roots, read anew if a file has changed.
    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let Sources { bundle, directories, certificates } = self.sources();
        let mut in_directories = Vec::new();
        for directory in &directories {
            // A directory that is not there has no files.
            let files = unless_exhausted(hashed_files(directory), directory)?;
            in_directories.extend(files.unwrap_or_default());
        }
        // Looked at before they are read: a file that is replaced meanwhile is read again next time.
        let files: Vec<_> =
            bundle.iter().cloned().chain(in_directories).filter_map(FileVersion::read).collect();
        if let Some(cached) = &*ROOTS.load()
            && cached.files == files
            && cached.certificates == certificates
            && !(files.is_empty() && certificates.is_empty())
        {
            return Ok(Arc::clone(&cached.roots));
        }
        let mut roots = RootCertStore::empty();
        if let Some(bundle) = &bundle {
            add_roots(&mut roots, bundle)?;
        }
        for file in files.iter().filter(|file| Some(&file.path) != bundle.as_ref()) {
            // Of a directory, what can be read serves.
            if let Some(pem) = unless_exhausted(read_pem(&file.path), &file.path)? {
                let _ = add_certificates(&mut roots, &file.path, &pem);
            }
        }
        roots.add_parsable_certificates(certificates.iter().cloned());
        if roots.is_empty() {
            return Err(self.no_roots());
        }
        let roots = Arc::new(roots);
        ROOTS.store(Some(Arc::new(CachedRoots { files, certificates, roots: Arc::clone(&roots) })));
        Ok(roots)
    }

    fn no_roots(&self) -> Error {
        if self.ssl_cert_dir.is_empty() {
            return Error::config(format!("no trusted roots on this system: {ADVICE}"));
        }
        Error::config(format!(
            "SSL_CERT_DIR {:?} holds no certificate that can be read: its files must be PEM and named by hash (openssl rehash)",
            self.ssl_cert_dir
        ))
    }
}

/// The files of a directory that OpenSSL would look at: eight hexadecimal digits, a dot, a number. Sorted, so that two
/// readings can be compared.
fn hashed_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let is_hashed = |name: &str| {
        name.split_once('.').is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|b| b.is_ascii_hexdigit())
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_hashed))
        .map(|entry| entry.path())
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// Ignores an error, unless no file descriptor was left: what is missing now would be missing from the cached roots, too.
fn unless_exhausted<T>(read: io::Result<T>, path: &Path) -> Result<Option<T>, Error> {
    match read {
        Err(e) if is_exhaustion(&e) => Err(unusable_roots(path, error_text(&e))),
        read => Ok(read.ok()),
    }
}

/// A client certificate with its chain and its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Reads a client certificate and its key from PEM files.
pub fn identity_from(certificate: &Path, key: &Path) -> Result<Identity, Error> {
    let unusable = |path: &Path, why: String| {
        Error::config(format!("the client certificate: {path:?} can't be used: {why}"))
    };
    let pem = read_pem(certificate).map_err(|e| unusable(certificate, error_text(&e)))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| unusable(certificate, e.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "it holds no certificate".into()));
    }
    if let Some(e) = chain.iter().find_map(|der| rustls::server::ParsedCertificate::try_from(der).err()) {
        return Err(unusable(certificate, e.to_string()));
    }
    let pem = read_pem(key).map_err(|e| unusable(key, error_text(&e)))?;
    let key_der = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| unusable(key, e.to_string()))?;
    let signer =
        rustls::crypto::ring::sign::any_supported_type(&key_der).map_err(|e| unusable(key, e.to_string()))?;
    // Checked here, since a client for a plain http endpoint never uses them.
    match rustls::sign::CertifiedKey::new(chain.clone(), signer).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(_) => {
            return Err(unusable(key, format!("it is not the key of the certificate in {certificate:?}")));
        }
    }
    Ok(Identity { chain, key: key_der })
}

/// The sources of a TLS configuration.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Roots to trust instead of the system's.
    pub ca_file: Option<Arc<RootCertStore>>,
    /// What is trusted otherwise.
    pub environment: Environment,
    /// The certificate for a server that asks for one.
    pub identity: Option<Arc<Identity>>,
}

impl Trust {
    /// Makes the configuration of a client's TLS connections.
    pub fn client_config(&self) -> Result<ClientConfig, Error> {
        let roots = match &self.ca_file {
            Some(roots) => Arc::clone(roots),
            None => self.environment.roots()?,
        };
        verifying_config(roots, self.identity.as_deref())
    }
}

fn verifying_config(roots: Arc<RootCertStore>, identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let unusable = |e: &dyn std::fmt::Display| Error::config(format!("TLS can't be set up: {e}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|e| unusable(&e))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| unusable(&e))?
        .with_webpki_verifier(verifier);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|e| Error::config(format!("the client certificate and its key can't be used: {e}"))),
    }
}

/// The failure of a handshake with a server that answers it in HTTP.
pub fn plain_http(host: &str) -> Error {
    let why =
        "the server answered in plain HTTP: give its https port, or an endpoint that begins with http://";
    Error::new(Code::Tls, format!("TLS with {host}: {why}"))
}

/// How the message begins if a certificate is for another host.
pub const NOT_FOR_THE_NAME: &str = "the server's certificate is not for the name";

/// Turns a failure into a message that says what to do. A failure that would repeat itself is permanent.
pub fn failure(host: &str, error: &rustls::Error) -> TransportError {
    use rustls::Error as E;
    let (why, last_word) = match error {
        E::InvalidCertificate(refusal) => (certificate_rejection(host, refusal), true),
        E::AlertReceived(alert) => match alert {
            AlertDescription::ProtocolVersion => {
                ("the server shares no TLS version with us (1.2 and 1.3)".to_owned(), true)
            }
            AlertDescription::HandshakeFailure => (
                "the server shares no TLS version or cipher suite with us, or wants a client certificate"
                    .to_owned(),
                true,
            ),
            AlertDescription::CertificateRequired => {
                ("the server wants a client certificate: set one".to_owned(), true)
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => {
                (format!("the server refuses our client certificate ({alert:?})"), true)
            }
            AlertDescription::UnrecognisedName => (format!("the server does not know the name {host}"), true),
            alert => (format!("the server sent the alert {alert:?}"), false),
        },
        E::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => ("the server shares no TLS version with us (1.2 and 1.3)".to_owned(), true),
        E::PeerIncompatible(reason) => {
            (format!("the server shares too little of TLS with us ({reason:?})"), true)
        }
        E::InvalidMessage(_) => ("what answered is not TLS: is this a plain HTTP port?".to_owned(), false),
        E::NoCertificatesPresented => ("the server shows no certificate".to_owned(), true),
        other => (other.to_string(), false),
    };
    let error = Error::new(Code::Tls, format!("TLS with {host}: {why}"));
    if last_word { TransportError::Permanent(error) } else { TransportError::Transient(error) }
}

fn certificate_rejection(host: &str, refusal: &CertificateError) -> String {
    let day = |at: UnixTime| {
        let text = crate::base::date::rfc1123(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
        String::from_utf8_lossy(&text).into_owned()
    };
    match refusal {
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}", day(*not_after))
        }
        CertificateError::NotValidYet => {
            "the server's certificate is not valid yet: check this machine's clock".to_owned()
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the server's certificate is not valid yet, but from {}: check this machine's clock",
                day(*not_before)
            )
        }
        CertificateError::UnknownIssuer => {
            "the server's certificate comes from an unknown issuer: set a CA file that holds its CA"
                .to_owned()
        }
        CertificateError::NotValidForName => format!("{NOT_FOR_THE_NAME} {host}"),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let mut why = format!("{NOT_FOR_THE_NAME} {host}");
            if let Some(first) = presented.first() {
                let _ = write!(why, " but for {first}");
            }
            why
        }
        CertificateError::Revoked => "the server's certificate is revoked".to_owned(),
        // An error of webpki that rustls has no variant for.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server's certificate is itself marked as a CA (self-signed, CA:TRUE), which is refused: \
             have the server use one that a CA issued, and set that CA as the CA file"
                .to_owned()
        }
        other => format!("the server's certificate is refused: {other}"),
    }
}
