//! HTTP proxies: the choice by host, the tunnel for https (CONNECT), the absolute form for http.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::error::{Code, Error};
use crate::base::origin::{Origin, ip_literal, parse_authority};
use crate::base::percent::decode;

use super::error::TransportError;

/// An HTTP proxy.
#[derive(Clone)]
pub struct Proxy {
    /// Lower case, IPv6 in brackets.
    pub host: String,
    /// 80 if the URL has none: the default of its scheme.
    pub port: u16,
    /// `Basic …`
    authorization: Option<String>,
    password: Option<String>,
}

impl Proxy {
    /// Parses `http://[user:password@]host[:port][/]`. The scheme may be missing, as it is in many environments.
    pub fn parse(url: &str) -> Result<Proxy, Error> {
        let refuse =
            |why: &str| Error::config(format!("the proxy URL {why}: give http://[user:password@]host:port"));
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(refuse("has a scheme other than http")),
            None => url,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // The last @, since a password that was not percent-encoded may hold one.
        let (user_info, authority) = match rest.rsplit_once('@') {
            Some((user_info, authority)) => (Some(user_info), authority),
            None => (None, rest),
        };
        if authority.is_empty() {
            return Err(refuse("has no host"));
        }
        let (host, port) = parse_authority(authority).map_err(refuse)?;
        let mut proxy = Proxy { host, port: port.unwrap_or(80), authorization: None, password: None };
        if let Some(user_info) = user_info {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            let plain = |text| {
                let bytes =
                    decode(text).ok_or_else(|| refuse("has a % that is not followed by two digits"))?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| refuse("has a user or password that is not UTF-8"))?;
                if text.chars().any(char::is_control) {
                    return Err(refuse("has a control character in its user or password"));
                }
                Ok(text)
            };
            let (user, password) = (plain(user)?, plain(password)?);
            if user.contains(':') {
                return Err(refuse("has a colon in its user"));
            }
            let pair = format!("{user}:{password}");
            proxy.authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            proxy.password = Some(password).filter(|password| !password.is_empty());
        }
        Ok(proxy)
    }

    /// The texts that no message may repeat.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let token = self.authorization.as_ref().and_then(|a| a.strip_prefix("Basic "));
        self.password.as_deref().into_iter().chain(token)
    }

    fn authorization_line(&self) -> String {
        match &self.authorization {
            Some(value) => format!("Proxy-Authorization: {value}\r\n"),
            None => String::new(),
        }
    }

    /// The request that opens a tunnel.
    pub fn connect_request(&self, host: &str, port: u16) -> String {
        let authorization = self.authorization_line();
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}\r\n")
    }

    /// Turns the head of a request into absolute form (RFC 9112, 3.2.2): `DELETE http://host/key… HTTP/1.1`.
    pub fn absolute_form(&self, authority: &str, head: &[u8]) -> Option<Vec<u8>> {
        let target_at = head.iter().position(|b| *b == b' ')? + 1;
        let headers_at = head.windows(2).position(|w| w == b"\r\n")? + 2;
        let authorization = self.authorization_line();
        let mut out = Vec::with_capacity(head.len() + authority.len() + authorization.len() + 8);
        out.extend_from_slice(&head[..target_at]);
        out.extend_from_slice(b"http://");
        out.extend_from_slice(authority.as_bytes());
        out.extend_from_slice(&head[target_at..headers_at]);
        out.extend_from_slice(authorization.as_bytes());
        out.extend_from_slice(&head[headers_at..]);
        Some(out)
    }

    /// The error about a tunnel that was not opened.
    pub fn no_tunnel(&self, host: &str, port: u16, why: &str) -> Error {
        Error::new(Code::Connect, format!("the proxy {self} opened no tunnel to {host} port {port}: {why}"))
    }

    /// Judges the head of the response to CONNECT.
    pub fn check_connect_response(&self, host: &str, port: u16, head: &[u8]) -> Result<(), TransportError> {
        let refused = |why: &str| self.no_tunnel(host, port, why);
        let line = head.split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or_default();
        let status = line
            .strip_prefix(b"HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
        match status {
            Some(200..=299) => Ok(()),
            Some(407) if self.authorization.is_none() => Err(TransportError::Permanent(refused(
                "407, it wants a user and a password: give them in the proxy URL",
            ))),
            Some(407) => Err(TransportError::Permanent(refused(
                "407, it refuses the user or the password in the proxy URL",
            ))),
            Some(status @ 400..=499) => {
                Err(TransportError::Permanent(refused(&format!("it answered {status}"))))
            }
            Some(status) => Err(refused(&format!("it answered {status}")).into()),
            None => Err(refused("its response is not HTTP").into()),
        }
    }
}

