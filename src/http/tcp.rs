//! A TCP connection to one of several addresses (Happy Eyeballs, RFC 8305), with a deadline.
//!
//! Not by a crate: those that race connections need an async runtime.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::base::deadline::{CHECK_INTERVAL, Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::sys::descriptors::error_text;
use crate::base::sys::socket::{Connecting, Socket};

use super::error::TransportError;

/// The time before the next address is tried beside the last one (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first address that accepts. The attempts to the others are closed.
pub fn connect(
    host: &str,
    addresses: &[IpAddr],
    port: u16,
    deadline: &Deadline,
) -> Result<Socket, TransportError> {
    let failed =
        |why: String| Error::new(Code::Connect, format!("no connection to {host} port {port}: {why}"));
    let mut waiting =
        interleave(addresses).into_iter().map(|address| SocketAddr::new(address, port)).peekable();
    let mut racing: Vec<(Connecting, SocketAddr)> = Vec::new();
    let mut next_start = Instant::now();
    let mut last_failure = None;
    loop {
        if let Err(interrupted) = deadline.check() {
            return Err(match interrupted {
                Interrupted::Cancelled => TransportError::Interrupted(interrupted),
                Interrupted::DeadlinePassed => TransportError::TimedOut(failed(
                    last_failure.unwrap_or_else(|| "no response within the time allowed".into()),
                )),
            });
        }
        if racing.is_empty() || Instant::now() >= next_start {
            if let Some(address) = waiting.next() {
                match Connecting::start(address) {
                    Ok(connecting) => racing.push((connecting, address)),
                    Err(e) => last_failure = Some(describe(&e, address)),
                }
                next_start = Instant::now() + STAGGER;
                continue;
            }
            if racing.is_empty() {
                return Err(failed(last_failure.unwrap_or_else(|| "no address to try".into())).into());
            }
        }
        let mut timeout = deadline.next_wait();
        if waiting.peek().is_some() {
            timeout = timeout.min(next_start.saturating_duration_since(Instant::now()));
        }
        let settled = Connecting::wait(racing.iter().map(|(connecting, _)| connecting), timeout);
        let Some(index) = settled.map_err(|e| failed(e.to_string()))? else { continue };
        let (connecting, address) = racing.swap_remove(index);
        match connecting.finish(CHECK_INTERVAL) {
            Ok(socket) => return Ok(socket),
            Err(e) => last_failure = Some(describe(&e, address)),
        }
        next_start = Instant::now();
    }
}

fn describe(error: &io::Error, address: SocketAddr) -> String {
    format!("{} ({address})", error_text(error))
}

/// Sorts addresses so that the two families take turns, beginning with that of the first (RFC 8305, 4).
fn interleave(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut first = first.into_iter();
    let mut second = second.into_iter();
    let mut out = Vec::with_capacity(addresses.len());
    loop {
        let (a, b) = (first.next(), second.next());
        if a.is_none() && b.is_none() {
            return out;
        }
        out.extend(a);
        out.extend(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| -> Vec<IpAddr> { list.iter().filter_map(|a| a.parse().ok()).collect() };
        assert_eq!(
            interleave(&parse(&["::1", "::2", "1.1.1.1", "2.2.2.2", "3.3.3.3"])),
            parse(&["::1", "1.1.1.1", "::2", "2.2.2.2", "3.3.3.3"])
        );
        assert_eq!(interleave(&parse(&["1.1.1.1", "::1"])), parse(&["1.1.1.1", "::1"]));
    }
}
