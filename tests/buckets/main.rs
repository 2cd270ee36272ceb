//! `obs_abort_buckets`: names and locations, pages, and lists that can't be relied on.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use obs_local::{
    AccessKey, BucketPaging, End, Fault, ListQuirk, Listing, Options, SECRET_KEY, Server, http_date,
};
use support::obs::server;
use support::pki::Pki;
use support::process::eventually;
use support::{
    Call, Client, Config, OBS_ABORT_ADDRESSING_AUTO, OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN,
    OBS_ABORT_ADDRESSING_PATH, OBS_ABORT_ADDRESSING_VIRTUAL_HOST, OBS_ABORT_SIGNATURE_AWS_V2,
    OBS_ABORT_SIGNATURE_OBS, code, lib,
};

/// 250 ms is the promise; the rest is for a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_millis(500);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("bk-{n:04}")).collect()
}

fn with_buckets(count: usize, options: Options) -> Server {
    Server::start(Options { buckets: names(count), ..options })
}

fn client(server: &Server) -> Client {
    Config::new(&server.endpoint()).client()
}

/// Names and locations.
type Told = Vec<(String, Option<String>)>;

/// The code, the error, and what the callback was told.
fn listed(client: &Client) -> (i32, Option<String>, Told) {
    let mut told = Vec::new();
    let (code, error) = client.buckets(None, &mut |name, location| {
        told.push((name.to_owned(), location.map(str::to_owned)));
        // A list without an end fails rather than hangs.
        told.len() > 5000
    });
    (code, error, told)
}

fn names_of(told: &[(String, Option<String>)]) -> Vec<String> {
    told.iter().map(|(name, _)| name.clone()).collect()
}

#[test]
fn names_and_locations_come_in_the_order_of_the_service() {
    let server = server();
    server.set_location("bk-eu", "eu-101");
    server.set_location("bk-cn", "cn-north-4");
    server.set_elsewhere("bk-cn", Some("obs.cn-north-4.example.com"));
    server.set_forbidden("bk-eu", true);
    let (code, error, told) = listed(&client(&server));
    assert_eq!((code, error), (code::OK, None));
    let pair = |name: &str, location: Option<&str>| (name.to_owned(), location.map(str::to_owned));
    let wanted = [pair("backups", None), pair("bk-cn", Some("cn-north-4")), pair("bk-eu", Some("eu-101"))];
    assert_eq!(told, wanted);
    let journal = server.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!((journal[0].method.as_str(), journal[0].target.as_str()), ("GET", "/"));
}

#[test]
fn an_account_may_have_no_buckets() {
    let server = with_buckets(0, Options::default());
    assert_eq!(listed(&client(&server)), (code::OK, None, Vec::new()));
}

#[test]
fn it_is_signed_in_both_schemes_and_by_the_host_of_the_service() {
    let server = with_buckets(3, Options::default());
    server.add_access_key(&AccessKey::temporary("TEMPORARY", "secret", "a-token"));
    let by_name = server.endpoint_of("localhost");
    for (endpoint, addressing, host) in [
        (server.endpoint(), OBS_ABORT_ADDRESSING_AUTO, "127.0.0.1"),
        (server.endpoint(), OBS_ABORT_ADDRESSING_PATH, "127.0.0.1"),
        (by_name.clone(), OBS_ABORT_ADDRESSING_AUTO, "localhost"),
        (by_name.clone(), OBS_ABORT_ADDRESSING_VIRTUAL_HOST, "localhost"),
    ] {
        for (signature, word) in [(OBS_ABORT_SIGNATURE_OBS, "OBS"), (OBS_ABORT_SIGNATURE_AWS_V2, "AWS")] {
            for token in [None, Some("a-token")] {
                let config = Config::new(&endpoint).addressing(addressing).signature(signature);
                let config = match token {
                    Some(token) => config.credentials("TEMPORARY", "secret", Some(token)),
                    None => config,
                };
                let (code, error, told) = listed(&config.client());
                assert_eq!((code, names_of(&told)), (code::OK, names(3)), "{endpoint} {word}: {error:?}");
                let last = server.journal().pop().unwrap();
                assert_eq!((last.scheme.as_str(), last.host), (word, format!("{host}:{}", server.port())));
            }
        }
    }
}

#[test]
fn a_custom_domain_is_refused() {
    let server = server();
    let config =
        Config::new(&server.endpoint_of("img.example.com")).addressing(OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN);
    let (code, error, told) = listed(&config.client());
    assert!(matches!(code, code::INVALID_ARGUMENT | code::INVALID_CONFIG), "{code}: {error:?}");
    assert!(told.is_empty() && error.unwrap().contains("domain"));
    assert_eq!(server.connections_accepted(), 0, "nothing was sent");
}

#[test]
fn all_pages_are_read() {
    for bucket_paging in [BucketPaging::Marker, BucketPaging::Token] {
        for (count, cap) in [(25, 1), (25, 10), (30, 10), (2500, 1000), (7, 1000)] {
            let options = Options { buckets_page_cap: Some(cap), bucket_paging, ..Options::default() };
            let server = with_buckets(count, options);
            let (code, error, told) = listed(&client(&server));
            assert_eq!(
                (code, names_of(&told)),
                (code::OK, names(count)),
                "{bucket_paging:?} {cap}: {error:?}"
            );
            assert_eq!(server.counts().requests as usize, count.div_ceil(cap));
        }
    }
}

