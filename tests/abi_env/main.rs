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
        (None, None, None, "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are not set", false),
        (Some(""), Some(""), Some(""), "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are not set", false),
        (Some("AK"), None, None, "OBS_SECRET_ACCESS_KEY is not set", true),
        (Some("AK"), Some(""), None, "OBS_SECRET_ACCESS_KEY is not set", true),
        (None, Some("hush"), None, "OBS_ACCESS_KEY_ID is not set", true),
        (Some(""), Some("hush"), None, "OBS_ACCESS_KEY_ID is not set", true),
        (None, None, Some("hush"), "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are not set", true),
        (None, Some("hush"), Some("hush"), "OBS_ACCESS_KEY_ID is not set", true),
        (Some("AK"), None, Some("hush"), "OBS_SECRET_ACCESS_KEY is not set", true),
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

/// A proxy that can't be used is an error if it decides, and nothing to us otherwise.
#[test]
fn a_proxy_variable_is_judged_if_it_decides() {
    const NAME: &str = "a_proxy_variable_is_judged_if_it_decides";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let (origin, proxy) = (Recorder::start(), Recorder::start());
    let client_with = |variables: &[(&str, &str)]| {
        variables.iter().for_each(|(name, value)| set(name, Some(value)));
        let client = Config::bare().endpoint(&origin.url()).credentials("AK", "SK", None).try_client();
        variables.iter().for_each(|(name, _)| set(name, None));
        client
    };
    let good = proxy.url();
    for (variables, by_proxy) in [
        (&[("all_proxy", "socks5://u:hush@h:1"), ("http_proxy", &good)][..], true),
        (&[("all_proxy", "socks5://h:1"), ("no_proxy", "127.0.0.1")], false),
        (&[("all_proxy", "socks5://h:1"), ("no_proxy", "example.com., 127.0.0.0/8")], false),
        (&[("http_proxy", "http://h:99999"), ("NO_PROXY", "*")], false),
        (&[("https_proxy", "socks5://h:1")], false),
        (&[("https_proxy", "socks5://h:1"), ("all_proxy", &good)], true),
    ] {
        let client = client_with(variables).unwrap_or_else(|error| panic!("{variables:?}: {error:?}"));
        assert_eq!(client.abort("backups", "k", "i").0, code::OK, "{variables:?}");
        let asked = if by_proxy { &proxy } else { &origin };
        asked.take_one();
    }
    for (variables, named) in [
        (&[("all_proxy", "socks5://u:hush@h:1")][..], "all_proxy"),
        (&[("all_proxy", "socks5://h:1"), ("https_proxy", &good)], "all_proxy"),
        (&[("all_proxy", &good), ("http_proxy", "socks5://h:1")], "http_proxy"),
        (&[("http_proxy", "socks5://h:1"), ("no_proxy", "127.0.0.2,example.com.")], "http_proxy"),
    ] {
        let (code, error) = client_with(variables).err().unwrap();
        assert_eq!(code, code::INVALID_CONFIG, "{variables:?}: {error}");
        assert!(error.contains(named) && !error.contains("hush"), "{error}");
    }
    // The other variable decides after a redirect to https, and so does the trust: the message says for what.
    let elsewhere = Recorder::answering(|head| {
        let path = head.line.split(' ').nth(1).unwrap();
        let host = head.header("host").unwrap();
        format!("HTTP/1.1 307 x\r\nLocation: https://{host}{path}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    for (name, value, said) in [
        ("https_proxy", "socks5://u:hush@h:1", "https_proxy in the environment"),
        ("SSL_CERT_FILE", "/nowhere.pem", "for the redirect to https://127.0.0.1"),
        ("SSL_CERT_DIR", "/nowhere", "for the redirect to https://127.0.0.1"),
    ] {
        set(name, Some(value));
        let client = Config::bare().endpoint(&elsewhere.url()).credentials("AK", "SK", None).client();
        set(name, None);
        let outcome = client.outcome(None, "backups", "k", "i");
        let message = outcome.message.unwrap();
        assert_eq!((outcome.code, outcome.attempts), (code::INVALID_CONFIG, 1), "{message}");
        assert!(
            message.contains(said) && message.contains(if name == "https_proxy" { "http://" } else { value }),
            "{message}"
        );
        assert!(!message.contains("hush"), "{message}");
    }
}

/// A server whose certificate one authority has issued, another authority, and a folder for their files.
struct Authorities {
    folder: std::path::PathBuf,
    server: obs_local::Server,
    good: String,
    other: String,
}

impl Authorities {
    fn new(name: &str) -> Authorities {
        let folder = std::env::temp_dir().join(format!("obsabort-env-{name}-{}", std::process::id()));
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
        Authorities { folder, server, good, other }
    }

    /// A file in the folder, or in one of it.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// The code of an abort by a new client, or that of making the client, with its message.
    fn abort(&self, ca_file: Option<&str>, file: Option<&str>, dir: Option<&str>) -> (i32, String) {
        set("SSL_CERT_FILE", file);
        set("SSL_CERT_DIR", dir);
        let mut config = Config::new(&self.server.endpoint()).max_attempts(1);
        if let Some(ca_file) = ca_file {
            config = config.ca_file(ca_file);
        }
        let client = config.try_client();
        set("SSL_CERT_FILE", None);
        set("SSL_CERT_DIR", None);
        let id = self.server.create_upload("backups", "k");
        match client {
            Ok(client) => {
                let (code, _, message) = client.abort("backups", "k", &id);
                (code, message.unwrap_or_default())
            }
            Err(refused) => refused,
        }
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn trust_comes_from_the_ca_file_or_else_from_ssl_cert_file() {
    const NAME: &str = "trust_comes_from_the_ca_file_or_else_from_ssl_cert_file";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let all = Authorities::new("file");
    let code_with = |ca_file: Option<&str>, file: Option<&str>| all.abort(ca_file, file, None).0;
    let (good, other) = (all.good.as_str(), all.other.as_str());
    assert_eq!(code_with(Some(good), None), code::OK);
    assert_eq!(code_with(None, Some(good)), code::OK, "read in client_new");
    assert_eq!(code_with(Some(good), Some(other)), code::OK, "the CA file wins");
    assert_eq!(code_with(Some(other), Some(good)), code::TLS, "the CA file wins, for better or worse");
    assert_eq!(code_with(None, Some(other)), code::TLS, "instead of the system's");
    assert_eq!(code_with(None, Some("/nowhere.pem")), code::INVALID_CONFIG, "no falling back to less");
    let empty = all.write("empty.pem", "");
    assert_eq!(code_with(None, Some(&empty)), code::INVALID_CONFIG);
    // A plain endpoint needs no trust.
    set("SSL_CERT_FILE", Some("/nowhere.pem"));
    set("SSL_CERT_DIR", Some("/nowhere"));
    assert_eq!(Config::new(&Recorder::start().url()).client().abort("backups", "k", "i").0, code::OK);
}

/// As OpenSSL reads it: files named by a hash, in each of several directories.
#[test]
fn trust_comes_from_the_directories_of_ssl_cert_dir() {
    const NAME: &str = "trust_comes_from_the_directories_of_ssl_cert_dir";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let all = Authorities::new("dir");
    let pem = |path: &str| std::fs::read_to_string(path).unwrap();
    let (good, other) = (pem(&all.good), pem(&all.other));
    all.write("goods/0a1B2c3d.0", &good);
    all.write("others/0a1b2c3d.0", &other);
    all.write("both/0a1b2c3d.0", "garbage");
    all.write("both/0a1b2c3d.1", format!("{other}{good}"));
    std::fs::create_dir_all(all.folder.join("links")).unwrap();
    std::os::unix::fs::symlink(&all.good, all.folder.join("links/ffffffff.12")).unwrap();
    std::os::unix::fs::symlink("/nowhere", all.folder.join("links/ffffffff.0")).unwrap();
    for name in ["good.pem", "0a1b2c3d.r0", "0a1b2c3.0", "0a1b2c3d0.0", "0a1b2c3g.0", "0a1b2c3d.", "0a1b2c3d"]
    {
        all.write(&format!("unnamed/{name}"), &good);
    }
    all.write("garbage/0a1b2c3d.0", "garbage");
    std::fs::create_dir_all(all.folder.join("empty")).unwrap();
    let path = |name: &str| all.path(name);
    for (name, file, dir, want) in [
        ("one", None, path("goods"), code::OK),
        ("links, one of them broken", None, path("links"), code::OK),
        ("two in a file, beside garbage", None, path("both"), code::OK),
        ("another authority", None, path("others"), code::TLS),
        ("two directories", None, format!("{}:{}", path("others"), path("goods")), code::OK),
        ("one of two does not exist", None, format!("{}:{}:", path("none"), path("goods")), code::OK),
        ("an empty entry", None, format!(":{}", path("goods")), code::OK),
        ("both variables: the file", Some(&all.good), path("others"), code::OK),
        ("both variables: the directory", Some(&all.other), path("goods"), code::OK),
        ("both variables: neither", Some(&all.other), path("others"), code::TLS),
        ("both variables: the directory is empty", Some(&all.good), path("empty"), code::OK),
        ("other names", None, path("unnamed"), code::INVALID_CONFIG),
        ("garbage", None, path("garbage"), code::INVALID_CONFIG),
        ("an empty directory", None, path("empty"), code::INVALID_CONFIG),
        ("no such directory", None, path("none"), code::INVALID_CONFIG),
        ("a file in place of a directory", None, all.good.clone(), code::INVALID_CONFIG),
    ] {
        let (code, message) = all.abort(None, file.map(String::as_str), Some(&dir));
        assert_eq!(code, want, "{name}: {message}");
        if want == code::INVALID_CONFIG {
            assert!(message.contains("SSL_CERT_DIR") && message.contains(&dir), "{name}: {message}");
        }
    }
    let (code, message) = all.abort(Some(&all.good), None, Some(&path("others")));
    assert_eq!(code, code::OK, "the CA file wins: {message}");
    let (code, message) = all.abort(None, Some("/nowhere.pem"), Some(&path("goods")));
    assert_eq!((code, message.contains("/nowhere.pem")), (code::INVALID_CONFIG, true), "{message}");
}

/// Roots are kept for the process, and read again when their files have changed: a daemon runs for longer than a bundle.
#[test]
fn a_replaced_bundle_is_read_anew() {
    const NAME: &str = "a_replaced_bundle_is_read_anew";
    if !is_again(NAME) {
        apart::run(NAME, &[]);
        return;
    }
    let all = Authorities::new("anew");
    let pem = |path: &str| std::fs::read_to_string(path).unwrap();
    let (good, other) = (pem(&all.good), pem(&all.other));
    let code_of = |file: Option<&str>, dir: Option<&str>| all.abort(None, file, dir).0;
    let bundle = all.write("bundle.pem", &other);
    assert_eq!(code_of(Some(&bundle), None), code::TLS);
    all.write("bundle.pem", format!("{other}{good}"));
    assert_eq!(code_of(Some(&bundle), None), code::OK, "written over");
    // As a package manager does it: another file of the same size and time takes the place.
    let modified = std::fs::metadata(&bundle).unwrap().modified().unwrap();
    let length = pem(&bundle).len();
    let next = all.write("next.pem", format!("{other}{}", "#".repeat(length - other.len())));
    std::fs::File::options().append(true).open(&next).unwrap().set_modified(modified).unwrap();
    std::fs::rename(&next, &bundle).unwrap();
    assert_eq!(std::fs::metadata(&bundle).unwrap().len() as usize, length);
    assert_eq!(code_of(Some(&bundle), None), code::TLS, "another inode");
    // The same inode and size, another time.
    all.write("bundle.pem", format!("{good}{}", "#".repeat(length - good.len())));
    assert_eq!(code_of(Some(&bundle), None), code::OK, "another time");
    let modified = std::fs::metadata(&bundle).unwrap().modified().unwrap();
    all.write("bundle.pem", &other);
    std::fs::File::options().append(true).open(&bundle).unwrap().set_modified(modified).unwrap();
    assert_eq!(code_of(Some(&bundle), None), code::TLS, "another size");
    std::fs::remove_file(&bundle).unwrap();
    assert_eq!(code_of(Some(&bundle), None), code::INVALID_CONFIG, "removed");
    let first = all.write("dir/00000000.0", &other);
    let dir = all.path("dir");
    assert_eq!(code_of(None, Some(&dir)), code::TLS);
    let second = all.write("dir/00000001.0", &good);
    assert_eq!(code_of(None, Some(&dir)), code::OK, "a file more");
    std::fs::remove_file(second).unwrap();
    assert_eq!(code_of(None, Some(&dir)), code::TLS, "a file less");
    std::fs::write(first, good).unwrap();
    assert_eq!(code_of(None, Some(&dir)), code::OK, "another content");
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
