//! Where requests go: hosts, ports and authorities.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

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
