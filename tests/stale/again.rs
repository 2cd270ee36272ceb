//! Until nothing is left: a sweep that aborted anything lists again.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Mutex;

use super::*;

fn code_of(ending: &Ending) -> Vec<i32> {
    report(ending).failures.iter().map(|failure| failure.code).collect()
}

/// How often each upload's abort was sent.
fn aborts(server: &Server) -> BTreeMap<String, usize> {
    let mut aborts = BTreeMap::new();
    for entry in server.journal().iter().filter(|entry| entry.method == "DELETE") {
        *aborts.entry(entry.target.clone()).or_default() += 1;
    }
    aborts
}

#[test]
fn if_all_went_well_the_price_is_one_list_request() {
    let server = server();
    old(&server, 50);
    server.create_upload_at("backups", "young", &ago(60));
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (51, 50, 0, 0, 1)));
    assert_eq!((listings(&server), server.counts().method("DELETE")), (2, 50));
    // Nothing to abort, nothing to list again; nor in a dry run, nor if everything was refused.
    let again = swept(&client(&server), "");
    assert_eq!((again.code, counts(&again), listings(&server)), (code::OK, (1, 0, 0, 0, 1), 3));
    old(&server, 3);
    let found = client(&server).stale(None, "backups", None, HOUR, DRY_RUN, &mut |_, _, _| false);
    assert_eq!((found.code, counts(&found), listings(&server)), (code::OK, (4, 3, 0, 0, 1), 4));
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").always());
    let refused = swept(&client(&server), "");
    assert_eq!((refused.code, counts(&refused), listings(&server)), (code::PARTIAL, (4, 0, 0, 3, 1), 5));
}

/// Each says "gone" of every upload, and goes on to list it.
#[test]
fn said_to_be_gone_and_still_listed() {
    for (name, fault) in [
        ("204", Fault::answer(204).method("DELETE")),
        ("404 NoSuchUpload", Fault::answer(404).error("NoSuchUpload").method("DELETE")),
        ("404 NoSuchKey", Fault::answer(404).error("NoSuchKey").method("DELETE")),
    ] {
        for confirm in [false, true] {
            let server = server();
            old(&server, 40);
            server.create_upload_at("backups", "young", &ago(60));
            server.fault(fault.clone().always());
            // A confirmation would find the parts of the upload that is still there.
            server.fault(Fault::answer(404).error("NoSuchUpload").method("GET").query("uploadId").always());
            let mut config = Config::new(&server.endpoint()).max_connections(8);
            if confirm {
                config = config.confirm();
            }
            let mut last = (0, 0);
            let ending = config.client().stale(None, "backups", None, HOUR, 0, &mut |_, done, total| {
                assert!(
                    done >= last.0 && total >= last.1 && done <= total,
                    "{name}: {last:?} {done} {total}"
                );
                last = (done, total);
                false
            });
            assert_eq!(ending.code, code::PARTIAL, "{name} {confirm}: {:?}", ending.error);
            assert_eq!((counts(&ending), last), ((41, 0, 0, 40, 1), (41, 41)), "{name} {confirm}");
            assert_eq!(code_of(&ending), [code::STILL_LISTED; 40], "{name}");
            let failure = &report(&ending).failures[0];
            assert!(
                failure.message.as_deref().is_some_and(|m| m.starts_with("still_listed: ")),
                "{failure:?}"
            );
            assert!(matches!(failure.http_status, 204 | 404) && failure.initiated > 0, "{failure:?}");
            assert!(
                ending.error.as_deref().is_some_and(|e| e.contains("still_listed")),
                "{:?}",
                ending.error
            );
            assert_eq!(listings(&server) - if confirm { confirmations(&server) } else { 0 }, 2, "{name}");
            assert!(aborts(&server).values().all(|count| *count == 2), "{name}: one abort for each pass");
        }
    }
}

fn confirmations(server: &Server) -> usize {
    server.journal().iter().filter(|entry| entry.method == "GET" && entry.target.contains("uploadId")).count()
}

