//! Cancellation and shutdown: whatever a call is waiting for, it returns CANCELLED within 250 ms, and leaves nothing.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use obs_local::{End, Fault, Options, Rate, Server};
use support::obs::{server, server_with};
use support::peer::full;
use support::pki::Pki;
use support::process::{descriptors, eventually, in_own_process, threads};
use support::{Call, Client, Config, code};

/// 250 ms is the promise; the rest is for a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_millis(500);
const INCLUDE_LIVE: u32 = support::OBS_ABORT_INCLUDE_LIVE as u32;

/// obs-local, which does this to every connection or request.
fn playing(fault: Fault) -> Server {
    let server = server();
    server.fault(fault.always());
    server
}

/// Reads and says nothing.
fn silent() -> Fault {
    Fault::silence().at_accept().then(End::Stall)
}

/// Says this and 100 000 bytes more, `size` bytes each 30 ms.
fn drip(head: &str, size: usize) -> Fault {
    Fault::raw(format!("{head}{}", "x".repeat(100_000))).drip(size, Duration::from_millis(30))
}

fn dripping_error() -> Fault {
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n<Error>";
    drip(head, head.len())
}

fn dripping_head() -> Fault {
    drip("HTTP/1.1 204 No Content\r\nx-obs-request-id: ", 1)
}

fn dripping_page() -> Fault {
    let now = obs_local::http_date(obs_local::unix_ms(std::time::SystemTime::now()) / 1000);
    let head = format!(
        "HTTP/1.1 200 OK\r\nDate: {now}\r\nContent-Length: 100000\r\n\r\n<ListMultipartUploadsResult><Bucket>"
    );
    drip(&head, head.len())
}

/// 500 to every request, so that backoff follows backoff.
fn failing() -> Fault {
    Fault::answer(500)
}

fn later() -> Fault {
    Fault::answer(503).header("Retry-After", "20").header("Connection", "close").then(End::Close)
}

#[derive(Clone, Copy, Debug)]
enum By {
    Call,
    Shutdown,
}

/// Runs a verb on a thread of its own, ends it once `reached`, and looks at how soon and how it ends; then at the
/// calls after it.
fn ended(stage: &str, config: Config, reached: &dyn Fn() -> bool, verb: fn(&Client, &Call) -> i32) {
    for by in [By::Call, By::Shutdown] {
        let (client, call) = (config.client(), Call::new());
        let (code, took) = std::thread::scope(|scope| {
            let calling = scope.spawn(|| (verb(&client, &call), Instant::now()));
            eventually(stage, reached);
            // Into the wait.
            std::thread::sleep(Duration::from_millis(150));
            assert!(!calling.is_finished(), "{stage}: over before it was cancelled: {:?}", calling.join());
            let cancelled = Instant::now();
            match by {
                By::Call => call.cancel(),
                By::Shutdown => client.shutdown(),
            }
            let (code, end) = calling.join().unwrap();
            (code, end.saturating_duration_since(cancelled))
        });
        assert_eq!(code, code::CANCELLED, "{stage} by {by:?}");
        assert!(took < PROMPT, "{stage} by {by:?}: {took:?}");
        let again = Instant::now();
        assert_eq!(verb(&client, &call), code::CANCELLED, "{stage} by {by:?}: it stays so");
        assert!(again.elapsed() < Duration::from_millis(200), "{stage} by {by:?}: at once");
    }
}

fn one(client: &Client, call: &Call) -> i32 {
    let outcome = client.outcome(Some(call), "backups", "key", "id");
    if outcome.code == code::CANCELLED {
        assert_eq!((outcome.http_status, outcome.service_code), (0, None));
        assert!(outcome.message.unwrap().starts_with("cancelled: "));
    }
    outcome.code
}

fn many(client: &Client, call: &Call) -> i32 {
    let ending = client.many(Some(call), "backups", &[("key", "id"); 50], &mut |_, _, _| false);
    assert_eq!(ending.report.unwrap().total, 50);
    ending.code
}

fn stale(client: &Client, call: &Call) -> i32 {
    let ending = client.stale(Some(call), "backups", None, 60, 0, &mut |_, _, _| false);
    assert_eq!(ending.report.unwrap().aborted, 0);
    ending.code
}

