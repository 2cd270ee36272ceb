//! TLS: versions, client certificates, and connections that end without close_notify.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use obs_local::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, version,
};

struct Pki {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("obs-local-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    /// A certificate and its key, in DER; in PEM as server.pem and server.key.
    fn issue(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.folder.join("server.pem"), certificate.pem()).unwrap();
        std::fs::write(self.folder.join("server.key"), key.serialize_pem()).unwrap();
        (certificate.der().clone(), key.serialize_der().try_into().unwrap())
    }

    fn server(&self, change: impl FnOnce(&mut Tls)) -> Server {
        self.issue();
        let mut tls = Tls::new(self.folder.join("server.pem"), self.folder.join("server.key"));
        change(&mut tls);
        Server::start(Options {
            tls: Some(tls),
            verify: false,
            buckets: vec!["bucket".into()],
            ..Options::default()
        })
    }

    /// What comes on a new connection to an abort, how it ended, and the version spoken.
    fn abort(
        &self,
        server: &Server,
        with_certificate: bool,
    ) -> (String, Option<ErrorKind>, Option<ProtocolVersion>) {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .unwrap()
            .with_root_certificates(roots);
        let config = match with_certificate {
            true => {
                let (certificate, key) = self.issue();
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            false => config.with_no_client_auth(),
        };
        let tcp = TcpStream::connect(server.addr()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(connection, tcp);
        let request = "DELETE /bucket/k?uploadId=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        let mut bytes = Vec::new();
        let error = stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_end(&mut bytes))
            .err()
            .map(|error| error.kind());
        (String::from_utf8_lossy(&bytes).into_owned(), error, stream.conn.protocol_version())
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn both_versions_are_spoken_or_one_alone() {
    let pki = Pki::new("versions");
    for (versions, expected) in [
        (TlsVersions::Both, ProtocolVersion::TLSv1_3),
        (TlsVersions::Only12, ProtocolVersion::TLSv1_2),
        (TlsVersions::Only13, ProtocolVersion::TLSv1_3),
    ] {
        let server = pki.server(|tls| tls.versions = versions);
        assert!(server.endpoint().starts_with("https://"));
        let (text, error, spoken) = pki.abort(&server, false);
        assert!(text.starts_with("HTTP/1.1 404") && error.is_none(), "{text} {error:?}");
        assert_eq!(spoken, Some(expected));
    }
}

#[test]
fn client_certificates_are_asked_for() {
    let pki = Pki::new("clients");
    let ca = pki.folder.join("ca.pem");
    let server = pki.server(|tls| tls.client_ca = Some(ca));
    assert!(pki.abort(&server, true).0.starts_with("HTTP/1.1 404"));
    let (text, error, _) = pki.abort(&server, false);
    assert!(text.is_empty() && error.is_some());
    let begun = Instant::now();
    while server.handshakes_failed() != 1 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(server.counts().requests, 1);
}

#[test]
fn a_dropped_connection_lacks_close_notify() {
    let pki = Pki::new("drop");
    let server = pki.server(|_| {});
    server.fault(Fault::real().cut(30).then(End::Drop));
    let (text, error, _) = pki.abort(&server, false);
    assert_eq!((text.len(), error), (30, Some(ErrorKind::UnexpectedEof)));
    server.fault(Fault::real().cut(30).then(End::Close));
    let (text, error, _) = pki.abort(&server, false);
    assert_eq!((text.len(), error), (30, None));
}