/// `db/backup+2024.tar` is looked up as `db/backup 2024.tar`, or the other way round.
#[test]
fn keys_that_are_spelled_in_another_way_than_the_list_says() {
    let always_encoded = [ListQuirk::ForceEncodingType, ListQuirk::HideEncodingType];
    for (quirks, wrong) in [
        (&[ListQuirk::EchoEncodingType][..], &["db/backup+2024.tar", "a%20b"][..]),
        (&always_encoded[..], &["db/backup+2024.tar", "a b", "a%20b"]),
    ] {
        let server = server();
        server.set_list_quirks(quirks);
        for key in ["db/backup+2024.tar", "a b", "a%20b", "plain"] {
            server.create_upload_at("backups", key, &ago(2 * HOUR));
        }
        let ending = swept(&client(&server), "");
        let wrong: BTreeSet<String> = wrong.iter().map(|key| (*key).into()).collect();
        let all = 4 - wrong.len() as u64;
        assert_eq!(counts(&ending), (4, all, 0, wrong.len() as u64, 0), "{quirks:?}: {ending:?}");
        assert_eq!((ending.code, left(&server)), (code::PARTIAL, wrong), "{quirks:?}");
        assert!(code_of(&ending).iter().all(|code| *code == code::STILL_LISTED), "{quirks:?}: {ending:?}");
    }
}

/// It echoes the encoding, tells no times, says 204 to every abort, and knows no uploads by their age.
#[test]
fn the_dialect_of_seaweedfs() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::EchoEncodingType]);
    server.fault(Fault::answer(204).executed().method("DELETE").always());
    for key in ["db/backup+2024.tar", "db/plain", "db/100%"] {
        server.create_upload_at("backups", key, &Initiated::Missing);
    }
    let by_age = swept(&client(&server), "");
    assert_eq!((by_age.code, counts(&by_age)), (code::OK, (3, 0, 0, 0, 3)));
    assert_eq!(report(&by_age).unknown_age, 3, "they can't be cleaned by age, and that is told");
    let found = client(&server).stale(None, "backups", Some("db/"), 0, DRY_RUN, &mut |_, _, _| false);
    assert_eq!((found.code, counts(&found)), (code::PARTIAL, (3, 2, 0, 1, 0)), "{found:?}");
    let taken = client(&server).stale(None, "backups", Some("db/"), 0, INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((taken.code, counts(&taken)), (code::PARTIAL, (3, 1, 0, 2, 0)), "{taken:?}");
    let mut codes = code_of(&taken);
    codes.sort_unstable();
    assert_eq!(codes, [code::PROTOCOL, code::STILL_LISTED]);
    assert_eq!(left(&server), ["db/100%", "db/backup+2024.tar"].map(String::from).into());
}

#[test]
fn a_list_that_lags() {
    // It shows what was there one listing ago: the second one still shows all, and the sweep ends there.
    let server = server();
    server.set_list_lag(1);
    old(&server, 30);
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (30, 0, 0, 30, 0)), "{:?}", ending.error);
    assert_eq!((listings(&server), server.upload_count("backups")), (2, 0));
    // The next night.
    server.set_list_lag(0);
    assert_eq!(swept(&client(&server), "").code, code::OK);
    // It catches up bit by bit: fewer each time, and then none. An abort of this sweep was the reason.
    let server = obs_local_page(&[&["a", "b", "c"], &["b", "c"], &["c"], &[]]);
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (3, 3, 0, 0, 0)), "{ending:?}");
    assert_eq!(listings(&server), 4);
    let again: Vec<_> = aborts(&server).into_values().collect();
    assert_eq!(again, [1, 2, 3]);
    // Uploads that only a later listing shows, and one that stays.
    let server = obs_local_page(&[&["a", "b"], &["c", "d"], &["c", "e"], &["c"], &["c"]]);
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (5, 4, 0, 1, 0)), "{ending:?}");
    assert_eq!((listings(&server), code_of(&ending)), (5, vec![code::STILL_LISTED]));
}

