//! What a system trusts: files on Unix, and the certificate store of Windows.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

/// The sources of trusted roots.
#[derive(Debug, Default)]
pub struct Sources {
    /// A file of certificates.
    pub bundle: Option<PathBuf>,
    /// Directories of files that are named by a hash, as OpenSSL reads them.
    pub directories: Vec<PathBuf>,
    /// Certificates of a store that is no file.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// What to do on a system without roots.
#[cfg(unix)]
pub const ADVICE: &str = "install ca-certificates, or set a CA file or SSL_CERT_FILE";
#[cfg(windows)]
pub const ADVICE: &str = "its certificate store has none: set a CA file or SSL_CERT_FILE";

#[cfg(unix)]
impl Sources {
    /// The bundle of the system, or else its directories.
    ///
    /// Read directly: in 0.9 ms, against 4 to 30 ms by rustls-native-certs.
    pub fn system() -> Sources {
        // Of Debian and Arch, Fedora and RHEL (two), SUSE, and of Alpine, OpenBSD and macOS.
        let bundles = [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ];
        match bundles.iter().map(PathBuf::from).find(|path| path.exists()) {
            Some(bundle) => Sources { bundle: Some(bundle), ..Sources::default() },
            None => Sources {
                directories: ["/etc/ssl/certs", "/etc/pki/tls/certs"].map(PathBuf::from).into(),
                ..Sources::default()
            },
        }
    }
}

#[cfg(windows)]
impl Sources {
    /// The roots that the certificate store of this user trusts for servers, those of the machine included.
    ///
    /// Not by rustls-native-certs: it reads the environment again, and panics at a certificate whose uses can't be read.
    pub fn system() -> Sources {
        let store = schannel::cert_store::CertStore::open_current_user("ROOT");
        let certificates = store.iter().flat_map(|store| store.certs());
        Sources {
            certificates: certificates
                .filter(serves_for_servers)
                .map(|certificate| CertificateDer::from(certificate.to_der().to_vec()))
                .collect(),
            ..Sources::default()
        }
    }
}

#[cfg(windows)]
fn serves_for_servers(certificate: &schannel::cert_context::CertContext) -> bool {
    use schannel::cert_context::ValidUses;
    let is_for_servers = match certificate.valid_uses() {
        Ok(ValidUses::All) => true,
        // The extended key usage of TLS servers (RFC 5280, 4.2.1.12).
        Ok(ValidUses::Oids(uses)) => uses.iter().any(|oid| oid == "1.3.6.1.5.5.7.3.1"),
        Err(_) => false,
    };
    is_for_servers && certificate.is_time_valid().unwrap_or(false)
}
