//! A plain client over std's sockets: for the demo's uploads, and for tests that want a request by hand.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use crate::clock::{http_date, unix_ms};
use crate::options::AccessKey;
use crate::signing::{self, Scheme};
use crate::xml;

/// Where to and as whom. Each request opens its own connection, in the clear and with path addressing.
#[derive(Clone, Debug)]
pub struct Client {
    /// `http://127.0.0.1:PORT` or `127.0.0.1:PORT`
    pub endpoint: String,
    pub key: AccessKey,
    pub scheme: Scheme,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        signing::header(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The texts of all elements of that name.
    pub fn elements(&self, name: &str) -> Vec<String> {
        xml::texts(&self.text(), name)
    }

    /// The first of them, or nothing.
    pub fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }
}

impl Client {
    pub fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            key: AccessKey::new(access_key, secret_key),
            scheme: Scheme::Aws,
        }
    }

    /// One signed request; `target` is the path (encoded, with the bucket) and query.
    pub fn request(&self, method: &str, target: &str, body: &[u8]) -> io::Result<Response> {
        self.request_with(method, target, &[], body)
    }

    /// The same with more headers; a `Date` or `Host` among them replaces the usual one.
    pub fn request_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let address = address_of(&self.endpoint)?;
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if signing::header(&all, "host").is_none() {
            all.push(("Host".into(), address.to_owned()));
        }
        if signing::header(&all, "date").is_none() {
            all.push(("Date".into(), http_date(unix_ms(SystemTime::now()) / 1000)));
        }
        if let Some(token) = &self.key.security_token {
            all.push((format!("{}security-token", self.scheme.header_prefix()), token.clone()));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let resource = signing::canonical_resource(path, query);
        let text = signing::string_to_sign(self.scheme, method, &all, &resource);
        let signature = signing::signature(&self.key.secret_key, &text);
        all.push((
            "Authorization".into(),
            format!("{} {}:{signature}", self.scheme.word(), self.key.access_key),
        ));
        send(address, method, target, &all, body)
    }

    /// Initiates an upload; its id.
    pub fn initiate(&self, bucket: &str, key: &str) -> io::Result<String> {
        let response = self.request("POST", &format!("{}?uploads", path(bucket, key)), b"")?;
        Ok(good(response)?.element("UploadId"))
    }

    pub fn upload_part(&self, bucket: &str, key: &str, id: &str, number: u32, data: &[u8]) -> io::Result<()> {
        let query = format!("partNumber={number}&uploadId={}", signing::encode(id));
        good(self.request("PUT", &format!("{}?{query}", path(bucket, key)), data)?)?;
        Ok(())
    }

    pub fn list_parts(&self, bucket: &str, key: &str, id: &str) -> io::Result<Response> {
        self.request("GET", &format!("{}?uploadId={}", path(bucket, key), signing::encode(id)), b"")
    }

    /// One page of the unfinished uploads; `rest` is more of the query (`&prefix=a&max-uploads=3`).
    pub fn list_uploads(&self, bucket: &str, rest: &str) -> io::Result<Response> {
        self.request("GET", &format!("/{bucket}/?uploads{rest}"), b"")
    }

    pub fn abort(&self, bucket: &str, key: &str, id: &str) -> io::Result<Response> {
        self.request("DELETE", &format!("{}?uploadId={}", path(bucket, key), signing::encode(id)), b"")
    }

    pub fn put_object(&self, bucket: &str, key: &str, data: &[u8]) -> io::Result<()> {
        good(self.request("PUT", &path(bucket, key), data)?)?;
        Ok(())
    }
}

/// `/bucket/encoded/key`
pub fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", signing::encode(key))
}

/// A request as it is, signed or not, on a connection of its own.
pub fn send(
    address: &str,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<Response> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> io::Result<Response> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the answer is no whole HTTP");
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|_| broken())? else {
        return Err(broken());
    };
    let headers = head
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    Ok(Response { status: head.code.ok_or_else(broken)?, headers, body: bytes[length..].to_vec() })
}

fn good(response: Response) -> io::Result<Response> {
    match response.status {
        200..=299 => Ok(response),
        status => Err(io::Error::other(format!(
            "HTTP {status} {}: {}",
            response.element("Code"),
            response.element("Message")
        ))),
    }
}

fn address_of(endpoint: &str) -> io::Result<&str> {
    match endpoint.strip_prefix("http://").unwrap_or(endpoint).trim_end_matches('/') {
        "" => Err(io::Error::other("the endpoint is empty")),
        address if address.contains("://") => Err(io::Error::other("only http:// endpoints are spoken to")),
        address => Ok(address),
    }
}
