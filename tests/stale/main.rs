//! The sweep: which uploads it takes, what it makes of a listing, and what ends it.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod again;

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

// Which uploads.

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

/// By the server's clock, wherever ours stands: an hour off, it would take live uploads, or leave the old ones.
#[test]
fn age_is_by_the_servers_clock() {
    for offset in [-2 * HOUR as i64, 2 * HOUR as i64, 86_400 * 365] {
        let server = server();
        server.set_clock_offset_s(offset);
        old(&server, 5);
        server.create_upload_at("backups", "young", &ago(HOUR - 60));
        let ending = swept(&client(&server), "");
        assert_eq!((ending.code, counts(&ending)), (code::OK, (6, 5, 0, 0, 1)), "{offset}: {ending:?}");
        assert_eq!(left(&server), ["young".to_owned()].into());
    }
    // Too little for the service to refuse the signature, so that nothing corrects the clock: the Date counts.
    let server = server();
    server.set_clock_offset_s(-600);
    server.create_upload_at("backups", "young", &ago(100));
    server.create_upload_at("backups", "old", &ago(500));
    let ending = client(&server).stale(None, "backups", None, 300, 0, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(&ending)), (code::OK, (2, 1, 0, 0, 1)));
    assert_eq!(left(&server), ["young".to_owned()].into());
}

/// Uploads that are live, and one that is old, with a list that is wrong about time.
fn wrong_about_time(server: &Server) -> (usize, Client) {
    for n in 0..5 {
        server.create_upload_at("backups", &format!("live/{n}"), &ago(5));
    }
    server.create_upload_at("backups", "old", &ago(30 * HOUR));
    (6, client(server))
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The uploads of [`wrong_about_time`], with these header fields and a Date as a trailer.
fn chunked_page(fields: &str, trailer: &str) -> Fault {
    let upload = |key: &str, age| {
        let initiated = iso_date((unix_now() - age) * 1000);
        format!("<Upload><Key>{key}</Key><UploadId>1</UploadId><Initiated>{initiated}</Initiated></Upload>")
    };
    let uploads: String = (0..5).map(|n| upload(&format!("live/{n}"), 5)).collect();
    let page = format!(
        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{uploads}{}</ListMultipartUploadsResult>",
        upload("old", 30 * HOUR as i64)
    );
    Fault::raw(format!(
        "HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\nTrailer: Date\r\n\r\n{:x}\r\n{page}\r\n0\r\nDate: {trailer}\r\n\r\n",
        page.len()
    ))
    .query("uploads")
    .always()
}

fn of_a_day(client: &Client) -> Ending {
    client.stale(None, "backups", None, 24 * HOUR, 0, &mut |_, _, _| false)
}

/// The service has just accepted our clock: a Date that is far from it is a gateway's, or a cache's.
#[test]
fn an_impossible_date_deletes_nothing() {
    let day = 86_400;
    let date = |offset| Fault::real().date_offset(offset).query("uploads").always();
    let now = http_date(unix_now());
    let rows: Vec<(&str, Fault, &str)> = vec![
        ("two days ahead", date(2 * day), "172800 s from the clock"),
        ("two days behind: a cached page", date(-2 * day), "172800 s from the clock"),
        ("sixteen minutes ahead", date(16 * 60), "960 s from the clock"),
        ("sixteen minutes behind", date(-16 * 60), "s from the clock"),
        ("two that differ", date(0).date_offset(2 * day), "two Dates that differ"),
        ("two that differ, the other way round", date(2 * day).date_offset(0), "two Dates that differ"),
        ("two that agree, and are wrong", date(2 * day).date_offset(2 * day), "s from the clock"),
        ("one that can't be read beside a good one", date(0).header("Date", "soon"), "two Dates that differ"),
        (
            "one that can't be read",
            Fault::real().header("Date", "soon").query("uploads").always(),
            "can't be read",
        ),
        ("an empty one", Fault::real().header("Date", "").query("uploads").always(), "can't be read"),
        (
            "two in one field",
            Fault::real().header("Date", &format!("{now}, {now}")).query("uploads").always(),
            "can't be read",
        ),
        ("a number", Fault::real().header("Date", "1435728507").query("uploads").always(), "can't be read"),
        ("none", Fault::real().without("Date").query("uploads").always(), "no Date"),
        (
            "one that an interim response has",
            Fault::real()
                .without("Date")
                .before(format!("HTTP/1.1 103 Early Hints\r\nDate: {now}\r\n\r\n"))
                .query("uploads")
                .always(),
            "no Date",
        ),
        ("one behind the body", chunked_page("", &now), "no Date"),
        (
            "1970",
            Fault::real().header("Date", "Thu, 01 Jan 1970 00:00:00 GMT").query("uploads").always(),
            "s from",
        ),
    ];
    for (name, fault, says) in rows {
        let server = server();
        let (uploads, client) = wrong_about_time(&server);
        server.fault(fault);
        let ending = of_a_day(&client);
        assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (0, 0, 0, 0, 0)), "{name}: {ending:?}");
        assert!(ending.error.as_deref().is_some_and(|error| error.contains(says)), "{name}: {ending:?}");
        assert_eq!(listings(&server), 1, "{name}: a second page would have the same Date");
        for flags in [DRY_RUN, INCLUDE_LIVE, DRY_RUN | INCLUDE_LIVE] {
            let also = client.stale(None, "backups", None, 24 * HOUR, flags, &mut |_, _, _| false);
            assert_eq!((also.code, counts(&also)), (code::PROTOCOL, (0, 0, 0, 0, 0)), "{name}: {also:?}");
        }
        assert_eq!(
            (server.counts().method("DELETE"), server.upload_count("backups")),
            (0, uploads),
            "{name}"
        );
        // If no age is asked for, a Date does not matter.
        let all = client.stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
        // Those of a page that the test wrote are missing, and are listed again.
        let (gone, still_listed) = (counts(&all).1, counts(&all).3);
        let written = if name == "one behind the body" { uploads as u64 } else { 0 };
        assert_eq!((gone, still_listed), (uploads as u64 - written, written), "{name}: {all:?}");
    }
}