/// A server whose listings show these keys, one listing after the other. The first abort of each is carried out.
fn obs_local_page(listings: &[&[&str]]) -> Server {
    let server = server();
    let mut keys: Vec<&str> = listings.concat();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        server.create_upload_with_id("backups", key, &format!("id-of-{key}"), &ago(2 * HOUR));
    }
    for keys in listings {
        let uploads: String = keys
            .iter()
            .map(|key| {
                format!(
                    "<Upload><Key>{key}</Key><UploadId>id-of-{key}</UploadId><Initiated>2011-01-01T00:00:00Z</Initiated></Upload>"
                )
            })
            .collect();
        server.fault(page(&format!("<IsTruncated>false</IsTruncated>{uploads}")));
    }
    server
}

#[test]
fn a_server_that_pages_by_key_alone() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::PageByKey]);
    server.set_page_cap(10);
    for _ in 0..25 {
        server.create_upload_at("backups", "the/one", &ago(2 * HOUR));
    }
    server.create_upload_at("backups", "the/other", &ago(2 * HOUR));
    server.create_upload_at("backups", "the/young", &ago(60));
    let mut told = BTreeSet::new();
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |outcome, _, _| {
        told.extend(outcome.map(|outcome| outcome.upload_id.clone()));
        false
    });
    assert_eq!((ending.code, counts(&ending)), (code::OK, (27, 26, 0, 0, 1)), "{ending:?}");
    assert_eq!((left(&server), told.len()), (["the/young".to_owned()].into(), 26));
    assert!(aborts(&server).values().all(|count| *count == 1), "none is tried twice");
}

/// Pages overlap: each upload that is kept counts once, as each that is taken does.
#[test]
fn a_page_repeats_the_end_of_the_page_before() {
    // The marker `b+1` is read as `b 1`, and the next page begins before `b+1`.
    let server = server();
    server.set_list_quirks(&[ListQuirk::EchoEncodingType]);
    server.set_page_cap(2);
    for (key, initiated) in [("a", ago(60)), ("b+1", Initiated::Missing), ("c", ago(60)), ("d", ago(60))] {
        server.create_upload_at("backups", key, &initiated);
    }
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (4, 0, 0, 0, 4)), "{ending:?}");
    assert_eq!((report(&ending).unknown_age, listings(&server)), (1, 3));
    // The upload of the marker is on both pages.
    let server = server_with_inclusive_markers();
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (4, 1, 0, 0, 3)), "{ending:?}");
}

fn server_with_inclusive_markers() -> Server {
    let server = server();
    server.create_upload_with_id("backups", "old", "id-of-old", &ago(2 * HOUR));
    let upload = |key: &str, time: &str| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>id-of-{key}</UploadId><Initiated>{time}</Initiated></Upload>"
        )
    };
    let young = |key| upload(key, &iso_date(unix_now() * 1000));
    let markers = "<IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>id-of-b</NextUploadIdMarker>";
    let last = "<IsTruncated>false</IsTruncated>";
    for old in [upload("old", "2011-01-01T00:00:00Z"), String::new()] {
        server.fault(page(&[markers, &young("a"), &young("b")].concat()));
        server.fault(page(&[last, &young("b"), &young("c"), &old].concat()));
    }
    server
}

/// The first refusal is no last word, and what stays refused has its own code.
#[test]
fn what_was_refused_is_tried_again() {
    let server = server();
    old(&server, 60);
    let refuse =
        |n: usize| Fault::answer(403).error("AccessDenied").method("DELETE").key(&format!("old/{n:05}"));
    server.fault(refuse(5).times(1));
    server.fault(refuse(50).always());
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (60, 59, 0, 1, 0)), "{ending:?}");
    assert_eq!((code_of(&ending), left(&server).len()), (vec![code::ACCESS_DENIED], 1));
    assert_eq!(report(&ending).failures[0].key, "old/00050");
}

