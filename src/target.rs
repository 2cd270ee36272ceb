//! Endpoint, bucket, key and upload id in; host, request target and canonical resource out. Each part is
//! encoded once, and what is signed is what is sent.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::error::Error;

/// How a bucket is addressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// PATH for an IP literal, and for a bucket with a dot over https; VIRTUAL_HOST otherwise.
    #[default]
    Auto,
    /// `bucket.endpoint/key`
    VirtualHost,
    /// `endpoint/bucket/key`
    Path,
    /// The endpoint is a domain that stands for the bucket.
    CustomDomain,
}

/// Where the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Lower case, IPv6 in brackets.
    pub host: String,
    /// Only where it is not the scheme's default.
    pub port: Option<u16>,
}

impl Endpoint {
    /// Reads `[http[s]://]host[:port][/]` and nothing more.
    pub fn parse(text: &str) -> Result<Endpoint, Error> {
        let refuse = |why: &str| {
            Error::argument(format!(
                "the endpoint {why}: give https://host or https://host:port and nothing more"
            ))
        };
        let (https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err(refuse("has a scheme other than http and https")),
            None => (true, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Err(refuse("is empty"));
        }
        if rest.contains('@') {
            return Err(refuse("has user info"));
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(refuse("has a path, a query or a fragment"));
        }
        let (host, port) = split_port(rest).map_err(refuse)?;
        let port = port.filter(|port| *port != if https { 443 } else { 80 });
        Ok(Endpoint { https, host, port })
    }

    /// Whether the host is an address rather than a name.
    pub fn is_ip_literal(&self) -> bool {
        ip_literal(&self.host).is_some()
    }
}

/// What stands in the Host header: a host, and a port where it is not the scheme's default. Written once: all requests
/// to a bucket share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    text: Arc<str>,
    host_length: usize,
    port: Option<u16>,
}

impl Authority {
    /// A host that was checked, in lower case, IPv6 in brackets.
    pub fn new(host: &str, port: Option<u16>) -> Authority {
        let text = match port {
            Some(port) => format!("{host}:{port}").into(),
            None => host.into(),
        };
        Authority { text, host_length: host.len(), port }
    }

    /// As it stands in the Host header.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        &self.text[..self.host_length]
    }

    /// The port, where it is not the scheme's default.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The address that a host is, in brackets or not.
pub fn ip_literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Splits `host[:port]` and judges both; the host comes back in lower case.
pub fn split_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or("has a bracket that is not closed")?;
        let (host, rest) = authority.split_at(end + 1);
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("has something after its bracket that is no port"),
        }
    } else {
        match authority.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err("has an IPv6 address without brackets"),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let port = match port {
        None => None,
        Some(digits)
            if !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            match digits.parse::<u16>() {
                Ok(port) if port > 0 => Some(port),
                _ => return Err("has a port outside 1 to 65535"),
            }
        }
        Some(_) => return Err("has a port that is not a number from 1 to 65535"),
    };
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        if inner.parse::<Ipv6Addr>().is_err() {
            return Err("has something in brackets that is no IPv6 address");
        }
    } else if !is_host_name(host) {
        return Err(
            "has a host name that is not made of labels of 1 to 63 letters, digits, - and _, 253 in all",
        );
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// Judges a bucket name.
pub fn check_bucket(bucket: &str) -> Result<(), Error> {
    let refuse =
        |why: &str| Err(Error::argument(format!("the bucket {why}: 3 to 63 of a-z 0-9 - . are allowed")));
    let bytes = bucket.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if bucket.is_empty() {
        return refuse("is empty");
    }
    if !(3..=63).contains(&bytes.len()) {
        return refuse("is too short or too long");
    }
    if !bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.')) {
        return refuse("has a character that no bucket name has");
    }
    if !edge(bytes.first()) || !edge(bytes.last()) {
        return refuse("does not start and end with a letter or a digit");
    }
    if bucket.contains("..") {
        return refuse("has two dots in a row");
    }
    if bucket.parse::<Ipv4Addr>().is_ok() || looks_like_ipv4(bucket) {
        return refuse("is shaped like an IPv4 address");
    }
    Ok(())
}

fn looks_like_ipv4(bucket: &str) -> bool {
    bucket.split('.').count() == 4
        && bucket.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Judges a key: 1 to 1024 bytes, any characters.
pub fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() {
        // Huawei's own SDKs send DELETE /?uploadId=… here, and call it success.
        return Err(Error::argument("the key is empty: name the object that the upload was for"));
    }
    if key.len() > 1024 {
        return Err(Error::argument("the key is too long: 1 to 1024 bytes of UTF-8 are allowed"));
    }
    Ok(())
}

