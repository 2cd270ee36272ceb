//! What setters refuse, and what they take: each limit of the config's settings and of the client's rotation.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use support::{Config, c, code, config, lib};

type TextSetter = unsafe extern "C" fn(*mut config, *const c_char) -> i32;

/// The code of one setter on a config of its own, and what client_new makes of it afterwards.
fn after(set: impl FnOnce(*mut config) -> i32) -> (i32, Option<String>) {
    let config = Config::new("http://127.0.0.1:9");
    let code = set(config.0);
    let made = config.try_client();
    if let Err((code, error)) = &made {
        assert_eq!(*code, code::INVALID_CONFIG, "{error}");
        assert!(!error.chars().any(char::is_control), "{error:?} is not one line");
    }
    (code, made.err().map(|(_, error)| error))
}

/// A refusal has its code, and client_new remembers it by the setting's name.
fn refused(what: &str, code: i32, setting: &str, set: impl FnOnce(*mut config) -> i32) -> String {
    let (got, error) = after(set);
    assert_eq!(got, code, "{what}");
    let error = error.unwrap_or_else(|| panic!("{what}: forgotten by client_new"));
    assert!(error.starts_with("invalid_config: ") && error.contains(setting), "{what}: {error}");
    error
}

fn taken(what: &str, set: impl FnOnce(*mut config) -> i32) {
    assert_eq!(after(set), (code::OK, None), "{what}");
}

fn text(setter: TextSetter, value: &[u8]) -> impl FnOnce(*mut config) -> i32 {
    let value = CString::new(value).unwrap();
    move |config| unsafe { setter(config, value.as_ptr()) }
}

#[test]
fn endpoints() {
    let set = lib().obs_abort_config_set_endpoint;
    let label64 = format!("https://{}.com", "a".repeat(64));
    let host254 = format!("{}.{}", vec!["a".repeat(62); 3].join("."), "b".repeat(65 - 1));
    let host254 = host254.replace(&"b".repeat(64), &["b".repeat(31), "c".repeat(33)].join("."));
    assert_eq!(host254.len(), 254);
    let bad = [
        "",
        " ",
        "https://",
        "http:///",
        "/",
        ":443",
        "https://:443",
        "ftp://h.com",
        "file:///etc",
        "httpss://h.com",
        "ws://h.com",
        "://h.com",
        "//h.com",
        "https:/h.com",
        "https:h.com",
        "https://u@h.com",
        "https://u:p@h.com",
        "https://@h.com",
        "u:p@h.com",
        "https://h.com/path",
        "https://h.com//",
        "h.com/p",
        "https://h.com/?q",
        "https://h.com?q=1",
        "https://h.com#f",
        "h.com:0",
        "h.com:00",
        "h.com:99999",
        "h.com:65536",
        "h.com:-1",
        "h.com:+80",
        "h.com:",
        "h.com:8o",
        "h.com: 80",
        "h.com:80:80",
        "h.com:080000",
        "::1",
        "2001:db8::1",
        "[::1",
        "::1]",
        "[]",
        "[::1]x",
        "[::1]:",
        "[::1]:0",
        "[::g]",
        "[127.0.0.1]",
        "[fe80::1%eth0]",
        "[h.com]",
        "a..b",
        ".h.com",
        "h.com..",
        "h com",
        " h.com",
        "h.com ",
        "h.com\n",
        "h.com\r\nX-Evil: 1",
        "h\tcom",
        "h.com\u{1}",
        "hé.com",
        "h,com",
        "h%2ecom",
        "h\\com",
        "h!com",
        "bucket.h.com|x",
        "https://https://h.com",
        &label64,
        &host254,
    ];
    for endpoint in bad {
        let error = refused(endpoint, code::INVALID_ARGUMENT, "endpoint", text(set, endpoint.as_bytes()));
        assert!(!error.contains("u:p"), "what may be a password stays out of it: {error}");
    }
    refused("not UTF-8", code::INVALID_ARGUMENT, "endpoint", text(set, b"https://h\xff.com"));
    refused("NULL", code::INVALID_ARGUMENT, "endpoint", |config| unsafe { set(config, null()) });
    let label63 = format!("http://{}.com", "a".repeat(63));
    let host253 = format!("http://{}", &host254[1..]);
    let good = [
        "http://h.com",
        "HTTP://H.COM/",
        "http://h.com:1",
        "http://h.com:65535/",
        "http://h",
        "http://a_b.h-1.com",
        "http://127.0.0.1:9000",
        "http://[::1]:9000/",
        "http://[2001:db8::1]",
        "http://[::ffff:1.2.3.4]:80",
        &label63,
        &host253,
    ];
    for endpoint in good {
        taken(endpoint, text(set, endpoint.as_bytes()));
    }
}