fn played(stage: &str, fault: Fault, scheme: &str, verb: fn(&Client, &Call) -> i32, ca: Option<&Pki>) {
    let server = playing(fault);
    let mut config = Config::new(&server.endpoint().replace("http", scheme)).max_attempts(1000);
    if let Some(pki) = ca {
        config = config.ca_file(&pki.ca());
    }
    ended(stage, config, &|| server.connections_accepted() > 0, verb);
}

fn connecting() {
    let full = full();
    ended("connecting", Config::new(&full.endpoint), &|| true, one);
    ended("connecting, many", Config::new(&full.endpoint), &|| true, many);
}

fn in_a_handshake() {
    let pki = Pki::new();
    played("handshake", silent(), "https", one, Some(&pki));
}

fn waiting_for_an_answer() {
    played("answer", silent(), "http", one, None);
    played("answer, many", silent(), "http", many, None);
    played("answer, listing", silent(), "http", stale, None);
    let (pki, silence) = (Pki::new(), Duration::from_secs(30));
    let server = Server::start(Options { tls: Some(pki.tls()), ..Options::default() });
    server.fault(Fault::silence().delay(silence).always());
    let config = Config::new(&server.endpoint()).ca_file(&pki.ca());
    ended("answer over TLS", config, &|| server.counts().requests > 0, one);
}

fn reading_what_drips() {
    played("error body", dripping_error(), "http", one, None);
    played("head", dripping_head(), "http", one, None);
    played("page", dripping_page(), "http", stale, None);
}

fn sleeping() {
    played("backoff", failing(), "http", one, None);
    played("Retry-After", later(), "http", one, None);
    played("Retry-After, listing", later(), "http", stale, None);
}

fn pacing() {
    played("pace, many", later(), "http", many, None);
    let rate = Rate { per_second: 0.001, burst: 1.0, retry_after_s: None };
    let server = server_with(Options { rate: Some(rate), ..Options::default() });
    let config = Config::new(&server.endpoint()).max_attempts(1000);
    ended("pace at its slowest, many", config, &|| server.counts().status(503) > 10, many);
}

fn opening_a_tunnel() {
    let server = playing(silent());
    let pki = Pki::new();
    let config = Config::new("https://127.0.0.1:9").ca_file(&pki.ca());
    let config = config.proxy(&server.endpoint());
    ended("tunnel", config, &|| server.connections_accepted() > 0, one);
}

#[test]
fn cancelled_while_connecting() {
    connecting();
}

#[test]
fn cancelled_in_a_handshake() {
    in_a_handshake();
}

#[test]
fn cancelled_while_waiting_for_an_answer() {
    waiting_for_an_answer();
}

#[test]
fn cancelled_while_reading_what_drips() {
    reading_what_drips();
}

#[test]
fn cancelled_while_sleeping() {
    sleeping();
}

#[test]
fn cancelled_while_pacing() {
    pacing();
}

#[test]
fn cancelled_while_opening_a_tunnel() {
    opening_a_tunnel();
}

#[test]
fn no_thread_and_no_descriptor_outlives_a_cancelled_call() {
    if !in_own_process("no_thread_and_no_descriptor_outlives_a_cancelled_call") {
        return;
    }
    // Whatever is made once per process.
    in_a_handshake();
    let before = (threads(), descriptors());
    for stage in [
        connecting,
        in_a_handshake,
        waiting_for_an_answer,
        reading_what_drips,
        sleeping,
        pacing,
        opening_a_tunnel,
    ] {
        stage();
        eventually("threads and descriptors as before", || (threads(), descriptors()) == before);
    }
    println!("threads {}, descriptors {}: before, and after each stage", before.0.len(), before.1);
}