#[test]
fn a_bucket_of_each_region_is_told_by_either_name() {
    for bucket_paging in [BucketPaging::Marker, BucketPaging::Token] {
        let server = with_buckets(0, Options { bucket_paging, ..Options::default() });
        server.set_location("bk-eu", "eu-101");
        let (_, _, told) = listed(&client(&server));
        assert_eq!(told, [("bk-eu".to_owned(), Some("eu-101".to_owned()))]);
        server.set_quirks(Listing::Buckets, &[ListQuirk::OmitLocation]);
        assert_eq!(listed(&client(&server)).2, [("bk-eu".to_owned(), None)]);
    }
}

#[test]
fn what_can_not_be_relied_on_is_no_list() {
    let body = |text: &str| Fault::answer(200).body(text.to_owned());
    let quirk = |quirk: ListQuirk| move |server: &Server| server.set_quirks(Listing::Buckets, &[quirk]);
    let fault = |fault: Fault| move |server: &Server| server.fault(fault.clone().account().always());
    type Play = Box<dyn Fn(&Server)>;
    let mut rows: Vec<(String, Play)> = Vec::new();
    for (each, name, listings) in ListQuirk::TABLE {
        let harmless = matches!(each, ListQuirk::OmitLocation | ListQuirk::OmitIsTruncated);
        if listings.contains(&Listing::Buckets) && !harmless {
            rows.push((name.to_owned(), Box::new(quirk(each))));
        }
    }
    for (name, play) in [
        ("204", fault(Fault::answer(204))),
        ("200 without a body", fault(Fault::answer(200))),
        ("HTML", fault(body("<html><body>log in</body></html>"))),
        ("JSON", fault(body("{\"buckets\":[]}"))),
        ("objects", fault(body("<ListBucketResult><Name>bk</Name></ListBucketResult>"))),
        ("an error with 200", fault(body("<Error><Code>InternalError</Code></Error>"))),
        (
            "a bucket without a name",
            fault(body("<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>")),
        ),
        (
            "a name with a line end",
            fault(body(
                "<ListAllMyBucketsResult><Buckets><Bucket><Name>a&#10;b</Name></Bucket></Buckets></ListAllMyBucketsResult>",
            )),
        ),
    ] {
        rows.push((name.to_owned(), Box::new(play)));
    }
    for (name, play) in rows {
        let server = with_buckets(25, Options { buckets_page_cap: Some(10), ..Options::default() });
        play(&server);
        let client = Config::new(&server.endpoint()).max_attempts(2).client();
        let began = Instant::now();
        let (code, error, told) = listed(&client);
        assert_eq!(code, code::PROTOCOL, "{name}: {error:?} {told:?}");
        assert!(began.elapsed() < Duration::from_secs(10) && told.len() < 200, "{name}: {} told", told.len());
    }
}

