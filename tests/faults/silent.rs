//! Peers that fall silent without closing: the response timeout ends the attempt, and another connection serves.

use std::net::TcpStream;
use std::time::Duration;

use obs_local::{End, Fault, Server};

use super::identity::Identity;
use super::table::{GONE, Row, own, row};
use support::Config;
use support::code::*;
use support::peer::{answer_all, request, send, until_closed};

const TIMEOUT_MS: u32 = 400;

fn impatient(config: Config, _: Option<&Server>) -> Config {
    config.response_timeout_ms(TIMEOUT_MS)
}

fn impatient_and_confirming(config: Config, server: Option<&Server>) -> Config {
    impatient(config, server).confirm()
}

/// No byte, and no end.
fn silent() -> Fault {
    Fault::silence().then(End::Stall)
}

/// Serves the first connection so, and every other one well.
fn first(n: usize, mut stream: TcpStream, serve: fn(&mut TcpStream)) {
    if n > 0 {
        return answer_all(&mut stream, GONE);
    }
    request(&mut stream);
    serve(&mut stream);
}

/// Sends this again and again, as long as the client is there.
fn repeat(stream: &mut TcpStream, bytes: &str, pause: Duration) {
    use std::io::Write as _;
    while stream.write_all(bytes.as_bytes()).is_ok() {
        std::thread::sleep(pause);
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        row("a kept connection whose peer went silent")
            .config(impatient)
            .fault(silent().reused_connection())
            .calls_before(1)
            .gives(OK, 204, 2)
            .connections(2)
            .at_least_ms(u64::from(TIMEOUT_MS)),
        row("a kept connection whose peer went silent, with TLS")
            .config(impatient)
            .tls(Identity::good)
            .fault(silent().reused_connection())
            .calls_before(1)
            .gives(OK, 204, 2),
        row("a silent kept connection is no free attempt: nothing says that it died")
            .config(impatient)
            .fault(silent().reused_connection())
            .calls_before(1)
            .max_attempts(1)
            .gives(TIMEOUT, 0, 1)
            .says("response timeout of 400 ms"),
        row("one silent backend behind an address")
            .config(impatient)
            .fault(silent())
            .gives(OK, 204, 2)
            .connections(2),
        row("three silent backends, and four attempts")
            .config(impatient)
            .fault(silent().times(3))
            .gives(OK, 204, 4)
            .connections(4),
        row("silent for ever: TIMEOUT, and the setting that ended it")
            .config(impatient)
            .fault(silent().always())
            .max_attempts(3)
            .gives(TIMEOUT, 0, 3)
            .says("obs_abort_config_set_response_timeout_ms")
            .at_least_ms(u64::from(3 * TIMEOUT_MS)),
        row("silent for ever: the message says which attempt")
            .config(impatient)
            .fault(silent().always())
            .max_attempts(2)
            .gives(TIMEOUT, 0, 2)
            .says("attempt 2 of 2"),
        row("a budget that ends before the response timeout")
            .config(impatient)
            .fault(silent())
            .timeout_ms(TIMEOUT_MS / 2)
            .gives(TIMEOUT, 0, 1)
            .says("time budget")
            .spends_its_budget(),
        row("a budget that ends in the second silent attempt tells of the first")
            .config(impatient)
            .fault(silent().times(2))
            .timeout_ms(TIMEOUT_MS * 3 / 2)
            .gives(TIMEOUT, 0, 2)
            .says("response timeout")
            .within_ms(1500),
        row("a failure before a silent last attempt does not give its code")
            .config(impatient)
            .fault(Fault::answer(500))
            .fault(silent())
            .max_attempts(2)
            .gives(TIMEOUT, 0, 2),
        row("a silent attempt before a failure does not give its code")
            .config(impatient)
            .fault(silent())
            .fault(Fault::answer(403).error("AccessDenied"))
            .gives(ACCESS_DENIED, 403, 2),
        row("a slow response within the timeout is waited for")
            .config(|config, _| config.response_timeout_ms(5000))
            .fault(Fault::real().delay(Duration::from_millis(700)))
            .gives(OK, 204, 1),
        row("carried out in silence, and gone at the next attempt")
            .config(impatient)
            .fault(Fault::real().cut(0).then(End::Stall))
            .gives(OK, 404, 2),
        row("gone before a silent attempt: it may have been that attempt")
            .config(impatient)
            .no_upload()
            .fault(silent())
            .gives(OK, 404, 2),
        row("a head that stops half-way")
            .config(impatient)
            .fault(Fault::real().cut(20).then(End::Stall))
            .gives(OK, 404, 2),
        row("half a TLS record")
            .config(impatient)
            .tls(Identity::good)
            .fault(Fault::real().cut(20).then(End::Stall))
            .gives(OK, 404, 2),
        row("a head that drips: the timeout is for the whole head")
            .config(impatient)
            .fault(Fault::real().drip(1, Duration::from_millis(50)))
            .gives(OK, 404, 2)
            .within_ms(4000),
        own("interim responses without end", |n, stream| {
            first(n, stream, |stream| {
                repeat(stream, "HTTP/1.1 102 Processing\r\n\r\n", Duration::from_millis(50));
            });
        })
        .config(impatient)
        .gives(OK, 204, 2)
        .within_ms(4000),
        own("an interim response, then silence", |n, stream| {
            first(n, stream, |stream| {
                send(stream, "HTTP/1.1 100 Continue\r\n\r\n");
                until_closed(stream);
            });
        })
        .config(impatient)
        .gives(OK, 204, 2),
        own(
            "the body of an error that is later than the response timeout is read all the same",
            |_, mut stream| {
                request(&mut stream);
                let body = "<Error><Code>AccessDenied</Code></Error>";
                send(
                    &mut stream,
                    format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n", body.len()),
                );
                std::thread::sleep(Duration::from_millis(u64::from(2 * TIMEOUT_MS)));
                send(&mut stream, body);
                until_closed(&mut stream);
            },
        )
        .config(impatient)
        .gives(ACCESS_DENIED, 403, 1)
        .service_code("AccessDenied"),
        row("confirmation: the list of parts is silent, then there")
            .config(impatient_and_confirming)
            .fault(silent().method("GET"))
            .gives(OK, 204, 1),
        row("confirmation: the list of parts is silent for ever")
            .config(impatient_and_confirming)
            .fault(silent().method("GET").always())
            .max_attempts(2)
            .gives(TIMEOUT, 204, 1)
            .says("aborted, not confirmed"),
        row("confirmation: silent parts do not use up the aborts")
            .config(impatient_and_confirming)
            .fault(Fault::answer(204).method("DELETE"))
            .fault(silent().method("GET"))
            .max_attempts(2)
            .gives(OK, 204, 2),
        row("a redirect, then silence, then well")
            .config(impatient)
            .redirect(307, "http://{here}{target}")
            .fault(silent())
            .gives(OK, 204, 3),
    ]
}
