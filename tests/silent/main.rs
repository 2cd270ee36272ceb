//! Silent peers among many: one connection of a batch or a sweep, a page that stalls, and the idle connections that are
//! dropped with the silent one. tests/faults/silent.rs has the single aborts.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::sync::Barrier;
use std::time::{Duration, Instant};

use obs_local::{End, Fault, Initiated, Server};
use support::obs::{entries, server, uploads};
use support::process::eventually;
use support::{Call, Client, Config, Ending, code};

const TIMEOUT_MS: u32 = 500;

fn client(server: &Server) -> Client {
    Config::new(&server.endpoint()).response_timeout_ms(TIMEOUT_MS).client()
}

/// No byte, and no end.
fn silent() -> Fault {
    Fault::silence().then(End::Stall)
}

fn all_gone(server: &Server, ending: &Ending, count: u64) {
    let report = ending.report.as_ref().expect("a report");
    assert_eq!(
        (ending.code, report.total, report.failed, report.kept),
        (code::OK, count, 0, 0),
        "{ending:?}"
    );
    assert_eq!(server.upload_count("backups"), 0);
}

fn sweep(client: &Client, call: Option<&Call>) -> Ending {
    client.stale(call, "backups", None, 60, 0, &mut |_, _, _| false)
}

#[test]
fn one_silent_connection_of_32_in_a_batch() {
    let server = server();
    server.set_latency(Duration::from_millis(5));
    let list = uploads(&server, 400);
    server.fault(silent().method("DELETE").skip(50));
    let ending = client(&server).many(None, "backups", &entries(&list), &mut |_, _, _| false);
    all_gone(&server, &ending, 400);
}

#[test]
fn one_silent_connection_of_32_in_a_sweep() {
    let server = server();
    server.set_latency(Duration::from_millis(5));
    uploads(&server, 400);
    server.fault(silent().method("DELETE").skip(50));
    all_gone(&server, &sweep(&client(&server), None), 400);
}

#[test]
fn every_kept_connection_of_a_sweep_goes_silent() {
    let server = server();
    let list = uploads(&server, 200);
    let client = client(&server);
    server.set_latency(Duration::from_millis(5));
    let ending = client.many(None, "backups", &entries(&list), &mut |_, _, _| false);
    all_gone(&server, &ending, 200);
    uploads(&server, 200);
    server.fault(silent().reused_connection().times(8));
    all_gone(&server, &sweep(&client, None), 200);
}

/// Leaves this many idle connections in the client's pool.
fn keep(client: &Client, server: &Server, count: usize) {
    let list = uploads(server, count);
    server.set_latency(Duration::from_millis(200));
    let together = Barrier::new(count);
    std::thread::scope(|scope| {
        for (key, id) in &list {
            scope.spawn(|| {
                together.wait();
                assert_eq!(client.abort("backups", key, id).0, code::OK);
            });
        }
    });
    server.set_latency(Duration::ZERO);
    assert_eq!(server.connections_accepted(), count as u64, "one connection each");
}

/// A timeout drops the idle connections at once: a call that has no attempt left spares the next ones the wait.
#[test]
fn idle_connections_are_dropped_with_a_silent_one() {
    let server = server();
    let client = Config::new(&server.endpoint()).response_timeout_ms(TIMEOUT_MS).max_attempts(1).client();
    keep(&client, &server, 6);
    server.fault(silent().reused_connection().always());
    let list = uploads(&server, 2);
    let outcome = client.outcome(None, "backups", &list[0].0, &list[0].1);
    assert_eq!((outcome.code, outcome.attempts), (code::TIMEOUT, 1), "{outcome:?}");
    eventually("no connection is open", || server.connections_open() == 0);
    let outcome = client.outcome(None, "backups", &list[1].0, &list[1].1);
    assert_eq!((outcome.code, outcome.attempts), (code::OK, 1), "{outcome:?}");
}

/// The budget may be shorter than the response timeout: the next call must not meet the next dead connection.
#[test]
fn idle_connections_are_dropped_if_the_budget_ends_first() {
    let server = server();
    let client = Config::new(&server.endpoint()).timeout_ms(TIMEOUT_MS).client();
    keep(&client, &server, 6);
    server.fault(silent().reused_connection().always());
    let list = uploads(&server, 2);
    let outcome = client.outcome(None, "backups", &list[0].0, &list[0].1);
    assert_eq!((outcome.code, outcome.attempts), (code::TIMEOUT, 1), "{outcome:?}");
    let outcome = client.outcome(None, "backups", &list[1].0, &list[1].1);
    assert_eq!((outcome.code, outcome.attempts), (code::OK, 1), "{outcome:?}");
}

