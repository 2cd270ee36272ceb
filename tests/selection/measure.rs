//! Sizes: of each upload, and of what was aborted.

use std::collections::BTreeMap;

use obs_local::{Fault, ListQuirk, Listing};
use support::obs::server;
use support::{Outcome, Selection, code};

use super::*;

/// Uploads with no part, one, three and seven; their keys and bytes.
fn sized(server: &Server) -> BTreeMap<String, (u64, u64)> {
    for (key, parts) in [("none", 0), ("one", 1), ("three", 3), ("seven", 7)] {
        let id = old(server, key, 3);
        for number in 1..=parts {
            server.put_part("backups", key, &id, number, &vec![b'x'; 1000 * number as usize]);
        }
    }
    server.uploads("backups").into_iter().map(|u| (u.key, (u.parts as u64, u.bytes))).collect()
}

fn told(client: &Client, selection: &Selection, flags: u32) -> (Ending, BTreeMap<String, Outcome>) {
    let mut told = BTreeMap::new();
    let ending = client.sweep(None, "backups", selection, flags, &mut |outcome, _, _| {
        if let Some(outcome) = outcome {
            told.insert(outcome.key.clone(), outcome.clone());
        }
        false
    });
    (ending, told)
}

#[test]
fn sizes_are_those_that_were_put() {
    for flags in [0, DRY_RUN] {
        for page in [1, 2, 1000] {
            let server = server();
            server.set_parts_page_cap(page);
            let sizes = sized(&server);
            let selection = Selection::new().older_than(DAY).measure();
            let (ending, outcomes) = told(&client(&server), &selection, flags);
            let report = report(&ending);
            assert_eq!(
                (ending.code, report.aborted, report.active),
                (code::OK, 4, 0),
                "parts of just now: {ending:?}"
            );
            assert_eq!(report.bytes, 1000 + 6000 + 28_000);
            assert_eq!(report.complete, flags == 0);
            for (key, (parts, bytes)) in sizes {
                let outcome = &outcomes[&key];
                assert_eq!((outcome.parts, outcome.bytes), (parts, bytes), "{key}");
                match parts {
                    0 => assert_eq!(outcome.last_part, -1),
                    _ => assert!((unix_now() - outcome.last_part).abs() < 60, "{outcome:?}"),
                }
            }
            assert_eq!(requests(&server, is_abort), if flags == 0 { 4 } else { 0 });
        }
    }
}

#[test]
fn nothing_is_measured_unless_it_is_asked_for() {
    let server = server();
    sized(&server);
    let (ending, outcomes) = told(&client(&server), &Selection::new().older_than(DAY), 0);
    assert_eq!((ending.code, report(&ending).aborted, report(&ending).bytes), (code::OK, 4, 0));
    assert!(outcomes.values().all(|o| (o.parts, o.bytes, o.last_part) == (0, 0, -1)));
    assert_eq!(requests(&server, is_list_of_parts), 0);
}

/// Without an age, too.
#[test]
fn it_measures_live_uploads() {
    let server = server();
    let sizes = sized(&server);
    let (ending, outcomes) = told(&client(&server), &Selection::new().measure(), DRY_RUN);
    assert_eq!((ending.code, report(&ending).bytes, outcomes.len()), (code::OK, 35_000, sizes.len()));
}

