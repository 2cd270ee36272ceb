//! Uploads that were initiated long ago, and are still written to.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::sync::Mutex;

use obs_local::{Fault, Initiated};
use support::obs::server;
use support::{Client, Config, OBS_ABORT_LOG_INFO, Selection, borrowed, code};

use super::*;

unsafe extern "C" fn take_line(_: i32, message: *const c_char, userdata: *mut c_void) {
    let lines = unsafe { &*userdata.cast::<Mutex<Vec<String>>>() };
    lines.lock().unwrap().push(unsafe { borrowed(message) }.unwrap());
}

/// A client whose lines at level info end up in the list.
fn logging(server: &Server, lines: &Mutex<Vec<String>>) -> Client {
    let userdata = std::ptr::from_ref(lines).cast_mut().cast();
    Config::new(&server.endpoint())
        .max_connections(8)
        .log(Some(take_line), userdata, OBS_ABORT_LOG_INFO)
        .client()
}

/// Parts that came so many seconds ago.
fn parts(server: &Server, key: &str, count: u32, age_s: i64) {
    assert_ne!(server.create_parts("backups", key, count, 100, age_s), 0);
}

#[test]
fn an_old_upload_with_a_young_part_is_kept() {
    let server = server();
    many_old(&server, 40);
    parts(&server, "old/", 3, 2 * DAY as i64);
    let id = old(&server, "running", 3);
    parts(&server, "running", 100, 2 * DAY as i64);
    parts(&server, "running", 1, 600);
    let lines = Mutex::new(Vec::new());
    let client = logging(&server, &lines);
    let mut told = Vec::new();
    let selection = Selection::new().older_than(DAY).idle(DAY);
    let ending = client.sweep(None, "backups", &selection, 0, &mut |outcome, done, total| {
        assert!(done <= total);
        told.extend(outcome.map(|outcome| outcome.key.clone()));
        false
    });
    let report = report(&ending);
    assert_eq!((ending.code, ending.error.as_deref()), (code::OK, None));
    assert_eq!((report.total, report.aborted, report.kept, report.active), (41, 40, 1, 1));
    assert_eq!((report.younger, report.unknown_age, report.complete), (0, 0, true));
    assert_eq!(left(&server), keys(["running"]));
    assert_eq!(told.len(), 40, "nothing is told of what is kept");
    assert_eq!(requests(&server, |entry| is_abort(entry) && entry.target.contains(&id)), 0);
    let lines = lines.into_inner().unwrap();
    let about: Vec<&String> = lines.iter().filter(|line| line.contains(&id)).collect();
    assert_eq!(about.len(), 1, "{about:?}");
    assert!(
        about[0].contains("running") && about[0].contains("kept as active") && about[0].contains(" s after")
    );
    // Whoever writes it can go on.
    let writer =
        obs_local::client::Client::new(&server.endpoint(), obs_local::ACCESS_KEY, obs_local::SECRET_KEY);
    writer.upload_part("backups", "running", &id, 102, b"next").unwrap();
    assert!(server.complete("backups", "running", &id));
}

/// The newest part counts, whichever it is and on whichever page.
#[test]
fn the_newest_of_all_parts_counts() {
    let (two_days, hour) = (2 * DAY as i64, HOUR as i64);
    for (name, ages, is_active) in [
        ("the first", [hour, two_days, two_days], true),
        ("one in the middle", [two_days, hour, two_days], true),
        ("the last", [two_days, two_days, hour], true),
        ("none", [two_days; 3], false),
        ("one of the future", [two_days, -hour, two_days], true),
    ] {
        for page in [1, 2, 7, 1000] {
            let server = server();
            server.set_parts_page_cap(page);
            old(&server, "k", 3);
            ages.iter().for_each(|age| parts(&server, "k", 3, *age));
            let ending = swept(&client(&server), &Selection::new().idle(DAY));
            let report = report(&ending);
            let counts = (ending.code, report.active, report.aborted, report.complete);
            assert_eq!(
                counts,
                (code::OK, u64::from(is_active), u64::from(!is_active), true),
                "{name}, {page}"
            );
            assert_eq!(
                requests(&server, is_list_of_parts),
                9_usize.div_ceil(page),
                "all pages are read: {name}"
            );
        }
    }
}

#[test]
fn an_upload_without_parts_counts_by_its_initiation() {
    let server = server();
    old(&server, "two days", 2);
    server.create_upload_at("backups", "two hours", &ago(2 * HOUR));
    server.create_upload_at("backups", "unknown", &Initiated::Missing);
    let ending = swept(&client(&server), &Selection::new().older_than(HOUR).idle(DAY));
    let counted = report(&ending);
    assert_eq!((ending.code, counted.aborted, counted.younger, counted.unknown_age), (code::OK, 1, 1, 1));
    assert_eq!((counted.active, left(&server)), (0, keys(["two hours", "unknown"])));
    // What is too young, or of unknown age, is not looked at any further.
    assert_eq!(requests(&server, is_list_of_parts), 1);
}