#[test]
fn a_date_that_can_be_is_believed() {
    for (name, offsets) in
        [("the same twice", vec![0, 0]), ("ten minutes ahead", vec![600]), ("ten minutes behind", vec![-600])]
    {
        let server = server();
        let (_, client) = wrong_about_time(&server);
        // The earlier of the two clocks counts: neither takes an upload that the other one would keep.
        server.create_upload_at("backups", "border", &ago(24 * HOUR - 300));
        let fault = Fault::real().query("uploads").always();
        server.fault(offsets.iter().fold(fault, |fault, offset| fault.date_offset(*offset)));
        let ending = of_a_day(&client);
        assert_eq!((ending.code, counts(&ending)), (code::OK, (7, 1, 0, 0, 6)), "{name}: {ending:?}");
        assert!(!left(&server).contains("old") && left(&server).contains("border"), "{name}");
    }
}

/// Servers write Dates that are nearly RFC 9110, and RFC 9110 itself has two obsolete forms.
#[test]
fn dates_that_are_nearly_in_the_form_of_rfc_9110() {
    let gmt = obs_local::http_date(unix_now());
    let (weekday, rest) = gmt.split_once(", ").unwrap();
    let parts: Vec<&str> = rest.split(' ').collect();
    let &[day, month, year, time, _] = parts.as_slice() else { panic!("{gmt}") };
    let long = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let long = long.iter().find(|name| name.starts_with(weekday)).unwrap();
    let in_china = obs_local::http_date(unix_now() + 8 * HOUR as i64);
    for date in [
        format!("{weekday}, {day} {month} {year} {time} +0000"),
        format!("{weekday}, {day} {month} {year} {time} UTC"),
        format!("{weekday}, {} {month} {year} {time} GMT", day.trim_start_matches('0')),
        format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
        format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0')),
        in_china.replace("GMT", "+0800"),
    ] {
        let server = server();
        let (_, client) = wrong_about_time(&server);
        server.fault(Fault::real().query("uploads").header("Date", &date).always());
        let ending = of_a_day(&client);
        assert_eq!((ending.code, counts(&ending)), (code::OK, (6, 1, 0, 0, 5)), "{date}: {ending:?}");
    }
    for date in ["next Tuesday", "Wed, 31 Feb 2024 05:28:27 GMT", "Wed, 01 Jul 2015 05:28:27 CEST"] {
        let server = server();
        let (uploads, client) = wrong_about_time(&server);
        server.fault(Fault::real().query("uploads").header("Date", date).always());
        let ending = of_a_day(&client);
        assert_eq!(ending.code, code::PROTOCOL, "{date}: {ending:?}");
        assert!(ending.error.as_ref().unwrap().contains(&format!("\"{date}\"")), "{ending:?}");
        assert_eq!(server.upload_count("backups"), uploads, "{date}");
    }
}

/// Where a Date may stand, and how its name may be written; what is behind the body is not looked at.
#[test]
fn a_date_that_stands_elsewhere() {
    let now = http_date(unix_now());
    let (ahead, server_name) = (http_date(unix_now() + 172_800), "Server: gateway\r\n");
    for (name, fault) in [
        ("last", chunked_page(&format!("{server_name}x: y\r\nDate: {now}\r\n"), &now)),
        ("in capitals", chunked_page(&format!("DATE: {now}\r\n"), &now)),
        ("between spaces", chunked_page(&format!("date:  {now} \r\n"), &now)),
        ("a wrong one behind the body", chunked_page(&format!("Date: {now}\r\n"), &ahead)),
        (
            "a wrong one of an interim response",
            Fault::real()
                .before(format!("HTTP/1.1 103 Early Hints\r\nDate: {ahead}\r\n\r\n"))
                .query("uploads")
                .always(),
        ),
    ] {
        let server = server();
        let (uploads, client) = wrong_about_time(&server);
        server.fault(fault);
        let found = client.stale(None, "backups", None, 24 * HOUR, DRY_RUN, &mut |_, _, _| false);
        let expected = (uploads as u64, 1, 0, 0, uploads as u64 - 1);
        assert_eq!((found.code, counts(&found)), (code::OK, expected), "{name}: {found:?}");
    }
}

