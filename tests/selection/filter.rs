//! The filter: what it sees, on which thread and when, and what it can do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use obs_local::Fault;
use support::obs::server;
use support::{Call, Selection, c, code, lib};

use super::*;

fn none(_: Option<&support::Outcome>, _: u64, _: u64) -> bool {
    false
}

#[test]
fn it_keeps_what_it_says_and_sees_which_upload_it_is() {
    let server = server();
    many_old(&server, 60);
    server.create_upload("backups", "live");
    let ids: BTreeMap<String, String> =
        server.uploads("backups").into_iter().map(|upload| (upload.upload_id, upload.key)).collect();
    let client = client(&server);
    let this = std::thread::current().id();
    let mut shown = BTreeSet::new();
    let keep = |key: &str| key.ends_with('7');
    let filter = &mut |candidate: &support::Outcome| {
        assert_eq!(std::thread::current().id(), this, "on the caller's thread");
        assert_eq!(ids.get(&candidate.upload_id), Some(&candidate.key));
        assert!((candidate.initiated - unix_now() + 3 * DAY as i64).abs() < 60, "{candidate:?}");
        let nothing = (candidate.code, candidate.http_status, candidate.attempts, &candidate.message);
        assert_eq!(nothing, (0, 0, 0, &None));
        assert_eq!((candidate.parts, candidate.bytes, candidate.last_part, candidate.index), (0, 0, -1, -1));
        let sent = |entry: &Entry| entry.target.contains(&candidate.upload_id);
        assert_eq!(requests(&server, sent), 0, "before anything was sent for it");
        // A later listing of the same call shows those again that are kept.
        assert!(
            shown.insert(candidate.key.clone()) || keep(&candidate.key),
            "{} is shown twice",
            candidate.key
        );
        keep(&candidate.key)
    };
    let mut told = BTreeSet::new();
    let selection = Selection::new().older_than(DAY).idle(DAY).measure();
    let ending =
        client.filtered_sweep(None, "backups", &selection, 0, filter, &mut |outcome, done, total| {
            assert!(done <= total);
            told.extend(outcome.map(|outcome| outcome.key.clone()));
            false
        });
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.kept, report.younger), (code::OK, 54, 7, 1));
    assert!(report.complete && report.active == 0);
    assert_eq!(shown.len(), 60, "each that the bounds select, and not the live one");
    assert_eq!(told.len(), 54);
    assert!(left(&server).iter().all(|key| keep(key) || key == "live") && left(&server).len() == 7);
    let kept: Vec<&String> = ids.iter().filter(|(_, key)| keep(key)).map(|(id, _)| id).collect();
    let about_kept = |entry: &Entry| kept.iter().any(|id| entry.target.contains(id.as_str()));
    assert_eq!(requests(&server, about_kept), 0, "nothing is ever sent for what it keeps");
}

#[test]
fn it_is_shown_each_upload_of_many_pages_once() {
    let server = server();
    many_old(&server, 2500);
    server.set_page_cap(300);
    let client = client(&server);
    let mut shown = BTreeMap::new();
    let filter = &mut |candidate: &support::Outcome| {
        *shown.entry(candidate.upload_id.clone()).or_insert(0) += 1;
        candidate.key.ends_with('0')
    };
    let ending =
        client.filtered_sweep(None, "backups", &Selection::new().older_than(DAY), 0, filter, &mut none);
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.kept), (code::OK, 2250, 250));
    assert!(report.complete);
    // A later listing, which shows that nothing is left, shows the kept ones again.
    assert_eq!(shown.len(), 2500);
    for upload in server.uploads("backups") {
        assert!(upload.key.ends_with('0') && shown[&upload.upload_id] <= 2, "{upload:?}");
    }
}

#[test]
fn it_works_in_a_dry_run() {
    let server = server();
    many_old(&server, 20);
    let (mut asked, mut told) = (0, 0);
    let ending = client(&server).filtered_sweep(
        None,
        "backups",
        &Selection::new(),
        DRY_RUN,
        &mut |candidate| {
            asked += 1;
            candidate.key.ends_with('3')
        },
        &mut |outcome, _, _| {
            told += outcome.iter().count();
            false
        },
    );
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.kept, asked, told), (code::OK, 18, 2, 20, 18));
    assert_eq!((requests(&server, is_abort), report.complete), (0, false));
}

