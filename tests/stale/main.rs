//! The sweep: which uploads it takes, what it makes of a listing, and what ends it.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod again;
mod clocks;
mod ends;
mod keys;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use obs_local::{End, Fault, Initiated, ListQuirk, Server, http_date, iso_date};
use support::obs::server;
use support::peer::Recorder;
use support::process::eventually;
use support::{Call, Client, Config, Ending, Outcome, Report, code};

const DRY_RUN: u32 = support::OBS_ABORT_DRY_RUN as u32;
const INCLUDE_LIVE: u32 = support::OBS_ABORT_INCLUDE_LIVE as u32;
const HOUR: u64 = 3600;

fn client(server: &Server) -> Client {
    Config::new(&server.endpoint()).max_connections(8).client()
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

fn ago(seconds: u64) -> Initiated {
    Initiated::Ago(Duration::from_secs(seconds))
}

fn old(server: &Server, count: usize) {
    server.create_uploads("backups", count, &ago(2 * HOUR), |n| format!("old/{n:05}"));
}

/// Everything under a prefix that is an hour old.
fn swept(client: &Client, prefix: &str) -> Ending {
    client.stale(None, "backups", Some(prefix), HOUR, 0, &mut |_, _, _| false)
}

fn counts(ending: &Ending) -> (u64, u64, u64, u64, u64) {
    let report = ending.report.as_ref().expect("a report");
    (report.total, report.aborted, report.missing, report.failed, report.kept)
}

fn report(ending: &Ending) -> &Report {
    ending.report.as_ref().expect("a report")
}

fn left(server: &Server) -> BTreeSet<String> {
    server.uploads("backups").into_iter().map(|upload| upload.key).collect()
}

fn listings(server: &Server) -> usize {
    server.journal().iter().filter(|entry| entry.method == "GET").count()
}

/// An answer with this page in place of the real one.
fn page(inner: &str) -> Fault {
    let body = format!("<ListMultipartUploadsResult>{inner}</ListMultipartUploadsResult>");
    Fault::answer(200).body(body).query("uploads")
}

#[test]
fn only_what_is_old_enough_goes() {
    let server = server();
    old(&server, 20);
    server.create_upload_at("backups", "just/old", &ago(HOUR + 2));
    server.create_upload_at("backups", "just/young", &ago(HOUR - 30));
    server.create_upload_at("backups", "live", &ago(0));
    server.create_upload_at(
        "backups",
        "future",
        &Initiated::At(SystemTime::now() + Duration::from_secs(86_400)),
    );
    server.create_upload_at("backups", "unknown/missing", &Initiated::Missing);
    server.create_upload_at("backups", "unknown/text", &Initiated::Text("the day before yesterday".into()));
    server.create_upload_at("backups", "unknown/nozone", &Initiated::Text("2011-01-01T00:00:00".into()));
    server.put_object("backups", "old/00001", b"an object of the same name");
    let mut told = Vec::new();
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |outcome, done, total| {
        assert!(done <= total, "{done} {total}");
        told.extend(outcome.cloned());
        false
    });
    assert_eq!((ending.code, ending.error.as_deref()), (code::OK, None));
    assert_eq!(counts(&ending), (27, 21, 0, 0, 6));
    assert_eq!(report(&ending).unknown_age, 3);
    let stay = ["future", "just/young", "live", "unknown/missing", "unknown/nozone", "unknown/text"];
    assert_eq!(left(&server), stay.map(String::from).into());
    assert!(server.object_exists("backups", "old/00001"));
    assert_eq!(told.len(), 21, "each that was acted on, and none that is kept");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    for outcome in &told {
        assert_eq!((outcome.code, outcome.http_status, outcome.attempts), (code::OK, 204, 1));
        let age = now - outcome.initiated;
        assert!((HOUR as i64..=2 * HOUR as i64 + 60).contains(&age), "{outcome:?}");
    }
    let again = swept(&client(&server), "");
    assert_eq!((again.code, counts(&again)), (code::OK, (6, 0, 0, 0, 6)), "a second sweep finds none");
}