#[test]
fn one_handle_ends_all_calls_that_use_it_and_no_other() {
    let server = playing(silent());
    let config = Config::new(&server.endpoint()).timeout_ms(3000);
    let (client, shared, own) = (config.client(), Call::new(), Call::new());
    std::thread::scope(|scope| {
        let together: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (one(&client, &shared), Instant::now()))).collect();
        let other = scope.spawn(|| one(&client, &own));
        let none = scope.spawn(|| client.abort("backups", "key", "id").0);
        eventually("six calls in flight", || server.connections_accepted() == 6);
        let cancelled = Instant::now();
        shared.cancel();
        for call in together {
            let (code, end) = call.join().unwrap();
            assert_eq!(code, code::CANCELLED);
            assert!(end.saturating_duration_since(cancelled) < PROMPT);
        }
        assert_eq!(other.join().unwrap(), code::TIMEOUT, "it had a handle of its own");
        assert_eq!(none.join().unwrap(), code::TIMEOUT, "it had no handle");
    });
}

/// Frees the handle while calls that use it wait for a response. Handles that are made afterwards take its memory, and say
/// the opposite of what it said: a call that still read it would believe them.
fn freed_in_flight(cancel_first: bool, timeout_ms: u32) -> Vec<i32> {
    let server = playing(silent());
    let client = Config::new(&server.endpoint()).timeout_ms(4000).client();
    let call = Call::with_timeout_ms(timeout_ms);
    let verbs: [fn(&Client, &Call) -> i32; 3] = [one, many_of_one, stale];
    std::thread::scope(|scope| {
        let calls: Vec<_> = verbs
            .into_iter()
            .map(|verb| {
                let (client, borrowed) = (&client, ManuallyDrop::new(Call(call.0)));
                scope.spawn(move || verb(client, &borrowed))
            })
            .collect();
        eventually("all are in flight", || server.connections_accepted() == calls.len() as u64);
        if cancel_first {
            call.cancel();
        }
        drop(call);
        let others: Vec<Call> = (0..64).map(|_| Call::with_timeout_ms(60_000)).collect();
        if !cancel_first {
            others.iter().for_each(Call::cancel);
        }
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

fn many_of_one(client: &Client, call: &Call) -> i32 {
    client.many(Some(call), "backups", &[("key", "id")], &mut |_, _, _| false).code
}

#[test]
fn a_handle_may_be_freed_while_calls_use_it() {
    assert_eq!(freed_in_flight(true, 60_000), [code::CANCELLED; 3], "cancelled before");
    assert_eq!(freed_in_flight(false, 2000), [code::TIMEOUT; 3], "by the budget that was set before");
}

#[test]
fn a_handle_may_be_freed_by_its_own_callback() {
    let server = server();
    let client = Config::new(&server.endpoint()).max_connections(2).client();
    for _ in 0..40 {
        server.create_upload("backups", "key");
    }
    let ids: Vec<String> = server.uploads("backups").into_iter().map(|upload| upload.upload_id).collect();
    let list: Vec<_> = ids[..20].iter().map(|id| ("key", id.as_str())).collect();
    let mut call = Some(Call::new());
    let handle = ManuallyDrop::new(Call(call.as_ref().unwrap().0));
    let ending = client.many(Some(&handle), "backups", &list, &mut |_, _, _| {
        drop(call.take());
        false
    });
    assert_eq!((ending.code, ending.report.unwrap().aborted), (code::OK, 20));
    let mut call = Some(Call::new());
    let handle = ManuallyDrop::new(Call(call.as_ref().unwrap().0));
    let ending = client.stale(Some(&handle), "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| {
        if let Some(call) = call.take() {
            call.cancel();
        }
        false
    });
    assert_eq!(ending.code, code::CANCELLED, "it stays cancelled");
}

#[test]
fn a_cancelled_handle_sends_nothing() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let id = server.create_upload("backups", "key");
    let call = Call::new();
    call.cancel();
    assert_eq!(one(&client, &call), code::CANCELLED);
    let many = client.many(Some(&call), "backups", &[("key", &id)], &mut |_, _, _| false);
    assert_eq!((many.code, many.report.unwrap().kept), (code::CANCELLED, 1));
    let stale = client.stale(Some(&call), "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((stale.code, stale.report.unwrap().total), (code::CANCELLED, 0));
    assert_eq!(server.connections_accepted(), 0);
    // The client is none the worse.
    assert_eq!(client.abort("backups", "key", &id).0, code::OK);
    client.shutdown();
    assert_eq!(client.abort("backups", "key", &id).0, code::CANCELLED);
    assert_eq!(server.counts().requests, 1);
}

#[test]
fn a_calls_budget_replaces_the_clients() {
    let server = server();
    server.fault(Fault::real().delay(Duration::from_millis(900)).always());
    let id = server.create_upload("backups", "key");
    let patient = Config::new(&server.endpoint()).timeout_ms(60_000).client();
    let began = Instant::now();
    let outcome = patient.outcome(Some(&Call::with_timeout_ms(300)), "backups", "key", "another");
    let took = began.elapsed();
    assert_eq!((outcome.code, outcome.attempts), (code::TIMEOUT, 1), "{outcome:?}");
    assert!(took >= Duration::from_millis(299) && took < Duration::from_millis(800), "{took:?}");
    let hasty = Config::new(&server.endpoint()).timeout_ms(300).client();
    let outcome = hasty.outcome(Some(&Call::with_timeout_ms(30_000)), "backups", "key", &id);
    assert_eq!(outcome.code, code::OK, "{outcome:?}");
    assert_eq!(
        unsafe { (support::lib().obs_abort_call_set_timeout_ms)(Call::new().0, 0) },
        code::INVALID_ARGUMENT
    );
    assert_eq!(
        unsafe { (support::lib().obs_abort_call_set_timeout_ms)(std::ptr::null_mut(), 5) },
        code::INVALID_ARGUMENT
    );
}

#[test]
fn shutdown_closes_what_is_idle() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let id = server.create_upload("backups", "key");
    assert_eq!(client.abort("backups", "key", &id).0, code::OK);
    assert_eq!(server.connections_open(), 1);
    client.shutdown();
    eventually("no connection is open", || server.connections_open() == 0);
}

unsafe extern "C" {
    fn pthread_create(
        thread: *mut usize,
        attributes: *const c_void,
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> i32;
    fn pthread_cancel(thread: usize) -> i32;
    fn pthread_setcancelstate(state: i32, before: *mut i32) -> i32;
    fn pthread_join(thread: usize, result: *mut *mut c_void) -> i32;
}

/// A call, and what a thread that makes it finds: its code, and the thread's state of cancellation before and after.
struct Cancelled<'a> {
    verb: fn(&Client, &Call) -> i32,
    client: &'a Client,
    found: (i32, i32, i32),
}

extern "C" fn make(call: *mut c_void) -> *mut c_void {
    // A cancellation that is pending acts in the next function that waits: there is none below.
    const DISABLED: i32 = 1;
    let call = unsafe { &mut *call.cast::<Cancelled<'_>>() };
    let mut state = [-1; 2];
    unsafe {
        pthread_setcancelstate(0, &raw mut state[0]);
        let code = (call.verb)(call.client, &Call(null_mut()));
        pthread_setcancelstate(DISABLED, &raw mut state[1]);
        call.found = (code, state[0], state[1]);
    }
    null_mut()
}

/// pthread_cancel() unwinds a thread's stack. With Rust on it, the C library ends the process.
#[test]
fn a_thread_that_its_host_cancels() {
    if !in_own_process("a_thread_that_its_host_cancels") {
        return;
    }
    let server = playing(silent());
    let client = Config::new(&server.endpoint()).timeout_ms(700).max_attempts(1).client();
    let verbs: [fn(&Client, &Call) -> i32; 3] = [one, many_of_one, stale];
    for (verb, want) in verbs.into_iter().zip([code::TIMEOUT, code::PARTIAL, code::TIMEOUT]) {
        let before = server.connections_accepted();
        let mut call = Cancelled { verb, client: &client, found: (-1, -1, -1) };
        let mut thread = 0;
        unsafe {
            assert_eq!(pthread_create(&raw mut thread, null(), make, (&raw mut call).cast()), 0);
            eventually("it waits for the server", || server.connections_accepted() > before);
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(pthread_cancel(thread), 0);
            assert_eq!(pthread_join(thread, null_mut()), 0);
        }
        assert_eq!(
            call.found,
            (want, 0, 0),
            "the call ends as it would have, and the state is the host's again"
        );
    }
}
