//! What settings do: who wins, what is remembered, what the wire shows of them.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use obs_local::{ACCESS_KEY, AccessKey, End, Fault, SECRET_KEY, Server};
use support::obs::server;
use support::peer::Recorder;
use support::{Call, Config, c, code, lib};
use support::{
    OBS_ABORT_ADDRESSING_PATH as PATH, OBS_ABORT_ADDRESSING_VIRTUAL_HOST as VIRTUAL_HOST,
    OBS_ABORT_CREDENTIALS_ENV as ENV, OBS_ABORT_SIGNATURE_AWS_V2 as AWS_V2, OBS_ABORT_SIGNATURE_OBS as OBS,
};

fn bare(server: &Server) -> Config {
    Config::bare().endpoint(&server.endpoint()).proxy("")
}

/// The code of an abort of an upload that exists.
fn abort(server: &Server, client: &support::Client) -> i32 {
    let id = server.create_upload("backups", "k");
    let (code, status, error) = client.abort("backups", "k", &id);
    assert_eq!(server.was_aborted(&id), code == code::OK, "{status} {error:?}");
    code
}

#[test]
fn a_refused_setting_is_forgiven_once_it_is_set_rightly() {
    let server = server();
    let config = Config::new(&server.endpoint());
    let set = lib().obs_abort_config_set_endpoint;
    unsafe { assert_eq!(set(config.0, c("ftp://h").as_ptr()), code::INVALID_ARGUMENT) };
    assert_eq!(config.try_client().err().map(|(code, _)| code), Some(code::INVALID_CONFIG));
    unsafe { assert_eq!(set(config.0, c(&server.endpoint()).as_ptr()), code::OK) };
    assert_eq!(abort(&server, &config.client()), code::OK);
    // Another setting does not make it good.
    unsafe {
        assert_eq!(lib().obs_abort_config_set_ca_file(config.0, c("/nowhere").as_ptr()), code::INVALID_CONFIG)
    };
    unsafe { assert_eq!(lib().obs_abort_config_set_confirm(config.0, 0), code::OK) };
    let (code, error) = config.try_client().err().unwrap();
    assert_eq!(code, code::INVALID_CONFIG);
    assert!(error.contains("ca_file") && error.contains("/nowhere"), "{error}");
}

#[test]
fn client_new_judges_what_must_be_judged_together() {
    for endpoint in ["http://127.0.0.1:9", "https://127.0.0.1", "http://[::1]:9"] {
        let config = Config::new(endpoint).addressing(VIRTUAL_HOST);
        let (code, error) = config.try_client().err().expect(endpoint);
        assert_eq!(code, code::INVALID_CONFIG, "{error}");
        assert!(error.contains("VIRTUAL_HOST") && error.contains("IP address"), "{error}");
        // The other way round the settings came in the other order.
        let config = Config::bare().addressing(VIRTUAL_HOST).endpoint(endpoint);
        assert!(config.try_client().is_err(), "{endpoint}");
        assert!(config.addressing(PATH).try_client().is_ok(), "{endpoint}");
    }
    assert!(Config::new("http://h.example").addressing(VIRTUAL_HOST).try_client().is_ok());
    let (code, error) = Config::bare().credentials("a", "s", None).try_client().err().unwrap();
    assert_eq!(code, code::INVALID_CONFIG);
    assert!(error.contains("endpoint"), "{error}");
}

#[test]
fn client_new_takes_null() {
    let lib = lib();
    let config = Config::new("http://127.0.0.1:9");
    unsafe {
        let mut client = std::ptr::dangling_mut();
        let mut error = std::ptr::dangling_mut();
        assert_eq!(lib.obs_abort_client_new(null(), &raw mut client, &raw mut error), code::INVALID_ARGUMENT);
        assert!(client.is_null(), "written before anything else happens");
        let error = support::owned(error).unwrap();
        assert!(error.starts_with("invalid_argument: ") && error.contains("config"), "{error}");
        let code = lib.obs_abort_client_new(config.0, std::ptr::null_mut(), std::ptr::null_mut());
        assert_eq!(code, code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_client_new(config.0, &raw mut client, std::ptr::null_mut()), code::OK);
        lib.obs_abort_client_free(client);
    }
}

#[test]
fn without_credentials_calls_say_so_until_there_are_some() {
    let server = server();
    let client = bare(&server).client();
    let (code, status, error) = client.abort("backups", "k", "i");
    assert_eq!((code, status), (code::NO_CREDENTIALS, 0));
    let error = error.unwrap();
    assert!(error.starts_with("no_credentials: ") && error.contains("credential_source"), "{error}");
    let outcome = client.outcome(None, "backups", "k", "i");
    assert_eq!((outcome.code, outcome.http_status, outcome.attempts), (code::NO_CREDENTIALS, 0, 0));
    // Bad input is told first: it will not become better with credentials.
    assert_eq!(client.outcome(None, "backups", "", "i").code, code::INVALID_ARGUMENT);
    let listed = client.stale(None, "backups", None, 60, 0, &mut |_, _, _| false);
    assert_eq!(listed.code, code::NO_CREDENTIALS, "{listed:?}");
    assert_eq!(server.connections_accepted(), 0, "nothing was sent");
    assert_eq!(client.set_credentials(ACCESS_KEY, SECRET_KEY, None), code::OK);
    assert_eq!(abort(&server, &client), code::OK);
}