/// A catalogue that keeps all leaves nothing to do.
#[test]
fn it_can_keep_all() {
    let server = server();
    many_old(&server, 30);
    let selection = Selection::new().older_than(DAY);
    let ending = client(&server).filtered_sweep(None, "backups", &selection, 0, &mut |_| true, &mut none);
    let report = report(&ending);
    assert_eq!((ending.code, report.total, report.kept, report.complete), (code::OK, 30, 30, true));
    assert_eq!((requests(&server, is_abort), server.upload_count("backups")), (0, 30));
}

#[test]
fn progress_and_the_call_still_cancel() {
    for by_call in [false, true] {
        let server = server();
        many_old(&server, 400);
        let client = client(&server);
        let (call, mut asked) = (Call::new(), 0);
        let mut done = 0;
        let ending = client.filtered_sweep(
            Some(&call),
            "backups",
            &Selection::new().older_than(DAY),
            0,
            &mut |_| {
                asked += 1;
                std::thread::sleep(Duration::from_millis(5));
                if by_call && asked == 20 {
                    call.cancel();
                }
                false
            },
            &mut |outcome, _, _| {
                done += outcome.iter().count();
                !by_call && done >= 1
            },
        );
        let report = report(&ending);
        assert_eq!((ending.code, report.total, report.complete), (code::CANCELLED, 400, false), "{by_call}");
        assert!(report.kept > 0 && report.aborted < 400, "{report:?}");
        assert_eq!(report.aborted + report.failed, server.aborted_count() + report.failed);
        if by_call {
            assert_eq!(asked, 20, "it is not asked after the call was cancelled");
        }
    }
}

/// The call waits for it, however slow it is, and the library can be used from it.
#[test]
fn it_may_call_the_library() {
    let server = server();
    many_old(&server, 5);
    server.create_bucket("others");
    let ids: Vec<String> = (0..5).map(|n| server.create_upload("others", &format!("{n}"))).collect();
    let (client, second) = (client(&server), client(&server));
    let mut next = 0;
    let ending = client.filtered_sweep(
        None,
        "backups",
        &Selection::new().older_than(DAY),
        0,
        &mut |_| {
            // With the client that sweeps, too.
            assert_eq!(client.abort("others", &next.to_string(), &ids[next]).0, code::OK);
            let selection = Selection::new().older_than(DAY);
            let inner = second.sweep(None, "others", &selection, 0, &mut none);
            assert_eq!((inner.code, report(&inner).younger), (code::OK, 4 - next as u64));
            assert_eq!(client.set_credentials(obs_local::ACCESS_KEY, obs_local::SECRET_KEY, None), code::OK);
            next += 1;
            false
        },
        &mut none,
    );
    assert_eq!((ending.code, report(&ending).aborted, next), (code::OK, 5, 5));
    assert_eq!((server.upload_count("backups"), server.upload_count("others")), (0, 0));
}

#[test]
fn callbacks_do_not_overlap_with_it() {
    use std::cell::Cell;
    let server = server();
    many_old(&server, 100);
    let inside = Cell::new(false);
    let enter = |what: &str| {
        assert!(!inside.replace(true), "{what} within another callback");
        std::thread::sleep(Duration::from_millis(1));
        inside.set(false);
    };
    let began = Instant::now();
    let ending = client(&server).filtered_sweep(
        None,
        "backups",
        &Selection::new().older_than(DAY),
        0,
        &mut |_| {
            enter("the filter");
            false
        },
        &mut |_, _, _| {
            enter("progress");
            false
        },
    );
    assert_eq!((ending.code, report(&ending).aborted), (code::OK, 100));
    assert!(began.elapsed() < Duration::from_secs(30));
}