#[test]
fn credentials() {
    let lib = lib();
    let client = Config::new("http://127.0.0.1:9").client();
    let long = "t".repeat(8193);
    let bad: [(&str, &str, Option<&str>, &str); 21] = [
        ("", "s", None, "access key"),
        ("a\n", "s", None, "access key"),
        (" a", "s", None, "access key"),
        ("a b", "s", None, "access key"),
        ("a\tb", "s", None, "access key"),
        ("é", "s", None, "access key"),
        ("a\u{7f}", "s", None, "access key"),
        ("a", "", None, "secret key"),
        ("a", "hush\n", None, "secret key"),
        ("a", "hush\r\n", None, "secret key"),
        ("a", "hush hush", None, "secret key"),
        ("a", "\thush", None, "secret key"),
        ("a", "hush\u{e9}", None, "secret key"),
        ("a", "hush\u{1}", None, "secret key"),
        ("a", "s", Some("hush\n"), "security token"),
        ("a", "s", Some("hush\r\nX-Evil: 1"), "security token"),
        ("a", "s", Some(" "), "security token"),
        ("a", "s", Some("hush hush"), "security token"),
        ("a", "s", Some("hush\u{0a0}"), "security token"),
        ("a", "s", Some("hush\u{1f}"), "security token"),
        ("a", "s", Some(&long), "security token"),
    ];
    for (access_key, secret_key, token, named) in bad {
        let what = format!("{access_key:?} {secret_key:?} {:?}", token.map(|t| &t[..t.len().min(20)]));
        let (a, s, t) = (c(access_key), c(secret_key), token.map(c));
        let t = t.as_ref().map_or(null(), |t| t.as_ptr());
        let error = refused(&what, code::INVALID_ARGUMENT, named, |config| unsafe {
            lib.obs_abort_config_set_credentials(config, a.as_ptr(), s.as_ptr(), t)
        });
        assert!(!error.contains("hush"), "{error}");
        let (code, error) = client.set_credentials_or_error(access_key, secret_key, token);
        let error = error.unwrap();
        assert_eq!(code, code::INVALID_ARGUMENT, "{what}");
        assert!(error.starts_with(&format!("invalid_argument: the {named} ")), "{error}");
        assert!(!error.contains("hush") && !error.chars().any(char::is_control), "{error}");
    }
    let (good, not_utf8) = (c("a"), CString::new(b"\xff".to_vec()).unwrap());
    let (good, not_utf8) = (good.as_ptr(), not_utf8.as_ptr());
    for (a, s, t) in [
        (null(), good, null()),
        (good, null(), null()),
        (not_utf8, good, null()),
        (good, not_utf8, null()),
        (good, good, not_utf8),
    ] {
        let mut error = null_mut();
        let set = lib.obs_abort_client_set_credentials;
        assert_eq!(unsafe { set(client.0, a, s, t, &raw mut error) }, code::INVALID_ARGUMENT);
        let error = unsafe { support::owned(error) }.unwrap();
        assert!(error.ends_with(" is NULL") || error.ends_with(" is not UTF-8"), "{error}");
        assert_eq!(unsafe { set(client.0, a, s, t, null_mut()) }, code::INVALID_ARGUMENT);
        refused("NULL or not UTF-8", code::INVALID_ARGUMENT, "credentials", |config| unsafe {
            lib.obs_abort_config_set_credentials(config, a, s, t)
        });
    }
    let visible: String = ('!'..='~').collect();
    let token = "t".repeat(4096);
    for (access_key, secret_key, token) in
        [("a", "s", None), ("a", "s", Some("")), (visible.as_str(), visible.as_str(), Some(token.as_str()))]
    {
        let (a, s, t) = (c(access_key), c(secret_key), token.map(c));
        let t = t.as_ref().map_or(null(), |t| t.as_ptr());
        taken(access_key, |config| unsafe {
            lib.obs_abort_config_set_credentials(config, a.as_ptr(), s.as_ptr(), t)
        });
        assert_eq!(client.set_credentials(access_key, secret_key, token), code::OK);
    }
}

