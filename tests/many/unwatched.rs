//! Without a progress callback, the workers count.

use super::*;

#[test]
fn all_are_counted_and_a_thousand_failures_are_kept() {
    let server = server();
    let list = uploads(&server, 1600);
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").skip(100).always());
    let client = Config::new(&server.endpoint()).max_connections(8).client();
    let ending = client.many_unwatched(None, "backups", &entries(&list));
    assert_eq!(ending.code, code::PARTIAL);
    let error = ending.error.as_ref().unwrap();
    assert!(error.contains("1500 failed") && error.contains("access_denied: 403 AccessDenied"), "{error}");
    let report = told(&ending);
    assert_eq!(counts(report), (1600, 100, 0, 1500, 0));
    let failed: BTreeSet<_> = report.failures.iter().map(|failure| failure.index).collect();
    assert_eq!((report.failures.len(), failed.len()), (1000, 1000), "each once");
    assert!(report.failures.iter().all(|failure| failure.code == code::ACCESS_DENIED));
}

#[test]
fn what_is_gone_already_is_missing() {
    let server = server();
    let list = uploads(&server, 300);
    let client = Config::new(&server.endpoint()).client();
    let twice: Vec<_> = entries(&list).into_iter().chain(entries(&list)).collect();
    let ending = client.many_unwatched(None, "backups", &twice);
    assert_eq!((ending.code, counts(told(&ending))), (code::OK, (600, 300, 300, 0, 0)), "{ending:?}");
    assert!(server.uploads("backups").is_empty());
}

#[test]
fn cut_short_by_the_budget_or_by_cancellation() {
    for cancelled in [false, true] {
        let server = server();
        let list = uploads(&server, 40);
        let client = Config::new(&server.endpoint()).max_connections(4).client();
        server.fault(Fault::silence().then(End::Stall).skip(8).always());
        let call = if cancelled { Call::new() } else { Call::with_timeout_ms(700) };
        let ending = std::thread::scope(|scope| {
            if cancelled {
                scope.spawn(|| {
                    eventually("four stalled", || server.counts().requests == 12);
                    call.cancel();
                });
            }
            client.many_unwatched(Some(&call), "backups", &entries(&list))
        });
        let want = if cancelled { code::CANCELLED } else { code::TIMEOUT };
        assert_eq!((ending.code, counts(told(&ending))), (want, (40, 8, 0, 4, 28)), "{ending:?}");
    }
}
