//! Addressing: from endpoint, bucket, key and upload id to origin, request target and canonical resource. Each part
//! is encoded once, so that the signature covers what is sent.

use std::fmt::Write as _;

use crate::base::error::Error;
use crate::base::origin::{Origin, parse_authority};
use crate::base::percent::{encode, max_encoded_len};
use crate::obs::buckets::NextBuckets;
use crate::obs::sign::SignatureScheme;

/// The way to address a bucket.
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

/// Parses the endpoint of a service: `[http[s]://]host[:port][/]` and nothing more.
pub fn parse_endpoint(text: &str) -> Result<Origin, Error> {
    let refuse = |why: &str| {
        Error::argument(format!(
            "the endpoint {why}: give https://host or https://host:port and nothing more"
        ))
    };
    if text.contains(char::is_whitespace) {
        return Err(refuse("has white space or a line end in it (read from a file along with it?)"));
    }
    if text.contains(['"', '\'']) {
        return Err(refuse("has quotation marks in it"));
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(refuse(&format!("has the character U+{:04X}, which no host name has", u32::from(c))));
    }
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
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    if host.ends_with('.') {
        return Err(refuse("has a host that ends in a dot, which is not part of its name"));
    }
    let (host, port) = parse_authority(rest).map_err(refuse)?;
    Ok(Origin::new(https, &host, port))
}

/// Validates a bucket name.
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
    if looks_like_ipv4(bucket) {
        return refuse("is shaped like an IPv4 address");
    }
    Ok(())
}

fn looks_like_ipv4(bucket: &str) -> bool {
    bucket.split('.').count() == 4 && bucket.bytes().all(|b| b == b'.' || b.is_ascii_digit())
}

/// Validates a key: 1 to 1024 bytes, any characters.
pub fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() {
        // Huawei's C and Python SDKs send DELETE /?uploadId=… for an empty key, and report success.
        return Err(Error::argument("the key is empty: name the object that the upload was for"));
    }
    if key.len() > 1024 {
        return Err(Error::argument("the key is too long: 1 to 1024 bytes of UTF-8 are allowed"));
    }
    Ok(())
}

/// Validates an upload id.
pub fn check_upload_id(upload_id: &str) -> Result<(), Error> {
    if upload_id.is_empty() {
        // On real servers (Ceph RGW), DELETE /key?uploadId= deletes the object itself.
        return Err(Error::argument("the upload id is empty: an empty one could delete the object itself"));
    }
    if upload_id.len() > 1024 {
        return Err(Error::argument("the upload id is too long: 1 to 1024 bytes of UTF-8 are allowed"));
    }
    // Nearly all ids: nothing more to check.
    if upload_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    if upload_id.chars().all(char::is_whitespace) {
        return Err(Error::argument("the upload id is white space only: it could delete the object itself"));
    }
    if upload_id.chars().any(char::is_control) {
        return Err(Error::argument("the upload id has control characters (a line end read along with it?)"));
    }
    // Sent as it is, it would give NoSuchUpload, which looks like "gone", and leave the upload that was meant.
    let (first, last) = (upload_id.chars().next(), upload_id.chars().next_back());
    for (end, at) in [(first, "begins"), (last, "ends")] {
        if let Some(c) = end.filter(|c| is_invisible(*c)) {
            let c = u32::from(c);
            return Err(Error::argument(format!(
                "the upload id {at} with white space or an invisible character (U+{c:04X}): remove it"
            )));
        }
    }
    Ok(())
}

/// Returns whether `c` is white space by Unicode, or one of the format characters that are copied along with text: zero
/// width, direction, byte order mark.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The target of one request, as it is sent and as it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The origin that the request is sent to.
    pub origin: Origin,
    /// Path and query as in the request line (RFC 9112, 3.2).
    pub request_target: String,
    /// The canonical resource of the string to sign.
    pub canonical_resource: String,
}

/// A bucket at an endpoint: the part that the targets of all its keys share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    /// The endpoint that the bucket belongs to.
    endpoint: Origin,
    /// The origin that the bucket's requests are sent to.
    origin: Origin,
    /// Never `Auto`.
    addressing: Addressing,
    scheme: SignatureScheme,
    /// `/bucket` with path addressing, empty otherwise.
    path_prefix: String,
    /// The bucket in the canonical resource: `/bucket` or `/domain`.
    resource_prefix: String,
}

