//! Error bodies: whatever they hold, the status counts, and nothing of them hangs or fails the call.

use std::time::Duration;

use obs_local::{End, Fault};

use super::table::{Row, row};
use support::code::*;

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A 404 with this body: only a service code that can be read makes it more than REJECTED.
fn not_found(body: impl Into<Vec<u8>>) -> Fault {
    Fault::answer(404).body(body)
}

fn gone(name: &'static str, body: impl Into<Vec<u8>>) -> Row {
    row(name).fault(not_found(body)).gives(NO_SUCH_UPLOAD, 404, 1).service_code("NoSuchUpload")
}

fn rejected(name: &'static str, body: impl Into<Vec<u8>>) -> Row {
    row(name).fault(not_found(body)).gives(REJECTED, 404, 1).within_ms(1500)
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn bomb() -> String {
    let mut bomb = format!("{XML}<!DOCTYPE lolz [<!ENTITY lol \"NoSuchUpload\">");
    for n in 1..10 {
        let before = if n == 1 { "lol".to_owned() } else { format!("lol{}", n - 1) };
        bomb += &format!("<!ENTITY lol{n} \"{}\">", format!("&{before};").repeat(10));
    }
    bomb + "]><Error><Code>&lol9;</Code></Error>"
}

pub fn rows() -> Vec<Row> {
    let padding = " ".repeat(20_000);
    vec![
        gone("plain XML without a declaration", "<Error><Code>NoSuchUpload</Code></Error>"),
        gone("XML with a namespace", "<Error xmlns=\"http://obs.example.com/doc/\"><Code>NoSuchUpload</Code></Error>"),
        gone("XML with line breaks around the code", "<Error>\n  <Code>\n  NoSuchUpload </Code>\n</Error>"),
        gone("XML after a byte order mark", "\u{feff}<Error><Code>NoSuchUpload</Code></Error>"),
        gone("the code as CDATA", "<Error><Code><![CDATA[NoSuchUpload]]></Code></Error>"),
        gone("a raw 0x01 after the code", "<Error><Code>NoSuchUpload</Code><Key>a\u{1}b</Key></Error>"),
        gone("a raw 0x01 before the code", "<Error><Key>a\u{1}b</Key><Code>NoSuchUpload</Code></Error>"),
        gone("bytes that are not UTF-8 before the code", *b"<Error><Key>\xff\xfe</Key><Code>NoSuchUpload</Code></Error>"),
        gone("cut short after the code", "<Error><Code>NoSuchUpload</Code><Message>The upl"),
        gone("the end tag is another", "<Error><Code>NoSuchUpload</Code></Fault>"),
        gone("the first of two codes", "<Error><Code>NoSuchUpload</Code><Code>NoSuchBucket</Code></Error>"),
        gone(
            "a code inside something else does not count",
            "<Error><Resource><Code>NoSuchBucket</Code></Resource><Code>NoSuchUpload</Code></Error>",
        ),
        rejected("cut short in the code", "<Error><Code>NoSuchUp"),
        rejected("cut short after the code's text", "<Error><Code>NoSuchUpload"),
        rejected("an empty code", "<Error><Code></Code></Error>"),
        rejected("another root", "<Fault><Code>NoSuchUpload</Code></Fault>"),
        rejected("HTML", "<html><head><title>404</title></head><body><Code>NoSuchUpload</Code></body></html>"),
        rejected("JSON", "{\"Error\":{\"Code\":\"NoSuchUpload\"}}"),
        rejected("text", "NoSuchUpload"),
        rejected("NUL bytes", vec![0; 4096]),
        rejected("UTF-16", utf16("<Error><Code>NoSuchUpload</Code></Error>")),
        rejected("an entity bomb", bomb()),
        rejected("an entity of the document's own", "<!DOCTYPE x [<!ENTITY e \"NoSuchUpload\">]><Error><Code>&e;</Code></Error>"),
        rejected("an external entity", "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><Error><Code>&e;</Code></Error>"),
        rejected("nested without end", format!("<Error>{}", "<a>".repeat(5000))),
        rejected("the code behind more than 16 KB", format!("<Error>{padding}<Code>NoSuchUpload</Code></Error>")),
        gone("more than 16 KB behind the code", format!("<Error><Code>NoSuchUpload</Code>{padding}</Error>")),
        row("a message that would break lines")
            .fault(Fault::answer(403).body("<Error><Code>A\r\nB</Code><Message>one\ntwo\u{1b}[31m</Message></Error>"))
            .gives(ACCESS_DENIED, 403, 1)
            .says("\"one?two?[31m\""),
        row("a message of 10 KB is cut at 512 bytes")
            .fault(Fault::answer(403).body(format!("<Error><Message>{}</Message></Error>", "é".repeat(5000))))
            .gives(ACCESS_DENIED, 403, 1)
            .check(|scene| {
                let message = scene.outcome.message.as_ref().unwrap();
                assert_eq!(message.matches('é').count(), 256, "{message}");
            }),
        row("the secret key echoed is blotted out")
            .fault(Fault::answer(403).body(format!("<Error><Message>it is {}</Message></Error>", obs_local::SECRET_KEY)))
            .gives(ACCESS_DENIED, 403, 1)
            .says("it is [secret]"),
        row("a 1 GB error body")
            .fault(Fault::raw("HTTP/1.1 500 x\r\nContent-Length: 1073741824\r\n\r\n").repeat("x", 1 << 30).always())
            .max_attempts(3)
            .gives(SERVER, 500, 3)
            .within_ms(4000),
        row("a 1 GB body that begins with the code")
            .fault(
                Fault::raw("HTTP/1.1 404 x\r\nContent-Length: 1073741824\r\n\r\n<Error><Code>NoSuchUpload</Code><Message>")
                    .repeat("x", 1 << 30),
            )
            .gives(NO_SUCH_UPLOAD, 404, 1)
            .within_ms(4000),
        row("a body without end, chunked")
            .fault(Fault::raw("HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n").repeat("4\r\nbody\r\n", 1 << 28))
            .gives(ACCESS_DENIED, 403, 1)
            .within_ms(4000),
        row("a body without length, until the connection closes")
            .fault(not_found("<Error><Code>NoSuchUpload</Code></Error>").without("Content-Length").then(End::Close))
            .gives(NO_SUCH_UPLOAD, 404, 1),
        row("a body without length, and the connection stays open")
            .fault(Fault::answer(403).error("AccessDenied").without("Content-Length").then(End::Stall))
            .gives(ACCESS_DENIED, 403, 1)
            .at_least_ms(1900)
            .within_ms(3000),
        row("a body that stalls may take 2 s, then the status counts")
            .fault(Fault::answer(403).header("Content-Length", "500").body("<Error><Co").then(End::Stall))
            .gives(ACCESS_DENIED, 403, 1)
            .at_least_ms(1900)
            .within_ms(3000),
        row("a body that stalls may take 2 s, then the headers count")
            .fault(
                Fault::answer(404)
                    .header("x-obs-error-code", "NoSuchUpload")
                    .header("Content-Length", "500")
                    .then(End::Stall),
            )
            .gives(NO_SUCH_UPLOAD, 404, 1)
            .at_least_ms(1900)
            .within_ms(3000),
        row("a body that drips may take 2 s, then the status counts")
            .fault(
                Fault::raw(format!("HTTP/1.1 403 x\r\nContent-Length: 900\r\n\r\n{}", "x".repeat(900)))
                    .drip(44, Duration::from_millis(200)),
            )
            .gives(ACCESS_DENIED, 403, 1)
            .at_least_ms(1900)
            .within_ms(3000),
        row("a body that stalls with less budget than 2 s: the status counts when the budget is over")
            .fault(Fault::answer(403).header("Content-Length", "500").then(End::Stall))
            .timeout_ms(800)
            .gives(ACCESS_DENIED, 403, 1)
            .spends_its_budget(),
        row("a 503 whose body stalls for what is left of the budget is throttled, not out of time")
            .fault(Fault::answer(503).header("Content-Length", "500").then(End::Stall))
            .timeout_ms(800)
            .gives(THROTTLED, 503, 1)
            .spends_its_budget(),
        row("a 500 whose body stalls is retried on a new connection")
            .fault(Fault::answer(500).header("Content-Length", "500").then(End::Stall))
            .gives(OK, 204, 2)
            .connections(2),
        row("a 204 with a body that stalls is not waited for")
            .fault(Fault::real().header("Content-Length", "500").then(End::Stall))
            .gives(OK, 204, 1)
            .within_ms(1500),
    ]
}