/// What was initiated in the second of the cutoff, or later, is kept. The service's Date stands still here, a minute
/// behind, and so is the earlier of the two clocks.
#[test]
fn the_border_is_exact() {
    let date = unix_now() - 60;
    let cutoff = date - 24 * HOUR as i64;
    let at = |second: i64, rest: &str| {
        let text = iso_date(second * 1000);
        format!("{}{rest}", text.strip_suffix(".000Z").unwrap())
    };
    let zoned = |second: i64, zone: &str, offset: i64| at(second + offset, zone);
    let (taken, kept) = (
        [
            at(cutoff - 1, "Z"),
            at(cutoff - 1, ".999999999Z"),
            zoned(cutoff - 1, ".5+08:00", 8 * 3600),
            zoned(cutoff - 1, "-12:00", -12 * 3600),
            zoned(cutoff - 1, "+14:00", 14 * 3600),
        ],
        [
            at(cutoff, "Z"),
            at(cutoff, ".000Z"),
            at(cutoff, ".001Z"),
            at(cutoff, ".999999999Z"),
            at(cutoff + 1, "Z"),
            zoned(cutoff, "+08:00", 8 * 3600),
            zoned(cutoff, "-12:00", -12 * 3600),
            zoned(cutoff, "+14:00", 14 * 3600),
            zoned(cutoff - 1, "+14:01", 14 * 3600 + 60),
            zoned(cutoff - 1, "-14:01", -(14 * 3600 + 60)),
        ],
    );
    let server = server();
    for (name, times) in [("taken", &taken[..]), ("kept", &kept[..])] {
        for time in times {
            server.create_upload_at("backups", &format!("{name}/{time}"), &Initiated::Text(time.clone()));
        }
    }
    server.fault(Fault::real().header("Date", &http_date(date)).query("uploads").always());
    let ending = of_a_day(&client(&server));
    let (taken, kept) = (taken.len() as u64, kept.len() as u64);
    assert_eq!((ending.code, counts(&ending)), (code::OK, (taken + kept, taken, 0, 0, kept)), "{ending:?}");
    assert!(left(&server).iter().all(|key| key.starts_with("kept/")), "{:?}", left(&server));
}

/// A leap second, at an hour that no cutoff of this test is near: it is a time, and of the minute that follows.
#[test]
fn a_leap_second_is_a_time() {
    let server = server();
    for time in ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.999Z", "2017-01-01T07:59:60+08:00"] {
        server.create_upload_at("backups", time, &Initiated::Text(time.into()));
    }
    server.create_upload_at("backups", "no second", &Initiated::Text("2016-12-31T23:59:61Z".into()));
    let mut seen = Vec::new();
    let ending = client(&server).stale(None, "backups", None, 24 * HOUR, 0, &mut |outcome, _, _| {
        seen.extend(outcome.map(|outcome| outcome.initiated));
        false
    });
    assert_eq!((ending.code, counts(&ending)), (code::OK, (4, 3, 0, 0, 1)), "{ending:?}");
    assert_eq!(seen, [1_483_228_800; 3], "2017-01-01T00:00:00Z");
}

/// Each page is judged, and the first one's cutoff holds for all.
#[test]
fn a_date_that_goes_wrong_between_two_pages() {
    let server = server();
    server.set_page_cap(3);
    let (uploads, client) = wrong_about_time(&server);
    server.fault(Fault::real().date_offset(172_800).query("uploads").skip(1).always());
    let ending = of_a_day(&client);
    assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (3, 0, 0, 0, 3)), "{ending:?}");
    assert_eq!(server.upload_count("backups"), uploads);
    // 14 minutes more on the second page: within what is believed, and no reason to take what the first one kept.
    server.clear_faults();
    for key in ["a", "z"] {
        server.create_upload_at("backups", key, &ago(24 * HOUR - 400));
    }
    server.fault(Fault::real().date_offset(840).query("uploads").skip(1).always());
    let ending = of_a_day(&client);
    assert_eq!((ending.code, counts(&ending).1), (code::OK, 1), "{ending:?}");
    assert!(["a", "z"].iter().all(|key| left(&server).contains(*key)), "{:?}", left(&server));
}

/// A clock of ours that is hours off is corrected by the refusal, and then the list's Date agrees with it.
#[test]
fn a_clock_that_is_corrected_on_the_first_page() {
    for offset in [3 * HOUR as i64, -3 * HOUR as i64] {
        let server = server();
        server.set_clock_offset_s(offset);
        let (_, client) = wrong_about_time(&server);
        let ending = of_a_day(&client);
        assert_eq!((ending.code, counts(&ending)), (code::OK, (6, 1, 0, 0, 5)), "{offset}: {ending:?}");
    }
}

