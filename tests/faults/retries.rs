//! How often, how long after, and with what.

use obs_local::{End, Fault};

use super::table::{Row, row};
use support::code::*;

/// Throttled once with this Retry-After, then served.
fn retry_after(name: &'static str, value: &str) -> Row {
    row(name).fault(Fault::answer(503).header("Retry-After", value)).gives(OK, 204, 2)
}

pub fn rows() -> Vec<Row> {
    let server_now = "Wed, 01 Jul 2015 05:28:27 GMT";
    let throttled_then = |name, at: &str| {
        row(name)
            .fault(Fault::answer(429).header("Date", server_now).header("Retry-After", at))
            .gives(OK, 204, 2)
    };
    vec![
        row("max_attempts 1: a 500 is the answer")
            .fault(Fault::answer(500))
            .max_attempts(1)
            .gives(SERVER, 500, 1),
        row("max_attempts 1: a 409 OperationAborted is the answer")
            .fault(Fault::answer(409).error("OperationAborted"))
            .max_attempts(1)
            .gives(REJECTED, 409, 1),
        row("Retry-After on a 409 OperationAborted")
            .fault(Fault::answer(409).error("OperationAborted").header("Retry-After", "1"))
            .gives(OK, 204, 2)
            .at_least_ms(1000),
        row("max_attempts 1: a 503 is the answer")
            .fault(Fault::answer(503))
            .max_attempts(1)
            .gives(THROTTLED, 503, 1),
        row("max_attempts 1: a 408 is the answer")
            .fault(Fault::answer(408))
            .max_attempts(1)
            .gives(REJECTED, 408, 1),
        row("max_attempts 1: a lost answer is not asked for again")
            .fault(Fault::silence())
            .max_attempts(1)
            .gives(IO, 0, 1),
        row("max_attempts 1: garbage is the answer")
            .fault(Fault::raw("x\r\n\r\n"))
            .max_attempts(1)
            .gives(PROTOCOL, 0, 1),
        row("max_attempts 2: two failures")
            .fault(Fault::answer(500).times(2))
            .max_attempts(2)
            .gives(SERVER, 500, 2),
        row("max_attempts 8: seven failures")
            .fault(Fault::answer(500).times(7))
            .max_attempts(8)
            .gives(OK, 204, 8)
            .timeout_ms(60_000),
        row("the last attempt decides: 500, 503, nothing, 502")
            .fault(Fault::answer(500))
            .fault(Fault::answer(503).header("Connection", "close").then(End::Close))
            .fault(Fault::silence())
            .fault(Fault::answer(502))
            .gives(SERVER, 502, 4),
        row("the last attempt decides: 500, then silence")
            .fault(Fault::answer(500).header("Connection", "close").then(End::Close).times(3))
            .fault(Fault::silence())
            .gives(IO, 0, 4),
        row("500 three times, then silence on the connection that the third one left: a free attempt")
            .fault(Fault::answer(500).times(3))
            .fault(Fault::silence())
            .gives(OK, 204, 5),
        row("a refusal ends the retries").fault(Fault::answer(500)).fault(Fault::answer(403)).gives(
            ACCESS_DENIED,
            403,
            2,
        ),
        row("each attempt is dated and signed anew")
            .fault(Fault::answer(503).header("Retry-After", "2"))
            .gives(OK, 204, 2)
            .at_least_ms(2000)
            .check(|scene| {
                let journal = scene.server().journal();
                for name in ["Date", "Authorization"] {
                    assert!(journal[0].header(name).is_some());
                    assert_ne!(journal[0].header(name), journal[1].header(name), "{name}");
                }
            }),
        retry_after("Retry-After in seconds", "1").at_least_ms(1000).within_ms(4000),
        retry_after("Retry-After: 0", "0").within_ms(1500),
        row("Retry-After on a 500")
            .fault(Fault::answer(500).header("Retry-After", "1"))
            .gives(OK, 204, 2)
            .at_least_ms(1000),
        throttled_then("Retry-After as a date, by the server's own clock", "Wed, 01 Jul 2015 05:28:29 GMT")
            .at_least_ms(2000)
            .within_ms(5000),
        throttled_then("Retry-After as a date gone by", "Wed, 01 Jul 2015 05:00:00 GMT").within_ms(1500),
        retry_after("Retry-After: -5 is none", "-5").within_ms(1500),
        retry_after("Retry-After: 1.5 is none", "1.5").within_ms(1500),
        retry_after("Retry-After: soon is none", "soon").within_ms(1500),
        retry_after("an empty Retry-After is none", "").within_ms(1500),
        row("Retry-After beyond the budget ends the call at once")
            .fault(Fault::answer(503).header("Retry-After", "60").always())
            .timeout_ms(10_000)
            .gives(THROTTLED, 503, 1)
            .within_ms(1500),
        row("Retry-After beyond the budget on a 500 leaves it SERVER")
            .fault(Fault::answer(500).header("Retry-After", "60").always())
            .timeout_ms(10_000)
            .gives(SERVER, 500, 1)
            .within_ms(1500),
        row("Retry-After that no clock holds")
            .fault(Fault::answer(429).header("Retry-After", "99999999999999999999999999").always())
            .gives(THROTTLED, 429, 1)
            .within_ms(1500),
        row("Retry-After as a date beyond the budget")
            .fault(
                Fault::answer(503)
                    .header("Date", server_now)
                    .header("Retry-After", "Wed, 01 Jul 2065 05:28:29 GMT"),
            )
            .gives(THROTTLED, 503, 1)
            .within_ms(1500),
        row("Retry-After on a 403 is nothing to us")
            .fault(Fault::answer(403).header("Retry-After", "1"))
            .gives(ACCESS_DENIED, 403, 1),
        row("attempts end with the budget, and with the code of the last one")
            .fault(Fault::answer(503).header("Retry-After", "1").always())
            .max_attempts(1000)
            .timeout_ms(1700)
            .gives(THROTTLED, 503, 2)
            .says("no time left to wait 1000 ms")
            .at_least_ms(1000)
            .within_ms(1650),
        row("Connection: close on a 503: the next attempt opens another")
            .fault(Fault::answer(503).header("Connection", "close").then(End::Close))
            .gives(OK, 204, 2)
            .connections(2),
    ]
}
