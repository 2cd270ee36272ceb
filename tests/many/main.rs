//! Many uploads with one call: who works, who is told, what is counted, and what ends it.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::collections::BTreeSet;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use obs_local::{End, Fault};
use support::obs::{entries, server, uploads};
use support::process::{descriptors, eventually, in_own_process, threads};
use support::{Call, Config, Ending, Report, c, code, lib};

fn counts(report: &Report) -> (u64, u64, u64, u64, u64) {
    (report.total, report.aborted, report.missing, report.failed, report.kept)
}

fn told(ending: &Ending) -> &Report {
    ending.report.as_ref().expect("a report")
}

#[test]
fn all_are_gone_over_at_most_max_connections() {
    let server = server();
    server.set_latency(Duration::from_millis(5));
    for max in [1, 4, 32] {
        let list = uploads(&server, 200);
        let client = Config::new(&server.endpoint()).max_connections(max).client();
        let before = server.connections_accepted();
        let mut seen = BTreeSet::new();
        let mut last = 0;
        let caller = std::thread::current().id();
        let ending = client.many(None, "backups", &entries(&list), &mut |outcome, done, total| {
            assert_eq!(std::thread::current().id(), caller, "on the caller's own thread");
            assert_eq!(total, 200);
            if let Some(outcome) = outcome {
                assert_eq!((outcome.code, outcome.http_status, outcome.attempts), (code::OK, 204, 1));
                assert_eq!((outcome.message.as_deref(), outcome.initiated), (None, -1));
                assert!(outcome.request_id.is_some());
                assert!(seen.insert((outcome.key.clone(), outcome.upload_id.clone())), "told once");
                last += 1;
            }
            assert_eq!(done, last, "this one included");
            false
        });
        assert_eq!((ending.code, ending.error.as_deref()), (code::OK, None));
        assert_eq!(counts(told(&ending)), (200, 200, 0, 0, 0));
        assert_eq!(seen, list.iter().cloned().collect());
        let opened = server.connections_accepted() - before;
        assert!(opened <= u64::from(max), "{opened} of {max}");
        if max > 1 {
            assert!(opened > 1, "several at once");
        }
    }
    assert_eq!(server.upload_count("backups"), 0);
}

#[test]
fn threads_are_gone_when_it_returns() {
    if !in_own_process("threads_are_gone_when_it_returns") {
        return;
    }
    let server = server();
    let client = Config::new(&server.endpoint()).max_connections(8).client();
    // A thread names itself once it runs: the server's have, when it has answered after a delay.
    server.fault(Fault::real().delay(Duration::from_millis(1)).method("DELETE"));
    let first = uploads(&server, 1);
    assert_eq!(client.abort("backups", &first[0].0, &first[0].1).0, code::OK);
    let before = threads();
    assert!(before.iter().all(|name| !name.starts_with("obsabort")), "{before:?}");
    for _ in 0..200 {
        let list = uploads(&server, 16);
        let during = AtomicUsize::new(0);
        let ending = client.many(None, "backups", &entries(&list), &mut |_, _, _| {
            during.fetch_max(threads().len(), Ordering::Relaxed);
            false
        });
        // They are joined; the kernel lists a thread for a moment longer, on a busy machine a long one.
        eventually("no thread is left", || threads() == before);
        assert_eq!(ending.code, code::OK);
        assert!(during.into_inner() <= before.len() + 8);
    }
    assert!(descriptors() < 5 + 8 + 16 + 10);
}

#[test]
fn one_call_at_a_time_and_a_beat_without_outcomes() {
    let server = server();
    server.fault(Fault::real().delay(Duration::from_millis(1500)).always());
    let list = uploads(&server, 3);
    let client = Config::new(&server.endpoint()).client();
    let inside = Mutex::new(());
    let mut beats = Vec::new();
    let mut last = Instant::now();
    let ending = client.many(None, "backups", &entries(&list), &mut |outcome, done, total| {
        let _one = inside.try_lock().expect("one call at a time");
        if outcome.is_none() {
            beats.push(last.elapsed());
            last = Instant::now();
            assert!((done, total) == (0, 3) || done <= 3);
        }
        false
    });
    assert_eq!(ending.code, code::OK);
    assert!(beats.len() >= 5, "at least every 250 ms in 1.5 s: {beats:?}");
    let late = beats.iter().filter(|beat| **beat > Duration::from_millis(250)).count();
    assert!(late <= 1, "a busy machine may be late once: {beats:?}");
}

