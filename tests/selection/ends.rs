//! What ends a sweep that reads parts, and what the report says then: complete or not, throttled, cut off.

use std::time::{Duration, Instant};

use obs_local::{End, Fault, http_date};
use support::obs::server;
use support::process::eventually;
use support::{Call, Config, Selection, code};

use super::*;

/// 250 ms is the promise; the rest is for a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_millis(500);

/// Ways of a list of parts to take for ever.
fn stages() -> [(&'static str, Fault); 4] {
    let lists = |fault: Fault| fault.query("uploadId").method("GET").always();
    let head = format!(
        "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Length: 100000\r\n\r\n<ListPartsResult>",
        http_date(unix_now())
    );
    let drip = |text: String, size| {
        Fault::raw(format!("{text}{}", "x".repeat(90_000))).drip(size, Duration::from_millis(30))
    };
    [
        ("silence", lists(Fault::silence().then(End::Stall))),
        ("a head that drips", lists(drip("HTTP/1.1 200 OK\r\nx-a: ".into(), 1))),
        ("a page that drips", lists(drip(head.clone(), head.len()))),
        ("backoff", lists(Fault::answer(500))),
    ]
}

fn prepared(fault: &Fault) -> Server {
    let server = server();
    many_old(&server, 40);
    server.create_parts("backups", "old/", 2, 5, 2 * DAY as i64);
    server.fault(fault.clone());
    server
}

fn patient(server: &Server) -> Config {
    Config::new(&server.endpoint()).max_connections(4).max_attempts(100).timeout_ms(60_000)
}

/// All are kept as what was not begun, and no abort was sent.
fn assert_untouched(server: &Server, ending: &Ending, name: &str) {
    let report = report(ending);
    assert_eq!(
        (report.total, report.kept, report.failed, report.complete),
        (40, 40, 0, false),
        "{name}: {ending:?}"
    );
    assert_eq!(report.active, 0, "{name}: nothing is known of their parts");
    assert_eq!((requests(server, is_abort), server.upload_count("backups")), (0, 40), "{name}");
}

#[test]
fn cancelled_in_the_middle_of_a_list_of_parts() {
    for (name, fault) in stages() {
        for by_shutdown in [false, true] {
            let server = prepared(&fault);
            let (client, call) = (patient(&server).client(), Call::new());
            let (ending, took) = std::thread::scope(|scope| {
                let selection = Selection::new().idle(DAY).older_than(DAY);
                let raw = SendSelection(selection);
                let (client, call) = (&client, &call);
                let calling = scope.spawn(move || {
                    let raw = raw;
                    let ending = client.sweep(Some(call), "backups", &raw.0, 0, &mut |_, _, _| false);
                    (ending, Instant::now())
                });
                eventually(name, || requests(&server, is_list_of_parts) >= 4);
                std::thread::sleep(Duration::from_millis(100));
                let cancelled = Instant::now();
                if by_shutdown {
                    client.shutdown()
                } else {
                    call.cancel()
                }
                let (ending, ended) = calling.join().unwrap();
                (ending, ended.saturating_duration_since(cancelled))
            });
            assert_eq!(ending.code, code::CANCELLED, "{name}: {ending:?}");
            assert!(took < PROMPT, "{name}: {took:?}");
            assert_untouched(&server, &ending, name);
        }
    }
}

/// A selection is used on one thread at a time.
struct SendSelection(Selection);
unsafe impl Send for SendSelection {}

#[test]
fn the_budget_of_the_call_ends_in_the_middle_of_a_list_of_parts() {
    // Without backoff: a wait beyond the budget is not begun, and the last response is what is known of the upload.
    for (name, fault) in stages().into_iter().filter(|(name, _)| *name != "backoff") {
        let server = prepared(&fault);
        let began = Instant::now();
        let call = Call::with_timeout_ms(400);
        let selection = Selection::new().idle(DAY);
        let ending =
            patient(&server).client().sweep(Some(&call), "backups", &selection, 0, &mut |_, _, _| false);
        let took = began.elapsed();
        assert_eq!(ending.code, code::TIMEOUT, "{name}: {ending:?}");
        assert!(
            took >= Duration::from_millis(390) && took < Duration::from_millis(400) + PROMPT,
            "{name}: {took:?}"
        );
        assert_untouched(&server, &ending, name);
    }
}

/// The budget of one upload is not that of the others.
#[test]
fn the_budget_of_an_upload_ends_in_the_middle_of_its_list_of_parts() {
    let server = server();
    many_old(&server, 40);
    server.create_parts("backups", "old/", 2, 5, 2 * DAY as i64);
    server.fault(Fault::silence().then(End::Stall).query("uploadId").method("GET").key("old/00003").always());
    let began = Instant::now();
    let client = patient(&server).timeout_ms(500).client();
    let ending = swept(&client, &Selection::new().idle(DAY));
    let report = report(&ending);
    assert_eq!(
        (ending.code, report.aborted, report.active, report.complete),
        (code::OK, 39, 1, false),
        "{ending:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(left(&server), keys(["old/00003"]));
}

#[test]
fn progress_stops_it_in_the_middle_of_lists_of_parts() {
    let server = server();
    many_old(&server, 400);
    server.create_parts("backups", "old/", 2, 5, 2 * DAY as i64);
    server.fault(Fault::real().delay(Duration::from_millis(5)).query("uploadId").always());
    let mut done = 0;
    let ending =
        client(&server).sweep(None, "backups", &Selection::new().idle(DAY), 0, &mut |outcome, _, _| {
            done += outcome.iter().count();
            done >= 10
        });
    let report = report(&ending);
    assert_eq!((ending.code, report.total, report.complete, report.failed), (code::CANCELLED, 400, false, 0));
    assert!(report.aborted >= 10 && report.aborted < 100, "{report:?}");
    assert_eq!((report.active, report.aborted), (0, server.aborted_count()));
}

#[test]
fn complete_means_that_the_last_listing_showed_nothing_left() {
    type Play = fn(&Server);
    let rows: [(&str, Play, u32, i32, bool); 9] = [
        ("an empty bucket", |_| {}, 0, code::OK, true),
        ("all went", |s| many_old(s, 5), 0, code::OK, true),
        ("younger ones stay", |s| drop(s.create_upload("backups", "live")), 0, code::OK, true),
        ("a dry run that finds something", |s| many_old(s, 5), DRY_RUN, code::OK, false),
        (
            "a dry run that finds nothing",
            |s| drop(s.create_upload("backups", "live")),
            DRY_RUN,
            code::OK,
            true,
        ),
        (
            "one is refused",
            |s| {
                many_old(s, 5);
                s.fault(Fault::answer(403).error("AccessDenied").method("DELETE").key("old/00002").always());
            },
            0,
            code::PARTIAL,
            false,
        ),
        (
            "one is gone and listed",
            |s| {
                many_old(s, 5);
                s.fault(Fault::answer(204).method("DELETE").key("old/00002").always());
            },
            0,
            code::PARTIAL,
            false,
        ),
        (
            "the second listing fails",
            |s| {
                many_old(s, 5);
                s.fault(Fault::answer(403).error("AccessDenied").query("uploads").skip(1).always());
            },
            0,
            code::ACCESS_DENIED,
            false,
        ),
        (
            "there is no such bucket",
            |s| s.fault(Fault::answer(404).error("NoSuchBucket").always()),
            0,
            code::NO_SUCH_BUCKET,
            false,
        ),
    ];
    for (name, play, flags, wanted, complete) in rows {
        let server = server();
        play(&server);
        let selection = Selection::new().older_than(DAY);
        let ending = client(&server).sweep(None, "backups", &selection, flags, &mut |_, _, _| false);
        assert_eq!((ending.code, report(&ending).complete), (wanted, complete), "{name}: {ending:?}");
    }
    let server = server();
    many_old(&server, 5);
    let call = Call::new();
    call.cancel();
    let selection = Selection::new().older_than(DAY);
    let ending = client(&server).sweep(Some(&call), "backups", &selection, 0, &mut |_, _, _| false);
    assert_eq!((ending.code, report(&ending).complete), (code::CANCELLED, false));
}

/// Lists of parts are requests like others: the service may ask to slow down.
#[test]
fn throttled_counts_lists_of_parts() {
    let server = server();
    many_old(&server, 30);
    server.create_parts("backups", "old/", 1, 5, 2 * DAY as i64);
    let slow = Fault::answer(503).error("SlowDown").query("uploadId").method("GET").times(4);
    server.fault(slow);
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    let counted = report(&ending);
    assert_eq!(
        (ending.code, counted.aborted, counted.throttled, counted.active),
        (code::OK, 30, 4, 0),
        "{ending:?}"
    );
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    assert_eq!(report(&ending).throttled, 0);
}

/// A wait that the service asks for with a list of parts holds for all, as with an abort.
#[test]
fn a_retry_after_of_a_list_of_parts_holds_all() {
    let lists = |seconds: &str| {
        let fault = Fault::answer(503).error("SlowDown").header("Retry-After", seconds);
        fault.query("uploadId").method("GET")
    };
    let server = server();
    many_old(&server, 20);
    server.create_parts("backups", "old/", 1, 5, 2 * DAY as i64);
    server.fault(lists("1"));
    let began = Instant::now();
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    let took = began.elapsed();
    assert_eq!((ending.code, report(&ending).aborted), (code::OK, 20), "{ending:?}");
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(10), "{took:?}");

    // Longer than ten minutes is not waited for.
    let server = support::obs::server();
    many_old(&server, 20);
    server.create_parts("backups", "old/", 1, 5, 2 * DAY as i64);
    server.fault(lists("3600").always());
    let began = Instant::now();
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    let report = report(&ending);
    assert_eq!((ending.code, report.kept, report.complete), (code::THROTTLED, 20, false), "{ending:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(requests(&server, is_abort), 0);
}