/// One of the two clocks jumps while the sweep runs: the next request is refused, our clock is corrected, and the cutoff
/// stays where the first page fixed it.
#[test]
fn a_clock_that_jumps_between_two_pages() {
    for jump in [2 * 86_400, -2 * 86_400] {
        let server = server();
        let _ = wrong_about_time(&server);
        // One worker, which fetches the second page when fewer than 500 uploads of the first are left.
        server.set_page_cap(600);
        server.create_uploads("backups", 600, &ago(60 * HOUR), |n| format!("a/{n:03}"));
        let client = Config::new(&server.endpoint()).max_connections(1).client();
        let ending = client.stale(None, "backups", None, 24 * HOUR, 0, &mut |outcome, _, _| {
            if outcome.is_some() {
                server.set_clock_offset_s(jump);
            }
            false
        });
        assert_eq!(listings(&server), 3, "{jump}: two pages, and one that shows nothing left");
        let refused = server.journal().iter().filter(|entry| entry.code == "RequestTimeTooSkewed").count();
        assert!(refused > 0, "{jump}: the clock has jumped");
        assert_eq!((ending.code, counts(&ending)), (code::OK, (606, 601, 0, 0, 5)), "{jump}: {ending:?}");
        assert!(left(&server).iter().all(|key| key.starts_with("live/")), "{jump}: {:?}", left(&server));
    }
}

/// Our clock is hours off, and what would correct it is the Date of a gateway that is days off: the service refuses that
/// as well. The next call learns the service's own.
#[test]
fn a_clock_that_is_corrected_by_a_wrong_date() {
    for (name, dates) in [("one", &[172_800][..]), ("two that differ", &[172_800, 0])] {
        let server = server();
        server.set_clock_offset_s(3 * HOUR as i64);
        let (uploads, client) = wrong_about_time(&server);
        let fault = Fault::real().query("uploads").always();
        server.fault(dates.iter().fold(fault, |fault, offset| fault.date_offset(*offset)));
        let ending = of_a_day(&client);
        assert_eq!(ending.code, code::CLOCK_SKEW, "{name}: {ending:?}");
        assert_eq!(
            (server.counts().method("DELETE"), server.upload_count("backups")),
            (0, uploads),
            "{name}"
        );
        server.clear_faults();
        let ending = of_a_day(&client);
        assert_eq!((ending.code, counts(&ending)), (code::OK, (6, 1, 0, 0, 5)), "{name}: {ending:?}");
    }
}

/// A zeroed time and a zone that is none are "unknown", and not "old".
#[test]
fn an_impossible_initiated_deletes_nothing() {
    for text in [
        "0001-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:01+00:00",
        "1999-12-31T23:59:59Z",
        "2005-12-31T23:59:59.999Z",
        "2020-01-01T00:00:00+99:00",
        "2020-01-01T00:00:00-15:00",
        "2020-01-01T00:00:00+14:30",
        "2020-01-01T00:00:00",
        "2020-13-01T00:00:00Z",
        "20-01-01T00:00:00Z",
        "-2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00+1",
        "2020-01-01T00:00:00 GMT",
        "2020-00-01T00:00:00Z",
        "2020-02-30T00:00:00Z",
        "2020-01-01T24:00:00Z",
        "1577836800",
        "Wed, 01 Jan 2020 00:00:00 GMT",
        "",
        " ",
    ] {
        let server = server();
        let (uploads, client) = wrong_about_time(&server);
        server.set_initiated(Some(text));
        let ending = of_a_day(&client);
        let all = uploads as u64;
        assert_eq!((ending.code, counts(&ending)), (code::OK, (all, 0, 0, 0, all)), "{text:?}: {ending:?}");
        assert_eq!(report(&ending).unknown_age, all, "{text:?}");
        assert_eq!(
            (server.counts().method("DELETE"), server.upload_count("backups")),
            (0, uploads),
            "{text:?}"
        );
        // With an age of 0 an unknown one does not matter: found in a dry run, and taken if that is meant.
        let found = client.stale(None, "backups", None, 0, DRY_RUN, &mut |_, _, _| false);
        assert_eq!((found.code, counts(&found)), (code::OK, (all, all, 0, 0, 0)), "{text:?}: {found:?}");
        assert_eq!(report(&found).unknown_age, 0, "{text:?}: no age is asked for");
        let taken = client.stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
        assert_eq!((taken.code, counts(&taken)), (code::OK, (all, all, 0, 0, 0)), "{text:?}: {taken:?}");
    }
}

