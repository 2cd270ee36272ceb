//! Many uploads with one call: who works, who is told, what is counted, and what ends it.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod bad;
mod ends;
mod unwatched;

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use obs_local::{End, Fault};
use support::obs::{entries, server, uploads};
use support::process::{descriptors, eventually, in_own_process, threads};
use support::{Call, Client, Config, Ending, Report, c, code, lib};

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
fn a_beat_also_if_outcomes_are_many() {
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

unsafe extern "C" {
    fn pthread_key_create(key: *mut u32, destructor: unsafe extern "C" fn(*mut c_void)) -> i32;
    fn pthread_setspecific(key: u32, value: *const c_void) -> i32;
}

/// The key of a thread that ends, and what it is told meanwhile.
static KEY: AtomicU32 = AtomicU32::new(0);
static AT_THE_END: Mutex<Vec<i32>> = Mutex::new(Vec::new());

fn many_and_stale(client: &Client) -> [i32; 2] {
    let many = client.many(None, "backups", &[("key", "id"); 40], &mut |_, _, _| false);
    [many.code, client.stale(None, "backups", None, 60, 0, &mut |_, _, _| false).code]
}

unsafe extern "C" fn end(client: *mut c_void) {
    let mut told = AT_THE_END.lock().unwrap();
    if told.is_empty() {
        // Once more, after the destructors of all other keys, that of Rust's standard library among them.
        unsafe { pthread_setspecific(KEY.load(Ordering::Relaxed), client) };
    }
    told.extend(many_and_stale(unsafe { &*client.cast::<Client>() }));
}

/// In the destructor of a key, what the library's runtime has for that thread may be gone.
#[test]
fn in_the_destructor_of_a_key() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    let mut key = 0;
    assert_eq!(unsafe { pthread_key_create(&raw mut key, end) }, 0);
    KEY.store(key, Ordering::Relaxed);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            assert_eq!(unsafe { pthread_setspecific(key, (&raw const client).cast()) }, 0);
            assert_eq!(many_and_stale(&client), [code::OK; 2]);
        });
        thread.join().unwrap();
    });
    assert_eq!(*AT_THE_END.lock().unwrap(), [code::OK; 4]);
}
