//! The rules for redirects. The official SDKs sign again for any host, and so give a valid signature and the token to
//! any host that a response names.

use std::borrow::Cow;

use crate::base::origin::{Origin, parse_authority};
use crate::base::percent::decode;
use crate::obs::bucket::{Addressing, Bucket, Target};

/// Returns the same request at the origin that a 307 or 308 names, or the reason why it is not sent there.
pub fn follow(bucket: &Bucket, target: &Target, location: &str) -> Result<Target, &'static str> {
    let from = &target.origin;
    let (to, request_target) = resolve(target, location)?;
    let host = to.host();
    if from.is_https() && !to.is_https() {
        return Err("it goes from https to http");
    }
    if !same_target(&target.request_target, &request_target) {
        return Err("it changes the path or the query");
    }
    if !to.has_default_port() && to.port() != from.port() {
        return Err("it changes the port");
    }
    if to.host() != from.host() {
        let endpoint = bucket.endpoint();
        let is_below_a_domain =
            |origin: &Origin| !origin.is_ip_literal() && origin.host().split('.').count() >= 3;
        if bucket.addressing() == Addressing::CustomDomain
            || !is_below_a_domain(&to)
            || !is_below_a_domain(endpoint)
        {
            return Err("it changes the host");
        }
        let in_host = host.strip_prefix(bucket.name()).is_some_and(|rest| rest.starts_with('.'));
        if bucket.addressing() == Addressing::VirtualHost && !in_host {
            return Err("it changes the bucket");
        }
        let domain = domain(endpoint.host());
        if !host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
            return Err("it leaves the endpoint's domain");
        }
    }
    Ok(Target { origin: to, ..target.clone() })
}

/// Resolves a Location, absolute or relative, against the request (RFC 9110, 10.2.2; RFC 3986, 5.2): the origin and
/// the request target that it names.
fn resolve<'a>(target: &Target, location: &'a str) -> Result<(Origin, Cow<'a, str>), &'static str> {
    let location = location.trim_matches([' ', '\t']);
    if location.is_empty() {
        return Err("its Location is empty");
    }
    let segment_end = location.find(['/', '?', '#']).unwrap_or(location.len());
    let (https, rest) = match location.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        _ if location[..segment_end].contains(':') => return Err("it is not an http or https URL"),
        _ => match location.strip_prefix("//") {
            Some(rest) => (target.origin.is_https(), rest),
            None => return Ok((target.origin.clone(), merge(&target.request_target, location))),
        },
    };
    let (authority, request_target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = parse_authority(authority).map_err(|_| "its host can't be used")?;
    Ok((Origin::new(https, &host, port), Cow::Borrowed(request_target)))
}

/// The request target that a reference without an authority names. A path that begins with a slash stays as it is, since
/// a key may have segments of dots; in one that does not, they lead upwards from the request's own path.
fn merge<'a>(request_target: &str, reference: &'a str) -> Cow<'a, str> {
    let base = request_target.split('?').next().unwrap_or_default();
    match reference.as_bytes().first() {
        Some(b'/') => Cow::Borrowed(reference),
        Some(b'?' | b'#') => Cow::Owned(format!("{base}{reference}")),
        _ => {
            let (path, rest) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
            let mut segments: Vec<&str> = base.split('/').collect();
            segments.pop();
            let mut parts = path.split('/').peekable();
            while let Some(part) = parts.next() {
                match part {
                    // The root can't be left. A path that ends in dots names a folder.
                    ".." if segments.len() > 1 => drop(segments.pop()),
                    "." | ".." => {}
                    part => segments.push(part),
                }
                if matches!(part, "." | "..") && parts.peek().is_none() {
                    segments.push("");
                }
            }
            Cow::Owned(format!("{}{rest}", segments.join("/")))
        }
    }
}

/// Returns whether two request targets name the same bytes, however they are encoded.
fn same_target(ours: &str, theirs: &str) -> bool {
    let parts = |text: &str| {
        let (path, query) = text.split_once('?')?;
        Some((decode(path)?, decode(query)?))
    };
    ours == theirs || parts(ours).is_some_and(|ours| parts(theirs) == Some(ours))
}

