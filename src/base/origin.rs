//! Origins: scheme, host and port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A scheme and an authority (RFC 9110, 4.3.1). It decides which connection a request can use. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    /// Host, and port if it is not the scheme's default, as in the Host header.
    authority: Arc<str>,
    host_length: usize,
    port: u16,
}

impl Origin {
    /// An origin. `host` is in lower case, IPv6 in brackets. Without a port, it has the scheme's default.
    pub fn new(https: bool, host: &str, port: Option<u16>) -> Origin {
        let default = if https { 443 } else { 80 };
        let port = port.unwrap_or(default);
        let authority = if port == default { host.into() } else { format!("{host}:{port}").into() };
        Origin { https, authority, host_length: host.len(), port }
    }

    /// The same scheme and port on another host.
    pub fn with_host(&self, host: &str) -> Origin {
        Origin::new(self.https, host, Some(self.port))
    }

    /// Returns whether connections use TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The value of the Host header, with the port only if it is not the scheme's default.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host alone, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.authority[..self.host_length]
    }

    /// The port, the scheme's default included.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the port is the scheme's default.
    pub fn has_default_port(&self) -> bool {
        self.host_length == self.authority.len()
    }

    /// Returns whether the host is an address rather than a name.
    pub fn is_ip_literal(&self) -> bool {
        ip_literal(self.host()).is_some()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.authority())
    }
}

/// The address, if the host is one, with or without brackets.
pub fn ip_literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Parses `host[:port]` (RFC 3986, 3.2, without user info). The host is returned in lower case.
pub fn parse_authority(authority: &str) -> Result<(String, Option<u16>), &'static str> {
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
