//! Entries and numbers that can't be used.

use super::*;

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
