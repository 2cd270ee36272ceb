//! One request and its response over one connection: HTTP/1.1 (RFC 9112), read by httparse.
//!
//! Every response takes the same way: the head is parsed as a whole, its framing is decided once, by
//! [`Framing::from_headers`], and the body is read by that. A response whose framing can be read in two ways is still
//! read, but its connection does not serve again: bytes left over from it could be taken for the response to the next
//! abort, a false "gone".
//!
//! Why not ureq-proto, ureq's own sans-IO crate: building, writing and reading one abort with it takes 14.5 thousand
//! instructions (callgrind, 0.7.1). With that, an abort took 0.21 of what libcurl needs over HTTP and 0.24 over TLS,
//! beyond the goals of 0.20 and 0.22.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::{Header, ParserConfig, Status};

use crate::base::deadline::Deadline;
use crate::base::error::{Code, Error};

use super::error::TransportError;
use super::stream::Stream;

/// The largest response head, interim responses included. A larger one is no response of an object storage service.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The head of a 204 fits into the first read, with room to spare.
const FIRST_READ: usize = 2048;
/// The most header fields of one response, as in ureq.
const MAX_FIELDS: usize = 128;

/// The header fields of a response, in the bytes in which they arrived.
#[derive(Debug, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Headers {
    /// The value of the first field of this name. Names are compared without case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The values of all fields of this name, in order.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let is_it =
            move |field: &Range<usize>| self.bytes[field.clone()].eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(move |(field, _)| is_it(field)).map(|(_, value)| &self.bytes[value.clone()])
    }

    /// Makes headers from names and values.
    pub fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            let start = headers.bytes.len();
            headers.bytes.extend_from_slice(name.as_bytes());
            let end_of_name = headers.bytes.len();
            headers.bytes.extend_from_slice(value);
            headers.fields.push((start..end_of_name, end_of_name..headers.bytes.len()));
        }
        headers
    }

    /// Returns whether a field of this name lists this token (RFC 9110, 5.6.1).
    fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|b| *b == b','))
            .any(|element| element.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// A response whose head has arrived.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status code, 101 or 200 to 999.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    pub(super) framing: Framing,
    /// Whether the framing is unambiguous and the server keeps the connection open.
    pub(super) reusable: bool,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    /// Decides by RFC 9112, 6.3, and returns whether the decision is unambiguous.
    fn from_headers(status: u16, http_1_1: bool, headers: &Headers) -> Result<(Framing, bool), Error> {
        let mut lengths = headers.all("content-length").flat_map(|value| value.split(|b| *b == b','));
        let length = lengths.next().map(content_length).transpose()?;
        let mut repeated = false;
        for other in lengths {
            repeated = true;
            if content_length(other).ok() != length {
                return Err(not_http("it has two Content-Lengths"));
            }
        }
        let mut codings = headers.all("transfer-encoding");
        let coding = codings.next();
        if status == 101 || status == 204 || status == 304 {
            let none_announced = coding.is_none() && length.unwrap_or(0) == 0 && !repeated;
            return Ok((Framing::Empty, none_announced && status != 101));
        }
        if http_1_1 && headers.lists("transfer-encoding", "chunked") {
            let chunked_alone = coding.is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
            return Ok((Framing::Chunked, chunked_alone && codings.next().is_none() && length.is_none()));
        }
        Ok(match length {
            Some(length) => (Framing::Length(length), coding.is_none() && !repeated),
            None => (Framing::UntilClose, false),
        })
    }
}

fn content_length(value: &[u8]) -> Result<u64, Error> {
    let digits = value.trim_ascii();
    let number = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    number
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| not_http("its Content-Length is not a number of bytes"))
}

pub(super) fn not_http(why: impl std::fmt::Display) -> Error {
    Error::new(Code::Protocol, format!("the response is not valid HTTP: {why}"))
}

pub(super) fn cut_short() -> Error {
    Error::new(Code::Io, "the server closed the connection in the middle of its response")
}