/// Shows host and port alone, since the rest is secret.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// The proxies of a client, and the hosts that they do not serve. One that can't be used is an error once it decides: for
/// another scheme, or under no_proxy, it does not.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Result<Proxy, Error>>,
    https: Option<Result<Proxy, Error>>,
    no_proxy: Vec<NoProxyRule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NoProxyRule {
    Everything,
    /// The host and all below it, on this port or, if None, on any.
    Domain(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    /// Addresses that share their first bits.
    Network(IpAddr, u8),
}

impl Proxies {
    /// One proxy for every host.
    pub fn fixed(proxy: Proxy) -> Proxies {
        Proxies { http: Some(Ok(proxy.clone())), https: Some(Ok(proxy)), no_proxy: Vec::new() }
    }

    /// Reads the proxy variables, lower case before upper case.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        // A CGI server sets HTTP_PROXY from the "Proxy:" header of a request, which anybody can send. In an environment that
        // ignores case, as that of Windows does, http_proxy is the same variable.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let ignores_case = variable("request_method").is_some();
        let is_forgeable =
            |name: &str| is_cgi && (name == "HTTP_PROXY" || ignores_case && name == "http_proxy");
        let set = |name: &str| {
            let value = variable(name).filter(|value| !value.trim().is_empty() && !is_forgeable(name))?;
            Some((name.to_owned(), value))
        };
        let either = |lower: &str| set(lower).or_else(|| set(&lower.to_ascii_uppercase()));
        let proxy = |name: &str| {
            let (name, url) = either(name).or_else(|| either("all_proxy"))?;
            let proxy = Proxy::parse(url.trim());
            Some(proxy.map_err(|e| Error::config(format!("{name} in the environment: {}", e.detail))))
        };
        let no_proxy = either("no_proxy").map(|(_, list)| list).unwrap_or_default();
        Proxies {
            http: proxy("http_proxy"),
            https: proxy("https_proxy"),
            no_proxy: no_proxy_rules(&no_proxy),
        }
    }

    /// The proxy for this origin, if there is one.
    pub fn proxy_for(&self, origin: &Origin) -> Result<Option<&Proxy>, Error> {
        let proxy = if origin.is_https() { &self.https } else { &self.http };
        match proxy {
            Some(proxy) if !self.no_proxy.iter().any(|rule| rule.covers(origin.host(), origin.port())) => {
                proxy.as_ref().map(Some).map_err(Error::clone)
            }
            _ => Ok(None),
        }
    }

    /// The texts that no message may repeat.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.http.iter().chain(&self.https).flatten().flat_map(Proxy::secrets)
    }
}

fn no_proxy_rules(list: &str) -> Vec<NoProxyRule> {
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .filter_map(|entry| {
            if entry == "*" {
                return Some(NoProxyRule::Everything);
            }
            if let Some((network, bits)) = entry.split_once('/') {
                let network = ip_literal(network)?;
                let most = if network.is_ipv4() { 32 } else { 128 };
                return Some(NoProxyRule::Network(network, bits.parse().ok().filter(|bits| *bits <= most)?));
            }
            if let Some(address) = ip_literal(entry) {
                return Some(NoProxyRule::Address(address, None));
            }
            // A name may end with the dot of the root.
            let entry = entry.trim_start_matches("*.").trim_matches('.').replace(".:", ":");
            let (host, port) = parse_authority(&entry).ok()?;
            Some(match ip_literal(&host) {
                Some(address) => NoProxyRule::Address(address, port),
                None => NoProxyRule::Domain(host, port),
            })
        })
        .collect()
}

