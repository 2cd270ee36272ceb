//! What ends a sweep: budgets, cancellation, a callback.

use super::*;

#[test]
fn a_listing_has_retries_of_its_own() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 30);
    server.fault(Fault::answer(500).error("InternalError").query("uploads").times(2));
    server.fault(Fault::real().cut(900).query("uploads").skip(1).times(1));
    server.fault(Fault::answer(503).error("SlowDown").query("uploads").skip(1).times(1));
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (30, 30, 0, 0, 0)), "{ending:?}");
}

#[test]
fn a_page_has_a_budget_of_its_own() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 30);
    server.fault(Fault::real().cut(700).then(End::Stall).query("uploads").skip(1).always());
    let client = Config::new(&server.endpoint()).timeout_ms(600).client();
    let began = Instant::now();
    let ending = swept(&client, "");
    let took = began.elapsed();
    assert_eq!((ending.code, counts(&ending)), (code::TIMEOUT, (10, 10, 0, 0, 0)), "{ending:?}");
    assert!(took >= Duration::from_millis(600) && took < Duration::from_millis(1600), "{took:?}");
}

#[test]
fn the_calls_budget_bounds_the_sweep() {
    let server = server();
    server.set_page_cap(100);
    server.set_latency(Duration::from_millis(20));
    old(&server, 5000);
    let began = Instant::now();
    let call = Call::with_timeout_ms(500);
    let ending = client(&server).stale(Some(&call), "backups", None, HOUR, 0, &mut |_, _, _| false);
    let took = began.elapsed();
    assert_eq!(ending.code, code::TIMEOUT, "{ending:?}");
    let report = report(&ending);
    assert!(report.aborted > 0 && report.kept > 0 && report.failed <= 8, "{report:?}");
    assert!(report.failures.iter().all(|failure| failure.code == code::TIMEOUT), "{report:?}");
    assert!(took >= Duration::from_millis(499) && took < Duration::from_millis(1200), "{took:?}");
}

#[test]
fn cancelled_at_every_stage() {
    // How many requests have arrived when it is cancelled: in the first page, in aborts, between pages.
    for after in [1, 5, 60, 150] {
        let server = server();
        server.set_page_cap(50);
        server.set_latency(Duration::from_millis(10));
        old(&server, 400);
        let (client, call) = (client(&server), Call::new());
        let (ending, took) = std::thread::scope(|scope| {
            let cancelling = scope.spawn(|| {
                eventually("so many requests", || server.counts().requests >= after);
                call.cancel();
                Instant::now()
            });
            let ending = client.stale(Some(&call), "backups", None, HOUR, 0, &mut |_, _, _| false);
            let end = Instant::now();
            (ending, end.saturating_duration_since(cancelling.join().unwrap()))
        });
        assert_eq!(ending.code, code::CANCELLED, "{after} {ending:?}");
        assert!(took < Duration::from_millis(500), "{after} {took:?}");
        let report = report(&ending);
        assert!(report.failures.iter().all(|failure| failure.code == code::CANCELLED), "{report:?}");
        assert!(report.aborted <= server.aborted_count(), "nothing is told that was not done");
        assert!(
            server.aborted_count() <= report.aborted + report.failed,
            "and nothing done that is not told"
        );
    }
}

/// Nothing is in flight in a dry run: uploads that were not reached are all that tells it from a whole one.
#[test]
fn a_dry_run_that_is_cancelled() {
    let server = server();
    old(&server, 1000);
    let call = Call::new();
    let client = client(&server);
    let ending = client.stale(Some(&call), "backups", None, HOUR, DRY_RUN, &mut |outcome, _, _| {
        if outcome.is_some() {
            call.cancel();
        }
        false
    });
    assert_eq!(ending.code, code::CANCELLED, "{ending:?}");
    let report = report(&ending);
    assert!(report.total == 1000 && report.kept > 0, "{report:?}");
}

#[test]
fn a_callback_stops_the_sweep() {
    let server = server();
    server.set_page_cap(50);
    old(&server, 400);
    let mut told = 0;
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |outcome, _, _| {
        told += u64::from(outcome.is_some());
        told >= 70
    });
    assert_eq!(ending.code, code::CANCELLED);
    let report = report(&ending);
    assert_eq!(
        (report.aborted, report.failed, report.missing),
        (told, 0, 0),
        "in flight finished: {report:?}"
    );
    assert_eq!(server.aborted_count(), told);
    assert!((70..120).contains(&told), "{told}");
}

#[test]
fn a_beat_while_a_page_is_awaited() {
    let server = server();
    old(&server, 3);
    server.fault(Fault::real().delay(Duration::from_millis(1200)).query("uploads"));
    let mut beats = 0;
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |outcome, _, _| {
        beats += u32::from(outcome.is_none());
        false
    });
    assert_eq!(ending.code, code::OK);
    assert!(beats >= 4, "{beats}");
}
