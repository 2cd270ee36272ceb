//! Which bucket and key a request is about: by the host's first labels, by the path, or by a custom domain.

use std::net::IpAddr;

use crate::signing::percent_decode;

pub(crate) struct Addressing {
    domains: Vec<String>,
    custom_domains: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    pub bucket: Option<String>,
    /// Decoded.
    pub key: Option<String>,
    /// The path of what is signed: encoded as it was sent, with the bucket or the custom domain in front.
    pub signed_path: String,
}

impl Addressing {
    pub fn new(domains: &[String], custom_domains: &[(String, String)]) -> Self {
        Self {
            domains: domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            custom_domains: custom_domains
                .iter()
                .map(|(domain, bucket)| (domain.to_ascii_lowercase(), bucket.clone()))
                .collect(),
        }
    }

    /// Nothing if the path cannot be that of any key.
    pub fn place(&self, host: &str, path: &str) -> Option<Place> {
        let host = without_port(host).to_ascii_lowercase();
        let key_of = |encoded: &str| -> Option<Option<String>> {
            let key = String::from_utf8(percent_decode(encoded)).ok()?;
            Some((!key.is_empty()).then_some(key))
        };
        if let Some((_, bucket)) = self.custom_domains.iter().find(|(domain, _)| *domain == host) {
            return Some(Place {
                bucket: Some(bucket.clone()),
                key: key_of(&path[1..])?,
                signed_path: format!("/{host}{path}"),
            });
        }
        if let Some(bucket) = self.bucket_in(&host) {
            return Some(Place {
                bucket: Some(bucket.to_owned()),
                key: key_of(&path[1..])?,
                signed_path: format!("/{bucket}{path}"),
            });
        }
        let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        Some(Place { bucket: key_of(bucket)?, key: key_of(key)?, signed_path: path.to_owned() })
    }

    /// A host that is neither a domain of ours nor below one nor an IP address is some bucket's custom domain that was never
    /// registered: it names a bucket that does not exist.
    fn bucket_in<'a>(&self, host: &'a str) -> Option<&'a str> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || bare.parse::<IpAddr>().is_ok() || self.domains.iter().any(|d| d == host) {
            return None;
        }
        let below = |domain: &String| host.strip_suffix(domain.as_str())?.strip_suffix('.');
        let bucket = self.domains.iter().filter_map(below).min_by_key(|bucket| bucket.len());
        Some(bucket.unwrap_or(host))
    }
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        // The colons of an IPv6 literal stand in brackets.
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_comes_from_host_path_or_custom_domain() {
        let addressing = Addressing::new(
            &["localhost".into(), "obs.test".into(), "eu.obs.test".into()],
            &[("img.example.com".into(), "pictures".into())],
        );
        let place = |host, path| {
            let place = addressing.place(host, path).unwrap();
            (place.bucket.unwrap_or_default(), place.key.unwrap_or_default(), place.signed_path)
        };
        let expect = |bucket: &str, key: &str, signed: &str| (bucket.into(), key.into(), signed.into());
        assert_eq!(place("b.localhost:80", "/a%20b"), expect("b", "a b", "/b/a%20b"));
        assert_eq!(place("my.bucket.eu.obs.test", "//"), expect("my.bucket", "/", "/my.bucket//"));
        assert_eq!(place("127.0.0.1:8080", "/b//k"), expect("b", "/k", "/b//k"));
        assert_eq!(place("[::1]:8080", "/b/"), expect("b", "", "/b/"));
        assert_eq!(place("OBS.test", "/"), expect("", "", "/"));
        assert_eq!(place("img.example.com:99", "/k"), expect("pictures", "k", "/img.example.com/k"));
        assert_eq!(place("other.example.com", "/k").0, "other.example.com");
        assert_eq!(addressing.place("b.localhost", "/%FF"), None);
    }
}
