//! What is read of the environment, and when: each test in a process of its own.

#![allow(clippy::type_complexity)]
#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::os::unix::ffi::OsStrExt as _;

use std::process::Command;

use obs_local::{AccessKey, Options, Tls};
use support::apart;
use support::obs::{server, server_with};
use support::peer::Recorder;
use support::process::is_again;
use support::{Client, Config, c, code, lib};
use support::{OBS_ABORT_CREDENTIALS_CHAIN as CHAIN, OBS_ABORT_CREDENTIALS_ENV as ENV};

/// In the child, tests are alone: no other thread looks at the environment meanwhile.
fn set(name: &str, value: Option<&str>) {
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

fn from_source(endpoint: &str, source: i32) -> Client {
    let config = Config::bare().endpoint(endpoint);
    unsafe { assert_eq!(lib().obs_abort_config_set_credential_source(config.0, source), code::OK) };
    config.client()
}

#[test]
fn credentials_of_the_environment_are_read_once() {
    const NAME: &str = "credentials_of_the_environment_are_read_once";
    if !is_again(NAME) {
        apart::run(NAME, &[("OBS_ACCESS_KEY_ID", "AKENV"), ("OBS_SECRET_ACCESS_KEY", "SK1")]);
        return;
    }
    let server = server();
    server.add_access_key(&AccessKey::new("AKENV", "SK1"));
    server.add_access_key(&AccessKey::temporary("AKTMP", "SK2", "TOKEN"));
    let abort = |client: &Client| {
        let id = server.create_upload("backups", "k");
        let (code, _, error) = client.abort("backups", "k", &id);
        assert_eq!(code, code::OK, "{error:?}");
        server.journal().pop().unwrap()
    };
    for source in [ENV, CHAIN] {
        let early = from_source(&server.endpoint(), source);
        set("OBS_ACCESS_KEY_ID", Some("AKTMP"));
        set("OBS_SECRET_ACCESS_KEY", Some("SK2"));
        set("OBS_SECURITY_TOKEN", Some("TOKEN"));
        assert!(abort(&early).header("authorization").unwrap().contains(" AKENV:"), "read in client_new");
        let late = from_source(&server.endpoint(), source);
        set("OBS_ACCESS_KEY_ID", None);
        set("OBS_SECRET_ACCESS_KEY", None);
        set("OBS_SECURITY_TOKEN", None);
        let entry = abort(&late);
        assert!(entry.header("authorization").unwrap().contains(" AKTMP:"));
        assert_eq!(entry.header("x-amz-security-token"), Some("TOKEN"));
        assert!(abort(&early).header("authorization").unwrap().contains(" AKENV:"));
        // An empty token is no token, as in the setter.
        set("OBS_ACCESS_KEY_ID", Some("AKENV"));
        set("OBS_SECRET_ACCESS_KEY", Some("SK1"));
        set("OBS_SECURITY_TOKEN", Some(""));
        assert_eq!(abort(&from_source(&server.endpoint(), source)).header("x-amz-security-token"), None);
    }
}

#[test]
fn bad_credentials_in_the_environment_are_told_and_not_sent() {
    const NAME: &str = "bad_credentials_in_the_environment_are_told_and_not_sent";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let recorder = Recorder::start();
    type Row<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, &'a str, bool);
    let rows: [Row<'_>; 13] = [
        (None, None, None, "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are", false),
        (Some(""), Some(""), Some(""), "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are", false),
        (Some("AK"), None, None, "OBS_SECRET_ACCESS_KEY is", true),
        (Some("AK"), Some(""), None, "OBS_SECRET_ACCESS_KEY is", true),
        (None, Some("hush"), None, "OBS_ACCESS_KEY_ID is", true),
        (Some(""), Some("hush"), None, "OBS_ACCESS_KEY_ID is", true),
        (None, None, Some("hush"), "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are", true),
        (None, Some("hush"), Some("hush"), "OBS_ACCESS_KEY_ID is", true),
        (Some("AK"), None, Some("hush"), "OBS_SECRET_ACCESS_KEY is", true),
        (Some(" "), Some("hush"), None, "access key", true),
        (Some("AK\n"), Some("hush"), None, "access key", true),
        (Some("AK"), Some("hush\n"), None, "secret key", true),
        (Some("AK"), Some("hush"), Some("hush hush"), "token", true),
    ];
    for (access_key, secret_key, token, named, chain_too) in rows {
        set("OBS_ACCESS_KEY_ID", access_key);
        set("OBS_SECRET_ACCESS_KEY", secret_key);
        set("OBS_SECURITY_TOKEN", token);
        // Half a pair is a mistake to tell, not a reason for the chain to take another identity.
        for source in [ENV, CHAIN].into_iter().filter(|source| *source == ENV || chain_too) {
            let (code, status, error) = from_source(&recorder.url(), source).abort("backups", "k", "i");
            let error = error.unwrap();
            assert_eq!((code, status), (code::NO_CREDENTIALS, 0), "{error}");
            assert!(error.starts_with("no_credentials: ") && error.contains(named), "{error}");
            assert!(!error.contains("hush") && !error.contains('\n'), "{error}");
        }
    }
    assert!(recorder.heads().is_empty());
}

#[test]
fn the_proxy_of_the_environment_is_read_once_and_can_be_overruled() {
    const NAME: &str = "the_proxy_of_the_environment_is_read_once_and_can_be_overruled";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let (origin, proxy) = (Recorder::start(), Recorder::start());
    set("http_proxy", Some(&proxy.url()));
    let config = || Config::bare().endpoint(&origin.url()).credentials("AK", "SK", None);
    let (by_proxy, direct) = (config().client(), config().proxy("").client());
    set("http_proxy", None);
    let direct_too = config().client();
    assert_eq!(by_proxy.abort("backups", "k", "i").0, code::OK);
    assert!(proxy.take_one().line.starts_with(&format!("DELETE {}/backups/k", origin.url())));
    for client in [direct, direct_too] {
        assert_eq!(client.abort("backups", "k", "i").0, code::OK);
        assert_eq!(origin.take_one().line, "DELETE /backups/k?uploadId=i HTTP/1.1");
    }
    // The setter wins over the environment.
    set("http_proxy", Some("http://127.0.0.1:1"));
    assert_eq!(config().proxy(&proxy.url()).client().abort("backups", "k", "i").0, code::OK);
    proxy.take_one();
    assert!(origin.heads().is_empty());
    // One that can't be used is an error, not a way around it; and its password stays out of the message.
    set("http_proxy", Some("socks5://u:hush@h:1"));
    let (code, error) = config().try_client().err().unwrap();
    assert_eq!(code, code::INVALID_CONFIG);
    assert!(error.contains("http_proxy") && !error.contains("hush"), "{error}");
    assert!(config().proxy("").try_client().is_ok(), "nobody asked the environment");
    // Nor is one that is not UTF-8.
    let broken = std::ffi::OsStr::from_bytes(b"http://pr\xffxy:3128");
    // SAFETY: this process has no other thread that reads the environment.
    unsafe { std::env::set_var("http_proxy", broken) };
    assert_eq!(config().try_client().err().unwrap().0, code::INVALID_CONFIG);
}

#[test]
fn trust_comes_from_the_ca_file_or_else_from_ssl_cert_file() {
    const NAME: &str = "trust_comes_from_the_ca_file_or_else_from_ssl_cert_file";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let folder = std::env::temp_dir().join(format!("obsabort-env-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    };
    let authority = |name: &str| {
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (write(name, &certificate.pem()), rcgen::Issuer::new(params, key))
    };
    let ((good, issuer), (other, _)) = (authority("good"), authority("other"));
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = write("leaf.pem", &leaf.signed_by(&key, &issuer).unwrap().pem());
    let tls = Tls::new(certificate, write("leaf.key", &key.serialize_pem()));
    let server = server_with(Options { tls: Some(tls), ..Options::default() });
    let code_with = |ca_file: Option<&str>, ssl_cert_file: Option<&str>| {
        set("SSL_CERT_FILE", ssl_cert_file);
        let mut config = Config::new(&server.endpoint()).max_attempts(1);
        if let Some(ca_file) = ca_file {
            config = config.ca_file(ca_file);
        }
        let client = config.try_client();
        set("SSL_CERT_FILE", None);
        let id = server.create_upload("backups", "k");
        client.map_or_else(|(code, _)| code, |client| client.abort("backups", "k", &id).0)
    };
    assert_eq!(code_with(Some(&good), None), code::OK);
    assert_eq!(code_with(None, Some(&good)), code::OK, "read in client_new");
    assert_eq!(code_with(Some(&good), Some(&other)), code::OK, "the CA file wins");
    assert_eq!(code_with(Some(&other), Some(&good)), code::TLS, "the CA file wins, for better or worse");
    assert_eq!(code_with(None, Some(&other)), code::TLS, "instead of the system's");
    assert_eq!(code_with(None, Some("/nowhere.pem")), code::INVALID_CONFIG, "no falling back to less");
    let empty = write("empty.pem", "");
    assert_eq!(code_with(None, Some(&empty)), code::INVALID_CONFIG);
    // A plain endpoint needs no trust.
    set("SSL_CERT_FILE", Some("/nowhere.pem"));
    assert_eq!(Config::new(&Recorder::start().url()).client().abort("backups", "k", "i").0, code::OK);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A C SDK that asked strftime for the date got 403 wherever the locale was not English.
#[test]
fn dates_are_english_in_every_locale() {
    const NAME: &str = "dates_are_english_in_every_locale";
    if !is_again(NAME) {
        // Debian installs no locale but C: one is made from the sources of the package "locales".
        let folder = std::env::temp_dir().join(format!("obsabort-locale-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Command::new("localedef")
            .args(["--no-archive", "-i", "de_DE", "-f", "UTF-8"])
            .arg(folder.join("de_DE.UTF-8"))
            .output();
        if made.is_ok_and(|made| made.status.success()) {
            let path = folder.to_str().unwrap();
            apart::run(NAME, &[("LOCPATH", path), ("LC_ALL", "de_DE.UTF-8"), ("TZ", "Europe/Berlin")]);
        } else {
            eprintln!("SKIPPED {NAME}: no German locale can be made: apt-get install locales");
            assert!(std::env::var("CI").is_err(), "nothing is skipped in CI");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        return;
    }
    unsafe {
        assert!(!libc::setlocale(libc::LC_ALL, c("").as_ptr()).is_null(), "the locale is there");
        let mut tm: libc::tm = std::mem::zeroed();
        tm.tm_mon = 11;
        let mut text = [0_u8; 32];
        let n = libc::strftime(text.as_mut_ptr().cast(), 32, c("%b").as_ptr(), &raw const tm);
        assert_eq!(&text[..n], b"Dez", "strftime is German here, so that the test means something");
    }
    let recorder = Recorder::start();
    assert_eq!(Config::new(&recorder.url()).client().abort("backups", "k", "i").0, code::OK);
    let head = recorder.take_one();
    let date = head.header("date").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let near = (-60..=2).any(|s| obs_local::http_date(now + s) == date);
    assert!(near, "{date:?} is not RFC 1123, English and GMT");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    assert!(head.header("x-obs-date").is_none() && head.header("x-amz-date").is_none());
}