#[test]
fn a_prefix_is_a_prefix_of_bytes() {
    let server = server();
    let keys = ["a", "a/", "a/b", "a/b c+d%2F&=?#é/1", "a/bc", "aa", "b"];
    for key in keys {
        server.create_upload_at("backups", key, &ago(2 * HOUR));
    }
    let client = client(&server);
    for (prefix, gone) in [("a/b c+d%2F&=?#é/", 1), ("none", 0), ("a/", 3), ("", 3)] {
        let ending = swept(&client, prefix);
        assert_eq!((ending.code, counts(&ending)), (code::OK, (gone, gone, 0, 0, 0)), "{prefix}");
    }
    server.create_upload_at("backups", "z", &ago(2 * HOUR));
    let null = client.stale(None, "backups", None, HOUR, 0, &mut |_, _, _| false);
    assert_eq!(counts(&null).1, 1, "NULL is all");
    let too_long = swept(&client, &"p".repeat(1025));
    assert_eq!((too_long.code, too_long.report.is_none()), (code::INVALID_ARGUMENT, true));
}

#[test]
fn a_dry_run_deletes_nothing() {
    let server = server();
    server.set_page_cap(100);
    old(&server, 250);
    server.create_upload_at("backups", "young", &ago(60));
    let client = client(&server);
    let mut seen: Vec<Outcome> = Vec::new();
    let ending = client.stale(None, "backups", None, HOUR, DRY_RUN, &mut |outcome, _, _| {
        seen.extend(outcome.cloned());
        false
    });
    assert_eq!((ending.code, counts(&ending)), (code::OK, (251, 250, 0, 0, 1)), "would be aborted");
    assert_eq!(seen.len(), 250);
    for outcome in seen {
        assert_eq!((outcome.code, outcome.http_status, outcome.attempts), (0, 0, 0));
        assert_eq!((outcome.message.as_deref(), outcome.request_id.as_deref()), (None, None));
        assert!(outcome.initiated > 0 && outcome.upload_id.len() == 32, "{outcome:?}");
        assert_eq!(outcome.index, -1, "there is no list");
    }
    assert_eq!((server.upload_count("backups"), server.counts().method("DELETE")), (251, 0));
    let live = client.stale(None, "backups", None, 0, DRY_RUN, &mut |_, _, _| false);
    assert_eq!((live.code, counts(&live)), (code::OK, (251, 251, 0, 0, 0)), "0 seconds do no harm here");
    let both = client.stale(None, "backups", None, 0, DRY_RUN | INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((both.code, counts(&both).1), (code::OK, 251));
    assert_eq!((server.upload_count("backups"), server.counts().method("DELETE")), (251, 0));
}

#[test]
fn zero_seconds_must_be_meant() {
    let server = server();
    server.create_upload("backups", "live");
    server.create_upload_at("backups", "unknown", &Initiated::Missing);
    let client = client(&server);
    for (seconds, flags) in [(0, 0), (HOUR, 4), (0, 1 << 31 | INCLUDE_LIVE), (0, u32::MAX)] {
        let refused = client.stale(None, "backups", None, seconds, flags, &mut |_, _, _| false);
        assert_eq!(refused.code, code::INVALID_ARGUMENT, "{seconds} {flags}");
        assert!(refused.error.unwrap().starts_with("invalid_argument: "));
    }
    assert_eq!((server.connections_accepted(), server.upload_count("backups")), (0, 2));
    let meant = client.stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((meant.code, counts(&meant)), (code::OK, (2, 2, 0, 0, 0)), "no age is asked for");
    server.create_upload_at("backups", "unknown", &Initiated::Missing);
    let younger = client.stale(None, "backups", None, u64::MAX, INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((younger.code, counts(&younger)), (code::OK, (1, 0, 0, 0, 1)));
}

#[test]
fn page_by_page_while_it_aborts() {
    let server = server();
    server.set_page_cap(37);
    old(&server, 1000);
    let ending = swept(&client(&server), "old/");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (1000, 1000, 0, 0, 0)));
    let journal = server.journal();
    let first_delete = journal.iter().position(|entry| entry.method == "DELETE").unwrap();
    let last_list = journal.iter().rposition(|entry| entry.method == "GET").unwrap();
    assert!(first_delete < last_list, "aborts begin before the listing ends");
    let list = journal.iter().find(|entry| entry.method == "GET").unwrap();
    for part in ["uploads", "prefix=old", "max-uploads=1000", "encoding-type=url"] {
        assert!(list.target.contains(part), "{}", list.target);
    }
    assert!(server.connections_accepted() <= 8, "the listing uses no more connections: max_connections");
}