#[test]
fn a_beat_also_where_outcomes_are_many() {
    let server = server();
    server.set_latency(Duration::from_millis(20));
    let list = uploads(&server, 400);
    let client = Config::new(&server.endpoint()).max_connections(8).client();
    let (mut beats, began) = (0_u32, Instant::now());
    let ending = client.many(None, "backups", &entries(&list), &mut |outcome, _, _| {
        beats += u32::from(outcome.is_none());
        false
    });
    assert_eq!(ending.code, code::OK);
    let due = (began.elapsed().as_millis() / 250) as u32;
    assert!(due >= 3 && beats >= due - 1, "{beats} in {:?}", began.elapsed());
}

#[test]
fn non_zero_stops() {
    let server = server();
    server.set_latency(Duration::from_millis(5));
    let list = uploads(&server, 500);
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    let mut outcomes = 0;
    let ending = client.many(None, "backups", &entries(&list), &mut |outcome, _, _| {
        outcomes += u64::from(outcome.is_some());
        outcomes >= 20
    });
    assert_eq!(ending.code, code::CANCELLED);
    assert!(ending.error.as_ref().unwrap().starts_with("cancelled: "), "{ending:?}");
    let report = told(&ending);
    assert_eq!(report.total, 500);
    assert_eq!((report.missing, report.failed), (0, 0), "what was in flight finished: {report:?}");
    assert_eq!(report.aborted, outcomes, "each that was acted on was told of");
    assert!((20..60).contains(&report.aborted), "{report:?}");
    assert_eq!(report.aborted, server.aborted_count(), "and nothing else was done");
    assert_eq!(server.upload_count("backups") as u64, report.kept);
}

#[test]
fn a_beat_can_stop_it_too() {
    let server = server();
    server.fault(Fault::real().delay(Duration::from_millis(600)).always());
    let list = uploads(&server, 100);
    let client = Config::new(&server.endpoint()).max_connections(2).client();
    let ending = client.many(None, "backups", &entries(&list), &mut |outcome, _, _| outcome.is_none());
    assert_eq!(ending.code, code::CANCELLED);
    assert_eq!(counts(told(&ending)), (100, 2, 0, 0, 98));
}

#[test]
fn bad_entries_fail_alone_and_nothing_is_sent_for_them() {
    let server = server();
    let list = uploads(&server, 3);
    let client = Config::new(&server.endpoint()).client();
    let strings: Vec<_> = list.iter().map(|(key, id)| (c(key), c(id))).collect();
    let long = c(&"k".repeat(1025));
    let not_utf8 = c"\xff".as_ptr();
    let (key, id) = (strings[0].0.as_ptr(), strings[0].1.as_ptr());
    let entry = |key, upload_id| support::upload { key, upload_id };
    let bad = [
        entry(null(), id),
        entry(key, null()),
        entry(null(), null()),
        entry(c"".as_ptr(), id),
        entry(key, c"".as_ptr()),
        entry(key, c" \t".as_ptr()),
        entry(key, c"a\nb".as_ptr()),
        entry(key, c"\u{a0}0123456789ABCDEF".as_ptr()),
        entry(long.as_ptr(), id),
        entry(key, long.as_ptr()),
        entry(not_utf8, id),
        entry(key, not_utf8),
    ];
    let mut all: Vec<support::upload> = Vec::new();
    for (n, bad) in bad.iter().enumerate() {
        all.push(entry(bad.key, bad.upload_id));
        if let Some((key, id)) = strings.get(n) {
            all.push(entry(key.as_ptr(), id.as_ptr()));
        }
    }
    let (mut report, mut error) = (null_mut(), null_mut());
    let code = unsafe {
        lib().obs_abort_many(
            client.0,
            null(),
            c"backups".as_ptr(),
            all.as_ptr(),
            all.len(),
            None,
            null_mut(),
            &raw mut report,
            &raw mut error,
        )
    };
    let error = unsafe { support::owned(error) }.unwrap();
    assert_eq!(code, code::PARTIAL, "{error}");
    assert!(error.starts_with("partial: ") && error.contains("invalid_argument: "), "{error}");
    let report = unsafe { Report::take(report) }.unwrap();
    assert_eq!(counts(&report), (15, 3, 0, 12, 0));
    for failure in &report.failures {
        assert_eq!((failure.code, failure.http_status, failure.attempts), (code::INVALID_ARGUMENT, 0, 0));
        assert!(failure.message.as_ref().unwrap().starts_with("invalid_argument: "), "{failure:?}");
    }
    assert_eq!(server.counts().requests, 3, "one for each good entry, none for the others");
    assert!(server.journal().iter().all(|entry| entry.status == 204));
}

