//! A process that has no file descriptor left: each message says so, and the client recovers.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use obs_local::Server;
use support::obs::{server, uploads};
use support::pki::Pki;
use support::process::{descriptors, in_own_process};
use support::{Client, Config, c, code, lib, owned};

const SAID: &str = "no file descriptor left";

/// Runs something while the process can't open anything.
fn without_descriptors<R>(run: impl FnOnce() -> R) -> R {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // Any descriptor below the limit that is free could still be used.
    let mut fillers = Vec::new();
    unsafe { assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut before), 0) };
    let limit = libc::rlimit { rlim_cur: descriptors() as u64 + 16, rlim_max: before.rlim_max };
    unsafe { assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0) };
    while let Ok(file) = std::fs::File::open("/dev/null") {
        fillers.push(file);
    }
    let result = run();
    drop(fillers);
    unsafe { assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const before), 0) };
    result
}

/// The code and the message of an abort in such a process, and then that the same client aborts.
fn abort(client: &Client, server: &Server) -> (i32, String) {
    let list = uploads(server, 1);
    let outcome = without_descriptors(|| client.outcome(None, "backups", &list[0].0, &list[0].1));
    assert_eq!((outcome.http_status, outcome.attempts), (0, 0), "nothing was sent: {outcome:?}");
    assert_eq!(client.abort("backups", &list[0].0, &list[0].1), (code::OK, 204, None), "with descriptors");
    (outcome.code, outcome.message.unwrap())
}

#[test]
fn no_descriptor_for_a_connection() {
    if !in_own_process("no_descriptor_for_a_connection") {
        return;
    }
    let server = server();
    let client = Config::new(&server.endpoint()).max_attempts(2).client();
    let (code, message) = abort(&client, &server);
    assert_eq!(code, code::CONNECT, "{message}");
    assert!(message.contains(SAID) && message.contains("ulimit -n"), "{message}");
    assert!(message.contains("attempt 2 of 2") && !message.contains("os error"), "{message}");
}

#[test]
fn no_descriptor_for_a_name() {
    if !in_own_process("no_descriptor_for_a_name") {
        return;
    }
    let server = server();
    let endpoint = server.endpoint().replace("127.0.0.1", "localhost");
    let config = Config::new(&endpoint).addressing(support::OBS_ABORT_ADDRESSING_PATH).max_attempts(2);
    let (code, message) = abort(&config.client(), &server);
    assert!([code::RESOLVE, code::CONNECT].contains(&code), "{code} {message}");
    assert!(message.contains(SAID), "{message}");
}

#[test]
fn no_descriptor_in_a_batch() {
    if !in_own_process("no_descriptor_in_a_batch") {
        return;
    }
    let server = server();
    let list = uploads(&server, 5);
    let entries = support::obs::entries(&list);
    let client = Config::new(&server.endpoint()).max_attempts(1).client();
    let ending = without_descriptors(|| client.many(None, "backups", &entries, &mut |_, _, _| false));
    assert_eq!(ending.code, code::PARTIAL);
    assert!(ending.error.as_ref().is_some_and(|error| error.contains(SAID)), "{ending:?}");
    let ending = without_descriptors(|| client.stale(None, "backups", None, 60, 0, &mut |_, _, _| false));
    assert_eq!(ending.code, code::CONNECT);
    assert!(ending.error.as_ref().is_some_and(|error| error.contains(SAID)), "{ending:?}");
    assert_eq!(server.upload_count("backups"), 5);
}

#[test]
fn a_kept_connection_needs_no_descriptor() {
    if !in_own_process("a_kept_connection_needs_no_descriptor") {
        return;
    }
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let list = uploads(&server, 2);
    assert_eq!(client.abort("backups", &list[0].0, &list[0].1).0, code::OK);
    let second = without_descriptors(|| client.abort("backups", &list[1].0, &list[1].1));
    assert_eq!(second, (code::OK, 204, None));
}

/// The error of a client that is made while nothing can be opened, and then that it can be made.
fn refused_client(config: &Config) -> String {
    let (code, error) = without_descriptors(|| config.try_client()).err().expect("no client");
    assert_eq!(code, code::INVALID_CONFIG, "{error}");
    assert!(config.try_client().is_ok(), "with descriptors");
    error
}

#[test]
fn no_descriptor_for_files_of_certificates() {
    if !in_own_process("no_descriptor_for_files_of_certificates") {
        return;
    }
    let pki = Pki::new();
    let bundle = pki.ca();
    let here = std::path::Path::new(&bundle).parent().unwrap().to_str().unwrap();
    for name in ["0123abcd.0", "4567cdef.0"] {
        std::fs::copy(&bundle, format!("{here}/{name}")).unwrap();
    }
    let https = || Config::new("https://127.0.0.1:9");
    // A bundle, then a directory.
    unsafe { std::env::remove_var("SSL_CERT_DIR") };
    unsafe { std::env::set_var("SSL_CERT_FILE", &bundle) };
    let error = refused_client(&https());
    assert!(error.contains(SAID) && error.contains("ca.pem"), "{error}");
    unsafe { std::env::remove_var("SSL_CERT_FILE") };
    unsafe { std::env::set_var("SSL_CERT_DIR", here) };
    let error = refused_client(&https());
    assert!(error.contains(SAID) && error.contains(here), "{error}");
    // A file that the caller names.
    let config = https();
    let path = c(&bundle);
    let refused =
        without_descriptors(|| unsafe { lib().obs_abort_config_set_ca_file(config.0, path.as_ptr()) });
    assert_eq!(refused, code::INVALID_CONFIG);
    let mut client = std::ptr::null_mut();
    let mut error = std::ptr::null_mut();
    let refused = unsafe { lib().obs_abort_client_new(config.0, &raw mut client, &raw mut error) };
    let error = unsafe { owned(error) }.unwrap();
    assert_eq!(refused, code::INVALID_CONFIG);
    assert!(error.contains(SAID), "{error}");
}