impl NoProxyRule {
    fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let on_port = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            NoProxyRule::Everything => true,
            NoProxyRule::Domain(domain, wanted) => {
                let below = host.strip_suffix(domain.as_str()).filter(|_| ip_literal(host).is_none());
                on_port(wanted) && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            NoProxyRule::Address(address, wanted) => on_port(wanted) && ip_literal(host) == Some(*address),
            NoProxyRule::Network(network, bits) => match (network, ip_literal(host)) {
                (IpAddr::V4(a), Some(IpAddr::V4(b))) => {
                    same_prefix(a.to_bits().into(), b.to_bits().into(), 32, *bits)
                }
                (IpAddr::V6(a), Some(IpAddr::V6(b))) => same_prefix(a.to_bits(), b.to_bits(), 128, *bits),
                _ => false,
            },
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u8, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (width - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Proxies {
        Proxies::from_env(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    /// The host of the proxy for a scheme and a host, "direct", or the variable that can't be used.
    fn way(pairs: &[(&str, &str)], https: bool, host: &str, port: u16) -> String {
        match env(pairs).proxy_for(&Origin::new(https, host, Some(port))) {
            Ok(Some(proxy)) => proxy.host.clone(),
            Ok(None) => "direct".to_owned(),
            Err(error) => error.detail.split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn urls() {
        let proxy = Proxy::parse("http://us%40er:p%3Aw%25@Proxy.example:3128/").expect("a proxy");
        assert_eq!(proxy.to_string(), "proxy.example:3128");
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNAZXI6cDp3JQ=="));
        assert!(!format!("{proxy:?}").contains("p:w"));
        assert_eq!(Proxy::parse("10.0.0.1:8080").expect("no scheme").port, 8080);
        for bad in [
            "",
            "http://",
            "https://p:1",
            "socks5://p:1",
            "http://p:0",
            "http://p:x",
            "http://p/x",
            "http://u%zz@p:1",
            "http://u%0a:p@p:1",
            "http://p q:1",
        ] {
            assert!(Proxy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn environment() {
        let all =
            [("http_proxy", "http://low:1"), ("HTTP_PROXY", "http://up:1"), ("all_proxy", "http://all:1")];
        assert_eq!(way(&all, false, "h", 80), "low");
        assert_eq!(way(&all, true, "h", 443), "all");
        assert_eq!(
            way(&[("HTTP_PROXY", "http://up:1"), ("REQUEST_METHOD", "GET")], false, "h", 80),
            "direct"
        );
        // On Windows.
        let any_case = |cgi: bool| {
            let proxies = Proxies::from_env(|name| match name.to_ascii_uppercase().as_str() {
                "HTTP_PROXY" => Some("http://any:1".to_owned()),
                "REQUEST_METHOD" => cgi.then(|| "GET".to_owned()),
                _ => None,
            });
            let origin = Origin::new(false, "h", None);
            proxies.proxy_for(&origin).expect("a way").map(|proxy| proxy.host.clone())
        };
        assert_eq!((any_case(false).as_deref(), any_case(true)), (Some("any"), None));
        assert_eq!(way(&[("http_proxy", "p:1"), ("NO_PROXY", "*")], false, "h", 80), "direct");
    }

    #[test]
    fn a_variable_is_judged_if_it_decides() {
        let socks = ("all_proxy", "socks5://x:1");
        for (pairs, https, want) in [
            (&[socks][..], true, "all_proxy"),
            (&[socks], false, "all_proxy"),
            (&[("https_proxy", "socks5://x:1")], true, "https_proxy"),
            (&[("https_proxy", "socks5://x:1")], false, "direct"),
            (&[("http_proxy", "http://p:99999")], true, "direct"),
            (&[("http_proxy", "http://p:99999")], false, "http_proxy"),
            (&[socks, ("https_proxy", "good:1")], true, "good"),
            (&[socks, ("https_proxy", "good:1")], false, "all_proxy"),
            (&[socks, ("HTTPS_PROXY", "good:1")], true, "good"),
            (&[socks, ("no_proxy", "h")], true, "direct"),
            (&[socks, ("no_proxy", "*")], true, "direct"),
            (&[socks, ("no_proxy", "other")], true, "all_proxy"),
            (&[("HTTPS_PROXY", "socks5://x:1"), ("https_proxy", "good:1")], true, "good"),
            (&[("https_proxy", " "), socks], true, "all_proxy"),
        ] {
            assert_eq!(way(pairs, https, "h", 443), want, "{pairs:?} {https}");
        }
    }

    #[test]
    fn exceptions() {
        const LIST: &str = "localhost, .a.example,*.b.example 10.0.0.1,192.168.0.0/16,[::1]:81,c.example:8080,0.0.9,,\n\
            d.example.,.e.example.,*.F.example.,g.example.:8080,.,:,*x,fd00::/8,[fe80::]/10,10.1.0.0/33,2001:db8::7";
        for (host, port, direct) in [
            ("localhost", 80, true),
            ("x.localhost", 80, true),
            ("xlocalhost", 80, false),
            ("localhost.", 80, true),
            ("a.example", 80, true),
            ("k.a.example", 80, true),
            ("ba.example", 80, false),
            ("b.example", 80, true),
            ("z.b.example", 80, true),
            ("10.0.0.1", 80, true),
            ("10.0.0.2", 80, false),
            ("10.1.0.0", 80, false),
            ("192.168.7.7", 80, true),
            ("127.0.0.9", 80, false),
            ("192.169.0.1", 80, false),
            ("[::1]", 81, true),
            ("[::1]", 80, false),
            ("[fd12::1]", 80, true),
            ("[febf::1]", 80, true),
            ("[fec0::1]", 80, false),
            ("[2001:db8::7]", 80, true),
            ("c.example", 8080, true),
            ("c.example", 80, false),
            ("c.example.", 8080, true),
            ("d.example", 80, true),
            ("d.example.", 80, true),
            ("k.d.example", 80, true),
            ("xd.example", 80, false),
            ("e.example", 80, true),
            ("k.e.example", 80, true),
            ("k.f.example", 80, true),
            ("g.example", 8080, true),
            ("g.example", 80, false),
            ("x", 80, false),
        ] {
            let way = way(&[("http_proxy", "p:1"), ("no_proxy", LIST)], false, host, port);
            assert_eq!(way == "direct", direct, "{host}:{port}");
        }
    }

    #[test]
    fn absolute_form() {
        let proxy = Proxy::parse("http://u:p@h:1").expect("a proxy");
        let head = proxy
            .absolute_form("b.h:81", b"DELETE /k?uploadId=i HTTP/1.1\r\nhost: b.h:81\r\n\r\n")
            .expect("a head");
        assert_eq!(
            String::from_utf8_lossy(&head),
            "DELETE http://b.h:81/k?uploadId=i HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\nhost: b.h:81\r\n\r\n"
        );
    }
}
