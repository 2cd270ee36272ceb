//! Lists of parts that fail or lie: the upload is kept, and no abort is sent. Without the lie each of these uploads goes.

use std::time::Duration;

use obs_local::{End, Fault, ListQuirk, Listing, http_date, iso_date};
use support::obs::server;
use support::{Config, Selection, code};

use super::*;

/// What is wrong with the lists of parts of a server.
#[allow(clippy::large_enum_variant, reason = "there are 60 of them")]
enum Wrong {
    Nothing,
    Quirk(ListQuirk),
    /// With pages of two parts.
    QuirkOfPages(ListQuirk),
    Fault(Fault),
    /// This in place of the document's end: old parts, and what follows them.
    Body(String),
    Part {
        age_s: i64,
    },
}

/// A part of two days, as all others of these tests.
fn old_part() -> String {
    let modified = two_days_ago();
    format!("<Part><PartNumber>1</PartNumber><LastModified>{modified}</LastModified><Size>5</Size></Part>")
}

fn two_days_ago() -> String {
    // The same for an hour.
    iso_date((unix_now() / 3600 - 48) * 3_600_000)
}

fn rows() -> Vec<(&'static str, Wrong)> {
    let fault = |fault: Fault| Wrong::Fault(fault.query("uploadId").method("GET").always());
    let refused = |status: u16, error: &str| fault(Fault::answer(status).error(error));
    let body = |text: &str| Wrong::Body(text.to_owned());
    let now = http_date(unix_now());
    let mut rows = vec![
        ("the Date of a gateway, two days ahead", fault(Fault::real().date_offset(2 * DAY as i64))),
        ("the Date of a cache, two days behind", fault(Fault::real().date_offset(-2 * DAY as i64))),
        ("two Dates", fault(Fault::real().date_offset(0).date_offset(60))),
        ("no Date", fault(Fault::real().without("Date"))),
        ("a Date that can't be read", fault(Fault::real().header("Date", "soon"))),
        ("403", refused(403, "AccessDenied")),
        ("404 of the bucket", refused(404, "NoSuchBucket")),
        ("404 without a code", fault(Fault::answer(404))),
        ("404 of a proxy", fault(Fault::answer(404).body("<html>not found</html>"))),
        ("400", refused(400, "InvalidArgument")),
        ("405", refused(405, "MethodNotAllowed")),
        ("501", refused(501, "NotImplemented")),
        ("500 again and again", refused(500, "InternalError")),
        ("503 again and again", refused(503, "SlowDown")),
        ("301", refused(301, "PermanentRedirect")),
        ("204", fault(Fault::answer(204))),
        ("200 without a body", fault(Fault::answer(200))),
        ("200 with a page of HTML", fault(Fault::answer(200).body("<html><body>log in</body></html>"))),
        ("no response", fault(Fault::silence().then(End::Reset))),
        ("half a response", fault(Fault::real().cut(300))),
        ("no HTTP", fault(Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"))),
        ("silence", fault(Fault::silence().then(End::Stall))),
        ("a second page that is refused", {
            Wrong::Fault(
                Fault::answer(403).error("AccessDenied").target_contains("part-number-marker").always(),
            )
        }),
        ("a part that is dated a day before the upload's initiation", Wrong::Part { age_s: 4 * DAY as i64 }),
        ("a part of the year 2006", Wrong::Part { age_s: unix_now() - 1_136_073_600 }),
        ("two IsTruncated", body("<IsTruncated>false</IsTruncated>")),
        ("the list of another bucket", body("<Bucket>other</Bucket>")),
        ("two Ages", fault(Fault::real().header("Age", "0").header("Age", "840"))),
        ("two UploadIds", body("<UploadId>ID</UploadId>")),
        ("two Sizes", body(&old_part().replace("<Size>", "<Size>5</Size><Size>"))),
        ("a part without a number", body(&old_part().replace("<PartNumber>1</PartNumber>", ""))),
        ("a size below 0", body(&old_part().replace("<Size>5", "<Size>-5"))),
        ("a part whose time is empty", body(&old_part().replace(&two_days_ago(), ""))),
        ("a part whose time is a number", body(&old_part().replace(&two_days_ago(), "1767312000"))),
        ("a marker that is a word", body("<NextPartNumberMarker>x</NextPartNumberMarker>").truncated()),
        ("a document type", Wrong::Body(String::new()).with_doctype()),
        (
            "an interim response with the Date",
            fault(
                Fault::real()
                    .without("Date")
                    .before(format!("HTTP/1.1 103 Early Hints\r\nDate: {now}\r\n\r\n")),
            ),
        ),
    ];
    for (quirk, name, listings) in ListQuirk::TABLE {
        if listings.contains(&Listing::Parts) {
            rows.push((
                name,
                if name.ends_with("-markers") { Wrong::QuirkOfPages(quirk) } else { Wrong::Quirk(quirk) },
            ));
        }
    }
    rows
}

impl Wrong {
    /// The document says that there is more.
    fn truncated(self) -> Wrong {
        match self {
            Wrong::Body(text) => Wrong::Body(format!("{text}TRUNCATED")),
            other => other,
        }
    }

    fn with_doctype(self) -> Wrong {
        match self {
            Wrong::Body(text) => Wrong::Body(format!("{text}DOCTYPE")),
            other => other,
        }
    }

    /// A server with one upload of three days and six parts of two days, of which this is wrong.
    fn server(&self) -> (Server, String) {
        let server = server();
        let id = old(&server, "k", 3);
        server.create_parts("backups", "k", 6, 5, 2 * DAY as i64);
        match self {
            Wrong::Nothing => {}
            Wrong::Quirk(quirk) => server.set_quirks(Listing::Parts, &[*quirk]),
            Wrong::QuirkOfPages(quirk) => {
                server.set_parts_page_cap(2);
                server.set_quirks(Listing::Parts, &[*quirk]);
            }
            Wrong::Fault(fault) => {
                server.fault(fault.clone());
                server.set_parts_page_cap(3);
            }
            Wrong::Body(text) => {
                let truncated = text.contains("TRUNCATED");
                let doctype = if text.contains("DOCTYPE") { "<!DOCTYPE ListPartsResult>" } else { "" };
                let text =
                    text.replace("TRUNCATED", "").replace("DOCTYPE", "").replace(">ID<", &format!(">{id}<"));
                let body = format!(
                    "{doctype}<ListPartsResult><UploadId>{id}</UploadId><IsTruncated>{truncated}</IsTruncated>{}{text}</ListPartsResult>",
                    old_part()
                );
                server.fault(Fault::answer(200).body(body).query("uploadId").method("GET").always());
            }
            Wrong::Part { age_s } => {
                server.create_parts("backups", "k", 1, 5, *age_s);
                // All of them: the one that is dated before would else not be the newest.
                let id = server.create_upload_at("backups", "wrong", &ago(3 * DAY));
                server.abort("backups", "k", &server.uploads("backups")[0].upload_id);
                server.create_parts("backups", "wrong", 1, 5, *age_s);
                return (server, id);
            }
        }
        (server, id)
    }
}

fn client(server: &Server) -> Client {
    let hasty = Config::new(&server.endpoint()).max_connections(4).max_attempts(2);
    hasty.response_timeout_ms(300).timeout_ms(3000).client()
}

#[test]
fn each_keeps_the_upload_and_nothing_is_sent() {
    let failures: Vec<String> = std::thread::scope(|scope| {
        let run = |(name, wrong): (&'static str, Wrong)| {
            let (server, id) = wrong.server();
            let mut told = 0;
            let ending = client(&server).sweep(
                None,
                "backups",
                &Selection::new().idle(DAY),
                0,
                &mut |outcome, _, _| {
                    told += outcome.iter().count();
                    false
                },
            );
            let report = report(&ending);
            let came = (ending.code, report.active, report.kept, report.failed, report.complete, told);
            let aborts = requests(&server, is_abort);
            let looked = requests(&server, is_list_of_parts);
            let is_there = server.uploads("backups").iter().any(|upload| upload.upload_id == id);
            let is_kept = came == (code::OK, 1, 1, 0, false, 0) && aborts == 0 && looked > 0 && is_there;
            (!is_kept).then(|| format!("{name}: {aborts} aborts, {looked} lists of parts: {ending:?}"))
        };
        let threads: Vec<_> = rows().into_iter().map(|row| scope.spawn(move || run(row))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

/// So that a row can fail.
#[test]
fn without_a_lie_the_upload_goes() {
    for (name, wrong) in [
        ("nothing", Wrong::Nothing),
        (
            "a Date that is ten minutes off",
            Wrong::Fault(Fault::real().date_offset(600).query("uploadId").method("GET").always()),
        ),
        ("503 once", Wrong::Fault(Fault::answer(503).error("SlowDown").query("uploadId").method("GET"))),
        ("half a page once", Wrong::Fault(Fault::real().cut(300).query("uploadId").method("GET"))),
        ("another document", Wrong::Body(String::new())),
        ("a comment", Wrong::Body("<!-- a comment -->".into())),
        // The clocks of a service may differ a little.
        ("a part a minute before the initiation", Wrong::Part { age_s: 3 * DAY as i64 + 60 }),
    ] {
        let (server, _) = wrong.server();
        let ending =
            client(&server).sweep(None, "backups", &Selection::new().idle(DAY), 0, &mut |_, _, _| false);
        let counted = report(&ending);
        let came = (ending.code, counted.aborted, counted.complete, requests(&server, is_abort));
        assert_eq!(came, (code::OK, 1, true, 1), "{name}: {ending:?}");
    }
}

/// One upload whose parts can't be read is no reason to leave the others.
#[test]
fn the_others_go() {
    let server = server();
    many_old(&server, 50);
    server.create_parts("backups", "old/", 2, 5, 2 * DAY as i64);
    server.fault(
        Fault::answer(403).error("AccessDenied").query("uploadId").method("GET").key("old/00007").always(),
    );
    server.fault(
        Fault::silence()
            .query("uploadId")
            .method("GET")
            .key("old/00011")
            .delay(Duration::from_millis(50))
            .always(),
    );
    let ending = swept(&client(&server), &Selection::new().idle(DAY));
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.active, report.complete), (code::OK, 48, 2, false));
    assert_eq!(left(&server), keys(["old/00007", "old/00011"]));
}