/// The response was lost each time, and the abort was carried out: the next listing tells.
#[test]
fn a_lost_response_is_settled_by_the_list() {
    let server = server();
    old(&server, 20);
    server.fault(Fault::real().cut(0).method("DELETE").times(5));
    let client = Config::new(&server.endpoint()).max_attempts(1).max_connections(4).client();
    let ending = swept(&client, "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (20, 20, 0, 0, 0)), "{ending:?}");
}

#[test]
fn a_later_pass_that_fails_or_is_cut_off() {
    // The second listing is refused: the sweep can't say that nothing is left.
    let server = server();
    old(&server, 10);
    server.fault(Fault::answer(403).error("AccessDenied").query("uploads").skip(1).always());
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::ACCESS_DENIED, (10, 10, 0, 0, 0)), "{ending:?}");
    // What was refused before is no more "missing" than it was.
    let server = server_with_slow_second_listing();
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").key("old/00003").always());
    let call = Call::with_timeout_ms(600);
    let ending = client(&server).stale(Some(&call), "backups", None, HOUR, 0, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(&ending)), (code::TIMEOUT, (10, 9, 0, 1, 0)), "{ending:?}");
    // Cancelled while the second listing is awaited, or by the callback's last word.
    let server = server_with_slow_second_listing();
    let call = Call::with_timeout_ms(600);
    let ending = client(&server).stale(Some(&call), "backups", None, HOUR, 0, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(&ending)), (code::TIMEOUT, (10, 10, 0, 0, 0)), "{ending:?}");
    let server = server_with_slow_second_listing();
    // However long that word takes.
    let ending = client(&server).stale(None, "backups", None, HOUR, 0, &mut |_, done, _| {
        std::thread::sleep(Duration::from_millis(if done == 10 { 300 } else { 0 }));
        done == 10
    });
    assert_eq!((ending.code, counts(&ending)), (code::CANCELLED, (10, 10, 0, 0, 0)), "{ending:?}");
    assert_eq!(listings(&server), 1);
    // The call is cancelled, and nothing is in flight: only the second listing is missing.
    let server = server_with_slow_second_listing();
    let call = Call::new();
    let ending = client(&server).stale(Some(&call), "backups", None, HOUR, 0, &mut |_, done, _| {
        if done == 10 {
            call.cancel();
        }
        false
    });
    assert_eq!((ending.code, counts(&ending)), (code::CANCELLED, (10, 10, 0, 0, 0)), "{ending:?}");
}

/// Cancelled after the first of the uploads that the second listing shows again. What it did not come to has no other
/// outcome than the first one.
#[test]
fn a_second_pass_that_is_cancelled() {
    let server = server();
    old(&server, 10);
    server.set_list_lag(1);
    server.set_latency(Duration::from_millis(10)); // the callback is told of the first before the last is done
    let mut outcomes = 0;
    let ending = Config::new(&server.endpoint()).max_connections(1).client().stale(
        None,
        "backups",
        None,
        HOUR,
        0,
        &mut |outcome, _, _| {
            outcomes += u64::from(outcome.is_some());
            outcomes > 10
        },
    );
    assert_eq!((ending.code, counts(&ending)), (code::CANCELLED, (10, 10, 0, 0, 0)), "{ending:?}");
    assert_eq!((report(&ending).failures.len(), server.upload_count("backups")), (0, 0));
    let server = self::server();
    old(&server, 10);
    server.set_list_lag(1);
    server.set_latency(Duration::from_millis(10));
    let call = Call::new();
    let mut outcomes = 0;
    let ending = Config::new(&server.endpoint()).max_connections(1).client().stale(
        Some(&call),
        "backups",
        None,
        HOUR,
        0,
        &mut |outcome, _, _| {
            outcomes += u64::from(outcome.is_some());
            if outcomes > 10 {
                call.cancel();
            }
            false
        },
    );
    let report = report(&ending);
    assert_eq!((ending.code, report.total), (code::CANCELLED, 10), "{ending:?}");
    assert_eq!(report.failures.len() as u64, report.failed, "{ending:?}");
}

/// The response of b's abort is lost, the second listing settles it, and the third is refused.
#[test]
fn a_failure_that_was_settled_is_no_failure_if_a_later_pass_fails() {
    let server = obs_local_page(&[&["a", "b", "c"], &["a", "c"]]);
    server.fault(Fault::answer(403).error("AccessDenied").query("uploads").always());
    server.fault(Fault::answer(403).error("AccessDenied").method("DELETE").key("c").always());
    server.fault(Fault::real().cut(20).method("DELETE").key("b"));
    let ending = swept(&Config::new(&server.endpoint()).max_attempts(1).client(), "");
    assert_eq!((ending.code, counts(&ending)), (code::ACCESS_DENIED, (3, 2, 0, 1, 0)), "{ending:?}");
    let failed: Vec<_> = report(&ending).failures.iter().map(|failure| failure.key.as_str()).collect();
    assert_eq!((failed, listings(&server)), (vec!["c"], 3));
}