#[test]
fn an_age_at_the_limit() {
    let server = server();
    let (uploads, client) = wrong_about_time(&server);
    for age in [u64::MAX, i64::MAX as u64, i64::MAX as u64 + 1] {
        let ending = client.stale(None, "backups", None, age, 0, &mut |_, _, _| false);
        assert_eq!((ending.code, counts(&ending)), (code::OK, (6, 0, 0, 0, 6)), "{age}: {ending:?}");
    }
    assert_eq!(server.upload_count("backups"), uploads);
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

// Pages.

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

fn hard_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a+b",
        "a b",
        "a%20b",
        "a%2Bb",
        "100%",
        "a&b<c>\"d'",
        "é/漢字/😀",
        "?#&=;",
        " ",
        "//",
        ".",
        "a/../b",
    ]
    .map(String::from)
    .into();
    keys.extend(["line\nbreak".to_owned(), "tab\tand\rreturn".to_owned(), "ctrl\u{1}\u{7f}".to_owned()]);
    keys.push("k".repeat(1024));
    keys
}

/// As the service encodes them when asked to, and as one that ignores the wish or encodes unasked.
#[test]
fn hard_keys_are_found_and_aborted() {
    for quirks in [vec![], vec![ListQuirk::ForceEncodingType]] {
        for cap in [1000, 1] {
            let server = server();
            server.set_page_cap(cap);
            server.set_list_quirks(&quirks);
            for key in hard_keys() {
                server.create_upload_at("backups", &key, &ago(2 * HOUR));
            }
            let ending = swept(&client(&server), "");
            assert_eq!(ending.code, code::OK, "{quirks:?} {ending:?}");
            let all = hard_keys().len() as u64;
            assert_eq!(counts(&ending), (all, all, 0, 0, 0), "{quirks:?} {:?}", left(&server));
        }
    }
}

/// A C caller would be told of another key. It could only have that one aborted.
#[test]
fn a_key_that_no_c_string_holds() {
    for flags in [0, DRY_RUN] {
        let server = server();
        for key in ["old/a\0b", "old/b"] {
            server.create_upload_at("backups", key, &ago(2 * HOUR));
        }
        let ending = client(&server).stale(None, "backups", None, HOUR, flags, &mut |_, _, _| false);
        assert_eq!(ending.code, code::PARTIAL, "{ending:?}");
        assert_eq!(counts(&ending), (2, 1, 0, 1, 0), "{ending:?}");
        let failure = &report(&ending).failures[0];
        assert_eq!((failure.code, failure.attempts), (code::INVALID_ARGUMENT, 0), "{failure:?}");
        assert_eq!(left(&server).len(), if flags == 0 { 1 } else { 2 });
    }
}

/// An id that begins or ends with white space is none that a service issues: it fails alone, rather than be sent, and
/// counted as gone after NoSuchUpload.
#[test]
fn a_listed_id_with_white_space_at_an_end() {
    for flags in [0, DRY_RUN] {
        let server = server();
        for (key, id) in [("old/a", "0123456789ABCDEF\u{a0}"), ("old/b", "0123456789ABCDE0")] {
            server.create_upload_with_id("backups", key, id, &ago(2 * HOUR));
        }
        let ending = client(&server).stale(None, "backups", None, HOUR, flags, &mut |_, _, _| false);
        assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (2, 1, 0, 1, 0)), "{ending:?}");
        let failure = &report(&ending).failures[0];
        assert_eq!((failure.code, failure.attempts), (code::INVALID_ARGUMENT, 0), "{failure:?}");
        assert!(failure.message.as_ref().unwrap().contains("U+00A0"), "{failure:?}");
        assert_eq!(left(&server).len(), if flags == 0 { 1 } else { 2 });
    }
}

#[test]
fn keys_of_a_server_that_does_not_encode() {
    for quirk in [ListQuirk::IgnoreEncodingType, ListQuirk::HideEncodingType] {
        let server = server();
        server.set_list_quirks(&[quirk]);
        server.set_page_cap(3);
        // What XML can carry.
        let keys: Vec<String> =
            hard_keys().into_iter().filter(|key| !key.contains(['\u{1}', '\r', '\n', '\t'])).collect();
        for key in &keys {
            server.create_upload_at("backups", key, &ago(2 * HOUR));
        }
        let ending = swept(&client(&server), "");
        assert_eq!(ending.code, code::OK, "{quirk:?} {ending:?}");
        assert_eq!((report(&ending).missing, server.upload_count("backups")), (0, 0), "{quirk:?}");
    }
}

/// Raw control characters are no XML: never a wrong key, never "nothing found".
#[test]
fn keys_that_xml_cannot_carry() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::IgnoreEncodingType, ListQuirk::RawControlCharacters]);
    server.create_upload_at("backups", "ctrl\u{1}", &ago(2 * HOUR));
    let ending = swept(&client(&server), "");
    let gone = server.upload_count("backups") == 0;
    assert!((ending.code == code::OK && gone) || ending.code == code::PROTOCOL, "{ending:?}");
    assert_eq!(report(&ending).missing, 0);
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

// Listings that fail.