impl Bucket {
    /// Validates the name and decides the addressing. Without a scheme, requests are signed by AWS V2 with path
    /// addressing, as in every official SDK, and by OBS otherwise.
    pub fn new(
        endpoint: &Origin,
        addressing: Addressing,
        scheme: Option<SignatureScheme>,
        name: &str,
    ) -> Result<Bucket, Error> {
        check_bucket(name)?;
        let addressing = match addressing {
            // A wildcard certificate covers one label.
            Addressing::Auto if endpoint.is_ip_literal() || (endpoint.is_https() && name.contains('.')) => {
                Addressing::Path
            }
            Addressing::Auto => Addressing::VirtualHost,
            decided => decided,
        };
        let virtual_host;
        let host = match addressing {
            Addressing::VirtualHost => {
                virtual_host = format!("{name}.{}", endpoint.host());
                &virtual_host
            }
            _ => endpoint.host(),
        };
        if host.len() > 253 {
            return Err(Error::argument(
                "the bucket is too long for this endpoint: a host name has 253 characters",
            ));
        }
        let is_path = addressing == Addressing::Path;
        let owner = if addressing == Addressing::CustomDomain { endpoint.host() } else { name };
        Ok(Bucket {
            name: name.to_owned(),
            origin: endpoint.with_host(host),
            endpoint: endpoint.clone(),
            addressing,
            scheme: scheme.unwrap_or(if is_path { SignatureScheme::AwsV2 } else { SignatureScheme::Obs }),
            path_prefix: if is_path { format!("/{name}") } else { String::new() },
            resource_prefix: format!("/{owner}"),
        })
    }