fn server_with_slow_second_listing() -> Server {
    let server = server();
    old(&server, 10);
    server.fault(Fault::real().delay(Duration::from_secs(20)).query("uploads").skip(1).always());
    server
}

#[test]
fn one_bad_upload_of_a_page_fails_alone() {
    let upload = |key: &str, id: &str| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>2011-01-01T00:00:00Z</Initiated></Upload>"
        )
    };
    let encoded = "<EncodingType>url</EncodingType>";
    let bad: Vec<(&str, Vec<u8>, &str)> = vec![
        ("not encoded", format!("{encoded}{}", upload("old/100%", "9")).into(), "old/100%"),
        ("half a byte", format!("{encoded}{}", upload("old/%F", "9")).into(), "old/%F"),
        ("not UTF-8, encoded", format!("{encoded}{}", upload("old/%FF", "9")).into(), "old/%FF"),
        (
            "not UTF-8, raw",
            [b"<Upload><Key>old/", &b"\xff"[..], &upload("", "9").as_bytes()["<Upload><Key>".len()..]]
                .concat(),
            "old/\u{fffd}",
        ),
        // As some servers write U+1F600.
        ("surrogates by number", upload("old/&#55357;&#56832;", "9").into(), "old/\u{fffd}\u{fffd}"),
        ("U+0000 by number", upload("old/&#0;", "9").into(), "old/\u{fffd}"),
        ("beyond all characters", upload("old/&#x110000;", "9").into(), "old/\u{fffd}"),
        ("an entity of HTML", upload("old/&nbsp;x", "9").into(), "old/\u{fffd}x"),
        ("an id by numbers that are no characters", upload("old/x", "9&#0;").into(), "old/x"),
        ("white space around the id", upload("old/x", " 9").into(), "old/x"),
        ("no id", upload("old/x", "").into(), "old/x"),
        ("no key", upload("", "9").into(), ""),
    ];
    for (name, bad, key) in bad {
        let server = server();
        server.create_upload_with_id("backups", "old/good", "1", &ago(2 * HOUR));
        let good = upload("old/good", "1");
        for (good, fault) in [(&good[..], Fault::answer(200)), ("", Fault::answer(200).always())] {
            let body = [
                b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>",
                &bad[..],
                good.as_bytes(),
                b"</ListMultipartUploadsResult>",
            ]
            .concat();
            server.fault(fault.body(body).query("uploads"));
        }
        let ending = swept(&client(&server), "");
        assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (2, 1, 0, 1, 0)), "{name}: {ending:?}");
        let failure = &report(&ending).failures[0];
        assert_eq!((failure.key.as_str(), failure.attempts), (key, 0), "{name}");
        assert_eq!((left(&server).len(), server.counts().method("DELETE")), (0, 1), "{name}");
    }
}

#[test]
fn a_page_of_more_than_a_thousand() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::IgnoreMaxUploads]);
    server.set_page_cap(1_000_000);
    old(&server, 5000);
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, counts(&ending)), (code::OK, (5000, 5000, 0, 0, 0)), "{:?}", ending.error);
    assert_eq!(listings(&server), 2);
}

/// The markers come back to a pair seen before, after any number of pages.
#[test]
fn markers_in_a_cycle() {
    for length in [2, 3, 7, 20] {
        let server = server();
        for n in 0..length {
            let next = (n + 1) % length;
            let fault = page(&format!(
                "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>{next:02}</NextUploadIdMarker>"
            ));
            server.fault(fault.target_contains(&format!("upload-id-marker={n:02}")).always());
        }
        let first = "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>00</NextUploadIdMarker>";
        server.fault(page(first).always());
        let ending = swept(&client(&server), "");
        assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (0, 0, 0, 0, 0)), "{length}: {ending:?}");
        assert!(listings(&server) <= 4 * length + 4, "{length}: {} listings", listings(&server));
    }
}