#[test]
fn failures_have_their_codes() {
    let rows = [
        (Fault::answer(403).error("AccessDenied"), code::ACCESS_DENIED),
        (Fault::answer(403).error("SignatureDoesNotMatch"), code::ACCESS_DENIED),
        (Fault::answer(403).error("RequestTimeTooSkewed"), code::CLOCK_SKEW),
        (Fault::answer(500).error("InternalError"), code::SERVER),
        (Fault::answer(503).error("SlowDown"), code::THROTTLED),
        (Fault::answer(400).error("InvalidArgument"), code::REJECTED),
        (Fault::answer(405).error("MethodNotAllowed"), code::REJECTED),
        (Fault::answer(404), code::REJECTED),
        (Fault::answer(301).error("PermanentRedirect"), code::REDIRECT),
        (Fault::silence().then(End::Reset), code::IO),
        (Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"), code::PROTOCOL),
    ];
    for (fault, wanted) in rows {
        let server = with_buckets(3, Options::default());
        server.fault(fault.clone().always());
        let client = Config::new(&server.endpoint()).max_attempts(2).client();
        let (code, error, told) = listed(&client);
        assert_eq!((code, told.len()), (wanted, 0), "{fault:?}: {error:?}");
        let error = error.unwrap();
        assert!(error.contains("listing the buckets") && !error.contains(SECRET_KEY), "{error}");
    }
    // Tried again.
    for fault in
        [Fault::answer(500).times(2), Fault::silence().times(2), Fault::real().cut(250), Fault::answer(503)]
    {
        let server = with_buckets(3, Options::default());
        server.fault(fault.clone());
        assert_eq!(listed(&client(&server)).2.len(), 3, "{fault:?}");
    }
    // A clock that is wrong is corrected.
    let server = with_buckets(3, Options { clock_offset_s: 86_400, ..Options::default() });
    assert_eq!(listed(&client(&server)).0, code::OK);
    // The second page is refused: the first one was told.
    let server = with_buckets(25, Options { buckets_page_cap: Some(10), ..Options::default() });
    server.fault(Fault::answer(403).error("AccessDenied").skip(1).always());
    let (code, _, told) = listed(&client(&server));
    assert_eq!((code, told.len()), (code::ACCESS_DENIED, 10));
}

#[test]
fn the_callback_runs_on_the_callers_thread_and_may_stop_and_call() {
    let server = with_buckets(25, Options { buckets_page_cap: Some(10), ..Options::default() });
    let client = client(&server);
    let this = std::thread::current().id();
    for stop_at in [1, 10, 11, 25] {
        let mut told = 0;
        let (code, error) = client.buckets(None, &mut |name, _| {
            assert_eq!(std::thread::current().id(), this);
            assert_eq!(client.abort(name, "k", "1").0, code::NO_SUCH_UPLOAD);
            told += 1;
            told == stop_at
        });
        assert_eq!((code, told), (code::CANCELLED, stop_at), "{error:?}");
    }
}

#[test]
fn it_is_cancelled_within_250_ms() {
    let drip = || {
        let now = http_date(obs_local::unix_ms(std::time::SystemTime::now()) / 1000);
        let head = format!(
            "HTTP/1.1 200 OK\r\nDate: {now}\r\nContent-Length: 100000\r\n\r\n<ListAllMyBucketsResult>"
        );
        Fault::raw(format!("{head}{}", "x".repeat(90_000))).drip(head.len(), Duration::from_millis(30))
    };
    for (name, fault) in [
        ("silence", Fault::silence().then(End::Stall)),
        ("a page that drips", drip()),
        ("backoff", Fault::answer(500)),
    ] {
        for by_shutdown in [false, true] {
            let server = with_buckets(3, Options::default());
            server.fault(fault.clone().always());
            let client = Config::new(&server.endpoint()).max_attempts(100).client();
            let call = Call::new();
            let (code, took) = std::thread::scope(|scope| {
                let calling =
                    scope.spawn(|| (client.buckets(Some(&call), &mut |_, _| false).0, Instant::now()));
                eventually(name, || server.counts().requests > 0);
                std::thread::sleep(Duration::from_millis(100));
                let cancelled = Instant::now();
                if by_shutdown {
                    client.shutdown()
                } else {
                    call.cancel()
                }
                let (code, ended) = calling.join().unwrap();
                (code, ended.saturating_duration_since(cancelled))
            });
            assert!(code == code::CANCELLED && took < PROMPT, "{name}: {code} {took:?}");
        }
    }
    let server = with_buckets(3, Options::default());
    server.fault(Fault::silence().then(End::Stall).always());
    let began = Instant::now();
    let call = Call::with_timeout_ms(300);
    assert_eq!(client(&server).buckets(Some(&call), &mut |_, _| false).0, code::TIMEOUT);
    assert!(began.elapsed() < Duration::from_millis(300) + PROMPT);
}

#[test]
fn null_and_what_else_is_no_call() {
    let server = with_buckets(3, Options::default());
    let client = client(&server);
    unsafe extern "C" fn never(
        _: *const std::ffi::c_char,
        _: *const std::ffi::c_char,
        _: *mut std::ffi::c_void,
    ) -> i32 {
        0
    }
    unsafe {
        let lib = lib();
        for (client, bucket) in [(null_mut(), Some(never as _)), (client.0, None)] {
            let mut error = std::ptr::dangling_mut();
            let code = lib.obs_abort_buckets(client, null(), bucket, null_mut(), &raw mut error);
            assert_eq!(code, code::INVALID_ARGUMENT);
            assert!(support::owned(error).is_some());
            assert_eq!(
                lib.obs_abort_buckets(client, null(), bucket, null_mut(), null_mut()),
                code::INVALID_ARGUMENT
            );
        }
        assert_eq!(server.connections_accepted(), 0, "nothing was sent");
        assert_eq!(lib.obs_abort_buckets(client.0, null(), Some(never), null_mut(), null_mut()), code::OK);
    }
    let bare = Config::bare().endpoint(&server.endpoint()).proxy("").client();
    assert_eq!(listed(&bare).0, code::NO_CREDENTIALS);
    client.shutdown();
    assert_eq!(listed(&client).0, code::CANCELLED);
}

#[test]
fn it_works_over_tls() {
    let pki = Pki::new();
    let server = with_buckets(3, Options { tls: Some(pki.tls()), ..Options::default() });
    let client = Config::new(&server.endpoint()).ca_file(&pki.ca()).client();
    assert_eq!(names_of(&listed(&client).2), names(3));
}

/// A key sees its own buckets.
#[test]
fn the_buckets_are_those_of_the_credentials() {
    let server = with_buckets(1, Options::default());
    server.add_access_key(&AccessKey::new("SECOND", "second-secret"));
    server.set_owner("bk-second", "SECOND");
    let client = client(&server);
    assert_eq!(names_of(&listed(&client).2), ["bk-0000"]);
    assert_eq!(client.set_credentials("SECOND", "second-secret", None), code::OK);
    assert_eq!(names_of(&listed(&client).2), ["bk-0000", "bk-second"]);
}