#[test]
fn user_agents() {
    let set = lib().obs_abort_config_set_user_agent;
    let long = "x".repeat(257);
    for bad in ["", "a\n", "a\r\nX-Evil: 1", "a\tb", "é", "a\u{1}", "a\u{7f}", &long] {
        refused(bad, code::INVALID_ARGUMENT, "user", text(set, bad.as_bytes()));
    }
    refused("not UTF-8", code::INVALID_ARGUMENT, "user", text(set, b"\xe9"));
    refused("NULL", code::INVALID_ARGUMENT, "user", |config| unsafe { set(config, null()) });
    for good in ["x", "backupd/2.1", "backupd/2.1 (nightly; host 7)", &"x".repeat(256)] {
        taken(good, text(set, good.as_bytes()));
    }
}

#[test]
fn unknown_values_and_zeros() {
    type Choice = unsafe extern "C" fn(*mut config, i32) -> i32;
    type Amount = unsafe extern "C" fn(*mut config, u32) -> i32;
    let lib = lib();
    let choices: [(&str, Choice, &[i32]); 5] = [
        ("credential_source", lib.obs_abort_config_set_credential_source, &[1, 2, 3]),
        ("addressing", lib.obs_abort_config_set_addressing, &[0, 2, 3]),
        ("signature", lib.obs_abort_config_set_signature, &[0, 1, 2]),
        ("confirm", lib.obs_abort_config_set_confirm, &[0, 1]),
        ("request_payer", lib.obs_abort_config_set_request_payer, &[0, 1]),
    ];
    for (name, set, good) in choices {
        for value in [-1, 0, 1, 2, 3, 4, 5, 100, 256, 257, i32::MIN, i32::MAX] {
            if good.contains(&value) {
                taken(name, |config| unsafe { set(config, value) });
            } else if name != "addressing" || value != 1 {
                // VIRTUAL_HOST with an IP address is a matter for client_new: see abi_config.
                refused(&format!("{name} {value}"), code::INVALID_ARGUMENT, name, |config| unsafe {
                    set(config, value)
                });
            }
        }
    }
    let amounts: [(&str, Amount); 5] = [
        ("connect_timeout", lib.obs_abort_config_set_connect_timeout_ms),
        ("response_timeout", lib.obs_abort_config_set_response_timeout_ms),
        ("timeout", lib.obs_abort_config_set_timeout_ms),
        ("max_attempts", lib.obs_abort_config_set_max_attempts),
        ("max_connections", lib.obs_abort_config_set_max_connections),
    ];
    for (name, set) in amounts {
        refused(name, code::INVALID_ARGUMENT, name, |config| unsafe { set(config, 0) });
        // Connections are threads and memory, the others are not.
        let (good, bad): (&[u32], &[u32]) = match name {
            "max_connections" => (&[1, 2, 1024], &[1025, 60_000, u32::MAX]),
            _ => (&[1, 2, 60_000, u32::MAX], &[]),
        };
        for good in good {
            taken(name, |config| unsafe { set(config, *good) });
        }
        for bad in bad {
            refused(name, code::INVALID_ARGUMENT, "1 to 1024", |config| unsafe { set(config, *bad) });
        }
    }
    unsafe extern "C" fn nobody(_: i32, _: *const c_char, _: *mut std::ffi::c_void) {}
    for level in [0, 5, -1, i32::MAX] {
        refused("log level", code::INVALID_ARGUMENT, "log", |config| unsafe {
            lib.obs_abort_config_set_log(config, Some(nobody), null_mut(), level)
        });
    }
    for level in 1..=4 {
        taken("log", |config| unsafe {
            lib.obs_abort_config_set_log(config, Some(nobody), null_mut(), level)
        });
        taken("no log", |config| unsafe { lib.obs_abort_config_set_log(config, None, null_mut(), level) });
    }
    let call = support::Call::new();
    unsafe {
        assert_eq!(lib.obs_abort_call_set_timeout_ms(call.0, 0), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_call_set_timeout_ms(call.0, u32::MAX), code::OK);
    }
}