/// Reads the head of the final response, and returns it with the bytes that have arrived behind it. An error says
/// whether a byte had arrived.
pub fn read_head(
    stream: &mut Stream,
    deadline: &Deadline,
) -> Result<(ResponseHead, Vec<u8>), (TransportError, bool)> {
    let mut bytes = Vec::with_capacity(FIRST_READ);
    let mut received = 0;
    let mut interim = false;
    loop {
        let begun = received > 0;
        match fill(stream, &mut bytes, deadline) {
            Ok(0) if begun => return Err((cut_short().into(), true)),
            Ok(0) => {
                let error = Error::new(Code::Io, "the server closed the connection without a response");
                return Err((error.into(), false));
            }
            Ok(n) => received += n,
            Err(error) => return Err((error, begun)),
        }
        loop {
            match parse(&mut bytes).map_err(|error| (error.into(), true))? {
                Parsed::Partial => break,
                Parsed::Interim => interim = true,
                Parsed::Final(mut head, rest) => {
                    // No request asks for an interim response, and bytes behind one may belong to it.
                    head.reusable &= !interim;
                    return Ok((head, rest));
                }
            }
        }
        if received >= MAX_HEAD {
            let error = Error::new(
                Code::Protocol,
                format!("the head of the response is larger than {MAX_HEAD} bytes"),
            );
            return Err((error.into(), true));
        }
    }
}

/// Reads once, and appends. Returns 0 at the end of the stream.
pub(super) fn fill(
    stream: &mut Stream,
    bytes: &mut Vec<u8>,
    deadline: &Deadline,
) -> Result<usize, TransportError> {
    let before = bytes.len();
    bytes.resize((before + FIRST_READ).min(MAX_HEAD), 0);
    let read = stream.read(&mut bytes[before..], deadline);
    bytes.truncate(before + *read.as_ref().unwrap_or(&0));
    read
}

enum Parsed {
    Partial,
    /// A 1xx, which has been removed from the bytes.
    Interim,
    /// The response, and the bytes that follow its head.
    Final(ResponseHead, Vec<u8>),
}

