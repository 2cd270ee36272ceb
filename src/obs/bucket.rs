//! Endpoint, bucket, key and upload id in; host, request target and canonical resource out. Each part is
//! encoded once, and what is signed is what is sent.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::base::error::Error;
use crate::base::origin::{Authority, ip_literal, split_port};
use crate::base::percent::{encode, max_encoded_len};

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
    /// Path and query as they go onto the stream.
    pub path_and_query: String,
    /// The canonical resource of the string to sign.
    pub resource: String,
    /// Whether path addressing is used.
    pub path_style: bool,
}

/// The bucket as an endpoint addresses it: the part of a target that all its keys share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    https: bool,
    bucket: String,
    authority: Authority,
    /// `/bucket` with path addressing, empty otherwise.
    path: String,
    /// What stands for the bucket in the canonical resource: `/bucket` or `/domain`.
    resource: String,
}

impl Bucket {
    /// The bucket, checked, at this endpoint.
    pub fn new(endpoint: &Endpoint, addressing: Addressing, bucket: &str) -> Result<Bucket, Error> {
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
        Ok(Bucket {
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
            String::with_capacity(self.path.len() + 11 + max_encoded_len(key) + max_encoded_len(upload_id));
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
        let bucket = |e: &str, a, b: &str| Bucket::new(&endpoint(e), a, b).expect("a bucket");
        let auto = Addressing::Auto;
        assert_eq!(bucket("https://h.com", auto, "abc").authority.as_str(), "abc.h.com");
        assert_eq!(bucket("https://h.com", auto, "a.c").path, "/a.c");
        assert_eq!(bucket("http://h.com", auto, "a.c").authority.as_str(), "a.c.h.com");
        assert_eq!(bucket("http://127.0.0.1:81", auto, "abc").authority.as_str(), "127.0.0.1:81");
        let custom = bucket("http://Img.example.com:8080", Addressing::CustomDomain, "abc")
            .upload("k", "i")
            .expect("a target");
        assert_eq!(
            (custom.authority.as_str(), custom.resource.as_str()),
            ("img.example.com:8080", "/img.example.com/k?uploadId=i")
        );
        assert_eq!(
            bucket("h.com", Addressing::Path, "abc").uploads("a b", "k", "", true).path_and_query,
            "/abc/?uploads&encoding-type=url&max-uploads=1000&prefix=a%20b&key-marker=k"
        );
    }
}