/// Three pages of ten, the third one bad: the first two pages are done, and reported.
fn half_way(bad: Fault, code: i32, text: &str) {
    let server = server();
    server.set_page_cap(10);
    old(&server, 30);
    server.fault(bad.query("uploads").skip(2).always());
    let ending = swept(&Config::new(&server.endpoint()).max_attempts(2).client(), "");
    assert_eq!(ending.code, code, "{ending:?}");
    assert!(ending.error.as_ref().unwrap().contains(text), "{ending:?}");
    assert_eq!(counts(&ending), (20, 20, 0, 0, 0), "{text}");
    assert_eq!(server.upload_count("backups"), 10);
}

#[test]
fn refused_half_way() {
    half_way(Fault::answer(403).error("AccessDenied"), code::ACCESS_DENIED, "403 AccessDenied");
    half_way(Fault::answer(500).error("InternalError"), code::SERVER, "500 InternalError");
    half_way(Fault::answer(503).error("SlowDown"), code::THROTTLED, "503 SlowDown");
    half_way(Fault::answer(404).error("NoSuchBucket"), code::NO_SUCH_BUCKET, "404 NoSuchBucket");
    half_way(Fault::answer(404).error("NoSuchKey"), code::REJECTED, "404 NoSuchKey");
    half_way(Fault::answer(404).error("NoSuchUpload"), code::REJECTED, "404 NoSuchUpload");
    half_way(Fault::answer(204), code::PROTOCOL, "204");
    half_way(Fault::real().cut(600).then(End::Reset), code::IO, "");
    half_way(Fault::real().cut(900), code::IO, "");
    half_way(Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"), code::PROTOCOL, "");
    half_way(Fault::real().without("Date"), code::PROTOCOL, "Date");
    half_way(Fault::real().header("Date", "yesterday"), code::PROTOCOL, "Date");
    half_way(Fault::answer(200).body("<html><body>Sign in</body></html>"), code::PROTOCOL, "root");
    half_way(Fault::answer(200).body(""), code::PROTOCOL, "complete");
}

/// One page, unfit to act on: nothing at all is aborted, and never is it "nothing found".
#[test]
fn unfit_pages() {
    let upload = |key: &str| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>1</UploadId><Initiated>2011-01-01T00:00:00Z</Initiated></Upload>"
        )
    };
    let (good, last) = (upload("old/1"), "<IsTruncated>false</IsTruncated>");
    let more = "<IsTruncated>true</IsTruncated>";
    let marker = "<NextKeyMarker>old/1</NextKeyMarker>";
    let with = |field: &str| format!("{last}{}", good.replace("</Upload>", &format!("{field}</Upload>")));
    let with_time = |time: &str| format!("{last}{}", good.replace("2011-01-01T00:00:00Z", time));
    for (what, bad) in [
        ("no IsTruncated", page(&good)),
        ("IsTruncated of neither kind", page(&format!("<IsTruncated>maybe</IsTruncated>{good}"))),
        ("truncated without markers", page(&format!("{more}{good}"))),
        ("empty markers", page(&format!("{more}<NextKeyMarker></NextKeyMarker><NextUploadIdMarker/>{good}"))),
        ("a stranger's key, first", page(&format!("{last}{}{good}", upload("other/1")))),
        ("a stranger's key, last", page(&format!("{last}{good}{}", upload("other/1")))),
        ("an upload without an id", page(&format!("{last}{good}<Upload><Key>old/2</Key></Upload>"))),
        (
            "another root",
            Fault::answer(200).body(format!("<ListBucketResult>{last}{good}</ListBucketResult>")),
        ),
        ("the end is missing", Fault::answer(200).body(format!("<ListMultipartUploadsResult>{last}{good}"))),
        (
            "a second root",
            Fault::answer(200).body(format!(
                "<ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult><Upload/>"
            )),
        ),
        ("two times of one upload", page(&with("<Initiated>2011-01-01T00:00:00Z</Initiated>"))),
        ("two times of one upload, one of them empty", page(&with("<Initiated/>"))),
        ("two keys of one upload", page(&with("<Key>old/2</Key>"))),
        ("two ids of one upload", page(&with("<UploadId>1</UploadId>"))),
        ("an element inside a time", page(&with_time("2011-01-01T00:00:00Z<x/>"))),
        ("an element before a time", page(&with_time("<x>9</x>2011-01-01T00:00:00Z"))),
        ("an element inside IsTruncated", page(&format!("<IsTruncated><x/>false</IsTruncated>{good}"))),
        ("IsTruncated twice", page(&format!("{last}{last}{good}"))),
        ("two values of a marker", page(&format!("{more}{marker}{marker}{good}"))),
        ("two encodings", page(&format!("{last}<EncodingType/><EncodingType>url</EncodingType>{good}"))),
        ("crossed tags", page(&format!("{last}<a><b></a></b>{good}"))),
        ("no Date", page(&format!("{last}{good}")).without("Date")),
        ("an encoding other than url", page(&format!("{last}<EncodingType>base64</EncodingType>{good}"))),
        ("an Error in it", page(&format!("{last}{good}<Error><Code>InternalError</Code></Error>"))),
        ("an Error in an upload", page(&with("<Error/>"))),
        (
            "text after the root",
            Fault::answer(200).body(format!(
                "<ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult>\r\n0\r\n"
            )),
        ),
        (
            "an instruction after the root",
            Fault::answer(200).body(format!(
                "<ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult><?x y?>"
            )),
        ),
        (
            "text before the root",
            Fault::answer(200).body(format!(
                "HTTP/1.1 <ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult>"
            )),
        ),
        ("17 MB", page(&format!("{last}{good}<Filler>{}</Filler>", " ".repeat(17 << 20)))),
    ] {
        let server = server();
        server.fault(bad.query("uploads").always());
        let ending = swept(&client(&server), "old/");
        assert_eq!(ending.code, code::PROTOCOL, "{what}: {ending:?}");
        assert_eq!(counts(&ending), (0, 0, 0, 0, 0), "{what}");
        assert!(ending.error.unwrap().starts_with("protocol: "), "{what}");
        assert_eq!(server.counts().method("DELETE"), 0, "{what}: nothing of it may be acted on");
    }
}

