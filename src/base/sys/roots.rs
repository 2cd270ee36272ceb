//! What a system trusts.

use std::path::PathBuf;

/// The bundles of roots of Debian and Arch, Fedora and RHEL (two), SUSE, and of Alpine, OpenBSD and macOS.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The directories of systems that have no bundle.
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Where trusted roots are read from.
#[derive(Debug)]
pub struct Sources {
    /// A file of certificates.
    pub bundle: Option<PathBuf>,
    /// Directories of files that are named by a hash, as OpenSSL reads them.
    pub directories: Vec<PathBuf>,
}

impl Sources {
    /// Those of the system.
    pub fn of_system() -> Sources {
        match BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()) {
            Some(bundle) => Sources { bundle: Some(bundle), directories: Vec::new() },
            None => Sources { bundle: None, directories: DIRECTORIES.iter().map(PathBuf::from).collect() },
        }
    }
}