/// The verb has copied the selection before it calls back.
#[test]
fn the_selection_can_be_changed_and_freed_meanwhile() {
    let server = server();
    many_old(&server, 50);
    old(&server, "other/1", 3);
    old(&server, "old/young-by-idle", 1);
    server.fault(Fault::real().delay(Duration::from_millis(20)).method("DELETE").always());
    let client = client(&server);
    let selection = Selection::new().prefix("old/").older_than(2 * DAY).measure();
    server.create_parts("backups", "old/", 1, 10, 3 * DAY as i64);
    // Freed by the filter.
    let raw = std::mem::ManuallyDrop::new(selection).0;
    let mut asked = 0;
    let mut filter = |_: &support::Outcome| {
        asked += 1;
        if asked == 1 {
            unsafe {
                assert_eq!(lib().obs_abort_selection_set_prefix(raw, c("other/").as_ptr()), code::OK);
                assert_eq!(lib().obs_abort_selection_set_older_than_seconds(raw, u64::MAX), code::OK);
                assert_eq!(lib().obs_abort_selection_set_measure(raw, 0), code::OK);
                assert_eq!(lib().obs_abort_selection_set_filter(raw, None, std::ptr::null_mut()), code::OK);
                lib().obs_abort_selection_free(raw);
            }
        }
        false
    };
    let ending = sweep_raw(&client, raw, &mut filter);
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.younger, asked), (code::OK, 50, 1, 50));
    assert_eq!((report.bytes, report.complete), (500, true));
    assert_eq!(left(&server), keys(["other/1", "old/young-by-idle"]));
}

/// A sweep by a selection that the filter may free.
fn sweep_raw(
    client: &Client,
    selection: *mut support::obs_abort_selection,
    filter: support::sweep::Filter<'_>,
) -> Ending {
    unsafe extern "C" fn thunk(candidate: *const support::outcome, userdata: *mut std::ffi::c_void) -> i32 {
        let filter = unsafe { &mut *userdata.cast::<support::sweep::Filter<'_>>() };
        i32::from(filter(&unsafe { support::Outcome::read(candidate) }))
    }
    let mut filter = filter;
    let (mut report, mut error) = (std::ptr::null_mut(), std::ptr::null_mut());
    let bucket = c("backups");
    unsafe {
        let set = lib().obs_abort_selection_set_filter(selection, Some(thunk), (&raw mut filter).cast());
        assert_eq!(set, code::OK);
        let code = lib().obs_abort_sweep(
            client.0,
            std::ptr::null(),
            bucket.as_ptr(),
            selection,
            0,
            None,
            std::ptr::null_mut(),
            &raw mut report,
            &raw mut error,
        );
        Ending { code, error: support::owned(error), report: support::Report::take(report) }
    }
}

/// The caller's catalogue may learn of an upload, or forget it, between the passes. Each counts once.
#[test]
fn a_filter_that_changes_its_mind() {
    for (what, fault, first, second, want) in [
        // Refused, then kept: it is there, and not gone.
        ("denied", Some(Fault::answer(403).error("AccessDenied")), false, true, (2, 0, 0, 1)),
        ("its response lost", Some(Fault::answer(500).error("InternalError")), false, true, (2, 0, 0, 1)),
        ("kept, then let go", None, true, false, (2, 0, 0, 1)),
    ] {
        let server = server();
        for key in ["a", "b", "k"] {
            old(&server, key, 3);
        }
        if let Some(fault) = fault {
            server.fault(fault.method("DELETE").key("k").times(4));
        }
        let mut asked = 0;
        let ending = Config::new(&server.endpoint()).client().filtered_sweep(
            None,
            "backups",
            &Selection::new().older_than(DAY),
            0,
            &mut |candidate| {
                asked += u32::from(candidate.key == "k");
                candidate.key == "k" && if asked == 1 { first } else { second }
            },
            &mut |_, _, _| false,
        );
        let report = report(&ending);
        let counts = (report.aborted, report.missing, report.failed, report.kept);
        let want = if what == "kept, then let go" { (3, 0, 0, 0) } else { want };
        assert_eq!((counts, report.total), (want, 3), "{what}: {:?}", ending.error);
    }
}

/// A page that takes the filter long: the beat goes on, and a stop counts.
#[test]
fn the_progress_callback_is_called_while_a_slow_filter_works() {
    let server = server();
    many_old(&server, 600);
    for stop in [false, true] {
        let (mut asked, mut beats) = (0, 0);
        let ending = client(&server).filtered_sweep(
            None,
            "backups",
            &Selection::new().older_than(DAY),
            0,
            &mut |_| {
                asked += 1;
                std::thread::sleep(Duration::from_millis(3));
                true
            },
            &mut |_, _, _| {
                beats += 1;
                stop && beats == 3
            },
        );
        let counts = (report(&ending).kept, report(&ending).total);
        if stop {
            assert_eq!((ending.code, counts), (code::CANCELLED, (600, 600)));
            assert!(asked < 600, "{asked} were asked about, after {beats} beats");
        } else {
            // 1.8 s at least.
            assert!(ending.code == code::OK && beats >= 5, "{beats} beats");
        }
    }
}
