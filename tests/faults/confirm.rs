//! Confirmation: after the abort the parts are listed, and aborted again until none is left.

use obs_local::{End, Fault};

use super::table::{Row, Scene, row};
use support::code::*;

/// The server says 204, and the parts stay: as when they were being uploaded at that moment.
fn parts_survive() -> Fault {
    Fault::answer(204).method("DELETE")
}

/// What the listing gets.
fn listing(status: u16) -> Fault {
    Fault::answer(status).method("GET")
}

fn listed(scene: &Scene<'_>) -> usize {
    scene.server().journal().iter().filter(|entry| entry.method == "GET").count()
}

/// Aborted, and the listing fails with this code.
fn unconfirmed(name: &'static str, listing: Fault, code: i32, says: &'static str) -> Row {
    row(name).confirm().fault(listing).gives(code, 204, 1).says(says)
}

pub fn rows() -> Vec<Row> {
    vec![
        row("confirmed at once").confirm().gives(OK, 204, 1).check(|scene| assert_eq!(listed(scene), 1)),
        row("not asked for: nothing is listed").gives(OK, 204, 1).check(|scene| assert_eq!(listed(scene), 0)),
        row("parts remain, then they are gone")
            .confirm()
            .fault(parts_survive())
            .gives(OK, 204, 2)
            .check(|scene| assert_eq!(listed(scene), 2)),
        row("parts remain twice, then they are gone")
            .confirm()
            .fault(parts_survive().times(2))
            .gives(OK, 204, 3),
        row("parts remain for ever")
            .confirm()
            .fault(parts_survive().always())
            .max_attempts(3)
            .gives(PARTS_REMAIN, 204, 3)
            .check(|scene| assert_eq!(listed(scene), 3)),
        row("parts remain, and there is one attempt")
            .confirm()
            .fault(parts_survive().always())
            .max_attempts(1)
            .gives(PARTS_REMAIN, 204, 1),
        row("attempts before the first 204 count")
            .confirm()
            .fault(Fault::answer(503).method("DELETE"))
            .fault(parts_survive().always())
            .max_attempts(2)
            .gives(PARTS_REMAIN, 204, 2),
        row("a listing answered 204 has its request id told, also where nobody asked for an outcome")
            .confirm()
            .fault(listing(204).header("x-obs-request-id", "LISTED").times(2))
            .gives(PROTOCOL, 204, 1)
            .says("LISTED")
            .check(|scene| {
                let id = scene.server().create_upload(super::table::BUCKET, "k");
                let (code, status, message) = scene.client.abort(super::table::BUCKET, "k", &id);
                assert_eq!((code, status), (PROTOCOL, 204), "{message:?}");
                assert!(message.as_ref().is_some_and(|message| message.contains("LISTED")), "{message:?}");
            }),
        row("parts remain until the budget is over")
            .confirm()
            .fault(parts_survive().always())
            .max_attempts(1000)
            .timeout_ms(1500)
            .gives_whatever_the_attempts(PARTS_REMAIN, 204)
            .or_out_of_time()
            .within_ms(2000),
        row("a listing without parts is still there")
            .confirm()
            .fault(listing(200).body("<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"))
            .gives(OK, 404, 2),
        row("a 200 of any other kind is still there")
            .confirm()
            .fault(listing(200).body("<html>"))
            .gives(OK, 404, 2),
        row("the second abort says NoSuchUpload: wanted")
            .confirm()
            .fault(Fault::answer(204).executed().method("DELETE"))
            .fault(listing(200))
            .gives(OK, 404, 2),
        row("NoSuchKey in the listing confirms")
            .confirm()
            .fault(listing(404).error("NoSuchKey"))
            .gives(OK, 204, 1),
        row("the code in a header of the listing confirms")
            .confirm()
            .fault(listing(404).header("x-obs-error-code", "NoSuchUpload"))
            .gives(OK, 204, 1),
        // The listing fails.
        unconfirmed(
            "listing refused",
            listing(403).error("AccessDenied"),
            ACCESS_DENIED,
            "access_denied: aborted, not confirmed",
        )
        .service_code("AccessDenied")
        .check(|scene| assert_eq!(listed(scene), 1)),
        unconfirmed(
            "listing: 404 without a code",
            listing(404),
            REJECTED,
            "rejected: aborted, not confirmed",
        ),
        unconfirmed(
            "listing: NoSuchBucket",
            listing(404).error("NoSuchBucket"),
            NO_SUCH_BUCKET,
            "no_such_bucket: aborted, not confirmed",
        ),
        unconfirmed("listing: 204", listing(204), PROTOCOL, "protocol: aborted, not confirmed"),
        unconfirmed("listing: 301", listing(301), REDIRECT, "redirect: aborted, not confirmed"),
        unconfirmed("listing: 500 for ever", listing(500).always(), SERVER, "server: aborted, not confirmed")
            .check(|scene| assert_eq!(listed(scene), 4)),
        unconfirmed(
            "listing: 503 for ever",
            listing(503).always(),
            THROTTLED,
            "throttled: aborted, not confirmed",
        ),
        unconfirmed(
            "listing: closed without a byte for ever",
            Fault::silence().method("GET").always(),
            IO,
            "io: aborted, not confirmed",
        ),
        unconfirmed(
            "listing: silent",
            Fault::silence().method("GET").then(End::Stall),
            TIMEOUT,
            "timeout: aborted, not confirmed",
        )
        .timeout_ms(1000)
        .spends_its_budget(),
        row("listing: 500 once").confirm().fault(listing(500)).gives(OK, 204, 1),
        row("listing: a lost answer").confirm().fault(Fault::silence().method("GET")).gives(OK, 204, 1),
        row("listing: the attempts of each are its own")
            .confirm()
            .fault(parts_survive())
            .fault(listing(500))
            .fault(Fault::real().method("GET"))
            .fault(listing(500))
            .max_attempts(2)
            .gives(OK, 204, 2)
            .check(|scene| assert_eq!(listed(scene), 4)),
        // The abort fails.
        row("the second abort is refused")
            .confirm()
            .fault(parts_survive())
            .fault(Fault::answer(403).error("AccessDenied").method("DELETE"))
            .gives(ACCESS_DENIED, 403, 2)
            .says("access_denied: aborted, not confirmed"),
        row("the first abort is refused: nothing is listed")
            .confirm()
            .fault(Fault::answer(403).method("DELETE"))
            .gives(ACCESS_DENIED, 403, 1)
            .check(|scene| assert_eq!(listed(scene), 0)),
        row("the second abort meets a 503, then succeeds")
            .confirm()
            .fault(parts_survive())
            .fault(Fault::answer(503).method("DELETE"))
            .gives(OK, 204, 3),
        row("confirmed after a lost answer of the abort")
            .confirm()
            .fault(Fault::real().cut(0).method("DELETE"))
            .gives(OK, 404, 2),
    ]
}