/// Whatever becomes of the list of parts, the upload is aborted as without it.
#[test]
fn it_never_changes_what_is_aborted() {
    let lists = |fault: Fault| fault.query("uploadId").method("GET").always();
    let faults = [
        Some(lists(Fault::answer(403).error("AccessDenied"))),
        Some(lists(Fault::answer(404).error("NoSuchBucket"))),
        Some(lists(Fault::answer(500))),
        Some(lists(Fault::answer(503).error("SlowDown"))),
        Some(lists(Fault::answer(200).body("<html>"))),
        Some(lists(Fault::real().date_offset(2 * DAY as i64))),
        Some(lists(Fault::real().without("Date"))),
        Some(lists(Fault::raw("no HTTP"))),
        None,
    ];
    for fault in faults {
        let server = server();
        sized(&server);
        match &fault {
            Some(fault) => server.fault(fault.clone()),
            None => server.set_quirks(Listing::Parts, &[ListQuirk::OtherUploadId]),
        }
        let client = support::Config::new(&server.endpoint()).max_attempts(1).client();
        let (ending, outcomes) = told(&client, &Selection::new().older_than(DAY).measure(), 0);
        let report = report(&ending);
        assert_eq!((ending.code, report.aborted, report.bytes), (code::OK, 4, 0), "{fault:?}: {ending:?}");
        assert!(report.complete && report.active == 0, "{fault:?}");
        assert!(outcomes.values().all(|o| (o.parts, o.bytes, o.last_part) == (0, 0, -1)), "{fault:?}");
    }
}

/// A part whose time is not known has a size all the same.
#[test]
fn sizes_count_without_times() {
    let server = server();
    sized(&server);
    server.set_quirks(Listing::Parts, &[ListQuirk::OmitLastModified]);
    let (ending, outcomes) = told(&client(&server), &Selection::new().older_than(DAY).measure(), 0);
    assert_eq!((ending.code, report(&ending).bytes), (code::OK, 35_000));
    assert_eq!((outcomes["three"].parts, outcomes["three"].last_part), (3, -1));
}

#[test]
fn only_what_is_aborted_counts() {
    let server = server();
    sized(&server);
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").key("seven").always());
    server
        .fault(Fault::answer(403).error("AccessDenied").query("uploadId").method("GET").key("one").always());
    let (ending, outcomes) = told(&client(&server), &Selection::new().older_than(DAY).measure(), 0);
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.failed), (code::PARTIAL, 3, 1));
    assert_eq!(report.bytes, 6000, "neither what failed nor what could not be measured");
    assert_eq!(
        (outcomes["seven"].parts, outcomes["seven"].bytes),
        (7, 28_000),
        "a failed one has its size, too"
    );
    assert_eq!((report.failures[0].parts, report.failures[0].bytes), (7, 28_000));
}

/// Tried again in a later pass, and counted once.
#[test]
fn what_is_tried_twice_counts_once() {
    let server = server();
    sized(&server);
    server.fault(Fault::answer(204).method("DELETE").key("seven"));
    let (ending, _) = told(&client(&server), &Selection::new().older_than(DAY).measure(), 0);
    assert_eq!((ending.code, report(&ending).aborted, report(&ending).bytes), (code::OK, 4, 35_000));
}

#[test]
fn sizes_beyond_all_numbers_stay_at_the_largest() {
    let server = server();
    old(&server, "a", 3);
    old(&server, "b", 3);
    server.create_parts("backups", "", 2, u64::MAX, 60);
    let (ending, outcomes) = told(&client(&server), &Selection::new().older_than(DAY).measure(), 0);
    assert_eq!(ending.code, code::OK, "{ending:?}");
    assert_eq!((report(&ending).bytes, outcomes["a"].bytes), (u64::MAX, u64::MAX));
}

#[test]
fn ten_thousand_parts_take_ten_requests() {
    let server = server();
    old(&server, "k", 3);
    server.create_parts("backups", "k", 10_000, 5 << 30, 60);
    let (ending, outcomes) = told(&client(&server), &Selection::new().older_than(DAY).measure(), 0);
    assert_eq!(
        (ending.code, report(&ending).bytes, outcomes["k"].parts),
        (code::OK, (5 << 30) * 10_000, 10_000)
    );
    assert_eq!(requests(&server, is_list_of_parts), 10);
}

/// A service that finds no list of parts where there is an upload: sizes are not known, and that is all.
#[test]
fn an_upload_without_a_list_of_parts_is_aborted_all_the_same() {
    let server = server();
    many_old(&server, 3);
    server.fault(Fault::answer(404).error("NoSuchUpload").query("uploadId").method("GET").always());
    let ending = swept(&client(&server), &Selection::new().older_than(DAY).measure());
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.bytes, report.complete), (code::OK, 3, 0, true));
}
