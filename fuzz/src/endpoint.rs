//! What names a host: four lines (endpoint, proxy URL, no_proxy, Location), then a proxy's response to CONNECT.

use obsabort::fuzzing::{Addressing, Bucket, Origin, Proxies, Proxy, follow, parse_endpoint};

pub fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (endpoint, proxy_url, no_proxy, location) = (line(), line(), line(), line());
    let response = parts.next().unwrap_or_default();

    let endpoint = parse_endpoint(&endpoint);
    if let Ok(endpoint) = &endpoint {
        judge_host(endpoint.host());
        for again in [
            format!("{}://{}/", scheme(endpoint.is_https()), endpoint.authority()),
            format!("{}://{}:{}", scheme(endpoint.is_https()), endpoint.host(), endpoint.port()),
        ] {
            assert_eq!(parse_endpoint(&again).as_ref(), Ok(endpoint));
        }
        redirect(endpoint, &location);
    }
    if let Ok(proxy) = Proxy::parse(&proxy_url) {
        judge_proxy(&proxy, response);
    }
    let proxies = Proxies::from_env(|name| match name {
        "http_proxy" | "HTTPS_PROXY" => Some(proxy_url.clone()),
        "no_proxy" => Some(no_proxy.clone()),
        _ => None,
    });
    let host = endpoint.as_ref().map_or("h.example.com", Origin::host);
    let served = proxies.proxy_for(&Origin::new(true, host, None));
    assert!(
        matches!(served, Ok(None)) || !no_proxy.split(',').any(|entry| entry == "*" || entry == host),
        "{no_proxy}"
    );
}

fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}

fn judge_host(host: &str) {
    match host.strip_prefix('[') {
        Some(inner) => {
            assert!(inner.strip_suffix(']').is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok()))
        }
        None => {
            let labels: Vec<&str> = host.split('.').collect();
            assert!(
                host.len() <= 253 && labels.iter().all(|label| (1..=63).contains(&label.len())),
                "{host:?}"
            );
            assert!(
                host.bytes().all(|b| b"abcdefghijklmnopqrstuvwxyz0123456789-_.".contains(&b)),
                "{host:?}"
            );
        }
    }
}

fn judge_proxy(proxy: &Proxy, response: &[u8]) {
    judge_host(&proxy.host);
    assert!(proxy.port > 0);
    let judged = proxy.check_connect_response("h.example.com", 443, response);
    // With another user and password it says the same: neither is told.
    if proxy.secrets().next().is_some() {
        let other = Proxy::parse(&format!("http://u:other@{}:{}", proxy.host, proxy.port)).expect("a proxy");
        let judged_too = other.check_connect_response("h.example.com", 443, response);
        assert_eq!(format!("{proxy} {proxy:?} {judged:?}"), format!("{other} {other:?} {judged_too:?}"));
    }
    if judged.is_ok() {
        assert!(
            response.starts_with(b"HTTP/1.") && response.get(9) == Some(&b'2'),
            "{response:?} opens a tunnel"
        );
    }
    // However the password reads, the request has the lines it should have.
    let request = proxy.connect_request("h.example.com", 443);
    let lines = request.matches("\r\n").count();
    assert!((3..=4).contains(&lines) && request.ends_with("\r\n\r\n"), "{:?}", request);
    assert!(!request.replace("\r\n", "").chars().any(char::is_control), "{:?}", request);
    let head = b"DELETE /k?uploadId=i HTTP/1.1\r\nHost: h\r\n\r\n";
    let absolute = proxy.absolute_form("h:81", head).expect("a head");
    assert!(
        absolute.starts_with(b"DELETE http://h:81/k?uploadId=i HTTP/1.1\r\n")
            && absolute.ends_with(b"\r\n\r\n")
    );
    assert_eq!(absolute.windows(2).filter(|w| w == b"\r\n").count(), lines);
}

/// Whatever a Location says, the request that follows it is the same one, and stays in the endpoint's domain.
fn redirect(endpoint: &Origin, location: &str) {
    for addressing in [Addressing::Auto, Addressing::Path, Addressing::CustomDomain] {
        let Ok(bucket) = Bucket::new(endpoint, addressing, None, "bkt") else { continue };
        let from = bucket.upload_target("k y", "i").expect("a target");
        let Ok(to) = follow(&bucket, &from, location) else { continue };
        assert_eq!(
            (&to.request_target, &to.canonical_resource),
            (&from.request_target, &from.canonical_resource)
        );
        assert!(to.origin.is_https() || !from.origin.is_https(), "{location:?} goes from https to http");
        let host = to.origin.host();
        if host != from.origin.host() {
            let last_two: Vec<&str> = endpoint.host().rsplit('.').take(2).collect();
            let theirs: Vec<&str> = host.rsplit('.').take(2).collect();
            assert!(last_two.len() == 2 && last_two == theirs, "{location:?} leaves {}", endpoint.host());
            let in_bucket = match bucket.addressing() {
                Addressing::Path => true,
                Addressing::VirtualHost => host.starts_with("bkt."),
                Addressing::Auto | Addressing::CustomDomain => false,
            };
            assert!(in_bucket, "{location:?} leaves the bucket");
        }
    }
}
