//! The head of a response (HTTP/1.1, RFC 9112), read by httparse.
//!
//! Every response takes the same way: the head is parsed as a whole, its framing is decided once, by
//! [`Framing::from_headers`], and `body.rs` reads the rest by that. A response whose framing can be read in two ways is
//! still read, but its connection does not serve again: bytes left over from it could be taken for the response to the next
//! abort, a false "gone".
//!
//! Why not ureq-proto, ureq's own sans-IO crate: building, writing and reading one abort with it takes 14.5 thousand
//! instructions (callgrind, 0.7.1). With that, an abort took 0.21 of what libcurl needs over HTTP and 0.24 over TLS,
//! beyond the goals of 0.20 and 0.22.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use crate::base::deadline::Deadline;
use crate::base::error::{Code, Error};

use super::error::TransportError;
use super::headers::Headers;
use super::stream::Stream;

/// The largest response head, interim responses included. A larger one is no response of an object storage service.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The head of a 204 fits into the first read, with room to spare.
const FIRST_READ: usize = 2048;
/// The most header fields of one response, as in ureq.
const MAX_FIELDS: usize = 128;

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
mod tests;
