//! Uploads that were initiated long ago, and are still written to.

use std::ffi::{c_char, c_void};
use std::sync::Mutex;
use std::time::Duration;

use obs_local::{End, Fault, Initiated, Rate};
use support::obs::server;
use support::process::eventually;
use support::{Call, Client, Config, OBS_ABORT_LOG_INFO, Selection, borrowed, code};

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
    many_old(&server, 100);
    parts(&server, "old/", 5, 2 * DAY as i64);
    server.set_parts_page_cap(2);
    // With one connection nothing comes between them; slowed down by the service, too.
    for rate in [None, Some(Rate { per_second: 50.0, burst: 20.0, retry_after_s: None })] {
        server.set_rate(rate);
        let before = server.journal().len();
        let client = Config::new(&server.endpoint()).max_connections(1).client();
        let selection = Selection::new().prefix(if rate.is_none() { "old/0000" } else { "old/" }).idle(DAY);
        let ending = swept(&client, &selection);
        assert_eq!((ending.code, report(&ending).failed), (code::OK, 0));
        let whole = server.journal();
        let journal = &whole[before..];
        let aborts = (0..journal.len()).filter(|at| is_abort(&journal[*at]));
        for at in aborts {
            let id = |at: usize| journal[at].target.split_once("uploadId=").unwrap().1.split('&').next();
            assert!(
                is_list_of_parts(&journal[at - 1]) && id(at - 1) == id(at),
                "{:?}",
                &journal[at - 3..=at]
            );
        }
    }
    assert_eq!(server.upload_count("backups"), 0);
}

/// The abort is refused, or its response is lost; by the time of the next attempt a part may have come.
#[test]
fn each_further_attempt_is_preceded_by_a_list_of_its_own() {
    for (what, fault) in [
        ("503", Fault::answer(503).error("SlowDown")),
        ("500", Fault::answer(500).error("InternalError")),
        ("dropped", Fault::silence().then(End::Close)),
    ] {
        let server = server();
        old(&server, "k", 3);
        server.fault(fault.method("DELETE").times(2));
        let ending = swept(&client(&server), &Selection::new().idle(DAY));
        assert_eq!((ending.code, report(&ending).aborted), (code::OK, 1), "{what}: {:?}", ending.error);
        let journal = server.journal();
        let aborts = || (0..journal.len()).filter(|at| is_abort(&journal[*at]));
        assert!(aborts().count() >= 2, "{what}: {journal:?}");
        assert!(aborts().all(|at| is_list_of_parts(&journal[at - 1])), "{what}: {journal:?}");
    }
}

#[test]
fn a_part_that_comes_while_an_abort_waits_to_be_tried_again_counts() {
    let server = server();
    let id = old(&server, "k", 3);
    server.fault(Fault::answer(503).error("SlowDown").header("Retry-After", "2").method("DELETE").times(1));
    let server = &server;
    let ending = std::thread::scope(|scope| {
        scope.spawn(move || {
            eventually("the first abort", || requests(server, is_abort) == 1);
            server.put_part("backups", "k", &id, 1, b"it goes on");
        });
        swept(&client(server), &Selection::new().idle(DAY))
    });
    assert_eq!((ending.code, report(&ending).active, report(&ending).complete), (code::OK, 1, true));
    assert_eq!((left(server), requests(server, is_abort)), (keys(["k"]), 1));
}

/// The service says 204, and keeps the upload, to which a part comes: its confirmation finds it, and leaves it alone.
#[test]
fn a_part_that_comes_after_an_abort_that_was_not_carried_out_counts() {
    let server = server();
    let id = old(&server, "k", 3);
    server.fault(Fault::answer(204).method("DELETE").times(1));
    let confirmation = Fault::real().method("GET").query("uploadId").skip(1).times(1);
    server.fault(confirmation.delay(Duration::from_millis(500)));
    let server = &server;
    let ending = std::thread::scope(|scope| {
        scope.spawn(move || {
            eventually("the first abort", || requests(server, is_abort) == 1);
            server.put_part("backups", "k", &id, 1, b"it goes on");
        });
        let client = Config::new(&server.endpoint()).confirm().client();
        swept(&client, &Selection::new().idle(DAY))
    });
    assert_eq!((ending.code, report(&ending).active, report(&ending).complete), (code::OK, 1, true));
    assert_eq!((left(server), requests(server, is_abort)), (keys(["k"]), 1));
}

/// A cache between: its list is empty, as it was when parts had not come yet.
#[test]
fn a_list_of_parts_from_a_cache_is_not_believed() {
    let empty = |id: &str| {
        format!(
            "<ListPartsResult><Key>k</Key><UploadId>{id}</UploadId><IsTruncated>false</IsTruncated></ListPartsResult>"
        )
    };
    for (what, active) in [("fresh", 0), ("by its Age", 1), ("by its Date", 1)] {
        let server = server();
        let id = old(&server, "k", 3);
        parts(&server, "k", 1, 5);
        let fault = Fault::answer(200).body(empty(&id)).query("uploadId").method("GET").always();
        server.fault(match what {
            "by its Age" => fault.header("Age", "840"),
            "by its Date" => fault.date_offset(-840),
            _ => fault.header("Age", "0"),
        });
        let ending = swept(&client(&server), &Selection::new().idle(300));
        let report = report(&ending);
        assert_eq!((report.active, report.complete), (active, active == 0), "{what}");
    }
}

/// One upload only, so that no other one tells that the service wants no request.
#[test]
fn a_service_that_wants_no_request_ends_the_sweep() {
    let refused = |seconds: &str| {
        Fault::answer(503).error("SlowDown").header("Retry-After", seconds).query("uploadId").method("GET")
    };
    let server = server();
    old(&server, "k", 3);
    server.fault(refused("700").always());
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    assert_eq!((ending.code, report(&ending).active, report(&ending).kept), (code::THROTTLED, 0, 1));
    server.clear_faults();
    server.fault(refused("60").always());
    let call = Call::with_timeout_ms(3000);
    let ending =
        client(&server).sweep(Some(&call), "backups", &Selection::new().idle(DAY), 0, &mut |_, _, _| false);
    assert_eq!((ending.code, report(&ending).active, report(&ending).kept), (code::TIMEOUT, 0, 1));
    assert_eq!(requests(&server, is_abort), 0);
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

/// A dry run does not list again, so that its word is not the last one.
#[test]
fn a_dry_run_that_found_something_is_not_complete() {
    let server = server();
    old(&server, "k", 3);
    server.fault(Fault::answer(404).error("NoSuchUpload").query("uploadId").method("GET").always());
    let ending =
        client(&server).sweep(None, "backups", &Selection::new().idle(DAY), DRY_RUN, &mut |_, _, _| false);
    let report = report(&ending);
    assert_eq!((ending.code, report.missing, report.complete), (code::OK, 1, false));
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

/// Its one listing shows the upload, and nothing lists again to see.
#[test]
fn a_dry_run_that_is_told_of_a_gone_upload_is_not_complete() {
    let server = server();
    old(&server, "k", 3);
    server.fault(Fault::answer(404).error("NoSuchUpload").query("uploadId").method("GET").always());
    let ending =
        client(&server).sweep(None, "backups", &Selection::new().idle(DAY), DRY_RUN, &mut |_, _, _| false);
    let report = report(&ending);
    assert_eq!((ending.code, report.missing, report.aborted, report.complete), (code::OK, 1, 0, false));
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
