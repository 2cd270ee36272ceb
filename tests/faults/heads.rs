//! Heads and framing. Whatever an answer looked like, its left-overs are not the answer to the next call.

use std::net::TcpStream;
use std::time::Duration;

use obs_local::{End, Fault};

use super::table::{Row, own, row};
use support::code::*;
use support::peer::{answer_all, request, send};

const GONE: &str = super::table::GONE;
const MISSING: &str = super::table::NO_SUCH_UPLOAD;

/// The abort is carried out and answered with these bytes; the connection stays open.
fn says(bytes: impl Into<Vec<u8>>) -> Fault {
    Fault::raw(bytes).executed().then(End::KeepAlive)
}

/// Understood as the 204 that it is.
fn done(name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    row(name).fault(says(bytes)).gives(OK, 204, 1).next_call_is_told_the_truth()
}

/// No head of HTTP: tried again, and the upload is gone by the first attempt.
fn unparsable(name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    row(name).fault(says(bytes).then(End::Close)).gives(OK, 404, 2).next_call_is_told_the_truth()
}

/// The same for ever.
fn nothing_else(name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    row(name).fault(Fault::raw(bytes).always()).max_attempts(2).gives(PROTOCOL, 0, 2).within_ms(3000)
}

/// A refusal whose body is framed so.
fn refusal(name: &'static str, headers: &str, body: &str) -> Row {
    let bytes = format!("HTTP/1.1 404 x\r\nx-obs-error-code: NoSuchUpload\r\n{headers}\r\n{body}");
    row(name)
        .fault(Fault::raw(bytes).then(End::KeepAlive))
        .gives(NO_SUCH_UPLOAD, 404, 1)
        .next_call_is_told_the_truth()
}

/// The body of the first answer arrives when the next request does, if that comes on the same connection: another 204.
fn late_body(n: usize, mut stream: TcpStream, head: &str) {
    if n > 0 {
        return answer_all(&mut stream, MISSING);
    }
    request(&mut stream);
    send(&mut stream, head);
    answer_all(&mut stream, GONE);
}

fn late(name: &'static str, serve: fn(usize, TcpStream)) -> Row {
    own(name, serve).gives(OK, 204, 1).next_call_is_told_the_truth()
}