/// As a debugging server might: neither the report nor a message may hold the signature.
#[test]
fn a_page_that_repeats_the_signature_of_its_request() {
    type Page = fn(&str) -> String;
    let pages: [(&str, Page); 4] = [
        ("a key", |it| format!("<Upload><Key>k {it}</Key><UploadId>1</UploadId></Upload>")),
        ("a key, encoded", |it| {
            format!("<Upload><Key>k {}</Key><UploadId>1</UploadId></Upload>", it.replace('=', "%3D"))
        }),
        ("an upload id", |it| format!("<Upload><Key>k</Key><UploadId>{it}</UploadId></Upload>")),
        ("a marker", |it| {
            format!("<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>{it}</NextUploadIdMarker>")
        }),
    ];
    for (what, page) in pages {
        let recorder = Recorder::answering(move |head| {
            let authorization = head.header("authorization").unwrap();
            let page = page(authorization.rsplit_once(':').unwrap().1);
            let body = format!(
                "<ListMultipartUploadsResult><IsTruncated>{}</IsTruncated><EncodingType/>{page}</ListMultipartUploadsResult>",
                page.contains("Marker")
            );
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        });
        let client = Config::new(&recorder.url()).max_attempts(1).client();
        let ending = client.stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
        let error = ending.error.clone().unwrap_or_default();
        assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (0, 0, 0, 0, 0)), "{what}: {ending:?}");
        assert!(error.contains("it repeats the signature of its request"), "{what}: {error}");
        for head in recorder.heads() {
            assert!(head.line.starts_with("GET "), "{what}: {}", head.line);
            let signature = head.header("authorization").unwrap().rsplit_once(':').unwrap().1.to_owned();
            assert!(!error.contains(&signature), "{what}: {error}");
        }
    }
}

#[test]
fn quirks_that_make_a_listing_unfit() {
    for (quirk, done) in [
        (ListQuirk::TruncatedXml, 0),
        (ListQuirk::WrongRoot, 0),
        (ListQuirk::OmitIsTruncated, 0),
        (ListQuirk::OmitMarkers, 0),
        (ListQuirk::RepeatMarkers, 0),
        (ListQuirk::BackwardMarkers, 10),
    ] {
        let server = server();
        server.set_page_cap(10);
        server.set_list_quirks(&[quirk]);
        old(&server, 30);
        let ending = swept(&client(&server), "old/");
        assert_eq!(ending.code, code::PROTOCOL, "{quirk:?} {ending:?}");
        assert_eq!(counts(&ending), (done, done, 0, 0, 0), "{quirk:?}");
        assert_eq!(server.upload_count("backups") as u64, 30 - done, "{quirk:?}");
        assert!(listings(&server) <= 2, "{quirk:?}: it does not list for ever");
    }
}

/// Once the marker's own uploads are gone, a server that repeats it would list the next ones: found on the second page.
#[test]
fn markers_that_repeat_on_a_later_page() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 40);
    let marker = "<NextKeyMarker>old/00009</NextKeyMarker><NextUploadIdMarker>x</NextUploadIdMarker>";
    let bad = page(&format!("<IsTruncated>true</IsTruncated>{marker}"));
    server.fault(bad.skip(1).always());
    let ending = swept(&client(&server), "old/");
    // The second answer moves on by its upload id, the third repeats it.
    assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (10, 10, 0, 0, 0)), "{ending:?}");
    assert_eq!(listings(&server), 3);
}

/// A proxy strips the query, or a server ignores the prefix: nothing of that page is touched.
#[test]
fn a_key_outside_the_prefix() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::IgnorePrefix]);
    old(&server, 5);
    server.create_upload_at("backups", "other/1", &ago(2 * HOUR));
    let ending = swept(&client(&server), "old/");
    assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (0, 0, 0, 0, 0)));
    assert!(ending.error.unwrap().contains("prefix"));
    assert_eq!((server.upload_count("backups"), server.counts().method("DELETE")), (6, 0));
}