/// Of a string that is refused for its length, no more is copied than a good one can have.
#[test]
fn what_is_shown_of_a_bad_entry_is_bounded() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    for (huge, shown) in [
        ("k".repeat(10 << 20), "k".repeat(1024)),
        // The cut goes through a character of two bytes.
        (format!("a{}", "é".repeat(5 << 20)), format!("a{}\u{fffd}", "é".repeat(511))),
    ] {
        let list = [(huge.as_str(), "id"), ("key", huge.as_str()), (huge.as_str(), huge.as_str())];
        let ending = client.many(None, "backups", &list, &mut |_, _, _| false);
        assert_eq!((ending.code, counts(told(&ending))), (code::PARTIAL, (3, 0, 0, 3, 0)));
        let mut failures = told(&ending).failures.clone();
        failures.sort_by_key(|failure| failure.index);
        let keys_and_ids = failures.iter().map(|failure| (failure.key.as_str(), failure.upload_id.as_str()));
        let shown = shown.as_str();
        assert!(keys_and_ids.eq([(shown, "id"), ("key", shown), (shown, shown)]));
        assert!(failures.iter().all(|failure| failure.message.as_ref().unwrap().contains("too long")));
        let one = client.outcome(None, "backups", &huge, &huge);
        assert_eq!(
            (one.code, one.key.as_str(), one.upload_id.as_str()),
            (code::INVALID_ARGUMENT, shown, shown)
        );
    }
    assert_eq!(server.connections_accepted(), 0);
}

/// A count that no list can have is refused before the list is looked at.
#[test]
fn a_count_beyond_all_memory() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let one = support::upload { key: c"key".as_ptr(), upload_id: c"id".as_ptr() };
    let most = isize::MAX as usize / size_of::<support::upload>();
    for count in [usize::MAX, isize::MAX as usize, most + 1] {
        for list in [&raw const one, null()] {
            let (mut report, mut error) = (null_mut(), null_mut());
            let code = unsafe {
                lib().obs_abort_many(
                    client.0,
                    null(),
                    c"backups".as_ptr(),
                    list,
                    count,
                    None,
                    null_mut(),
                    &raw mut report,
                    &raw mut error,
                )
            };
            let error = unsafe { support::owned(error) }.unwrap();
            assert_eq!((code, report.is_null()), (code::INVALID_ARGUMENT, true), "{count}: {error}");
        }
    }
    assert_eq!(server.connections_accepted(), 0);
}