/// Judges an upload id.
pub fn check_upload_id(upload_id: &str) -> Result<(), Error> {
    if upload_id.is_empty() {
        // DELETE /key?uploadId= deletes the object itself on real servers.
        return Err(Error::argument("the upload id is empty: an empty one could delete the object itself"));
    }
    if upload_id.len() > 1024 {
        return Err(Error::argument("the upload id is too long: 1 to 1024 bytes of UTF-8 are allowed"));
    }
    if upload_id.chars().all(char::is_whitespace) {
        return Err(Error::argument("the upload id is white space only: it could delete the object itself"));
    }
    if upload_id.chars().any(char::is_control) {
        return Err(Error::argument("the upload id has control characters (a line end read along with it?)"));
    }
    Ok(())
}

/// One place to send a request to, with what is signed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether TLS is spoken.
    pub https: bool,
    /// The Host header: host, and port where it is not the scheme's default.
    pub authority: Authority,
    /// Path and query as they go onto the wire.
    pub path_and_query: String,
    /// The canonical resource of the string to sign.
    pub resource: String,
    /// Whether path addressing is used.
    pub path_style: bool,
}

/// The bucket as an endpoint addresses it: the part of a target that all its keys share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    https: bool,
    bucket: String,
    authority: Authority,
    /// `/bucket` with path addressing, empty otherwise.
    path: String,
    /// What stands for the bucket in the canonical resource: `/bucket` or `/domain`.
    resource: String,
}

impl Place {
    /// The bucket, checked, at this endpoint.
    pub fn new(endpoint: &Endpoint, addressing: Addressing, bucket: &str) -> Result<Place, Error> {
        check_bucket(bucket)?;
        let path_style = match addressing {
            Addressing::Path => true,
            Addressing::VirtualHost | Addressing::CustomDomain => false,
            // A wildcard certificate covers one label.
            Addressing::Auto => endpoint.is_ip_literal() || (endpoint.https && bucket.contains('.')),
        };
        let custom = addressing == Addressing::CustomDomain;
        let endpoints = &endpoint.host;
        let host = if path_style || custom { endpoints.clone() } else { format!("{bucket}.{endpoints}") };
        if host.len() > 253 {
            return Err(Error::argument(
                "the bucket is too long for this endpoint: a host name has 253 characters",
            ));
        }
        Ok(Place {
            https: endpoint.https,
            bucket: bucket.to_owned(),
            authority: Authority::new(&host, endpoint.port),
            path: if path_style { format!("/{bucket}") } else { String::new() },
            resource: format!("/{}", if custom { &endpoint.host } else { bucket }),
        })
    }

    /// Its name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Whether path addressing is used.
    pub fn path_style(&self) -> bool {
        !self.path.is_empty()
    }

    /// One upload: the target of its abort, and of the listing of its parts.
    pub fn upload(&self, key: &str, upload_id: &str) -> Result<Target, Error> {
        check_key(key)?;
        check_upload_id(upload_id)?;
        // Room for every byte to be encoded: one allocation each, whatever the key.
        let mut path_and_query =
            String::with_capacity(self.path.len() + 11 + encoded_len(key) + encoded_len(upload_id));
        path_and_query.push_str(&self.path);
        path_and_query.push('/');
        let key_at = path_and_query.len();
        encode(key, &mut path_and_query);
        let encoded_key = key_at..path_and_query.len();
        path_and_query.push_str("?uploadId=");
        let mut resource =
            String::with_capacity(self.resource.len() + 11 + encoded_key.len() + upload_id.len());
        resource.push_str(&self.resource);
        resource.push('/');
        resource.push_str(&path_and_query[encoded_key]);
        resource.push_str("?uploadId=");
        resource.push_str(upload_id);
        encode(upload_id, &mut path_and_query);
        Ok(self.target(path_and_query, resource))
    }

    /// One page of the bucket's unfinished uploads, its keys percent-encoded where the server knows how.
    pub fn uploads(&self, prefix: &str, key_marker: &str, upload_id_marker: &str, encoded: bool) -> Target {
        let encoding = if encoded { "&encoding-type=url" } else { "" };
        let mut path_and_query = format!("{}/?uploads{encoding}&max-uploads=1000", self.path);
        let parameters =
            [("prefix", prefix), ("key-marker", key_marker), ("upload-id-marker", upload_id_marker)];
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(path_and_query, "&{name}=");
            encode(value, &mut path_and_query);
        }
        self.target(path_and_query, format!("{}/?uploads", self.resource))
    }

    fn target(&self, path_and_query: String, resource: String) -> Target {
        Target {
            https: self.https,
            authority: self.authority.clone(),
            path_and_query,
            resource,
            path_style: self.path_style(),
        }
    }
}