    /// The service itself, in place of a bucket, which lists the buckets of an account.
    pub fn service(
        endpoint: &Origin,
        addressing: Addressing,
        scheme: Option<SignatureScheme>,
    ) -> Result<Bucket, Error> {
        let otherwise = match addressing {
            Addressing::CustomDomain => {
                return Err(Error::argument(
                    "an endpoint that is the domain of a bucket does not list buckets: give the endpoint of the region",
                ));
            }
            Addressing::Auto if endpoint.is_ip_literal() => SignatureScheme::AwsV2,
            Addressing::Path => SignatureScheme::AwsV2,
            Addressing::Auto | Addressing::VirtualHost => SignatureScheme::Obs,
        };
        Ok(Bucket {
            name: String::new(),
            origin: endpoint.clone(),
            endpoint: endpoint.clone(),
            addressing: Addressing::Path,
            scheme: scheme.unwrap_or(otherwise),
            path_prefix: String::new(),
            resource_prefix: String::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The endpoint that the bucket belongs to.
    pub fn endpoint(&self) -> &Origin {
        &self.endpoint
    }

    /// Its addressing. Never `Auto`.
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// The scheme that signs its requests.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// The target of one upload: for its abort, and for the list of its parts.
    pub fn upload_target(&self, key: &str, upload_id: &str) -> Result<Target, Error> {
        check_key(key)?;
        check_upload_id(upload_id)?;
        // One allocation each, whatever the key.
        let mut request_target = String::with_capacity(
            self.path_prefix.len() + 11 + max_encoded_len(key) + max_encoded_len(upload_id),
        );
        request_target.push_str(&self.path_prefix);
        request_target.push('/');
        let key_at = request_target.len();
        encode(key, &mut request_target);
        let encoded_key = key_at..request_target.len();
        request_target.push_str("?uploadId=");
        let mut resource =
            String::with_capacity(self.resource_prefix.len() + 11 + encoded_key.len() + upload_id.len());
        resource.push_str(&self.resource_prefix);
        resource.push('/');
        resource.push_str(&request_target[encoded_key]);
        resource.push_str("?uploadId=");
        resource.push_str(upload_id);
        encode(upload_id, &mut request_target);
        Ok(self.target(request_target, resource))
    }

    /// The target of the page of an upload's parts that begins after the part `from`.
    pub fn parts_target(&self, key: &str, upload_id: &str, from: u32) -> Result<Target, Error> {
        let mut target = self.upload_target(key, upload_id)?;
        target.request_target.push_str("&max-parts=1000");
        if from > 0 {
            let _ = write!(target.request_target, "&part-number-marker={from}");
        }
        Ok(target)
    }

    /// The target of one page of the bucket's multipart uploads. `encoded` asks the server to percent-encode keys.
    pub fn uploads_target(
        &self,
        prefix: &str,
        key_marker: &str,
        upload_id_marker: &str,
        encoded: bool,
    ) -> Target {
        let encoding = if encoded { "&encoding-type=url" } else { "" };
        let mut request_target = format!("{}/?uploads{encoding}&max-uploads=1000", self.path_prefix);
        let parameters =
            [("prefix", prefix), ("key-marker", key_marker), ("upload-id-marker", upload_id_marker)];
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(request_target, "&{name}=");
            encode(value, &mut request_target);
        }
        self.target(request_target, format!("{}/?uploads", self.resource_prefix))
    }

    /// The target of one page of the buckets, of [`Bucket::service`].
    pub fn buckets_target(&self, from: Option<&NextBuckets>) -> Target {
        let mut request_target = "/".to_owned();
        if let Some(from) = from {
            let (parameter, value) = match from {
                NextBuckets::Marker(marker) => ("marker", marker),
                NextBuckets::Token(token) => ("continuation-token", token),
            };
            let _ = write!(request_target, "?{parameter}=");
            encode(value, &mut request_target);
        }
        self.target(request_target, "/".to_owned())
    }

    fn target(&self, request_target: String, canonical_resource: String) -> Target {
        Target { origin: self.origin.clone(), request_target, canonical_resource }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Origin {
        parse_endpoint(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn endpoints() {
        let plain = endpoint("obs.eu-101.myhuaweicloud.com");
        assert_eq!(plain, Origin::new(true, "obs.eu-101.myhuaweicloud.com", None));
        assert!(plain.has_default_port() && plain.authority() == "obs.eu-101.myhuaweicloud.com");
        assert_eq!(endpoint("HTTP://OBS.example.com:80/"), Origin::new(false, "obs.example.com", None));
        assert_eq!(endpoint("https://[::1]:8443").authority(), "[::1]:8443");
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
            assert!(parse_endpoint(bad).is_err(), "{bad:?}");
        }
        assert!(parse_endpoint(&"a".repeat(64)).is_err());
        assert!(parse_endpoint(&vec!["a".repeat(62); 5].join(".")).is_err());
    }

    #[test]
    fn buckets() {
        for good in ["abc", "a-b.c", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.3.d", "0ab", &"a".repeat(63)] {
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
        let bucket = |e: &str, a, b: &str| Bucket::new(&endpoint(e), a, None, b).expect("a bucket");
        let auto = Addressing::Auto;
        assert_eq!(bucket("https://h.com", auto, "abc").origin.authority(), "abc.h.com");
        assert_eq!(bucket("https://h.com", auto, "a.c").path_prefix, "/a.c");
        assert_eq!(bucket("http://h.com", auto, "a.c").origin.authority(), "a.c.h.com");
        assert_eq!(bucket("http://127.0.0.1:81", auto, "abc").origin.authority(), "127.0.0.1:81");
        let custom = bucket("http://Img.example.com:8080", Addressing::CustomDomain, "abc")
            .upload_target("k", "i")
            .expect("a target");
        assert_eq!(
            (custom.origin.authority(), custom.canonical_resource.as_str()),
            ("img.example.com:8080", "/img.example.com/k?uploadId=i")
        );
        assert_eq!(
            bucket("h.com", Addressing::Path, "abc").uploads_target("a b", "k", "", true).request_target,
            "/abc/?uploads&encoding-type=url&max-uploads=1000&prefix=a%20b&key-marker=k"
        );
        let first = bucket("http://h.com", auto, "abc").parts_target("a b", "i/d", 0).expect("a target");
        assert!(first.request_target.ends_with("&max-parts=1000"), "no marker: {}", first.request_target);
        let parts = bucket("http://h.com", auto, "abc").parts_target("a b", "i/d", 1000).expect("a target");
        assert_eq!(parts.request_target, "/a%20b?uploadId=i/d&max-parts=1000&part-number-marker=1000");
        assert_eq!(parts.canonical_resource, "/abc/a%20b?uploadId=i/d", "only the upload id is signed");
    }

    #[test]
    fn the_service() {
        let service = |e: &str, addressing| Bucket::service(&endpoint(e), addressing, None);
        for (e, addressing, scheme) in [
            ("https://h.com", Addressing::Auto, SignatureScheme::Obs),
            ("https://h.com", Addressing::VirtualHost, SignatureScheme::Obs),
            ("https://h.com", Addressing::Path, SignatureScheme::AwsV2),
            ("http://127.0.0.1:9", Addressing::Auto, SignatureScheme::AwsV2),
        ] {
            let service = service(e, addressing).expect("a service");
            assert_eq!(service.scheme(), scheme, "{e} {addressing:?}");
            let next = NextBuckets::Marker("a b".to_owned());
            for (from, target) in [(None, "/"), (Some(&next), "/?marker=a%20b")] {
                let page = service.buckets_target(from);
                assert_eq!((page.request_target.as_str(), page.canonical_resource.as_str()), (target, "/"));
            }
        }
        assert!(service("https://h.com", Addressing::CustomDomain).is_err());
    }
}