#[test]
fn the_last_of_credentials_and_source_wins() {
    let server = server();
    let source = |config: &Config| unsafe { lib().obs_abort_config_set_credential_source(config.0, ENV) };
    let config = Config::bare().endpoint(&server.endpoint()).proxy("");
    assert_eq!(source(&config), code::OK);
    let config = config.credentials(ACCESS_KEY, SECRET_KEY, None);
    assert_eq!(abort(&server, &config.client()), code::OK, "credentials came last");
    assert_eq!(source(&config), code::OK);
    // Nobody runs the tests with these in the environment; abi_env looks at the source itself.
    let (code, _, error) = config.client().abort("backups", "k", "i");
    assert_eq!(code, code::NO_CREDENTIALS, "the source came last");
    assert!(error.unwrap().contains("OBS_ACCESS_KEY_ID"));
}

#[test]
fn rotation_takes_good_credentials_and_keeps_the_old_ones_beside_bad() {
    let server = server();
    server.add_access_key(&AccessKey::temporary("AK2", "SK2", "TOKEN2"));
    let client = Config::new(&server.endpoint()).client();
    assert_eq!(abort(&server, &client), code::OK);
    for (access_key, secret_key, token) in
        [("", "s", None), ("AK2", "SK2\n", None), ("AK2", "SK2", Some("T T"))]
    {
        assert_eq!(client.set_credentials(access_key, secret_key, token), code::INVALID_ARGUMENT);
        assert_eq!(abort(&server, &client), code::OK, "the old ones go on");
    }
    unsafe {
        assert_eq!(
            lib().obs_abort_client_set_credentials(client.0, null(), null(), null(), null_mut()),
            code::INVALID_ARGUMENT
        )
    };
    assert_eq!(abort(&server, &client), code::OK);
    assert_eq!(client.set_credentials("AK2", "SK2", Some("TOKEN2")), code::OK);
    assert_eq!(abort(&server, &client), code::OK);
    assert_eq!(server.journal().last().unwrap().header("x-amz-security-token"), Some("TOKEN2"));
    assert_eq!(client.set_credentials("AK2", "wrong", Some("TOKEN2")), code::OK, "the service judges it");
    assert_eq!(abort(&server, &client), code::ACCESS_DENIED);
    assert_eq!(client.set_credentials(ACCESS_KEY, SECRET_KEY, Some("")), code::OK);
    assert_eq!(abort(&server, &client), code::OK);
    assert_eq!(server.journal().last().unwrap().header("x-amz-security-token"), None, "\"\" is no token");
    assert_eq!(server.connections_accepted(), 1, "rotation costs no connection");
}

#[test]
fn a_token_of_nothing_is_no_token() {
    let server = server();
    for token in [None, Some("")] {
        let client = bare(&server).credentials(ACCESS_KEY, SECRET_KEY, token).client();
        assert_eq!(abort(&server, &client), code::OK);
        let entry = server.journal().pop().unwrap();
        assert!(!entry.headers.iter().any(|(name, _)| name.to_lowercase().contains("token")), "{entry:?}");
    }
}

#[test]
fn a_client_has_a_copy_of_its_config() {
    let (server, other) = (server(), server());
    let config = Config::new(&server.endpoint());
    let first = config.client();
    let config = config.endpoint(&other.endpoint()).credentials("other", "other", None).max_attempts(1);
    let second = config.client();
    drop(config);
    assert_eq!(abort(&server, &first), code::OK, "the config was changed, and freed");
    assert_eq!(abort(&other, &second), code::ACCESS_DENIED);
    assert_eq!((server.connections_accepted(), other.connections_accepted()), (1, 1));
    drop(first);
    assert_eq!(second.outcome(None, "backups", "k", "i").code, code::ACCESS_DENIED, "the other was freed");
}

#[test]
fn the_requester_pays_where_asked_for_in_both_schemes_and_signed() {
    let server = server();
    for (signature, ours, theirs) in [
        (OBS, "x-obs-request-payer", "x-amz-request-payer"),
        (AWS_V2, "x-amz-request-payer", "x-obs-request-payer"),
    ] {
        for token in [None, Some("TOKEN")] {
            let key = AccessKey { security_token: token.map(str::to_owned), ..AccessKey::new("PAYER", "SK") };
            server.add_access_key(&key);
            let client =
                bare(&server).credentials("PAYER", "SK", token).signature(signature).request_payer().client();
            // The server signs what it was sent: a header that is not signed is refused.
            assert_eq!(abort(&server, &client), code::OK);
            let entry = server.journal().pop().unwrap();
            assert_eq!((entry.header(ours), entry.header(theirs)), (Some("requester"), None));
        }
        let client = Config::new(&server.endpoint()).signature(signature).client();
        assert_eq!(abort(&server, &client), code::OK);
        assert_eq!(server.journal().pop().unwrap().header(ours), None, "off unless asked for");
    }
}