/// Which bytes stay as they are.
const STAYS: [bool; 256] = {
    let mut stays = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        stays[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
        byte += 1;
    }
    stays
};

fn encoded_len(text: &str) -> usize {
    text.bytes().map(|b| if STAYS[usize::from(b)] { 1 } else { 3 }).sum()
}

/// `A-Z a-z 0-9 - . _ ~ /` stay, every other byte becomes `%XX`; nothing is normalised.
fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text;
    // All that stays is ASCII: a run of it ends at a character's boundary.
    while let Some(end) = rest.bytes().position(|b| !STAYS[usize::from(b)]) {
        out.push_str(&rest[..end]);
        let width = rest[end..].chars().next().map_or(1, char::len_utf8);
        for byte in rest[end..end + width].bytes() {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
        rest = &rest[end + width..];
    }
    out.push_str(rest);
}

/// The bytes that a percent-encoded text stands for; None where a `%` is not followed by two digits.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
            out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn endpoints() {
        let plain = endpoint("obs.eu-101.myhuaweicloud.com");
        assert_eq!(plain, Endpoint { https: true, host: "obs.eu-101.myhuaweicloud.com".into(), port: None });
        assert_eq!(
            endpoint("HTTP://OBS.example.com:80/"),
            Endpoint { https: false, host: "obs.example.com".into(), port: None }
        );
        assert_eq!(endpoint("https://[::1]:8443").port, Some(8443));
        assert!(endpoint("http://127.0.0.1:9000").is_ip_literal());
        for bad in [
            "",
            "https://",
            "ftp://h",
            "https://u@h",
            "https://u:p@h",
            "h/path",
            "h?q",
            "h#f",
            "h:0",
            "h:99999",
            "h:",
            "h:8o",
            "h:+80",
            "https://h//",
            "::1",
            "[::1",
            "[::1]x",
            "[fe80::1%eth0]",
            "a..b",
            ".a",
            "a b",
            "h\r\nX: y",
            "hé",
            "a,b",
            "-\u{0}",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Endpoint::parse(&"a".repeat(64)).is_err());
        assert!(Endpoint::parse(&vec!["a".repeat(62); 5].join(".")).is_err());
    }

    #[test]
    fn buckets() {
        for good in ["abc", "a-b.c", "1.2.3", "1.2.3.4.5", "0ab", &"a".repeat(63)] {
            assert!(check_bucket(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "-ab",
            "ab-",
            ".ab",
            "a..b",
            "Abc",
            "a_b",
            "1.2.3.4",
            "999.1.1.1",
            "a/b",
            "a@b",
            "a#b",
            "a\r\nb",
            "aé",
            &"a".repeat(64),
        ] {
            assert!(check_bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addressing() {
        let place = |e: &str, a, b: &str| Place::new(&endpoint(e), a, b).expect("a place");
        let auto = Addressing::Auto;
        assert_eq!(place("https://h.com", auto, "abc").authority.as_str(), "abc.h.com");
        assert_eq!(place("https://h.com", auto, "a.c").path, "/a.c");
        assert_eq!(place("http://h.com", auto, "a.c").authority.as_str(), "a.c.h.com");
        assert_eq!(place("http://127.0.0.1:81", auto, "abc").authority.as_str(), "127.0.0.1:81");
        let custom = place("http://Img.example.com:8080", Addressing::CustomDomain, "abc")
            .upload("k", "i")
            .expect("a target");
        assert_eq!(
            (custom.authority.as_str(), custom.resource.as_str()),
            ("img.example.com:8080", "/img.example.com/k?uploadId=i")
        );
        assert_eq!(
            place("h.com", Addressing::Path, "abc").uploads("a b", "k", "", true).path_and_query,
            "/abc/?uploads&encoding-type=url&max-uploads=1000&prefix=a%20b&key-marker=k"
        );
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        let mut encoded = String::new();
        encode(&all, &mut encoded);
        assert_eq!(encoded.len(), encoded_len(&all));
        assert_eq!(decode(&encoded).as_deref(), Some(all.as_bytes()));
        assert_eq!(decode("%2"), None);
        assert_eq!(decode("%zz"), None);
    }
}