/// The last two labels of a host, or three if the last has two letters and the one before at most three, as in
/// `x.co.uk`.
fn domain(host: &str) -> &str {
    let mut labels = host.rsplit('.');
    let (last, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    let mut length = last.len() + 1 + second.len();
    if last.len() == 2 && second.len() <= 3 {
        length += 1 + labels.next().unwrap_or_default().len();
    }
    &host[host.len().saturating_sub(length)..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obs::bucket::parse_endpoint;

    #[test]
    fn domains() {
        for (host, want) in [
            ("obs.cn-north-4.myhuaweicloud.com", "myhuaweicloud.com"),
            ("obs.example.co.uk", "example.co.uk"),
            ("obs.example.de", "example.de"),
            ("obs.eu.example.eu", "example.eu"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(domain(host), want);
        }
    }

    /// Endpoint, addressing and Location; the authority that it leads to, or the reason.
    type Row = (&'static str, Addressing, &'static str, Result<&'static str, &'static str>);

    const ROWS: &[Row] = &[
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Ok("bkt.obs.cn-2.hw.com"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "https://bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Ok("bkt.obs.cn-2.hw.com"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com:80/k y?uploadId=%69",
            Ok("bkt.obs.cn-2.hw.com"),
        ),
        (
            "http://obs.cn-1.hw.com:81",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com:81/k%20y?uploadId=i",
            Ok("bkt.obs.cn-2.hw.com:81"),
        ),
        (
            "http://obs.cn-1.hw.com:81",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Ok("bkt.obs.cn-2.hw.com"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Path,
            "http://obs.cn-2.hw.com/bkt/k%20y?uploadId=i",
            Ok("obs.cn-2.hw.com"),
        ),
        (
            "http://127.0.0.1:81",
            Addressing::Auto,
            "http://127.0.0.1:81/bkt/k%20y?uploadId=i",
            Ok("127.0.0.1:81"),
        ),
        (
            "http://localhost:81",
            Addressing::Auto,
            "http://bkt.localhost:81/k%20y?uploadId=i",
            Ok("bkt.localhost:81"),
        ),
        (
            "https://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Err("https to http"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.evil.com/k%20y?uploadId=i",
            Err("domain"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.evilhw.com/k%20y?uploadId=i",
            Err("domain"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.hw.com@evil.com/k%20y?uploadId=i",
            Err("host"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://other.obs.cn-2.hw.com/k%20y?uploadId=i",
            Err("bucket"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bktx.obs.cn-2.hw.com/k%20y?uploadId=i",
            Err("bucket"),
        ),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "http://bkt.obs.cn-2.hw.com/k%20y", Err("query")),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com/other?uploadId=i",
            Err("path"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com/k%20y?uploadId=i#f",
            Err("query"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "http://bkt.obs.cn-2.hw.com:8080/k%20y?uploadId=i",
            Err("port"),
        ),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "ftp://bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Err("URL"),
        ),
        // Relative ones. Those of a key with dots, which no path with dots of its own can name, stay as they are.
        ("http://obs.cn-1.hw.com", Addressing::Auto, "/k%20y?uploadId=i", Ok("bkt.obs.cn-1.hw.com")),
        ("http://obs.cn-1.hw.com:81", Addressing::Auto, " /k%20y?uploadId=i\t", Ok("bkt.obs.cn-1.hw.com:81")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "?uploadId=i", Ok("bkt.obs.cn-1.hw.com")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "k%20y?uploadId=i", Ok("bkt.obs.cn-1.hw.com")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "./../k%20y?uploadId=i", Ok("bkt.obs.cn-1.hw.com")),
        ("http://obs.cn-1.hw.com", Addressing::Path, "../bkt/k%20y?uploadId=i", Ok("obs.cn-1.hw.com")),
        (
            "http://obs.cn-1.hw.com",
            Addressing::Auto,
            "//bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Ok("bkt.obs.cn-2.hw.com"),
        ),
        (
            "https://obs.cn-1.hw.com",
            Addressing::Auto,
            "//bkt.obs.cn-2.hw.com/k%20y?uploadId=i",
            Ok("bkt.obs.cn-2.hw.com"),
        ),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "//evil.com/k%20y?uploadId=i", Err("host")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "///k%20y?uploadId=i", Err("host")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "", Err("empty")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, " ", Err("empty")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "/", Err("path")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, ".", Err("path")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "k%20y/?uploadId=i", Err("path")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "k%20y/.?uploadId=i", Err("path")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "k%20y", Err("query")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "#f", Err("query")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "?uploadId=", Err("query")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "http:/k%20y?uploadId=i", Err("URL")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "mailto:a@b", Err("URL")),
        ("http://obs.cn-1.hw.com", Addressing::Auto, "http://10.0.0.1/k%20y?uploadId=i", Err("host")),
        ("http://127.0.0.1:81", Addressing::Auto, "http://127.0.0.2:81/bkt/k%20y?uploadId=i", Err("host")),
        ("http://localhost:81", Addressing::Auto, "http://bkt.other:81/k%20y?uploadId=i", Err("host")),
        (
            "http://img.x.hw.com",
            Addressing::CustomDomain,
            "http://bkt.x.hw.com/k%20y?uploadId=i",
            Err("host"),
        ),
    ];

    #[test]
    fn rules() {
        for (endpoint, addressing, location, want) in ROWS {
            let endpoint = parse_endpoint(endpoint).expect("an endpoint");
            let bucket = Bucket::new(&endpoint, *addressing, None, "bkt").expect("a bucket");
            let target = bucket.upload_target("k y", "i").expect("a target");
            let followed = follow(&bucket, &target, location);
            match want {
                Ok(authority) => {
                    assert_eq!(followed.as_ref().map(|t| t.origin.authority()), Ok(*authority), "{location}");
                }
                Err(why) => {
                    assert!(followed.as_ref().is_err_and(|e| e.contains(why)), "{location}: {followed:?}");
                }
            }
        }
    }
}