/// Where age does not matter, a Date is not needed.
#[test]
fn no_date_where_no_age_is_asked_for() {
    let server = server();
    old(&server, 5);
    server.fault(Fault::real().without("Date").query("uploads").always());
    let ending = client(&server).stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(&ending).1), (code::OK, 5), "{ending:?}");
}

#[test]
fn a_listing_has_retries_of_its_own() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 30);
    server.fault(Fault::answer(500).error("InternalError").query("uploads").times(2));
    server.fault(Fault::real().cut(900).query("uploads").skip(1).times(1));
    server.fault(Fault::answer(503).error("SlowDown").query("uploads").skip(1).times(1));
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (30, 30, 0, 0, 0)), "{ending:?}");
}

// What ends it.

#[test]
fn a_page_has_a_budget_of_its_own() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 30);
    server.fault(Fault::real().cut(700).then(End::Stall).query("uploads").skip(1).always());
    let client = Config::new(&server.endpoint()).timeout_ms(600).client();
    let began = Instant::now();
    let ending = swept(&client, "");
    let took = began.elapsed();
    assert_eq!((ending.code, counts(&ending)), (code::TIMEOUT, (10, 10, 0, 0, 0)), "{ending:?}");
    assert!(took >= Duration::from_millis(600) && took < Duration::from_millis(1600), "{took:?}");
}

#[test]
fn the_calls_budget_bounds_the_sweep() {
    let server = server();
    server.set_page_cap(100);
    server.set_latency(Duration::from_millis(20));
    old(&server, 5000);
    let began = Instant::now();
    let call = Call::with_timeout_ms(500);
    let ending = client(&server).stale(Some(&call), "backups", None, HOUR, 0, &mut |_, _, _| false);
    let took = began.elapsed();
    assert_eq!(ending.code, code::TIMEOUT, "{ending:?}");
    let report = report(&ending);
    assert!(report.aborted > 0 && report.kept > 0 && report.failed <= 8, "{report:?}");
    assert!(report.failures.iter().all(|failure| failure.code == code::TIMEOUT), "{report:?}");
    assert!(took >= Duration::from_millis(499) && took < Duration::from_millis(1200), "{took:?}");
}

#[test]
fn cancelled_at_every_stage() {
    // How many requests have arrived when it is cancelled: in the first page, in aborts, between pages.
    for after in [1, 5, 60, 150] {
        let server = server();
        server.set_page_cap(50);
        server.set_latency(Duration::from_millis(10));
        old(&server, 400);
        let (client, call) = (client(&server), Call::new());
        let (ending, took) = std::thread::scope(|scope| {
            let cancelling = scope.spawn(|| {
                eventually("so many requests", || server.counts().requests >= after);
                call.cancel();
                Instant::now()
            });
            let ending = client.stale(Some(&call), "backups", None, HOUR, 0, &mut |_, _, _| false);
            let end = Instant::now();
            (ending, end.saturating_duration_since(cancelling.join().unwrap()))
        });
        assert_eq!(ending.code, code::CANCELLED, "{after} {ending:?}");
        assert!(took < Duration::from_millis(500), "{after} {took:?}");
        let report = report(&ending);
        assert!(report.failures.iter().all(|failure| failure.code == code::CANCELLED), "{report:?}");
        assert!(report.aborted <= server.aborted_count(), "nothing is told that was not done");
        assert!(
            server.aborted_count() <= report.aborted + report.failed,
            "and nothing done that is not told"
        );
    }
}

/// Nothing is in flight in a dry run: uploads that were not reached are all that tells it from a whole one.
#[test]
fn a_dry_run_that_is_cancelled() {
    let server = server();
    old(&server, 1000);
    let call = Call::new();
    let client = client(&server);
    let ending = client.stale(Some(&call), "backups", None, HOUR, DRY_RUN, &mut |outcome, _, _| {
        if outcome.is_some() {
            call.cancel();
        }
        false
    });
    assert_eq!(ending.code, code::CANCELLED, "{ending:?}");
    let report = report(&ending);
    assert!(report.total == 1000 && report.kept > 0, "{report:?}");
}

#[test]
fn a_callback_stops_the_sweep() {
    let server = server();
    server.set_page_cap(50);
    old(&server, 400);
    let mut told = 0;
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |outcome, _, _| {
        told += u64::from(outcome.is_some());
        told >= 70
    });
    assert_eq!(ending.code, code::CANCELLED);
    let report = report(&ending);
    assert_eq!(
        (report.aborted, report.failed, report.missing),
        (told, 0, 0),
        "in flight finished: {report:?}"
    );
    assert_eq!(server.aborted_count(), told);
    assert!((70..120).contains(&told), "{told}");
}

#[test]
fn a_beat_while_a_page_is_awaited() {
    let server = server();
    old(&server, 3);
    server.fault(Fault::real().delay(Duration::from_millis(1200)).query("uploads"));
    let mut beats = 0;
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |outcome, _, _| {
        beats += u32::from(outcome.is_none());
        false
    });
    assert_eq!(ending.code, code::OK);
    assert!(beats >= 4, "{beats}");
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
