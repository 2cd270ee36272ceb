//! Each status and service code that protocol.md names, and those that it does not.

use obs_local::Fault;

use super::table::{Row, row};
use support::code::*;

/// Refused with this code in the body.
fn refused(status: u16, code: &str) -> Fault {
    Fault::answer(status).error(code)
}

/// The code in the headers alone.
fn headed(status: u16, name: &str, code: &str) -> Fault {
    Fault::answer(status).header(name, code)
}

const ABSURD: &str = "Wed, 01 Jul 2015 05:28:27 GMT";

/// Refused for its date, by a server whose clock is so far off and which writes this zone.
fn nearly_dated(zone: &str, offset_s: i64) -> Fault {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let date = obs_local::http_date(now + offset_s).replace("GMT", zone);
    refused(403, "RequestTimeTooSkewed").header("Date", &date)
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("204").gives(OK, 204, 1),
        // 404
        row("404 NoSuchUpload").no_upload().gives(NO_SUCH_UPLOAD, 404, 1).service_code("NoSuchUpload"),
        row("404 NoSuchKey")
            .fault(refused(404, "NoSuchKey"))
            .gives(NO_SUCH_UPLOAD, 404, 1)
            .service_code("NoSuchKey"),
        row("404 NoSuchBucket").fault(refused(404, "NoSuchBucket")).gives(NO_SUCH_BUCKET, 404, 1),
        row("404 with a code nobody knows").fault(refused(404, "NoSuchThing")).gives(REJECTED, 404, 1),
        row("404 with a code in the wrong case").fault(refused(404, "nosuchupload")).gives(REJECTED, 404, 1),
        row("404 without a body").fault(Fault::answer(404)).gives(REJECTED, 404, 1),
        // 403
        row("403 AccessDenied").fault(refused(403, "AccessDenied")).gives(ACCESS_DENIED, 403, 1),
        row("403 InvalidAccessKeyId").fault(refused(403, "InvalidAccessKeyId")).gives(ACCESS_DENIED, 403, 1),
        row("403 without a body").fault(Fault::answer(403)).gives(ACCESS_DENIED, 403, 1),
        row("403 SignatureDoesNotMatch, a wrong secret key")
            .config(|config, _| config.credentials(obs_local::ACCESS_KEY, "wrong", None))
            .gives(ACCESS_DENIED, 403, 1)
            .service_code("SignatureDoesNotMatch"),
        row("403 that says NoSuchUpload is not gone").fault(refused(403, "NoSuchUpload")).gives(
            ACCESS_DENIED,
            403,
            1,
        ),
        // The clock.
        row("RequestTimeTooSkewed, corrected from Date beyond max_attempts, and kept for the client")
            .options(|options| obs_local::Options { clock_offset_s: -86_400, ..options })
            .max_attempts(1)
            .gives(OK, 204, 2)
            .next_call_is_told_the_truth()
            .check(|scene| {
                let requests = scene.server().journal();
                let statuses: Vec<u16> = requests.iter().map(|entry| entry.status).collect();
                assert_eq!(statuses, [403, 204, 404], "the third is dated rightly at once");
            }),
        row("RequestTimeTooSkewed without Date")
            .fault(refused(403, "RequestTimeTooSkewed").without("Date"))
            .gives(CLOCK_SKEW, 403, 1),
        row("RequestTimeTooSkewed with a Date that is none")
            .fault(refused(403, "RequestTimeTooSkewed").header("Date", "yesterday"))
            .gives(CLOCK_SKEW, 403, 1)
            .says("its Date \"yesterday\" can't be read"),
        row("RequestTimeTooSkewed with a Date in Universal Time, not in GMT")
            .options(|options| obs_local::Options { clock_offset_s: -86_400, ..options })
            .fault(nearly_dated("UTC", -86_400))
            .gives(OK, 204, 2),
        row("RequestTimeTooSkewed with a Date whose zone is a number")
            .options(|options| obs_local::Options { clock_offset_s: -86_400, ..options })
            .fault(nearly_dated("+0000", -86_400))
            .gives(OK, 204, 2),
        row("RequestTimeTooSkewed with a Date in Chinese time")
            .options(|options| obs_local::Options { clock_offset_s: -86_400, ..options })
            .fault(nearly_dated("+0800", -86_400 + 8 * 3600))
            .gives(OK, 204, 2),
        row("RequestTimeTooSkewed with an absurd Date helps no call, and moves no clock")
            .fault(refused(403, "RequestTimeTooSkewed").header("Date", ABSURD))
            .gives(CLOCK_SKEW, 403, 2)
            .says(" s from the server's: set it")
            .check(|scene| {
                let next = scene.client.outcome(None, "bucket", "k", "i");
                assert_eq!((next.code, next.attempts), (NO_SUCH_UPLOAD, 1), "{next:?}");
            }),
        row("RequestTimeTooSkewed with an absurd Date, while another call of the client is under way")
            .gives(OK, 204, 1)
            .check(|scene| {
                let (server, client) = (scene.server(), scene.client);
                server.fault(refused(403, "RequestTimeTooSkewed").header("Date", ABSURD).key("slow"));
                server.fault(Fault::real().delay(std::time::Duration::from_millis(600)).key("slow"));
                std::thread::scope(|scope| {
                    let slow = scope.spawn(|| client.outcome(None, "bucket", "slow", "i"));
                    std::thread::sleep(std::time::Duration::from_millis(300));
                    let other = client.outcome(None, "bucket", "k", "i");
                    assert_eq!((other.code, other.attempts), (NO_SUCH_UPLOAD, 1), "{other:?}");
                    let slow = slow.join().unwrap();
                    assert_eq!((slow.code, slow.attempts), (CLOCK_SKEW, 2), "{slow:?}");
                });
            }),
        row("RequestTimeTooSkewed with an absurd Date, then a refusal that shows nothing")
            .fault(refused(403, "RequestTimeTooSkewed").header("Date", ABSURD))
            .fault(refused(403, "AccessDenied"))
            .gives(ACCESS_DENIED, 403, 2)
            .check(|scene| {
                let next = scene.client.outcome(None, "bucket", "k", "i");
                assert_eq!((next.code, next.attempts), (NO_SUCH_UPLOAD, 1), "{next:?}");
            }),
        row("RequestTimeTooSkewed with an absurd Date, then a lost response")
            .fault(refused(403, "RequestTimeTooSkewed").header("Date", ABSURD))
            .fault(Fault::silence())
            .max_attempts(1)
            .gives_whatever_the_attempts(CLOCK_SKEW, 403)
            .check(|scene| {
                let next = scene.client.outcome(None, "bucket", "k", "i");
                assert_eq!((next.code, next.attempts), (NO_SUCH_UPLOAD, 1), "{next:?}");
            }),
        row("RequestTimeTooSkewed, corrected, and NoSuchUpload: the clock is kept")
            .options(|options| obs_local::Options { clock_offset_s: -86_400, ..options })
            .no_upload()
            .gives(NO_SUCH_UPLOAD, 404, 2)
            .check(|scene| {
                let next = scene.client.outcome(None, "bucket", "k", "i");
                assert_eq!((next.code, next.attempts), (NO_SUCH_UPLOAD, 1), "{next:?}");
            }),
        row("RequestTimeTooSkewed, corrected, and a 500: the correction holds for the rest of the call")
            .options(|options| obs_local::Options { clock_offset_s: -86_400, ..options })
            .fault(Fault::real())
            .fault(Fault::answer(500))
            .gives(OK, 204, 3),
        row("RequestTimeTooSkewed twice")
            .fault(refused(403, "RequestTimeTooSkewed").always())
            .gives(CLOCK_SKEW, 403, 2),
        row("RequestTimeTooSkewed in a header")
            .fault(headed(403, "x-obs-error-code", "RequestTimeTooSkewed"))
            .gives(OK, 204, 2),
        row("400 RequestTimeTooSkewed is no 403")
            .fault(refused(400, "RequestTimeTooSkewed"))
            .gives(REJECTED, 400, 1),
        row("403 AccessDenied with a Date far off corrects no clock")
            .fault(refused(403, "AccessDenied").header("Date", "Wed, 01 Jul 2015 05:28:27 GMT"))
            .gives(ACCESS_DENIED, 403, 1)
            .next_call_is_told_the_truth(),
        // The code in headers.
        row("NoSuchUpload in x-obs-error-code alone")
            .fault(headed(404, "x-obs-error-code", "NoSuchUpload"))
            .gives(NO_SUCH_UPLOAD, 404, 1)
            .service_code("NoSuchUpload"),
        row("NoSuchBucket in X-AMZ-ERROR-CODE alone")
            .fault(headed(404, "X-AMZ-ERROR-CODE", "NoSuchBucket"))
            .gives(NO_SUCH_BUCKET, 404, 1),
        row("the message in x-obs-error-message")
            .fault(headed(403, "x-obs-error-message", "a sentence of the header's"))
            .gives(ACCESS_DENIED, 403, 1)
            .says("403 \"a sentence of the header's\""),
        row("headers win over the body: known over known")
            .fault(refused(404, "NoSuchUpload").header("x-obs-error-code", "NoSuchBucket"))
            .gives(NO_SUCH_BUCKET, 404, 1),
        row("headers win over the body: unknown over known")
            .fault(refused(404, "NoSuchUpload").header("x-amz-error-code", "Unheard"))
            .gives(REJECTED, 404, 1)
            .service_code("Unheard"),
        row("an empty header leaves the body its say")
            .fault(refused(404, "NoSuchUpload").header("x-obs-error-code", ""))
            .gives(NO_SUCH_UPLOAD, 404, 1),
        row("a code in the headers of a 204 changes nothing")
            .fault(Fault::real().header("x-obs-error-code", "NoSuchUpload"))
            .gives(OK, 204, 1),
        row("RequestTimeout in a header is retried")
            .fault(headed(400, "x-obs-error-code", "RequestTimeout"))
            .gives(OK, 204, 2),
        // Request ids.
        row("request id from x-obs-request-id, host id from x-obs-id-2")
            .fault(headed(403, "x-obs-request-id", "R-1").header("x-obs-id-2", "H-1"))
            .gives(ACCESS_DENIED, 403, 1)
            .says("(request id R-1, attempt 1 of 4)")
            .check(|scene| assert_eq!(scene.outcome.host_id.as_deref(), Some("H-1"))),
        row("request id from x-amz-request-id")
            .fault(headed(403, "x-amz-request-id", "R-2").without("x-obs-request-id"))
            .gives(ACCESS_DENIED, 403, 1)
            .check(|scene| assert_eq!(scene.outcome.request_id.as_deref(), Some("R-2"))),
        row("request id from the body")
            .fault(Fault::answer(403).bare().body("<Error><RequestId>R-3</RequestId></Error>"))
            .gives(ACCESS_DENIED, 403, 1)
            .check(|scene| assert_eq!(scene.outcome.request_id.as_deref(), Some("R-3"))),
        // 2xx that are not 204.
        row("200 with HTML")
            .fault(Fault::answer(200).body("<html><body>Welcome to nginx!</body></html>"))
            .gives(PROTOCOL, 200, 1)
            .says("200 instead of 204"),
        row("200 with an error in its body").fault(refused(200, "NoSuchUpload")).gives(PROTOCOL, 200, 1),
        row("200 with a 1 GB body that never ends in time")
            .fault(Fault::raw("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").repeat("x", 1 << 30))
            .gives(PROTOCOL, 200, 1)
            .within_ms(4000),
        row("101 switches to nothing we speak")
            .fault(Fault::raw(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            ))
            .gives(PROTOCOL, 101, 1),
        row("999")
            .fault(Fault::raw("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"))
            .gives(PROTOCOL, 999, 1),
        row("600")
            .fault(Fault::raw("HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n"))
            .gives(PROTOCOL, 600, 1),
    ];
    for (name, status) in [("200", 200), ("201", 201), ("202", 202), ("203", 203), ("205", 205), ("206", 206)]
    {
        rows.push(row(name).fault(Fault::answer(status)).gives(PROTOCOL, i32::from(status), 1));
    }
    // Other 4xx: said once, and not retried.
    for (name, status, code) in [
        ("400 InvalidArgument", 400, "InvalidArgument"),
        ("401 without a word", 401, ""),
        ("405 MethodNotAllowed", 405, "MethodNotAllowed"),
        ("407 from something in between", 407, ""),
        ("409 without a word", 409, ""),
        ("409 BucketNotEmpty", 409, "BucketNotEmpty"),
        ("409 operationaborted, in the wrong case", 409, "operationaborted"),
        ("400 OperationAborted", 400, "OperationAborted"),
        ("410", 410, ""),
        ("412 PreconditionFailed", 412, "PreconditionFailed"),
        ("418", 418, ""),
        ("431", 431, ""),
        ("499", 499, ""),
    ] {
        let fault = if code.is_empty() { Fault::answer(status) } else { refused(status, code) };
        rows.push(row(name).fault(fault).gives(REJECTED, i32::from(status), 1));
    }
    // What is retried: until the attempts are used up.
    for (name, status, service, code) in [
        ("408 for ever", 408, "", REJECTED),
        ("400 RequestTimeout for ever", 400, "RequestTimeout", REJECTED),
        ("409 OperationAborted for ever", 409, "OperationAborted", REJECTED),
        ("429 for ever", 429, "", THROTTLED),
        ("503 SlowDown for ever", 503, "SlowDown", THROTTLED),
        ("503 without a body for ever", 503, "", THROTTLED),
        ("500 InternalError for ever", 500, "InternalError", SERVER),
        ("501 for ever", 501, "NotImplemented", SERVER),
        ("502 for ever", 502, "", SERVER),
        ("504 for ever", 504, "", SERVER),
        ("505 for ever", 505, "", SERVER),
        ("507 for ever", 507, "", SERVER),
        ("599 for ever", 599, "", SERVER),
    ] {
        let fault = if service.is_empty() { Fault::answer(status) } else { refused(status, service) };
        rows.push(row(name).fault(fault.always()).gives(code, i32::from(status), 4).says("attempt 4 of 4"));
    }
    // And once: the next attempt succeeds, on the same connection.
    for (name, status, service) in [
        ("408 once", 408, ""),
        ("400 RequestTimeout once", 400, "RequestTimeout"),
        ("409 OperationAborted once", 409, "OperationAborted"),
        ("429 once", 429, ""),
        ("500 once", 500, "InternalError"),
        ("502 once", 502, ""),
        ("503 SlowDown once", 503, "SlowDown"),
        ("504 once", 504, ""),
    ] {
        let fault = if service.is_empty() { Fault::answer(status) } else { refused(status, service) };
        rows.push(row(name).fault(fault).gives(OK, 204, 2).connections(1));
    }
    rows
}