#[test]
fn the_list_of_parts_comes_right_before_the_abort() {
    let server = server();
    many_old(&server, 300);
    parts(&server, "old/", 5, 2 * DAY as i64);
    server.set_parts_page_cap(2);
    let ending = swept(&client(&server), &Selection::new().older_than(DAY).idle(DAY));
    assert_eq!((ending.code, report(&ending).aborted), (code::OK, 300));
    let mut of_upload: BTreeMap<String, Vec<(usize, bool)>> = BTreeMap::new();
    for (at, entry) in server.journal().iter().enumerate() {
        if let Some((_, query)) = entry.target.split_once("uploadId=") {
            let id = query.split('&').next().unwrap().to_owned();
            of_upload.entry(id).or_default().push((at, is_abort(entry)));
        }
    }
    assert_eq!(of_upload.len(), 300);
    for (id, requests) in of_upload {
        let kinds: Vec<bool> = requests.iter().map(|(_, is_abort)| *is_abort).collect();
        assert_eq!(kinds, [false, false, false, true], "{id}: three pages, then the abort");
        // 8 workers: while one turns from the list to the abort, each of the others sends one or two requests.
        let between = requests[3].0 - requests[2].0;
        assert!(between < 60, "{id}: {between} requests between");
    }
}

/// The list of uploads is from before; the list of parts is from now.
#[test]
fn a_part_that_comes_after_the_listing_counts() {
    let server = server();
    let id = old(&server, "k", 3);
    parts(&server, "k", 1, 2 * DAY as i64);
    let ending = client(&server).filtered_sweep(
        None,
        "backups",
        &Selection::new().idle(DAY),
        0,
        &mut |_| {
            server.put_part("backups", "k", &id, 2, b"it goes on");
            false
        },
        &mut |_, _, _| false,
    );
    assert_eq!((ending.code, report(&ending).active, requests(&server, is_abort)), (code::OK, 1, 0));
}

#[test]
fn what_is_gone_by_then_is_missing_and_no_abort_is_sent() {
    let server = server();
    let (completed, aborted) = (old(&server, "completed", 3), old(&server, "aborted", 3));
    let ending = client(&server).filtered_sweep(
        None,
        "backups",
        &Selection::new().idle(DAY),
        0,
        &mut |_| {
            server.complete("backups", "completed", &completed);
            server.abort("backups", "aborted", &aborted);
            false
        },
        &mut |_, _, _| false,
    );
    let report = report(&ending);
    assert_eq!((ending.code, report.missing, report.aborted, report.complete), (code::OK, 2, 0, true));
    assert_eq!(requests(&server, is_abort), 0);
    assert!(server.object_exists("backups", "completed"));
}

/// A server whose lists disagree: it shows the upload, and says that it does not exist.
#[test]
fn what_is_said_to_be_gone_and_still_listed_has_failed_without_an_abort() {
    let server = server();
    old(&server, "k", 3);
    server.fault(Fault::answer(404).error("NoSuchUpload").query("uploadId").method("GET").always());
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    let report = report(&ending);
    assert_eq!((ending.code, report.failed, report.complete), (code::PARTIAL, 1, false));
    assert_eq!(report.failures[0].code, code::STILL_LISTED);
    assert_eq!((requests(&server, is_abort), server.upload_count("backups")), (0, 1));
}

/// Counted once, although it is listed in each pass.
#[test]
fn an_active_upload_is_not_tried_in_each_pass() {
    let server = server();
    many_old(&server, 20);
    let id = old(&server, "running", 3);
    parts(&server, "running", 1, 60);
    server.set_list_lag(2);
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    let report = report(&ending);
    assert_eq!((report.active, report.kept, left(&server)), (1, 1, keys(["running"])), "{ending:?}");
    assert_eq!(requests(&server, |entry| is_list_of_parts(entry) && entry.target.contains(&id)), 1);
}

/// A dry run shows what a run would do, this included.
#[test]
fn a_dry_run_keeps_it_as_well() {
    let server = server();
    many_old(&server, 3);
    parts(&server, "old/", 2, 2 * DAY as i64);
    old(&server, "running", 3);
    parts(&server, "running", 1, 60);
    let mut told = Vec::new();
    let selection = Selection::new().older_than(DAY).idle(DAY);
    let ending = client(&server).sweep(None, "backups", &selection, DRY_RUN, &mut |outcome, _, _| {
        told.extend(outcome.cloned());
        false
    });
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.active, report.bytes), (code::OK, 3, 1, 600));
    assert_eq!((requests(&server, is_abort), told.len()), (0, 3));
    for outcome in told {
        assert_eq!((outcome.parts, outcome.bytes, outcome.attempts), (2, 200, 0));
        assert!((outcome.last_part - unix_now() + 2 * DAY as i64).abs() < 60);
    }
}

/// OBS_ABORT_INCLUDE_LIVE drops the condition that an age is set, and no bound that is.
#[test]
fn the_flag_for_live_uploads_does_not_drop_it() {
    let server = server();
    old(&server, "running", 3);
    parts(&server, "running", 1, 60);
    let ending =
        client(&server)
            .sweep(None, "backups", &Selection::new().idle(DAY), INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((ending.code, report(&ending).active, requests(&server, is_abort)), (code::OK, 1, 0));
}
