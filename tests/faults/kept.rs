//! Kept connections that died: replaced once for free, without waiting and beyond max_attempts.

use std::net::TcpStream;
use std::time::Duration;

use obs_local::{End, Fault};

use super::identity::Identity;
use super::table::{GONE, NO_SUCH_UPLOAD, Row, own, row};
use support::code::*;
use support::peer::{answer_all, request, send};

/// Answers the call before, then sends this unasked; other connections say that there is no such upload.
fn unasked(n: usize, mut stream: TcpStream, bytes: &str) {
    if n > 0 {
        return answer_all(&mut stream, NO_SUCH_UPLOAD);
    }
    request(&mut stream);
    send(&mut stream, GONE);
    std::thread::sleep(Duration::from_millis(50));
    send(&mut stream, bytes);
    answer_all(&mut stream, GONE);
}

pub fn rows() -> Vec<Row> {
    let upon_arrival = || Fault::silence().reused_connection();
    vec![
        row("a connection is kept").calls_before(3).gives(OK, 204, 1).connections(1),
        row("closed between the calls: seen before anything is sent")
            .fault(Fault::real().then(End::Close))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 1)
            .connections(2),
        row("reset between the calls")
            .fault(Fault::real().then(End::Reset))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 1)
            .connections(2),
        row("half-closed between the calls")
            .fault(Fault::real().then(End::HalfClose))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 1)
            .connections(2),
        row("closed between the calls, with TLS")
            .tls(Identity::good)
            .fault(Fault::real().then(End::Close))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 1)
            .connections(2),
        row("closed when the next request arrives: replaced beyond max_attempts")
            .fault(upon_arrival())
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 2)
            .connections(2)
            .within_ms(1500),
        row("reset when the next request arrives")
            .fault(upon_arrival().then(End::Reset))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 2)
            .connections(2),
        row("closed when the next request arrives, with TLS")
            .tls(Identity::good)
            .fault(upon_arrival())
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 2),
        row("dropped without close_notify when the next request arrives, with TLS")
            .tls(Identity::good)
            .fault(upon_arrival().then(End::Drop))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 2),
        row("reset when the next request arrives, with TLS")
            .tls(Identity::good)
            .fault(upon_arrival().then(End::Reset))
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 204, 2),
        row("gone after the free attempt: the request on the dead connection may have been carried out")
            .fault(upon_arrival())
            .calls_before(1)
            .no_upload()
            .max_attempts(1)
            .gives(OK, 404, 2),
        row("carried out on the dead connection")
            .fault(Fault::real().cut(0).reused_connection())
            .calls_before(1)
            .max_attempts(1)
            .gives(OK, 404, 2),
        row("dead after one byte of an answer is no stale connection")
            .fault(Fault::raw("H").reused_connection())
            .calls_before(1)
            .max_attempts(1)
            .gives(IO, 0, 1),
        row("garbage on a kept connection is no stale connection")
            .fault(Fault::raw("x\r\n\r\n").reused_connection())
            .calls_before(1)
            .max_attempts(1)
            .gives(PROTOCOL, 0, 1),
        row("a new connection that dies is not free").fault(Fault::silence()).max_attempts(1).gives(IO, 0, 1),
        // Skipped once: for the call before.
        row("the replacement dies too: that one counts")
            .fault(upon_arrival())
            .fault(Fault::silence().skip(1))
            .calls_before(1)
            .max_attempts(1)
            .gives(IO, 0, 2),
        row("the replacement dies too, and one attempt is left")
            .fault(upon_arrival())
            .fault(Fault::silence().skip(1))
            .calls_before(1)
            .max_attempts(2)
            .gives(OK, 204, 3),
        // The 503 leaves a kept connection behind, which dies as the first one did.
        row("the second stale connection of a call is not free")
            .fault(upon_arrival())
            .fault(Fault::answer(503).skip(1))
            .fault(upon_arrival())
            .calls_before(1)
            .max_attempts(2)
            .gives(IO, 0, 3),
        row("the second stale connection of a call is retried as any failure")
            .fault(upon_arrival())
            .fault(Fault::answer(503).skip(1))
            .fault(upon_arrival())
            .calls_before(1)
            .max_attempts(3)
            .gives(OK, 204, 4),
        row("a kept connection that stalls is not stale: nothing says that it died")
            .fault(Fault::silence().then(End::Stall).reused_connection())
            .calls_before(1)
            .timeout_ms(800)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
        own("an answer that nobody asked for is not the next one's", |n, stream| unasked(n, stream, GONE))
            .calls_before(1)
            .gives(NO_SUCH_UPLOAD_CODE, 404, 1),
        own("a byte that nobody asked for", |n, stream| unasked(n, stream, "\n")).calls_before(1).gives(
            NO_SUCH_UPLOAD_CODE,
            404,
            1,
        ),
        own("a 408 that ends an idle connection", |n, stream| {
            unasked(n, stream, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
        })
        .calls_before(1)
        .gives(NO_SUCH_UPLOAD_CODE, 404, 1),
    ]
}

const NO_SUCH_UPLOAD_CODE: i32 = support::code::NO_SUCH_UPLOAD;