/// Times, attempts and connections at their largest: no time overflows, and a wait stays as short as it was.
#[test]
fn the_largest_numbers() {
    let server = server();
    let list = uploads(&server, 20);
    let client = Config::new(&server.endpoint())
        .timeout_ms(u32::MAX)
        .connect_timeout_ms(u32::MAX)
        .response_timeout_ms(u32::MAX)
        .max_attempts(u32::MAX)
        .max_connections(1024)
        .client();
    let call = Call::with_timeout_ms(u32::MAX);
    server.fault(Fault::answer(500).error("InternalError").times(5));
    server.fault(Fault::answer(503).error("SlowDown").header("Retry-After", "1").times(1));
    server.fault(Fault::silence().times(5));
    let (some, rest) = list.split_at(10);
    let ending = client.many(Some(&call), "backups", &entries(some), &mut |_, _, _| false);
    assert_eq!((ending.code, counts(told(&ending))), (code::OK, (10, 10, 0, 0, 0)), "{ending:?}");
    let (key, id) = &rest[0];
    server.fault(Fault::answer(500).error("InternalError").times(2));
    let one = client.outcome(Some(&call), "backups", key, id);
    assert_eq!((one.code, one.attempts), (code::OK, 3), "{one:?}");
    let ending = client.stale(Some(&call), "backups", None, 1800, 0, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(told(&ending))), (code::OK, (9, 9, 0, 0, 0)), "{ending:?}");
    // What never answers can still be ended.
    server.fault(Fault::silence().then(End::Stall).always());
    let cancelled = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the request", || server.counts().faults > 13);
            call.cancel();
        });
        client.outcome(Some(&call), "backups", key, id)
    });
    assert_eq!(cancelled.code, code::CANCELLED, "{cancelled:?}");
}

#[test]
fn all_bad_opens_no_connection() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let ending = client.many(None, "backups", &[("key", ""), ("", "id")], &mut |_, _, _| false);
    assert_eq!((ending.code, counts(told(&ending))), (code::PARTIAL, (2, 0, 0, 2, 0)));
    assert_eq!(server.connections_accepted(), 0);
}

#[test]
fn duplicates_are_harmless_and_count_as_missing() {
    let server = server();
    let list = uploads(&server, 20);
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    let mut twice = entries(&list);
    twice.extend_from_within(..);
    twice.push(("key/unknown", "0123456789ABCDEF0123456789ABCDEF"));
    let ending = client.many(None, "backups", &twice, &mut |_, _, _| false);
    assert_eq!(
        (ending.code, ending.error.as_deref()),
        (code::OK, None),
        "what was gone before counts as gone"
    );
    assert_eq!(counts(told(&ending)), (41, 20, 21, 0, 0));
    assert_eq!(server.counts().requests, 41, "sent, too");
}

/// Several entries may have the same key and upload id, or none that can be read: only the index tells them apart.
#[test]
fn the_index_names_the_entry() {
    let server = server();
    server
        .fault(Fault::answer(403).error("AccessDenied").method("DELETE").target_contains("denied").always());
    let made = uploads(&server, 30);
    let mut list = entries(&made);
    list.extend_from_within(10..20);
    list.extend([
        ("", "id"),
        ("key", ""),
        ("denied/1", "id"),
        ("", "id"),
        ("denied/2", "id"),
        ("key", "i\nd"),
    ]);
    for connections in [1, 8] {
        let client = Config::new(&server.endpoint()).max_connections(connections).client();
        let mut told_of = BTreeSet::new();
        let ending = client.many(None, "backups", &list, &mut |outcome, _, _| {
            if let Some(outcome) = outcome {
                let index = usize::try_from(outcome.index).expect("an index");
                assert_eq!((outcome.key.as_str(), outcome.upload_id.as_str()), list[index], "{outcome:?}");
                assert!(told_of.insert(index), "{index} twice");
            }
            false
        });
        assert_eq!(told_of, (0..list.len()).collect());
        let failed: BTreeSet<i64> = told(&ending).failures.iter().map(|failure| failure.index).collect();
        assert_eq!(failed, (40..46).collect());
        for failure in &told(&ending).failures {
            let entry = list[usize::try_from(failure.index).unwrap()];
            assert_eq!((failure.key.as_str(), failure.upload_id.as_str()), entry);
        }
    }
}

