//! Connections that are cut, reset, half-closed or silent, at every stage.

use std::net::{Shutdown, TcpStream};

use obs_local::{End, Fault};
use std::time::Duration;

use super::table::{GONE, Row, own, row};
use support::code::*;
use support::peer::{send, until_closed};

/// For ever, with two attempts: IO.
fn breaks(name: &'static str, fault: Fault) -> Row {
    row(name).fault(fault.always()).max_attempts(2).gives(IO, 0, 2).within_ms(3000)
}

/// For ever: nothing but the budget ends it.
fn stalls(name: &'static str, fault: Fault) -> Row {
    row(name).fault(fault.then(End::Stall)).timeout_ms(800).gives(TIMEOUT, 0, 1).spends_its_budget()
}

pub fn rows() -> Vec<Row> {
    vec![
        breaks("closed without a byte", Fault::silence()),
        breaks("closed after one byte", Fault::raw("H")),
        breaks("closed in the status line", Fault::raw("HTTP/1.1 2")),
        breaks("closed after the status line", Fault::raw("HTTP/1.1 204 No Content\r\n")),
        breaks("closed in a header", Fault::raw("HTTP/1.1 204 No Content\r\nDate: We")),
        breaks(
            "closed before the empty line",
            Fault::raw("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n"),
        ),
        breaks("closed in the empty line", Fault::raw("HTTP/1.1 204 No Content\r\n\r")),
        breaks(
            "a redirect without the empty line",
            Fault::raw("HTTP/1.1 307 x\r\nLocation: http://127.0.0.1/\r\n"),
        ),
        breaks("reset without a byte", Fault::silence().then(End::Reset)),
        breaks("half-closed without a byte", Fault::silence().then(End::HalfClose)),
        breaks("half-closed in the head", Fault::raw("HTTP/1.1 204 No").then(End::HalfClose)),
        row("closed before any request is read, once")
            .fault(Fault::silence().at_accept())
            .not_journaled()
            .gives_whatever_the_attempts(OK, 204),
        row("reset before any request is read, once")
            .fault(Fault::silence().at_accept().then(End::Reset))
            .not_journaled()
            .gives_whatever_the_attempts(OK, 204),
        row("closed without a byte, once").fault(Fault::silence()).gives(OK, 204, 2).connections(2),
        row("reset without a byte, once")
            .fault(Fault::silence().then(End::Reset))
            .gives(OK, 204, 2)
            .connections(2),
        row("closed after 204").fault(Fault::real().then(End::Close)).gives(OK, 204, 1),
        row("half-closed after 204").fault(Fault::real().then(End::HalfClose)).gives(OK, 204, 1),
        row("reset after 204, a little later")
            .fault(
                Fault::raw(GONE)
                    .executed()
                    .repeat("", 2)
                    .drip(27, Duration::from_millis(50))
                    .then(End::Reset),
            )
            .gives(OK, 204, 1),
        row("silent after 204").fault(Fault::real().then(End::Stall)).gives(OK, 204, 1).within_ms(1500),
        row("closed in the body of a 403")
            .fault(Fault::answer(403).header("Content-Length", "500").body("<Err").then(End::Close))
            .gives(ACCESS_DENIED, 403, 1),
        row("reset in the body of a 403")
            .fault(Fault::answer(403).header("Content-Length", "500").body("<Err").then(End::Reset))
            .gives_whatever_the_attempts(ACCESS_DENIED, 403),
        row("closed in the body of a 500: retried")
            .fault(Fault::answer(500).header("Content-Length", "500").body("<Err").then(End::Close))
            .gives(OK, 204, 2)
            .connections(2),
        row("half-closed in the body of a 404 that names its code in a header")
            .fault(
                Fault::answer(404)
                    .header("x-obs-error-code", "NoSuchUpload")
                    .header("Content-Length", "500")
                    .then(End::HalfClose),
            )
            .gives(NO_SUCH_UPLOAD, 404, 1)
            .within_ms(1500),
        own("the answer comes before the request is read", |_, mut stream| {
            send(&mut stream, GONE);
            let _ = stream.shutdown(Shutdown::Write);
            until_closed(&mut stream);
        })
        .gives(OK, 204, 1),
        own("nothing is ever read or said", |_, stream: TcpStream| {
            std::thread::sleep(Duration::from_millis(1500));
            drop(stream);
        })
        .timeout_ms(800)
        .gives(TIMEOUT, 0, 1)
        .spends_its_budget(),
        row("two connections break, the third answers")
            .fault(Fault::silence().times(2))
            .gives(OK, 204, 3)
            .connections(3),
        stalls("silent after the request", Fault::silence()),
        stalls("silent after one byte", Fault::raw("H")),
        stalls("silent in the head", Fault::raw("HTTP/1.1 204 No Content\r\nDate: Wed")),
        stalls(
            "silent before the empty line",
            Fault::raw("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n"),
        ),
        stalls("silent after 100", Fault::raw("HTTP/1.1 100 Continue\r\n\r\n")),
        row("silent once, carried out: the budget ends the call, and it is not success")
            .fault(Fault::silence().executed().then(End::Stall))
            .timeout_ms(800)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
        row("an answer that comes late is an answer")
            .fault(Fault::real().delay(Duration::from_millis(1500)))
            .gives(OK, 204, 1)
            .at_least_ms(1500),
        row("an answer that comes after the budget")
            .fault(Fault::real().delay(Duration::from_millis(1500)))
            .timeout_ms(800)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
    ]
}