#[test]
fn proxies() {
    let set = lib().obs_abort_config_set_proxy;
    let bad = [
        "http://",
        "https://p:1",
        "socks5://p:1",
        "ftp://p:1",
        "http://p:0",
        "http://p:99999",
        "http://p:x",
        "http://p/path",
        "http://p:1/path",
        "http://p:1?q",
        "http://p:1#f",
        "http://u%zz:hush@p:1",
        "http://u:hush%0a@p:1",
        "http://u:hush@",
        "http://p q:1",
        "http://p:1\r\nX-Evil: 1",
        " ",
        "http://[::1",
        "http://pé:1",
    ];
    for url in bad {
        let error = refused(url, code::INVALID_CONFIG, "proxy", text(set, url.as_bytes()));
        assert!(!error.contains("hush"), "{error}");
    }
    refused("NULL", code::INVALID_ARGUMENT, "proxy", |config| unsafe { set(config, null()) });
    refused("not UTF-8", code::INVALID_ARGUMENT, "proxy", text(set, b"http://\xff:1"));
    for good in [
        "",
        "http://p:3128",
        "http://p:3128/",
        "http://u:p@p:1",
        "http://u%40x:p%3a%25@10.0.0.1:8080",
        "http://[::1]:3128",
    ] {
        taken(good, text(set, good.as_bytes()));
    }
}

#[test]
fn files_that_can_not_be_used() {
    let folder = std::env::temp_dir().join(format!("obsabort-setters-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
    let cert = file("cert.pem", cert_pem.as_bytes());
    let good_key = file("key.pem", key_pem.as_bytes());
    let broken = cert_pem.replace("MI", "!!");
    let empty = file("empty.pem", b"");
    let two_lines = file("two\nlines.pem", b"");
    let not_der = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let bad = [
        folder.join("missing.pem").to_str().unwrap().to_owned(),
        folder.to_str().unwrap().to_owned(),
        empty.clone(),
        two_lines,
        file("garbage.pem", b"\0\xff\xfe garbage\n"),
        file("broken.pem", broken.as_bytes()),
        file("not-der.pem", not_der),
        good_key.clone(),
    ];
    let set = lib().obs_abort_config_set_ca_file;
    for path in &bad {
        let error = refused(path, code::INVALID_CONFIG, "ca_file", text(set, path.as_bytes()));
        let name = path.rsplit(['/', '\n']).next().unwrap();
        assert!(error.contains(name), "{error} names the file {name}");
        assert!(!error.contains("PRIVATE KEY") && !error.contains(&key_pem[40..60]), "{error}");
    }
    for (path, what) in [(Some(""), "empty"), (None, "NULL")] {
        let path = path.map(c);
        let path = path.as_ref().map_or(null(), |path| path.as_ptr());
        refused(what, code::INVALID_ARGUMENT, "ca_file", |config| unsafe { set(config, path) });
    }
    taken("a CA file", text(set, cert.as_bytes()));
    let pair = |cert: &str, key: &str| {
        let (cert, key) = (c(cert), c(key));
        move |config| unsafe {
            lib().obs_abort_config_set_client_certificate(config, cert.as_ptr(), key.as_ptr())
        }
    };
    for path in &bad {
        refused(path, code::INVALID_CONFIG, "client_certificate", pair(path, &good_key));
    }
    for path in bad.iter().take(7).chain([&cert]) {
        refused(path, code::INVALID_CONFIG, "client_certificate", pair(&cert, path));
    }
    refused("empty", code::INVALID_ARGUMENT, "client_certificate", pair("", &good_key));
    refused("empty", code::INVALID_ARGUMENT, "client_certificate", pair(&cert, ""));
    taken("a certificate", pair(&cert, &good_key));
    // Each file is fine on its own.
    let other = file("other.pem", rcgen::KeyPair::generate().unwrap().serialize_pem().as_bytes());
    let error = refused("another's key", code::INVALID_CONFIG, "client_certificate", pair(&cert, &other));
    assert!(error.contains("key") && error.contains("certificate"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}
