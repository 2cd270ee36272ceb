//! Certificates for servers on 127.0.0.1, good and bad.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use obs_local::Tls;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// What a server shows, and what its client trusts: PEM files in a folder that goes with it.
pub struct Identity {
    folder: PathBuf,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn for_names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

impl Identity {
    fn write(trusted: &str, shown: &Certificate, key: &KeyPair) -> Identity {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("obsabort-faults-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ca.pem"), trusted).unwrap();
        std::fs::write(folder.join("server.pem"), shown.pem()).unwrap();
        std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
        Identity { folder }
    }

    fn issued(params: CertificateParams) -> Identity {
        let (issuer, key) = (authority("trusted"), KeyPair::generate().unwrap());
        Identity::write(&issuer.pem(), &params.signed_by(&key, &issuer).unwrap(), &key)
    }

    /// As it should be.
    pub fn good() -> Identity {
        Identity::issued(for_names(&["127.0.0.1"]))
    }

    pub fn expired() -> Identity {
        let mut params = for_names(&["127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 2, 3));
        Identity::issued(params)
    }

    pub fn not_yet_valid() -> Identity {
        let mut params = for_names(&["127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(2999, 1, 1), date_time_ymd(3000, 1, 1));
        Identity::issued(params)
    }

    pub fn wrong_name() -> Identity {
        Identity::issued(for_names(&["obs.example.com", "127.0.0.2"]))
    }

    pub fn unknown_issuer() -> Identity {
        Identity::issued_by("of nobody's trust")
    }

    pub fn forged_issuer() -> Identity {
        Identity::issued_by("trusted")
    }

    /// By an authority of this name, which is not the one that the client trusts.
    fn issued_by(name: &str) -> Identity {
        let (issuer, key) = (authority(name), KeyPair::generate().unwrap());
        let shown = for_names(&["127.0.0.1"]).signed_by(&key, &issuer).unwrap();
        Identity::write(&authority("trusted").pem(), &shown, &key)
    }

    /// Trusted by nobody.
    pub fn self_signed() -> Identity {
        let key = KeyPair::generate().unwrap();
        let shown = for_names(&["127.0.0.1"]).self_signed(&key).unwrap();
        Identity::write(&authority("trusted").pem(), &shown, &key)
    }

    /// The server's own certificate is a CA and is what the client trusts.
    pub fn authority_as_server() -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = for_names(&["127.0.0.1"]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let shown = params.self_signed(&key).unwrap();
        Identity::write(&shown.pem(), &shown, &key)
    }

    /// The CA file of no server: for endpoints where nobody gets as far as a certificate.
    pub fn unused_ca() -> String {
        static SHARED: OnceLock<String> = OnceLock::new();
        SHARED
            .get_or_init(|| {
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-ca-of-no-server.pem");
                let mine = path.with_extension(std::process::id().to_string());
                // Two runs of the tests may share the folder: never a half-written file.
                std::fs::write(&mine, authority("trusted").pem()).unwrap();
                std::fs::rename(&mine, &path).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .clone()
    }

    pub fn ca(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }

    pub fn tls(&self) -> Tls {
        Tls::new(self.folder.join("server.pem"), self.folder.join("server.key"))
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
