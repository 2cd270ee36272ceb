//! Which uploads a selection takes, and which selections are refused.

use std::ffi::c_char;
use std::ptr::{null, null_mut};

use obs_local::Initiated;
use support::obs::server;
use support::{Report, Selection, c, code, lib, owned};

use super::*;

const HOURS: [u64; 4] = [1, 2, 3, 4];

fn of_hours(server: &Server) {
    for hours in HOURS {
        server.create_upload_at("backups", &format!("{hours}h"), &ago(hours * HOUR));
    }
}

/// An age as the seconds of 3 h 30 min, and the time that this is before now.
fn half_past(hours: u64) -> (u64, i64) {
    let seconds = hours * HOUR + HOUR / 2;
    (seconds, unix_now() - seconds as i64)
}

#[test]
fn all_bounds_hold_together() {
    let new = Selection::new;
    let ((one, before_one), (three, before_three)) = (half_past(1), half_past(3));
    let rows: [(&str, Selection, &[&str]); 12] = [
        ("an age", new().older_than(one), &["1h"]),
        ("a time", new().initiated_before(before_one), &["1h"]),
        ("an idle time", new().idle(one), &["1h"]),
        ("an age beyond a time", new().older_than(three).initiated_before(before_one), &["1h", "2h", "3h"]),
        ("a time beyond an age", new().initiated_before(before_three).older_than(one), &["1h", "2h", "3h"]),
        ("an idle time beyond an age", new().older_than(one).idle(three), &["1h", "2h", "3h"]),
        ("an age beyond an idle time", new().idle(one).older_than(three), &["1h", "2h", "3h"]),
        ("a time beyond an idle time", new().idle(one).initiated_before(before_three), &["1h", "2h", "3h"]),
        (
            "all three, and a prefix",
            new().idle(one).older_than(one).initiated_before(before_one).prefix("3"),
            &["1h", "2h", "4h"],
        ),
        ("the last of an age that is set twice", new().older_than(three).older_than(one), &["1h"]),
        ("an age that nothing has", new().older_than(u64::MAX), &["1h", "2h", "3h", "4h"]),
        ("1970", new().initiated_before(0), &["1h", "2h", "3h", "4h"]),
    ];
    for (name, selection, stay) in rows {
        let server = server();
        of_hours(&server);
        let ending = swept(&client(&server), &selection);
        assert_eq!(ending.code, code::OK, "{name}: {ending:?}");
        assert_eq!(left(&server), stay.iter().map(ToString::to_string).collect(), "{name}");
        let report = report(&ending);
        let listed = if name.ends_with("prefix") { 1 } else { 4 };
        assert_eq!((report.total, report.aborted), (listed, 4 - stay.len() as u64), "{name}");
        assert_eq!(
            (report.younger, report.kept, report.complete),
            (report.kept, listed - report.aborted, true)
        );
    }
}

/// By the server's clock, wherever ours stands.
#[test]
fn ages_are_by_the_clock_of_the_service() {
    for offset in [-(DAY as i64), DAY as i64] {
        let server = server();
        server.set_clock_offset_s(offset);
        of_hours(&server);
        let ending =
            swept(&client(&server), &Selection::new().older_than(half_past(2).0).idle(half_past(1).0));
        assert_eq!((ending.code, left(&server)), (code::OK, keys(["1h", "2h"])), "{offset}");
    }
}

#[test]
fn what_is_of_unknown_age_is_kept_if_any_bound_depends_on_it() {
    let (one, before_one) = half_past(1);
    for (selection, flags, stays) in [
        (Selection::new().older_than(one), 0, true),
        (Selection::new().initiated_before(before_one), 0, true),
        (Selection::new().idle(one), 0, true),
        (Selection::new().idle(one), INCLUDE_LIVE, true),
        (Selection::new().measure(), INCLUDE_LIVE, false),
        (Selection::new(), INCLUDE_LIVE, false),
    ] {
        let server = server();
        server.create_upload_at("backups", "unknown", &Initiated::Missing);
        server.create_upload_at("backups", "zero", &Initiated::Text("0001-01-01T00:00:00Z".into()));
        let ending = client(&server).sweep(None, "backups", &selection, flags, &mut |_, _, _| false);
        assert_eq!(ending.code, code::OK, "{ending:?}");
        let kept = if stays { 2 } else { 0 };
        assert_eq!((report(&ending).unknown_age, left(&server).len()), (kept, kept as usize));
    }
}

