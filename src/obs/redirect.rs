//! Which redirects are safe to follow. The official SDKs sign again for any host, which hands a valid signature
//! and the token to whoever responses.

use crate::base::origin::{Authority, ip_literal, split_port};
use crate::base::percent::decode;
use crate::obs::bucket::{Endpoint, Target};

/// The same request at the place that a 307 or 308 names, or the reason why it is not sent there.
pub fn follow(
    target: &Target,
    endpoint: &Endpoint,
    bucket: &str,
    custom_domain: bool,
    location: &str,
) -> Result<Target, &'static str> {
    let (https, rest) = match location.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        _ => return Err("it is not an http or https URL"),
    };
    let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(path_at);
    let (host, port) = split_port(authority).map_err(|_| "its host can't be used")?;
    if target.https && !https {
        return Err("it goes from https to http");
    }
    if !same_target(&target.path_and_query, path_and_query) {
        return Err("it changes the path or the query");
    }
    let (from_host, from_port) = (target.authority.host(), target.authority.port());
    let default = |https| if https { 443 } else { 80 };
    let port = port.unwrap_or(default(https));
    if port != default(https) && port != from_port.unwrap_or(default(target.https)) {
        return Err("it changes the port");
    }
    if host != from_host {
        let labels = |host: &str| host.split('.').count();
        if custom_domain
            || [&host, &endpoint.host].into_iter().any(|h| ip_literal(h).is_some() || labels(h) < 3)
        {
            return Err("it changes the host");
        }
        let in_host = host.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.'));
        if !target.path_style && !in_host {
            return Err("it changes the bucket");
        }
        let domain = domain(&endpoint.host);
        if !host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
            return Err("it leaves the endpoint's domain");
        }
    }
    let authority = Authority::new(&host, Some(port).filter(|port| *port != default(https)));
    Ok(Target { https, authority, ..target.clone() })
}

/// The same bytes, however they are encoded.
fn same_target(ours: &str, theirs: &str) -> bool {
    let parts = |text: &str| {
        let (path, query) = text.split_once('?')?;
        Some((decode(path)?, decode(query)?))
    };
    ours == theirs || parts(ours).is_some_and(|ours| parts(theirs) == Some(ours))
}

/// The last two labels; three where the last has two letters and the one before at most three, as in `x.co.uk`.
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
    use crate::obs::bucket::{Addressing, Bucket};

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

    #[test]
    fn rules() {
        for (endpoint, addressing, location, want) in [
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
            ("http://obs.cn-1.hw.com", Addressing::Auto, "/k%20y?uploadId=i", Err("URL")),
            ("http://obs.cn-1.hw.com", Addressing::Auto, "http://10.0.0.1/k%20y?uploadId=i", Err("host")),
            (
                "http://127.0.0.1:81",
                Addressing::Auto,
                "http://127.0.0.2:81/bkt/k%20y?uploadId=i",
                Err("host"),
            ),
            ("http://localhost:81", Addressing::Auto, "http://bkt.other:81/k%20y?uploadId=i", Err("host")),
            (
                "http://img.x.hw.com",
                Addressing::CustomDomain,
                "http://bkt.x.hw.com/k%20y?uploadId=i",
                Err("host"),
            ),
        ] {
            let endpoint = Endpoint::parse(endpoint).expect("an endpoint");
            let target = Bucket::new(&endpoint, addressing, "bkt")
                .and_then(|p| p.upload("k y", "i"))
                .expect("a target");
            let followed =
                follow(&target, &endpoint, "bkt", addressing == Addressing::CustomDomain, location);
            match want {
                Ok(authority) => {
                    assert_eq!(followed.as_ref().map(|t| t.authority.as_str()), Ok(authority), "{location}");
                }
                Err(why) => {
                    assert!(followed.as_ref().is_err_and(|e| e.contains(why)), "{location}: {followed:?}");
                }
            }
        }
    }
}