#[test]
fn the_user_agent_is_the_product_and_ours() {
    let recorder = Recorder::start();
    let own = format!("libobsabort/{}", env!("CARGO_PKG_VERSION"));
    let config = Config::new(&recorder.url());
    for (product, sent) in [
        (None, own.clone()),
        (Some("backupd/2.1"), format!("backupd/2.1 {own}")),
        (Some("a b (c; d)"), format!("a b (c; d) {own}")),
    ] {
        if let Some(product) = product {
            unsafe {
                assert_eq!(lib().obs_abort_config_set_user_agent(config.0, c(product).as_ptr()), code::OK)
            };
        }
        assert_eq!(config.client().abort("backups", "k", "i").0, code::OK);
        assert_eq!(recorder.take_one().header("user-agent"), Some(sent.as_str()));
    }
}

#[test]
fn requests_carry_what_they_need_and_nothing_else() {
    let recorder = Recorder::start();
    assert_eq!(Config::new(&recorder.url()).client().abort("backups", "k", "i").0, code::OK);
    let head = recorder.take_one();
    assert_eq!(head.line, "DELETE /backups/k?uploadId=i HTTP/1.1");
    for needed in ["host", "date", "authorization", "user-agent"] {
        assert!(head.header(needed).is_some(), "{needed}");
    }
    let known = ["host", "date", "authorization", "user-agent", "accept", "content-length", "connection"];
    for (name, value) in &head.headers {
        assert!(known.contains(&name.as_str()), "{name}: {value}");
    }
    assert!(head.header("content-length").is_none_or(|length| length == "0"));
}

#[test]
fn attempts_are_four_unless_said_otherwise() {
    let server = server();
    for (config, attempts) in [
        (Config::new(&server.endpoint()), 4),
        (Config::new(&server.endpoint()).max_attempts(1), 1),
        (Config::new(&server.endpoint()).max_attempts(2), 2),
    ] {
        server.fault(Fault::answer(500).always());
        let outcome = config.client().outcome(None, "backups", "k", "i");
        server.clear_faults();
        assert_eq!((outcome.code, outcome.attempts), (code::SERVER, attempts));
        let message = outcome.message.unwrap();
        assert!(message.contains(&format!("attempt {attempts} of {attempts}")), "{message}");
    }
}

#[test]
fn the_budget_is_a_minute_unless_said_otherwise() {
    let server = server();
    let config = Config::new(&server.endpoint());
    // A wait beyond the budget ends the call at once; one within it is begun, and the call handle cuts it short.
    for (seconds, code) in [("58", code::CANCELLED), ("62", code::THROTTLED)] {
        server.fault(Fault::answer(503).header("Retry-After", seconds).times(1));
        let call = Call::new();
        let client = config.client();
        let began = Instant::now();
        let outcome = std::thread::scope(|scope| {
            let call = &call;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(700));
                call.cancel();
            });
            client.outcome(Some(call), "backups", "k", "i")
        });
        assert_eq!(outcome.code, code, "Retry-After: {seconds}: {outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn connections_are_kept_as_many_as_said() {
    let server = server();
    server.set_latency(Duration::from_millis(150));
    for (config, kept) in [
        (Config::new(&server.endpoint()).max_connections(2), 2),
        (Config::new(&server.endpoint()).max_connections(1), 1),
        (Config::new(&server.endpoint()), 6),
    ] {
        let client = config.client();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                // Callers' own threads are not limited by it.
                scope.spawn(|| client.abort("backups", "k", "i"));
            }
        });
        let patience = Instant::now() + Duration::from_secs(10);
        while server.connections_open() > kept && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(server.connections_open() <= kept, "{} open, {kept} wanted", server.connections_open());
        if kept == 6 {
            assert!(server.connections_open() > 2, "the default keeps more than two");
        }
        drop(client);
    }
}

#[test]
fn an_attempt_to_connect_has_ten_seconds_unless_said_otherwise() {
    // Accepts TCP and never says a word of TLS.
    let server = server();
    server.fault(Fault::silence().then(End::Stall).at_accept().always());
    let endpoint = server.endpoint().replace("http://", "https://");
    let ms = |config: Config| {
        let began = Instant::now();
        let outcome = config.client().outcome(None, "backups", "k", "i");
        assert_eq!((outcome.code, outcome.attempts), (code::TLS, 0), "{outcome:?}");
        began.elapsed().as_millis()
    };
    let config = || Config::new(&endpoint).max_attempts(1);
    let short = ms(config().connect_timeout_ms(300));
    assert!((290..4_000).contains(&short), "{short} ms");
    let default = ms(config());
    assert!((9_900..14_000).contains(&default), "{default} ms");
}
