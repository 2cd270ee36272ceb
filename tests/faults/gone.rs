//! NoSuchUpload after an earlier attempt of the same call: success exactly where that attempt may have been carried out.

use obs_local::{End, Fault};

use super::identity::Identity;
use super::table::{ID, Row, row};
use support::code::*;

fn refused(status: u16, code: &str) -> Fault {
    Fault::answer(status).error(code)
}

/// The earlier attempt may have been carried out: gone is success.
fn success(name: &'static str, first: Fault) -> Row {
    row(name).fault(first).no_upload().gives(OK, 404, 2)
}

/// It was not: gone is what the caller is told.
fn missing(name: &'static str, first: Fault) -> Row {
    row(name).fault(first).no_upload().gives(NO_SUCH_UPLOAD, 404, 2).service_code("NoSuchUpload")
}

/// Carried out in earnest, and the answer spoilt.
fn carried_out(name: &'static str, first: Fault) -> Row {
    row(name).fault(first).gives(OK, 404, 2).check(|scene| assert!(scene.server().was_aborted(ID)))
}

pub fn rows() -> Vec<Row> {
    vec![
        success("gone after a lost answer", Fault::silence()),
        success("gone after a reset", Fault::silence().then(End::Reset)),
        success("gone after one byte of an answer", Fault::raw("H")),
        success("gone after half a head", Fault::raw("HTTP/1.1 503 Service Unavailable\r\nRetry-")),
        success("gone after a head that can't be parsed", Fault::raw("SSH-2.0-OpenSSH_9.2\r\n")),
        success(
            "gone after a head that is too large",
            Fault::raw("HTTP/1.1 503 x\r\n").repeat("A: b\r\n", 4000),
        ),
        success("gone after 408", Fault::answer(408)),
        success("gone after 400 RequestTimeout", refused(400, "RequestTimeout")),
        success("gone after 500", refused(500, "InternalError")),
        success("gone after 502", Fault::answer(502)),
        success("gone after 504", Fault::answer(504)),
        missing("gone after 409 OperationAborted", refused(409, "OperationAborted")),
        missing("gone after 429", Fault::answer(429)),
        missing("gone after 503", Fault::answer(503)),
        missing("gone after 503 SlowDown", refused(503, "SlowDown")),
        missing("gone after 501", Fault::answer(501)),
        missing("gone after 403 RequestTimeTooSkewed", refused(403, "RequestTimeTooSkewed")),
        missing(
            "gone after a 503 whose body was cut",
            Fault::answer(503).header("Content-Length", "9").then(End::Close),
        ),
        row("gone after a redirect").no_upload().redirect(307, "http://{here}{target}").gives(
            NO_SUCH_UPLOAD,
            404,
            2,
        ),
        row("gone after a handshake that failed: nothing was sent")
            .tls(Identity::good)
            .fault(Fault::silence().at_accept())
            .no_upload()
            .gives(NO_SUCH_UPLOAD, 404, 1),
        row("gone after 503 and 500")
            .fault(Fault::answer(503))
            .fault(Fault::answer(500))
            .no_upload()
            .gives(OK, 404, 3),
        row("gone after 500 and 503")
            .fault(Fault::answer(500))
            .fault(Fault::answer(503))
            .no_upload()
            .gives(OK, 404, 3),
        row("NoSuchKey after a lost answer: completed and swept, or aborted: gone")
            .fault(Fault::silence())
            .fault(refused(404, "NoSuchKey"))
            .gives(OK, 404, 2)
            .not_carried_out(),
        row("NoSuchKey after 503").fault(Fault::answer(503)).fault(refused(404, "NoSuchKey")).gives(
            NO_SUCH_UPLOAD,
            404,
            2,
        ),
        row("an unknown 404 after a lost answer")
            .fault(Fault::silence())
            .fault(refused(404, "NotFound"))
            .gives(REJECTED, 404, 2),
        row("a 404 without a body after 500")
            .fault(Fault::answer(500))
            .fault(Fault::answer(404))
            .gives(REJECTED, 404, 2),
        row("a proxy's 404 page after 502")
            .fault(Fault::answer(502))
            .fault(Fault::answer(404).body("<html>404</html>"))
            .gives(REJECTED, 404, 2),
        row("NoSuchBucket after a lost answer")
            .fault(Fault::silence())
            .fault(refused(404, "NoSuchBucket"))
            .gives(NO_SUCH_BUCKET, 404, 2),
        row("AccessDenied after a lost answer")
            .fault(Fault::silence())
            .fault(refused(403, "AccessDenied"))
            .gives(ACCESS_DENIED, 403, 2),
        row("200 after a lost answer")
            .fault(Fault::silence())
            .fault(Fault::answer(200))
            .gives(PROTOCOL, 200, 2),
        carried_out("carried out, no byte of the answer arrives", Fault::real().cut(0)),
        carried_out("carried out, one byte arrives", Fault::real().cut(1)),
        carried_out("carried out, the status line arrives", Fault::real().cut(25)),
        carried_out(
            "carried out, half the head arrives, then a reset",
            Fault::real().cut(40).then(End::Reset),
        ),
        carried_out("carried out, a proxy says 502", Fault::answer(502).body("<html>502</html>").executed()),
        carried_out("carried out, a proxy says 504", Fault::answer(504).executed()),
        carried_out("carried out, the server says 500", refused(500, "InternalError").executed()),
        carried_out("carried out, the server says 408", Fault::answer(408).executed()),
        carried_out("carried out, and the answer is garbage", Fault::raw("\u{0}\u{1}\r\n\r\n").executed()),
        row("carried out although 503 was said: the contract counts it as missing")
            .fault(Fault::answer(503).executed())
            .gives(NO_SUCH_UPLOAD, 404, 2),
        row("the next call of a client begins anew: missing is missing")
            .fault(Fault::silence())
            .gives(OK, 204, 2)
            .next_call_is_told_the_truth(),
    ]
}
