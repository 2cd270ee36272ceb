//! Every function leaves errno as it was, whatever it does in between: each method of `support::Lib` checks it. Here are the
//! calls that make the most system calls, and each function at least once.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use obs_local::{Fault, Options, Server};
use support::obs::server;
use support::peer::refusing;
use support::pki::Pki;
use support::{Call, Client, Config, OBS_ABORT_DRY_RUN, Selection, c, code, lib, outcome};
use support::{
    OBS_ABORT_ADDRESSING_PATH, OBS_ABORT_CREDENTIALS_ENV, OBS_ABORT_LOG_DEBUG, OBS_ABORT_SIGNATURE_AWS_V2,
};

const DRY_RUN: u32 = OBS_ABORT_DRY_RUN as u32;

/// Callbacks may set errno: it is the caller's thread that they run on.
fn set_errno() {
    unsafe { *libc::__errno_location() = libc::EDOM };
}

unsafe extern "C" fn log(_: i32, _: *const c_char, _: *mut c_void) {
    set_errno();
}

fn every_verb(client: &Client, call: Option<&Call>, key: &str, id: &str) -> [i32; 6] {
    let plain = client.abort("backups", key, id).0;
    let outcome = client.outcome(call, "backups", key, id).code;
    let many = client.many(call, "backups", &[(key, id), ("key", "")], &mut |_, _, _| {
        set_errno();
        false
    });
    let stale = client.stale(call, "backups", None, 60, 0, &mut |_, _, _| {
        set_errno();
        false
    });
    let selection = Selection::new().prefix("").older_than(60).initiated_before(1).idle(60).measure();
    let sweep = client.filtered_sweep(
        call,
        "backups",
        &selection,
        DRY_RUN,
        &mut |_| {
            set_errno();
            true
        },
        &mut |_, _, _| {
            set_errno();
            false
        },
    );
    let (buckets, _) = client.buckets(call, &mut |_, _| {
        set_errno();
        false
    });
    [plain, outcome, many.code, stale.code, sweep.code, buckets]
}

#[test]
fn after_verbs_that_succeed_and_fail() {
    let server = server();
    let config = || {
        Config::new(&server.endpoint()).max_attempts(2).max_connections(2).log(
            Some(log),
            null_mut(),
            OBS_ABORT_LOG_DEBUG,
        )
    };
    let id = server.create_upload("backups", "key");
    let codes = every_verb(&config().client(), None, "key", &id);
    assert_eq!(codes, [code::OK, code::NO_SUCH_UPLOAD, code::PARTIAL, code::OK, code::OK, code::OK]);
    // Over connections that are kept, and with nothing to do.
    let client = config().client();
    for _ in 0..3 {
        every_verb(&client, Some(&Call::new()), "key", "id");
    }
    client.shutdown();
    assert_eq!(every_verb(&client, None, "key", "id"), [code::CANCELLED; 6]);
    let cancelled = Call::new();
    cancelled.cancel();
    assert_eq!(every_verb(&config().client(), Some(&cancelled), "key", "id")[1..], [code::CANCELLED; 5]);
    assert_eq!(config().client().abort("", "key", "id").0, code::INVALID_ARGUMENT);

    server.fault(Fault::silence().delay(std::time::Duration::from_secs(5)).always());
    let codes = every_verb(&config().timeout_ms(200).client(), None, "key", "id");
    assert_eq!((codes[0], codes[1]), (code::TIMEOUT, code::TIMEOUT));
}

#[test]
fn after_connections_that_fail() {
    let nobody = refusing();
    let client = Config::new(&nobody.endpoint).max_attempts(2).client();
    let codes = every_verb(&client, None, "key", "id");
    assert_eq!((codes[0], codes[1], codes[3]), (code::CONNECT, code::CONNECT, code::CONNECT));

    let client = Config::new("http://no-such-host.invalid").max_attempts(1).client();
    let codes = every_verb(&client, None, "key", "id");
    assert_eq!((codes[0], codes[1], codes[3]), (code::RESOLVE, code::RESOLVE, code::RESOLVE));

    let (pki, other) = (Pki::new(), Pki::new());
    let server = Server::start(Options { tls: Some(pki.tls()), ..Options::default() });
    let client = Config::new(&server.endpoint()).max_attempts(1).ca_file(&other.ca()).client();
    let codes = every_verb(&client, None, "key", "id");
    assert_eq!((codes[0], codes[1], codes[3]), (code::TLS, code::TLS, code::TLS));
    let client = Config::new(&server.endpoint()).ca_file(&pki.ca()).client();
    assert_eq!(client.abort("backups", "key", "id").0, code::NO_SUCH_BUCKET);
}

#[test]
fn after_settings_that_read_files() {
    let pki = Pki::new();
    let (good, missing, directory) = (c(&pki.ca()), c("/nonexistent/file"), c("/"));
    for path in [&good, &missing, &directory] {
        let config = Config::bare().endpoint("https://127.0.0.1:9").proxy("");
        unsafe {
            lib().obs_abort_config_set_ca_file(config.0, path.as_ptr());
            lib().obs_abort_config_set_client_certificate(config.0, path.as_ptr(), path.as_ptr());
        }
        let _ = config.try_client();
    }
    // The system's roots, or that there are none.
    let _ = Config::new("https://127.0.0.1:9").try_client();
}

/// What the tests above have not called.
#[test]
fn after_the_others() {
    let (lib, text) = (lib(), c("text"));
    let (none, t) = (null::<outcome>(), text.as_ptr());
    unsafe {
        lib.obs_abort_version();
        lib.obs_abort_version_number();
        lib.obs_abort_strerror(code::IO);
        lib.obs_abort_code_name(4711);
        lib.obs_abort_string_free(null_mut());
        let config = Config::bare()
            .addressing(OBS_ABORT_ADDRESSING_PATH)
            .signature(OBS_ABORT_SIGNATURE_AWS_V2)
            .confirm()
            .request_payer()
            .user_agent("agent/1");
        let config = config.connect_timeout_ms(1).response_timeout_ms(1).endpoint("127.0.0.1");
        lib.obs_abort_config_set_credential_source(config.0, OBS_ABORT_CREDENTIALS_ENV);
        lib.obs_abort_config_set_proxy(config.0, t);
        let client = Config::new("http://127.0.0.1:9").client();
        lib.obs_abort_client_set_credentials(client.0, t, t, t, null_mut());
        lib.obs_abort_client_set_credentials(client.0, null(), t, t, null_mut());
        lib.obs_abort_outcome_message(none);
        lib.obs_abort_report_failure(null(), 0);
    }
    drop(Call::with_timeout_ms(5));
}
