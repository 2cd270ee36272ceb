//! Age: which clock counts, and what is not believed.

use super::*;

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