fn framing() -> Vec<Row> {
    let with_body = format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n", GONE.len());
    vec![
        done("204 with Content-Length: 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        done("204 with a body at once", format!("{with_body}{GONE}")),
        done("two 204 at once", format!("{GONE}{GONE}")),
        row("204 with a body after a while")
            .fault(says(format!("{with_body}{GONE}")).drip(with_body.len(), Duration::from_millis(100)))
            .gives(OK, 204, 1)
            .next_call_is_told_the_truth(),
        row("two 204, one after a while")
            .fault(says(format!("{GONE}{GONE}")).drip(GONE.len(), Duration::from_millis(100)))
            .gives(OK, 204, 1)
            .check(|scene| {
                std::thread::sleep(Duration::from_millis(200));
                let next = scene.client.outcome(None, "bucket", "k", "never-was");
                assert_eq!(next.code, support::code::NO_SUCH_UPLOAD, "{next:?}");
            }),
        late("204 with a body when the next request arrives", |n, stream| {
            late_body(n, stream, "HTTP/1.1 204 No Content\r\nContent-Length: 27\r\n\r\n");
        }),
        late("204 chunked, with chunks when the next request arrives", |n, stream| {
            late_body(n, stream, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n");
        }),
        late("204 with a body when the next request arrives, after 100 in the same piece", |n, stream| {
            late_body(
                n,
                stream,
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 27\r\n\r\n",
            );
        }),
        late("204 with a body when the next request arrives, after 103 in the same piece", |n, stream| {
            late_body(
                n,
                stream,
                "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 27\r\n\r\n",
            );
        }),
        late("204 with a body when the next request arrives, after an empty line", |n, stream| {
            late_body(n, stream, "\r\nHTTP/1.1 204 No Content\r\nContent-Length: 27\r\n\r\n");
        }),
        late("204 with a body when the next request arrives, split in its head", |n, mut stream| {
            if n == 0 {
                request(&mut stream);
                send(&mut stream, "HTTP/1.1 204 No Content\r\nContent-Le");
                std::thread::sleep(Duration::from_millis(50));
                send(&mut stream, "ngth: 27\r\n\r\n");
                return answer_all(&mut stream, GONE);
            }
            answer_all(&mut stream, MISSING);
        }),
        // Framing that can't be: no answer to rely on (RFC 9112, 6.3), so asked again.
        done("204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        done(
            "204 chunked with a chunk",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        ),
        done("204 with Connection: close", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
        unparsable(
            "204 with a Content-Length that is no number",
            "HTTP/1.1 204 No Content\r\nContent-Length: many\r\n\r\n",
        ),
        unparsable(
            "204 with a negative Content-Length",
            "HTTP/1.1 204 No Content\r\nContent-Length: -1\r\n\r\n",
        ),
        unparsable(
            "204 with two Content-Lengths",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        ),
        refusal("Content-Length larger than the body", "Content-Length: 50\r\n", "short")
            .at_least_ms(1900)
            .within_ms(3500),
        refusal("Content-Length smaller than what comes", "Content-Length: 2\r\n", &format!("ab{GONE}")),
        refusal("Content-Length: 0 and a body", "Content-Length: 0\r\n", GONE),
        refusal("Content-Length twice, the same", "Content-Length: 5\r\nContent-Length: 5\r\n", "12345"),
        refusal("chunked", "Transfer-Encoding: chunked\r\n", "4;x=y\r\nbody\r\n0\r\nTrailer: x\r\n\r\n"),
        refusal("chunked, and a left-over", "Transfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{GONE}")),
        refusal("chunks of garbage", "Transfer-Encoding: chunked\r\n", "this is no chunk\r\n\r\n"),
        refusal("a chunk with a negative size", "Transfer-Encoding: chunked\r\n", "-4\r\nbody\r\n0\r\n\r\n"),
        refusal(
            "a chunk larger than any number",
            "Transfer-Encoding: chunked\r\n",
            "FFFFFFFFFFFFFFFFFF\r\nbody\r\n0\r\n\r\n",
        ),
        refusal("a chunk longer than its size", "Transfer-Encoding: chunked\r\n", "2\r\nbody\r\n0\r\n\r\n"),
        refusal(
            "chunked and Content-Length",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            &format!("0\r\n\r\n{GONE}"),
        ),
        row("Content-Length: -1 on a refusal")
            .fault(Fault::answer(403).header("Content-Length", "-1").then(End::Close).always())
            .max_attempts(2)
            .gives(PROTOCOL, 0, 2),
        row("Content-Length twice, and different, on a refusal")
            .fault(
                Fault::raw("HTTP/1.1 403 x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n12345").always(),
            )
            .max_attempts(2)
            .gives(PROTOCOL, 0, 2),
        row("chunks that are cut short")
            .fault(Fault::raw("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\ncut"))
            .gives(OK, 204, 2)
            .connections(2),
    ]
}

fn heads() -> Vec<Row> {
    let head = |lines: &str| format!("HTTP/1.1 204 No Content\r\n{lines}\r\n");
    vec![
        done("100 before the answer", format!("HTTP/1.1 100 Continue\r\n\r\n{GONE}")),
        done("103 before the answer", format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{GONE}")),
        done(
            "102, 100 and 103 before the answer",
            format!("HTTP/1.1 102 P\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\n\r\n{GONE}"),
        ),
        row("100 without end")
            .fault(Fault::raw("").repeat("HTTP/1.1 100 Continue\r\n\r\n", 1 << 40).always())
            .max_attempts(2)
            .gives(PROTOCOL, 0, 2)
            .within_ms(3000),
        row("100 and nothing else")
            .fault(Fault::raw("HTTP/1.1 100 Continue\r\n\r\n").always())
            .max_attempts(2)
            .gives(IO, 0, 2),
        done("HTTP/1.0", "HTTP/1.0 204 No Content\r\n\r\n"),
        done("HTTP/1.0 with keep-alive", "HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n"),
        row("an HTTP/1.0 connection is not used again")
            .fault(says("HTTP/1.0 204 No Content\r\n\r\n"))
            .calls_before(1)
            .gives(OK, 204, 1)
            .connections(2),
        row("an HTTP/1.0 connection with keep-alive is")
            .fault(says("HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n"))
            .calls_before(1)
            .gives(OK, 204, 1)
            .connections(1),
        row("an HTTP/1.0 refusal, its body ended by the close")
            .fault(Fault::raw("HTTP/1.0 404 x\r\n\r\n<Error><Code>NoSuchUpload</Code></Error>"))
            .gives(NO_SUCH_UPLOAD, 404, 1),
        done("lines that end in LF alone", "HTTP/1.1 204 No Content\nDate: x\n\n"),
        done("no reason", "HTTP/1.1 204\r\n\r\n"),
        done("a reason in Latin-1", *b"HTTP/1.1 204 Pas de donn\xe9es\r\n\r\n"),
        done("an empty line before the head", format!("\r\n{GONE}")),
        row("a head that comes byte by byte")
            .fault(Fault::real().drip(1, Duration::from_millis(2)))
            .gives(OK, 204, 1)
            .next_call_is_told_the_truth(),
        done("a header of 10 KB", head(&format!("X: {}\r\n", "x".repeat(10_000)))),
        done("100 headers", head(&"X: y\r\n".repeat(100))),
        done(
            "bytes above 127 in a value",
            [head("X: ").trim_end().as_bytes(), b" \xff\x80\r\n\r\n"].concat(),
        ),
        unparsable("300 headers", head(&"X: y\r\n".repeat(300))),
        unparsable("a header of 100 KB", head(&format!("X: {}\r\n", "x".repeat(100_000)))),
        unparsable("NUL in a value", head("X: a\0b\r\n")),
        unparsable("CR in a value", head("X: a\rb\r\n")),
        unparsable("0x01 in a value", head("X: a\u{1}b\r\n")),
        unparsable("NUL in a name", head("X\0Y: a\r\n")),
        unparsable("a header without a colon", head("garbage\r\n")),
        unparsable("a space before the colon", head("Content-Length : 27\r\n")),
        unparsable("a folded header", head("X: a\r\n b\r\n")),
        unparsable("two spaces before the status", "HTTP/1.1  204 No Content\r\n\r\n"),
        unparsable("a header without a name", head(": x\r\n")),
        unparsable("a status of two digits", "HTTP/1.1 20 x\r\n\r\n"),
        unparsable("a status of four digits", "HTTP/1.1 2040 x\r\n\r\n"),
        unparsable("a status below 100", "HTTP/1.1 099 x\r\n\r\n"),
        unparsable("a signed status", "HTTP/1.1 +204 x\r\n\r\n"),
        unparsable("HTTP/2.0 in a status line", "HTTP/2.0 204 No Content\r\n\r\n"),
        unparsable("http in lower case", "http/1.1 204 No Content\r\n\r\n"),
        unparsable("ICY", "ICY 204 OK\r\n\r\n"),
        nothing_else("HTTP/0.9", "<html><body>Hello</body></html>"),
        nothing_else("the settings of HTTP/2", *b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
        nothing_else("SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
        nothing_else("SMTP", "220 mail.example.com ESMTP\r\n"),
        nothing_else("a TLS alert", *b"\x15\x03\x03\0\x02\x02\x46"),
        nothing_else("zeros", vec![0; 100_000]),
        row("headers without end")
            .fault(Fault::raw("HTTP/1.1 204 No Content\r\n").repeat("X: y\r\n", 1 << 40).always())
            .max_attempts(2)
            .gives(PROTOCOL, 0, 2)
            .within_ms(3000),
        row("a header without end")
            .fault(Fault::raw("HTTP/1.1 204 No Content\r\nX: ").repeat("x", 1 << 40).always())
            .max_attempts(2)
            .gives(PROTOCOL, 0, 2)
            .within_ms(3000),
        row("a reason without end")
            .fault(Fault::raw("HTTP/1.1 204 ").repeat("x", 1 << 40).always())
            .max_attempts(2)
            .gives(PROTOCOL, 0, 2)
            .within_ms(3000),
    ]
}

pub fn rows() -> Vec<Row> {
    let mut rows = framing();
    rows.extend(heads());
    rows
}
