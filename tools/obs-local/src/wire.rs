//! HTTP/1.1 as bytes: requests in, answers out.

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::addressing::{Addressing, Place};
use crate::signing;

const MAX_HEAD: usize = 128 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_BODY: usize = 256 * 1024 * 1024;

pub(crate) struct Request {
    pub method: String,
    /// As in the request line.
    pub target: String,
    pub raw_query: String,
    pub query: Vec<(String, Option<String>)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub place: Place,
    pub arrived: Instant,
    pub keep_alive: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        signing::header(&self.headers, name)
    }

    /// Of the query's parameter of that name: nothing when it is missing, "" when it has no value.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_deref().unwrap_or(""))
    }

    pub fn scheme_word(&self) -> &str {
        let authorization = self.header("authorization").unwrap_or("");
        authorization.split_once(' ').map_or("", |(word, _)| word)
    }

    pub fn access_key(&self) -> &str {
        let authorization = self.header("authorization").unwrap_or("");
        let rest = authorization.split_once(' ').map_or("", |(_, rest)| rest);
        rest.split_once(':').map_or(rest, |(access_key, _)| access_key)
    }
}

/// Why no request could be read.
pub(crate) enum Unreadable {
    /// The client closed, or the connection broke.
    Gone,
    /// What came is not HTTP; the answer's status and why.
    Bad(u16, &'static str),
}

impl From<std::io::Error> for Unreadable {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// Reads one request; `buffer` holds what was read beyond it.
pub(crate) async fn read_request(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut Vec<u8>,
    addressing: &Addressing,
) -> Result<Request, Unreadable> {
    loop {
        if let Some((mut request, head_len, framing)) = parse_head(buffer, addressing)? {
            buffer.drain(..head_len);
            if request.header("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
                io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                io.flush().await?;
            }
            request.body = match framing {
                Framing::Length(length) => read_exactly(io, buffer, length).await?,
                Framing::Chunked => read_chunked(io, buffer).await?,
            };
            request.arrived = Instant::now();
            return Ok(request);
        }
        if buffer.len() > MAX_HEAD {
            return Err(Unreadable::Bad(431, "RequestHeaderSectionTooLarge"));
        }
        read_more(io, buffer).await?;
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

fn parse_head(
    buffer: &[u8],
    addressing: &Addressing,
) -> Result<Option<(Request, usize, Framing)>, Unreadable> {
    let bad = |why| Unreadable::Bad(400, why);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let head_len = match head.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(bad("BadRequest")),
    };
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(bad("BadRequest"));
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();

    // A client that takes this server for its proxy sends the absolute form.
    let after_host = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
    let origin_form = match after_host {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    if !origin_form.starts_with('/') {
        return Err(bad("InvalidURI"));
    }
    let (path, raw_query) = origin_form.split_once('?').unwrap_or((origin_form, ""));

    let hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host")).count();
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Err(bad("InvalidHost"));
    }
    let host = signing::header(&headers, "host").unwrap_or("");
    let place = addressing.place(host, path).ok_or(bad("InvalidURI"))?;

    let mut framing = Framing::Length(0);
    if let Some(length) = signing::header(&headers, "content-length") {
        let length: usize = length.parse().map_err(|_| bad("InvalidContentLength"))?;
        if length > MAX_BODY {
            return Err(Unreadable::Bad(400, "EntityTooLarge"));
        }
        framing = Framing::Length(length);
    }
    if signing::header(&headers, "transfer-encoding").is_some() {
        framing = Framing::Chunked;
    }
    let connection = signing::header(&headers, "connection").unwrap_or("").to_ascii_lowercase();
    let keep_alive = match version {
        0 => connection.contains("keep-alive"),
        _ => !connection.contains("close"),
    };
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        raw_query: raw_query.to_owned(),
        query: signing::parse_query(raw_query),
        headers,
        body: Vec::new(),
        place,
        arrived: Instant::now(),
        keep_alive,
    };
    Ok(Some((request, head_len, framing)))
}

async fn read_more(io: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<(), Unreadable> {
    buffer.reserve(8 * 1024);
    match io.read_buf(buffer).await? {
        0 => Err(Unreadable::Gone),
        _ => Ok(()),
    }
}

async fn read_exactly(
    io: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    length: usize,
) -> Result<Vec<u8>, Unreadable> {
    while buffer.len() < length {
        read_more(io, buffer).await?;
    }
    Ok(buffer.drain(..length).collect())
}

async fn read_chunked(
    io: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Result<Vec<u8>, Unreadable> {
    let bad = Unreadable::Bad(400, "InvalidChunk");
    let mut body = Vec::new();
    loop {
        let size_line = read_line(io, buffer).await?;
        let size = size_line.split(';').next().unwrap_or("").trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            return Err(bad);
        };
        if body.len().saturating_add(size) > MAX_BODY {
            return Err(Unreadable::Bad(400, "EntityTooLarge"));
        }
        if size == 0 {
            while !read_line(io, buffer).await?.is_empty() {}
            return Ok(body);
        }
        body.extend(read_exactly(io, buffer, size).await?);
        if !read_line(io, buffer).await?.is_empty() {
            return Err(bad);
        }
    }
}

async fn read_line(io: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<String, Unreadable> {
    loop {
        if let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 2);
            return Ok(line);
        }
        if buffer.len() > MAX_HEAD {
            return Err(Unreadable::Bad(400, "InvalidChunk"));
        }
        read_more(io, buffer).await?;
    }
}

/// What is answered, before it is bytes.
#[derive(Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The service code of an error, for the journal.
    pub code: String,
    /// The length is left out; the end of the connection is that of the body.
    pub no_length: bool,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn xml(document: String) -> Self {
        Self::new(200).header("Content-Type", "application/xml").body(document.into_bytes())
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// The bytes, with a Content-Length unless one is there. HEAD is answered without the body that the length tells of.
    pub fn render(&self, for_head: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512 + self.body.len());
        let reason = reason(self.status);
        bytes.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", self.status).as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let framed = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| signing::header(&self.headers, name).is_some());
        let bodiless = (self.status == 204 || self.status == 304) && self.body.is_empty();
        if !framed && !bodiless && !self.no_length {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        if !for_head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