#[test]
fn a_selection_without_an_age_needs_a_flag() {
    let server = server();
    many_old(&server, 3);
    server.create_upload("backups", "live");
    let client = client(&server);
    let selections = || {
        [
            Selection::new(),
            Selection::new().prefix("old/").measure(),
            Selection::new().older_than(0).idle(0),
            Selection::new().older_than(HOUR).older_than(0),
        ]
    };
    for selection in selections() {
        let (mut asked, mut told) = (0, 0);
        let keep = &mut |_: &support::Outcome| {
            asked += 1;
            true
        };
        let ending = client.filtered_sweep(None, "backups", &selection, 0, keep, &mut |_, _, _| {
            told += 1;
            false
        });
        assert_eq!((ending.code, ending.report), (code::INVALID_ARGUMENT, None));
        assert!(ending.error.unwrap().contains("OBS_ABORT_INCLUDE_LIVE"));
        assert_eq!((asked, told), (0, 0));
    }
    assert_eq!(server.connections_accepted(), 0, "nothing was sent");
    for selection in selections() {
        let found = if report_total(&client, &selection) == 3 { 3 } else { 4 };
        let ending = client.sweep(None, "backups", &selection, DRY_RUN, &mut |_, _, _| false);
        assert_eq!((ending.code, report(&ending).aborted, left(&server).len()), (code::OK, found, 4));
    }
    let ending =
        client.sweep(None, "backups", &Selection::new(), INCLUDE_LIVE | DRY_RUN, &mut |_, _, _| false);
    assert_eq!((ending.code, report(&ending).aborted), (code::OK, 4));
    let ending = client.sweep(None, "backups", &Selection::new(), INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((ending.code, report(&ending).aborted, left(&server).len()), (code::OK, 4, 0));
}

fn report_total(client: &Client, selection: &Selection) -> u64 {
    let ending = client.sweep(None, "backups", selection, DRY_RUN, &mut |_, _, _| false);
    report(&ending).total
}

#[test]
fn a_time_that_has_not_come_needs_a_flag() {
    let server = server();
    server.create_upload_at("backups", "live", &ago(5));
    let client = client(&server);
    let minute = || unix_now() + 60;
    for selection in [
        Selection::new().initiated_before(minute()),
        Selection::new().initiated_before(i64::MAX),
        // Milliseconds.
        Selection::new().initiated_before((unix_now() - DAY as i64) * 1000),
    ] {
        let ending = swept(&client, &selection);
        assert_eq!((ending.code, ending.report), (code::INVALID_ARGUMENT, None));
        assert!(ending.error.as_ref().unwrap().contains("has not come"), "{:?}", ending.error);
    }
    assert_eq!(server.connections_accepted(), 0, "nothing was sent");
    for (flags, stay) in [(DRY_RUN, 1), (INCLUDE_LIVE, 0)] {
        let ending = client.sweep(
            None,
            "backups",
            &Selection::new().initiated_before(minute()),
            flags,
            &mut |_, _, _| false,
        );
        assert_eq!((ending.code, left(&server).len()), (code::OK, stay), "{flags}: {ending:?}");
    }
}

/// The clock of this machine is a day ahead: an hour ago by it is a time that has not come by the service's.
#[test]
fn a_time_that_has_not_come_for_the_service_takes_nothing() {
    for offset in [-(DAY as i64), -600] {
        let server = server();
        server.set_clock_offset_s(offset);
        for age in [5, 30 * HOUR] {
            server.create_upload_at("backups", &format!("{age} s old"), &ago(age));
        }
        let selection = Selection::new().initiated_before(unix_now() - 300);
        let ending = swept(&client(&server), &selection);
        assert_eq!((ending.code, left(&server).len()), (code::INVALID_ARGUMENT, 2), "{offset}: {ending:?}");
        assert_eq!(requests(&server, is_abort), 0, "{offset}");
    }
}

#[test]
fn unknown_flags_are_refused() {
    let server = server();
    let client = client(&server);
    for flags in [4, 8, 1 << 31, u32::MAX, DRY_RUN | 4] {
        let selection = Selection::new().older_than(HOUR);
        let ending = client.sweep(None, "backups", &selection, flags, &mut |_, _, _| false);
        assert_eq!((ending.code, ending.report), (code::INVALID_ARGUMENT, None), "{flags}");
    }
    assert_eq!(server.connections_accepted(), 0, "nothing was sent");
}

/// Until the bound is set to something that can be: whoever ignores a setter's code does not sweep more than it meant.
#[test]
fn a_refused_bound_is_remembered() {
    let server = server();
    many_old(&server, 2);
    let client = client(&server);
    let long = c(&"x".repeat(1025));
    let no_text = [0xff_u8, 0];
    let lib = lib();
    type Setter<'a> = &'a dyn Fn(&Selection) -> i32;
    let rows: [(&str, Setter<'_>, Setter<'_>); 4] = [
        (
            "a prefix that is too long",
            &|s| unsafe { lib.obs_abort_selection_set_prefix(s.0, long.as_ptr()) },
            &|s| unsafe { lib.obs_abort_selection_set_prefix(s.0, c(&"x".repeat(1024)).as_ptr()) },
        ),
        (
            "a prefix that is no UTF-8",
            &|s| unsafe { lib.obs_abort_selection_set_prefix(s.0, no_text.as_ptr().cast::<c_char>()) },
            &|s| unsafe { lib.obs_abort_selection_set_prefix(s.0, c("none/").as_ptr()) },
        ),
        (
            "a time before 1970",
            &|s| unsafe { lib.obs_abort_selection_set_initiated_before(s.0, -1) },
            &|s| unsafe { lib.obs_abort_selection_set_initiated_before(s.0, 1) },
        ),
        (
            "a switch that is neither on nor off",
            &|s| unsafe { lib.obs_abort_selection_set_measure(s.0, 2) },
            &|s| unsafe {
                lib.obs_abort_selection_set_older_than_seconds(s.0, u64::MAX)
                    .min(lib.obs_abort_selection_set_measure(s.0, 0))
            },
        ),
    ];
    for (name, refused, mended) in rows {
        let selection = Selection::new().older_than(HOUR);
        assert_eq!(refused(&selection), code::INVALID_ARGUMENT, "{name}");
        for flags in [0, INCLUDE_LIVE] {
            let ending = client.sweep(None, "backups", &selection, flags, &mut |_, _, _| false);
            assert_eq!((ending.code, ending.report), (code::INVALID_ARGUMENT, None), "{name}");
        }
        assert_eq!(server.upload_count("backups"), 2, "{name}");
        assert_eq!(mended(&selection), code::OK, "{name}");
        let ending = swept(&client, &selection);
        assert_eq!((ending.code, server.upload_count("backups")), (code::OK, 2), "{name}: {ending:?}");
    }
}

#[test]
fn null_is_an_argument_error_or_a_default() {
    let server = server();
    many_old(&server, 3);
    let client = client(&server);
    let selection = Selection::new().older_than(HOUR).prefix("none/");
    let bucket = c("backups");
    let lib = lib();
    unsafe {
        lib.obs_abort_selection_free(null_mut());
        let none = null_mut();
        assert_eq!(lib.obs_abort_selection_set_prefix(none, bucket.as_ptr()), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_selection_set_older_than_seconds(none, 1), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_selection_set_initiated_before(none, 1), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_selection_set_idle_seconds(none, 1), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_selection_set_measure(none, 1), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_selection_set_filter(none, None, null_mut()), code::INVALID_ARGUMENT);
        assert_eq!(lib.obs_abort_outcome_parts(null()), 0);
        assert_eq!(lib.obs_abort_outcome_bytes(null()), 0);
        assert_eq!(lib.obs_abort_outcome_last_part(null()), -1);
        assert_eq!(lib.obs_abort_report_bytes(null()), 0);
        assert_eq!(lib.obs_abort_report_younger(null()), 0);
        assert_eq!(lib.obs_abort_report_active(null()), 0);
        assert_eq!(lib.obs_abort_report_complete(null()), 0);

        for (named, client, bucket, selection) in [
            ("client", null_mut(), bucket.as_ptr(), selection.0),
            ("bucket", client.0, null(), selection.0),
            ("selection", client.0, bucket.as_ptr(), null_mut()),
        ] {
            let mut report = std::ptr::dangling_mut();
            let mut error = std::ptr::dangling_mut();
            let code = lib.obs_abort_sweep(
                client,
                null(),
                bucket,
                selection,
                0,
                None,
                null_mut(),
                &raw mut report,
                &raw mut error,
            );
            assert_eq!((code, report.is_null()), (code::INVALID_ARGUMENT, true), "{named}");
            assert!(owned(error).unwrap().contains(named));
            let code = lib.obs_abort_sweep(
                client,
                null(),
                bucket,
                selection,
                INCLUDE_LIVE,
                None,
                null_mut(),
                null_mut(),
                null_mut(),
            );
            assert_eq!(code, code::INVALID_ARGUMENT, "{named}");
        }
        assert_eq!(server.connections_accepted(), 0, "nothing was sent");

        // All of the bucket, with neither callback nor outputs.
        assert_eq!(lib.obs_abort_selection_set_prefix(selection.0, null()), code::OK);
        assert_eq!(lib.obs_abort_selection_set_filter(selection.0, None, null_mut()), code::OK);
        let (client, bucket) = (client.0, bucket.as_ptr());
        let code = lib.obs_abort_sweep(
            client,
            null(),
            bucket,
            selection.0,
            0,
            None,
            null_mut(),
            null_mut(),
            null_mut(),
        );
        assert_eq!((code, server.upload_count("backups")), (code::OK, 0));
        let mut report = null_mut();
        let code = lib.obs_abort_sweep(
            client,
            null(),
            bucket,
            selection.0,
            0,
            None,
            null_mut(),
            &raw mut report,
            null_mut(),
        );
        let report = Report::take(report).unwrap();
        assert_eq!((code, report.total, report.complete), (code::OK, 0, true));
    }
}

/// `obs_abort_stale` and `obs_abort_many` fill the same report.
#[test]
fn reports_of_the_other_verbs_have_the_counts_that_they_know() {
    let server = server();
    of_hours(&server);
    server.create_upload_at("backups", "unknown", &Initiated::Missing);
    let client = client(&server);
    let ending = client.stale(None, "backups", None, half_past(2).0, 0, &mut |_, _, _| false);
    let stale = report(&ending);
    assert_eq!((stale.younger, stale.unknown_age, stale.active, stale.bytes), (2, 1, 0, 0));
    assert!(stale.complete);
    let id = server.create_upload("backups", "k");
    let ending = client.many(None, "backups", &[("k", &id)], &mut |_, _, _| false);
    let many = report(&ending);
    assert_eq!((ending.code, many.aborted, many.younger, many.complete), (code::OK, 1, 0, false));
}