#[test]
fn none_at_all() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let ending = client.many(None, "backups", &[], &mut |_, _, _| true);
    assert_eq!((ending.code, counts(told(&ending))), (code::OK, (0, 0, 0, 0, 0)));
    unsafe {
        let bucket = c"backups".as_ptr();
        let many = lib().obs_abort_many;
        let none = null_mut::<*mut support::report>;
        let code = many(client.0, null(), bucket, null(), 0, None, null_mut(), none(), null_mut());
        assert_eq!(code, code::OK, "NULL is a list of none, and the outputs may be NULL");
        let code = many(client.0, null(), bucket, null(), 1, None, null_mut(), none(), null_mut());
        assert_eq!(code, code::INVALID_ARGUMENT);
        let code = many(null(), null(), bucket, null(), 0, None, null_mut(), none(), null_mut());
        assert_eq!(code, code::INVALID_ARGUMENT);
        let code = many(client.0, null(), c"NO".as_ptr(), null(), 0, None, null_mut(), none(), null_mut());
        assert_eq!(code, code::INVALID_ARGUMENT);
    }
    assert_eq!(server.connections_accepted(), 0);
}

#[test]
fn outputs_are_blanked_first() {
    let mut report = std::ptr::dangling_mut::<support::report>();
    let mut error = std::ptr::dangling_mut();
    let code = unsafe {
        lib().obs_abort_many(
            null(),
            null(),
            c"backups".as_ptr(),
            null(),
            0,
            None,
            null_mut(),
            &raw mut report,
            &raw mut error,
        )
    };
    assert_eq!(code, code::INVALID_ARGUMENT);
    assert!(report.is_null());
    assert!(unsafe { support::owned(error) }.unwrap().starts_with("invalid_argument: "));
}

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

#[test]
fn a_bucket_that_is_not_there() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let ending = client.many(None, "elsewhere", &[("a", "1"), ("b", "2")], &mut |_, _, _| false);
    assert_eq!((ending.code, counts(told(&ending))), (code::PARTIAL, (2, 0, 0, 2, 0)));
    assert!(told(&ending).failures.iter().all(|failure| failure.code == code::NO_SUCH_BUCKET));
}

#[test]
fn without_credentials_nothing_is_sent() {
    let server = server();
    let client = Config::bare().endpoint(&server.endpoint()).proxy("").client();
    let ending = client.many(None, "backups", &[("a", "1"), ("b", "2")], &mut |_, _, _| false);
    assert!([code::PARTIAL, code::NO_CREDENTIALS].contains(&ending.code), "{ending:?}");
    assert_eq!((told(&ending).total, told(&ending).aborted), (2, 0));
    assert_eq!(server.connections_accepted(), 0);
}

#[test]
fn two_at_once_with_one_client() {
    let server = server();
    server.set_latency(Duration::from_millis(2));
    let list = uploads(&server, 400);
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    let (mut aborted, mut missing) = (0, 0);
    std::thread::scope(|scope| {
        let both = [0, 1]
            .map(|_| scope.spawn(|| client.many(None, "backups", &entries(&list), &mut |_, _, _| false)));
        for ending in both.map(|one| one.join().unwrap()) {
            assert_eq!((ending.code, told(&ending).total), (code::OK, 400), "{ending:?}");
            aborted += told(&ending).aborted;
            missing += told(&ending).missing;
        }
    });
    assert_eq!((aborted, missing), (400, 400));
}

#[test]
fn retries_within_many() {
    let server = server();
    let list = uploads(&server, 100);
    server.fault(Fault::real().cut(0).method("DELETE").probability(0.2).times(30));
    server.fault(Fault::answer(500).error("InternalError").method("DELETE").probability(0.3).times(40));
    let client = Config::new(&server.endpoint()).max_connections(8).max_attempts(20).client();
    let mut attempts = 0;
    let ending = client.many(None, "backups", &entries(&list), &mut |outcome, _, _| {
        attempts += outcome.map_or(0, |outcome| u64::from(outcome.attempts));
        false
    });
    assert_eq!(ending.code, code::OK, "{ending:?}");
    let report = told(&ending);
    // An answer that was lost counts as done by this call, the abort having been carried out.
    assert_eq!(counts(report), (100, 100, 0, 0, 0));
    assert_eq!(attempts, server.counts().requests, "each request on the wire is in somebody's attempts");
}