fn parse(bytes: &mut Vec<u8>) -> Result<Parsed, Error> {
    let mut fields: [MaybeUninit<Header<'_>>; MAX_FIELDS] = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut fields);
    let parsed = parsed.map_err(|error| match bytes.as_slice() {
        // The record of an alert (RFC 8446, 5.1), with which a TLS server refuses what is not TLS.
        [0x15, 3, ..] => Error::new(Code::Protocol, "the server speaks TLS: give an https endpoint"),
        _ => not_http(error),
    })?;
    let Status::Complete(length) = parsed else { return Ok(Parsed::Partial) };
    let status = response.code.unwrap_or(0);
    let http_1_1 = response.version == Some(1);
    if status < 100 {
        return Err(not_http("its status is below 100"));
    }
    // The parser's slices as ranges of the bytes.
    let start = bytes.as_ptr() as usize;
    let within = |part: &[u8]| {
        let at = part.as_ptr() as usize - start;
        at..at + part.len()
    };
    let fields: Vec<_> =
        response.headers.iter().map(|field| (within(field.name.as_bytes()), within(field.value))).collect();
    if (100..200).contains(&status) && status != 101 {
        if status == 100 && !fields.is_empty() {
            return Err(not_http("its 100 has headers"));
        }
        bytes.drain(..length);
        return Ok(Parsed::Interim);
    }
    // An empty line before the head is left over from something else.
    let at_once = bytes.starts_with(b"HTTP/");
    let rest = bytes.split_off(length);
    let headers = Headers { bytes: std::mem::take(bytes), fields };
    let (framing, unambiguous) = Framing::from_headers(status, http_1_1, &headers)?;
    let stays_open =
        !headers.lists("connection", "close") && (http_1_1 || headers.lists("connection", "keep-alive"));
    Ok(Parsed::Final(
        ResponseHead { status, headers, framing, reusable: at_once && unambiguous && stays_open },
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::deadline::CancelFlag;
    use crate::http::body::Body;
    use crate::http::pool::tests::pair;
    use std::io::{Read as _, Write as _};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    /// A response as it was read: status and body, and whether the connection can serve again.
    #[derive(Debug, PartialEq, Eq)]
    struct Verdict {
        status: u16,
        body: Vec<u8>,
        kept: bool,
    }

    /// Reads a response that arrives in these pieces, before the server closes.
    fn read(pieces: &[&[u8]]) -> Result<Verdict, String> {
        let (mut connection, mut end) = pair();
        let sender = {
            let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
            move || {
                for (n, piece) in pieces.iter().enumerate() {
                    if n > 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    end.write_all(piece).expect("sent");
                }
                end.shutdown(Shutdown::Write).expect("an end");
                end
            }
        };
        let sender: Box<dyn FnOnce() -> UnixStream + Send> = Box::new(sender);
        let end = if pieces.len() > 1 { Err(std::thread::spawn(sender)) } else { Ok(sender()) };
        let deadline = Deadline::new(Instant::now() + Duration::from_secs(5), CancelFlag::default(), None);
        let outcome = read_head(&mut connection.stream, &deadline).map_err(|(error, _)| format!("{error:?}"));
        let outcome = outcome.map(|(head, arrived)| {
            let timeout = Duration::from_secs(10);
            let mut body = Body::new(&mut connection.stream, deadline, timeout, &head, arrived);
            let mut bytes = Vec::new();
            let _ = (&mut body).take(16 * 1024).read_to_end(&mut bytes);
            Verdict { status: head.status, kept: body.connection_is_reusable(), body: bytes }
        });
        drop(end.map_err(std::thread::JoinHandle::join));
        outcome
    }

    /// What was made of 20 000 mangled responses by ureq 3.5.2, and for a plain 204 by a parser beside it, was
    /// recorded before both went. The verdict is the same, or stricter: an error, or a connection that is not kept.
    #[test]
    fn mangled_responses() {
        let recorded = include_str!("../../tests/vectors/mangled-responses.txt");
        let (mut same, mut stricter) = (0, 0);
        let mut rows = recorded.split([',', '\n']).filter(|row| !row.is_empty());
        for bytes in mangled() {
            let row = rows.next().expect("a verdict for each");
            let shown = String::from_utf8_lossy(&bytes);
            let now = read(&[&bytes]).ok();
            let Some(now) = now else {
                if row == "e" {
                    same += 1;
                } else {
                    stricter += 1;
                }
                continue;
            };
            let verdict = format!("{} {} {}", now.status, now.body.len(), if now.kept { 'k' } else { 'c' });
            if verdict == row {
                same += 1;
                continue;
            }
            stricter += 1;
            let (status, kept) = (row.split(' ').next(), row.ends_with('k'));
            assert!(row != "e", "{shown:?}: {verdict} now, and an error then");
            assert_eq!(status, Some(now.status.to_string().as_str()), "{shown:?}: {row} then, {verdict} now");
            assert!(!now.kept || kept, "{shown:?}: kept now, and closed then: {row}");
        }
        assert!(rows.next().is_none() && same + stricter == 20_000);
        assert!(same > 19_000, "{same} as before, {stricter} stricter");
    }

    fn mangled() -> impl Iterator<Item = Vec<u8>> {
        const HEADS: [&str; 16] = [
            "HTTP/1.1 204 No Content\r\nServer: OBS\r\nx-obs-request-id: 8DF4\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.1 204\nDate: x\n\n",
            "\r\nHTTP/1.1 204 x\r\nX: a\r\nX: b\r\nX:\r\n\r\n",
            "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
            "HTTP/1.1 500 x\r\n\r\nto the end",
            "HTTP/1.0 404 x\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno",
            "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        ];
        const PIECES: [&str; 13] = [
            "\r",
            "\n",
            " ",
            "0",
            ":",
            "\u{0}",
            "\t",
            ",",
            "close",
            "chunked",
            "Upgrade: h2c\r\n",
            "Connection: ",
            "HTTP/1.1 204 x\r\n\r\n",
        ];
        let mut state = 1_u32;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(state >> 8).expect("24 bits") % below
        };
        (0..20_000).map(move |round| {
            let mut bytes = HEADS[random(HEADS.len())].as_bytes().to_vec();
            if round >= HEADS.len() * 10 {
                for _ in 0..=random(2) {
                    let at = random(bytes.len());
                    match random(3) {
                        0 => drop(bytes.remove(at)),
                        1 => bytes[at] ^= 1 << random(8),
                        _ => drop(bytes.splice(at..at, PIECES[random(PIECES.len())].bytes())),
                    }
                }
            }
            bytes
        })
    }

    /// A response; its status and body, and whether the connection is kept.
    type Row = (&'static str, Option<(u16, &'static str, bool)>);
    const FRAMINGS: &[Row] = &[
        ("HTTP/1.1 204 x\r\n\r\n", Some((204, "", KEPT))),
        ("HTTP/1.1 204\r\n\r\n", Some((204, "", KEPT))),
        ("HTTP/1.1 204 x\r\ncontent-length: 0\r\nCONNECTION: Keep-Alive\r\n\r\n", Some((204, "", KEPT))),
        ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nTransfer-Encoding: foo\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\nContent-Length: 27\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\nContent-Length: -0\r\n\r\n", None),
        ("HTTP/1.1 204 x\r\nTransfer-Encoding: identity\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\nConnection: keep-alive, Close\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.0 204 x\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n", Some((204, "", KEPT))),
        ("HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 204 x\r\n\r\n ", Some((204, "", CLOSED))),
        ("HTTP/1.1 304 x\r\n\r\n", Some((304, "", KEPT))),
        ("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", Some((304, "", CLOSED))),
        ("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n", Some((304, "", CLOSED))),
        ("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n", Some((101, "", CLOSED))),
        ("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Some((204, "", CLOSED))),
        ("HTTP/1.1 100 x\r\nA: b\r\n\r\nHTTP/1.1 204 x\r\n\r\n", None),
        ("HTTP/1.1 404 x\r\nContent-Length: 2\r\n\r\nno", Some((404, "no", KEPT))),
        ("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", Some((404, "", KEPT))),
        ("HTTP/1.1 404 x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nno", Some((404, "no", CLOSED))),
        ("HTTP/1.1 404 x\r\nContent-Length: 2, 2\r\n\r\nno", Some((404, "no", CLOSED))),
        ("HTTP/1.1 404 x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nnot", None),
        ("HTTP/1.1 404 x\r\nContent-Length: +2\r\n\r\nno", None),
        ("HTTP/1.1 404 x\r\nContent-Length: 0x2\r\n\r\nno", None),
        ("HTTP/1.1 404 x\r\nContent-Length: 99999999999999999999\r\n\r\nno", None),
        ("HTTP/1.1 404 x\r\nContent-Length:\r\n\r\nno", None),
        ("HTTP/1.1 404 x\r\nContent-Length: 0\r\nTransfer-Encoding: foo\r\n\r\n", Some((404, "", CLOSED))),
        ("HTTP/1.1 404 x\r\nContent-Length: 5\r\n\r\nno", Some((404, "no", CLOSED))),
        ("HTTP/1.1 404 x\r\n\r\nto the end", Some((404, "to the end", CLOSED))),
        ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", Some((404, "no", KEPT))),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nno\r\n0\r\n\r\n",
            Some((404, "no", KEPT)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nT: x\r\n\r\n",
            Some((404, "no", CLOSED)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nno\r\n0\r\n\r\n",
            Some((404, "no", CLOSED)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
            Some((404, "no", CLOSED)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
            Some((404, "no", CLOSED)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nnot\r\n0\r\n\r\n",
            Some((404, "no", CLOSED)),
        ),
        ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\nno\n0\n\n", Some((404, "", CLOSED))),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nno\r\n0\r\n\r\n",
            Some((404, "", CLOSED)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nno",
            Some((404, "", CLOSED)),
        ),
        (
            "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n!",
            Some((404, "no", CLOSED)),
        ),
        ("HTTP/1.0 404 x\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nno", Some((404, "no", KEPT))),
        (
            "HTTP/1.0 404 x\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nno",
            Some((404, "no", CLOSED)),
        ),
        (
            "HTTP/1.0 404 x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nno",
            Some((404, "no", CLOSED)),
        ),
        ("HTTP/1.1 099 x\r\n\r\n", None),
        ("HTTP/1.1 2040 x\r\n\r\n", None),
        ("HTTP/2 204 x\r\n\r\n", None),
        ("HTTP/1.1 204 x\r\nDate : x\r\n\r\n", None),
        ("HTTP/1.1 204 x\r\nX: a\u{0}b\r\n\r\n", None),
        ("HTTP/1.1 204 x\r\nDate: x\r\n", None),
        ("SSH-2.0-x\r\n", None),
        ("", None),
    ];

    const KEPT: bool = true;
    const CLOSED: bool = false;

    #[test]
    fn framings() {
        for (response, want) in FRAMINGS {
            let bytes = response.as_bytes();
            let want = want.map(|(status, body, kept)| Verdict { status, body: body.into(), kept });
            assert_eq!(read(&[bytes]).ok(), want, "{response:?}");
            // However it is cut, the verdict is the same.
            for at in [1, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                if let Some((first, second)) = bytes.split_at_checked(at) {
                    let cut = read(&[first, second]).ok();
                    let kept_less = cut.as_ref().map(|read| (read.status, &read.body));
                    assert_eq!(
                        kept_less,
                        want.as_ref().map(|read| (read.status, &read.body)),
                        "{response:?} cut at {at}"
                    );
                }
            }
        }
    }

    #[test]
    fn heads_have_a_limit() {
        let head = |fields: usize, value: usize| {
            format!("HTTP/1.1 204 x\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(value)).repeat(fields))
        };
        assert!(read(&[head(MAX_FIELDS, 1).as_bytes()]).is_ok());
        assert!(read(&[head(MAX_FIELDS + 1, 1).as_bytes()]).is_err());
        assert!(read(&[head(1, MAX_HEAD - 64).as_bytes()]).is_ok());
        assert!(read(&[head(1, MAX_HEAD).as_bytes()]).is_err_and(|e| e.contains("larger than 16384")));
        let interim = "HTTP/1.1 103 x\r\nA: b\r\n\r\n".repeat(2000);
        assert!(read(&[interim.as_bytes()]).is_err(), "interim responses have one, too");
    }
}