#[test]
fn a_thousand_uploads_of_one_key() {
    for quirks in [vec![], vec![ListQuirk::OrderByTime]] {
        let server = server();
        server.set_page_cap(100);
        server.set_list_quirks(&quirks);
        for n in 0..1000 {
            server.create_upload_at("backups", "the/one", &ago(2 * HOUR + (n * 7919) % 1000));
        }
        server.create_upload_at("backups", "the/other", &ago(2 * HOUR));
        let ending = swept(&client(&server), "");
        assert_eq!(ending.code, code::OK, "{quirks:?} {ending:?}");
        assert_eq!((report(&ending).failed, server.upload_count("backups")), (0, 0), "{quirks:?}");
        assert_eq!(report(&ending).aborted, 1001);
    }
}

#[test]
fn pages_that_shrink_while_uploads_vanish() {
    let server = server();
    server.set_page_cap(50);
    server.set_latency(Duration::from_millis(2));
    old(&server, 1000);
    let client = client(&server);
    let ending = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Another client, from the end and from the middle.
            for upload in server.uploads("backups").into_iter().rev().step_by(2) {
                server.abort("backups", &upload.key, &upload.upload_id);
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        swept(&client, "")
    });
    assert_eq!((ending.code, report(&ending).failed), (code::OK, 0), "{ending:?}");
    assert_eq!(server.upload_count("backups"), 0);
}

#[test]
fn two_sweeps_at_once() {
    let server = server();
    server.set_page_cap(100);
    server.set_latency(Duration::from_millis(1));
    old(&server, 1500);
    let clients = [client(&server), client(&server)];
    let endings = std::thread::scope(|scope| {
        let both = clients.each_ref().map(|client| scope.spawn(|| swept(client, "")));
        both.map(|sweep| sweep.join().unwrap())
    });
    let aborted: u64 = endings.iter().map(|ending| report(ending).aborted).sum();
    for ending in &endings {
        assert_eq!((ending.code, report(ending).failed, report(ending).kept), (code::OK, 0, 0), "{ending:?}");
    }
    assert_eq!((aborted, server.upload_count("backups")), (1500, 0));
}

#[test]
fn completed_or_aborted_between_listing_and_abort_is_missing() {
    let server = server();
    let id = server.create_upload_at("backups", "completed", &ago(2 * HOUR));
    server.put_part("backups", "completed", &id, 1, b"data");
    let gone = server.create_upload_at("backups", "gone", &ago(2 * HOUR));
    server.fault(Fault::real().delay(Duration::from_millis(400)).query("uploads"));
    let client = client(&server);
    let ending = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the page is made", || server.counts().requests == 1);
            // Carried out on arrival, answered later.
            std::thread::sleep(Duration::from_millis(100));
            assert!(server.complete("backups", "completed", &id));
            assert!(server.abort("backups", "gone", &gone));
        });
        swept(&client, "")
    });
    assert_eq!((ending.code, counts(&ending)), (code::OK, (2, 0, 2, 0, 0)));
    assert!(server.object_exists("backups", "completed"), "the object it became stays");
}

#[test]
fn failures_of_aborts_do_not_stop_it() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 60);
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").key("old/00005").always());
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").key("old/00050").always());
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (60, 58, 0, 2, 0)));
    assert_eq!(left(&server), ["old/00005", "old/00050"].map(String::from).into());
    assert!(report(&ending).failures.iter().all(|failure| failure.initiated > 0 && failure.index == -1));
}

#[test]
fn a_bucket_that_is_not_there() {
    let server = server();
    let ending = client(&server).stale(None, "elsewhere", None, HOUR, 0, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(&ending)), (code::NO_SUCH_BUCKET, (0, 0, 0, 0, 0)));
    let bad = client(&server).stale(None, "NOT_A_BUCKET", None, HOUR, 0, &mut |_, _, _| false);
    assert_eq!((bad.code, bad.report.is_none()), (code::INVALID_ARGUMENT, true));
}