#[test]
fn a_cancelled_call_leaves_the_idle_connections() {
    let server = server();
    let client = client(&server);
    keep(&client, &server, 3);
    server.fault(silent().reused_connection());
    let list = uploads(&server, 2);
    let call = Call::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            call.cancel();
        });
        let outcome = client.outcome(Some(&call), "backups", &list[0].0, &list[0].1);
        assert_eq!(outcome.code, code::CANCELLED, "{outcome:?}");
    });
    assert_eq!(client.abort("backups", &list[1].0, &list[1].1).0, code::OK);
    assert_eq!(server.connections_accepted(), 3, "no new one was needed");
}

#[test]
fn a_list_page_that_stalls_in_the_middle() {
    for cut in [0, 20, 2000, 20_000] {
        let server = server();
        uploads(&server, 300);
        server.fault(Fault::real().cut(cut).then(End::Stall).query("uploads"));
        all_gone(&server, &sweep(&client(&server), None), 300);
    }
}

#[test]
fn a_chunked_list_page_that_stalls() {
    let server = server();
    uploads(&server, 3);
    for stalled in ["", "5\r\n<List", "5\r\n<ListM", "5\r\n<ListM\r\n", "5\r\n<ListM\r\n3"] {
        let head =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";
        server.fault(Fault::raw(format!("{head}{stalled}")).then(End::Stall).query("uploads"));
    }
    let config = Config::new(&server.endpoint()).response_timeout_ms(300).max_attempts(6);
    let ending = config.client().stale(
        None,
        "backups",
        None,
        0,
        support::OBS_ABORT_INCLUDE_LIVE as u32,
        &mut |_, _, _| false,
    );
    all_gone(&server, &ending, 3);
}

#[test]
fn a_later_list_page_that_stalls() {
    let server = server();
    server
        .create_uploads("backups", 2500, &Initiated::Ago(Duration::from_secs(3600)), |n| format!("k/{n:05}"));
    server.fault(Fault::real().cut(5000).then(End::Stall).query("uploads").skip(1));
    all_gone(&server, &sweep(&client(&server), None), 2500);
}

#[test]
fn a_list_page_that_is_silent_for_ever() {
    let server = server();
    uploads(&server, 3);
    server.fault(Fault::real().cut(600).then(End::Stall).query("uploads").always());
    let config = Config::new(&server.endpoint()).response_timeout_ms(TIMEOUT_MS).max_attempts(2);
    let ending = sweep(&config.client(), None);
    let error = ending.error.unwrap();
    assert_eq!(ending.code, code::TIMEOUT, "{error}");
    for part in ["response timeout of 500 ms", "obs_abort_config_set_response_timeout_ms", "attempt 2 of 2"] {
        assert!(error.contains(part), "no {part} in {error}");
    }
    assert_eq!(server.upload_count("backups"), 3, "nothing was touched");
}

/// The timeout is for one silence, not for the page.
#[test]
fn a_slow_list_page_is_read_to_its_end() {
    let server = server();
    uploads(&server, 30);
    server.fault(Fault::real().drip(400, Duration::from_millis(100)).query("uploads"));
    let began = Instant::now();
    all_gone(&server, &sweep(&client(&server), None), 30);
    assert!(began.elapsed() > Duration::from_millis(u64::from(TIMEOUT_MS)), "the page was too short");
    let lists = server.journal().iter().filter(|entry| entry.method == "GET").count();
    assert_eq!(lists, 2, "the slow page, and the one that shows nothing left");
}

#[test]
fn cancelled_while_a_page_stalls() {
    let server = server();
    uploads(&server, 30);
    server.fault(Fault::real().cut(2000).then(End::Stall).query("uploads").always());
    let client = Config::new(&server.endpoint()).client();
    let call = Call::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            call.cancel();
        });
        let began = Instant::now();
        let ending = sweep(&client, Some(&call));
        assert_eq!(ending.code, code::CANCELLED, "{ending:?}");
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    });
}

#[test]
fn an_attempt_waits_twenty_seconds_unless_said_otherwise() {
    let server = server();
    server.fault(silent());
    let client = Config::new(&server.endpoint()).max_attempts(1).client();
    let began = Instant::now();
    let outcome = client.outcome(None, "backups", "k", "i");
    assert_eq!((outcome.code, outcome.attempts), (code::TIMEOUT, 1), "{outcome:?}");
    let waited = began.elapsed().as_millis();
    assert!((19_900..24_000).contains(&waited), "{waited} ms");
}
