//! What ends a batch: budgets, cancellation, a callback.

use super::*;

#[test]
fn each_upload_has_a_budget_of_its_own() {
    let server = server();
    let list = uploads(&server, 12);
    server.fault(Fault::silence().then(End::Stall).key(&list[3].0).always());
    server.fault(Fault::silence().then(End::Stall).key(&list[7].0).always());
    let client = Config::new(&server.endpoint()).timeout_ms(500).max_connections(2).client();
    let began = Instant::now();
    let ending = client.many(None, "backups", &entries(&list), &mut |_, _, _| false);
    assert_eq!(ending.code, code::PARTIAL, "{ending:?}");
    let report = told(&ending);
    assert_eq!(counts(report), (12, 10, 0, 2, 0));
    let failed: BTreeSet<&str> = report.failures.iter().map(|failure| failure.key.as_str()).collect();
    assert_eq!(failed, BTreeSet::from(["key/00003", "key/00007"]));
    for failure in &report.failures {
        assert_eq!((failure.code, failure.attempts), (code::TIMEOUT, 1), "{failure:?}");
    }
    assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() < Duration::from_secs(4));
}

#[test]
fn the_calls_budget_bounds_the_whole() {
    let server = server();
    let list = uploads(&server, 40);
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    // Eight are served, then no more.
    server.fault(Fault::silence().then(End::Stall).skip(8).always());
    let began = Instant::now();
    let call = Call::with_timeout_ms(700);
    let ending = client.many(Some(&call), "backups", &entries(&list), &mut |_, _, _| false);
    let took = began.elapsed();
    assert_eq!(ending.code, code::TIMEOUT, "{ending:?}");
    assert!(ending.error.as_ref().unwrap().starts_with("timeout: "));
    let report = told(&ending);
    assert_eq!(counts(report), (40, 8, 0, 4, 28), "in flight: failed; not begun: kept");
    assert!(report.failures.iter().all(|failure| failure.code == code::TIMEOUT), "{report:?}");
    assert!(took >= Duration::from_millis(699) && took < Duration::from_millis(1500), "{took:?}");
}

#[test]
fn cancelled_in_flight_is_failed_and_not_begun_is_kept() {
    let server = server();
    let list = uploads(&server, 40);
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    server.fault(Fault::silence().then(End::Stall).skip(8).always());
    let call = Call::new();
    let ending = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("four stalled", || server.counts().requests == 12);
            std::thread::sleep(Duration::from_millis(50));
            call.cancel();
        });
        client.many(Some(&call), "backups", &entries(&list), &mut |_, _, _| false)
    });
    assert_eq!(ending.code, code::CANCELLED, "{ending:?}");
    assert_eq!(counts(told(&ending)), (40, 8, 0, 4, 28));
    assert!(told(&ending).failures.iter().all(|failure| failure.code == code::CANCELLED));
}

/// Without a second thread to cancel: the callback may call the library.
#[test]
fn a_callback_may_cancel_its_own_call() {
    let server = server();
    server.set_latency(Duration::from_millis(5));
    let list = uploads(&server, 300);
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    let call = Call::new();
    let other = uploads(&server, 1);
    let mut inner = None;
    let ending = client.many(Some(&call), "backups", &entries(&list), &mut |outcome, done, _| {
        if outcome.is_some() && done == 10 {
            inner = Some(client.abort("backups", &other[0].0, &other[0].1).0);
            call.cancel();
        }
        false
    });
    assert!(matches!(inner, Some(code::OK)), "{inner:?}");
    assert_eq!(ending.code, code::CANCELLED);
    let report = told(&ending);
    assert!(report.kept > 200 && report.total == 300, "{report:?}");
}

#[test]
fn a_thousand_failures_are_kept_and_all_are_counted() {
    let server = server();
    let list = uploads(&server, 1600);
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").skip(100).always());
    let client = Config::new(&server.endpoint()).max_connections(8).client();
    let (mut denied, mut in_order) = (0, Vec::new());
    let ending = client.many(None, "backups", &entries(&list), &mut |outcome, _, _| {
        if let Some(outcome) = outcome.filter(|outcome| outcome.code == code::ACCESS_DENIED) {
            denied += 1;
            in_order.push(outcome.clone());
        }
        false
    });
    assert_eq!(ending.code, code::PARTIAL);
    let error = ending.error.as_ref().unwrap();
    assert!(error.contains("1500 failed") && error.contains("access_denied: 403 AccessDenied"), "{error}");
    let report = told(&ending);
    assert_eq!((counts(report), denied), ((1600, 100, 0, 1500, 0), 1500));
    assert_eq!(report.failures.len(), 1000);
    assert_eq!(report.failures, in_order[..1000], "the first, as they finished, in full");
}

#[test]
fn what_cut_it_short_counts_beyond_a_thousand_failures() {
    let server = server();
    let list = uploads(&server, 1101);
    server.fault(Fault::silence().then(End::Stall).key(&list[1100].0).always());
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").always());
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    let call = Call::new();
    let ending = client.many(Some(&call), "backups", &entries(&list), &mut |outcome, done, _| {
        // Only the last is left, and it hangs.
        if outcome.is_none() && done == 1100 {
            call.cancel();
        }
        false
    });
    assert_eq!(counts(told(&ending)), (1101, 0, 0, 1101, 0));
    assert_eq!(ending.code, code::CANCELLED, "{:?}", ending.error);
}

#[test]
fn cancelled_after_the_last_is_done_changes_nothing() {
    let server = server();
    let list = uploads(&server, 5);
    let client = Config::new(&server.endpoint()).client();
    let call = Call::new();
    let ending = client.many(Some(&call), "backups", &entries(&list), &mut |outcome, done, total| {
        if outcome.is_some() && done == total {
            call.cancel();
        }
        false
    });
    assert_eq!(counts(told(&ending)), (5, 5, 0, 0, 0));
    assert!([code::OK, code::CANCELLED].contains(&ending.code), "{ending:?}");
}