/// The lines of a log.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Lines {
    fn of(&self, config: Config, level: i32) -> Config {
        config.log(Some(keep_line), (&raw const *self).cast_mut().cast(), level)
    }
}

unsafe extern "C" fn keep_line(_: i32, line: *const c_char, lines: *mut c_void) {
    let (lines, line) = unsafe { (&*lines.cast::<Lines>(), CStr::from_ptr(line)) };
    lines.0.lock().unwrap().push(line.to_str().unwrap().to_owned());
}

/// Workers log while the caller's thread is busy: neither may wait for the other.
#[test]
fn many_bad_uploads_and_a_log() {
    let server = server();
    let upload = |n: usize| {
        format!(
            "<Upload><Key>old/%zz{n}</Key><UploadId>1</UploadId><Initiated>2011-01-01T00:00:00Z</Initiated></Upload>"
        )
    };
    let uploads: String = (0..1000).map(upload).collect();
    let encoding = "<EncodingType>url</EncodingType>";
    server.fault(page(&format!("<IsTruncated>false</IsTruncated>{encoding}{uploads}")).always());
    let lines = Lines::default();
    let config = Config::new(&server.endpoint()).max_connections(4);
    let client = lines.of(config, support::OBS_ABORT_LOG_DEBUG).client();
    let ending = client.stale(None, "backups", None, HOUR, 0, &mut |_, _, _| {
        std::thread::sleep(Duration::from_micros(200));
        false
    });
    assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (1000, 0, 0, 1000, 0)), "{:?}", ending.error);
}

/// Without an age, what is begun while the sweep runs is not taken by its later passes.
#[test]
fn a_bucket_in_use() {
    let server = server();
    old(&server, 5);
    let mut begun = 0;
    let ending = client(&server).stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |outcome, _, _| {
        if outcome.is_some() {
            begun += 1;
            let soon = Initiated::At(SystemTime::now() + Duration::from_secs(5));
            server.create_upload_at("backups", &format!("live/{begun}"), &soon);
        }
        false
    });
    assert_eq!(
        (ending.code, report(&ending).aborted, report(&ending).failed),
        (code::OK, 5, 0),
        "{ending:?}"
    );
    assert_eq!((server.upload_count("backups"), listings(&server)), (5, 2));
}

#[test]
fn a_wait_beyond_ten_minutes_after_some_aborts() {
    let server = server();
    old(&server, 100);
    let later = Fault::answer(503).error("SlowDown").header("Retry-After", "3600");
    server.fault(later.method("DELETE").skip(24).always());
    let ending = swept(&client(&server), "");
    assert_eq!((ending.code, report(&ending).aborted), (code::THROTTLED, 24), "{:?}", ending.error);
    assert!(ending.error.as_deref().is_some_and(|error| error.contains("3600")), "{:?}", ending.error);
}

#[test]
fn what_is_still_listed_is_an_error_of_the_log() {
    let server = server();
    old(&server, 2);
    server.fault(Fault::answer(204).method("DELETE").always());
    let lines = Lines::default();
    let client = lines.of(Config::new(&server.endpoint()), support::OBS_ABORT_LOG_ERROR).client();
    assert_eq!(swept(&client, "").code, code::PARTIAL);
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.iter().filter(|line| line.contains("still_listed")).count(), 2, "{lines:?}");
}

#[test]
fn a_dry_run_shows_the_keys_that_a_run_would_refuse() {
    let server = server();
    let upload = |key: &str| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>1</UploadId><Initiated>2011-01-01T00:00:00Z</Initiated></Upload>"
        )
    };
    let uploads = upload("") + &upload(&"k".repeat(1025));
    server.fault(page(&format!("<IsTruncated>false</IsTruncated>{uploads}")).always());
    for flags in [0, DRY_RUN] {
        let ending = client(&server).stale(None, "backups", None, HOUR, flags, &mut |_, _, _| false);
        assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (2, 0, 0, 2, 0)), "{flags}: {ending:?}");
    }
}
