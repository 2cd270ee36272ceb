//! A TCP connection to one of several addresses (Happy Eyeballs, RFC 8305), with a deadline.
//!
//! Not by a crate: those that race connections need an async runtime.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::base::deadline::{Deadline, Interrupted, SLICE};
use crate::base::error::{Code, Error};

use super::error::TransportError;

/// The time before the next address is tried beside the last one (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first address that accepts. The attempts to the others are closed.
pub fn connect(
    host: &str,
    addresses: &[IpAddr],
    port: u16,
    deadline: &Deadline,
) -> Result<TcpStream, TransportError> {
    let mut waiting = interleave(addresses).into_iter();
    let mut racing: Vec<(OwnedFd, SocketAddr)> = Vec::new();
    let mut last_error = None;
    let mut next_at = Instant::now();
    let mut more = true;
    loop {
        let stopped = |stop| match stop {
            Interrupted::Cancelled => TransportError::Interrupted(stop),
            Interrupted::DeadlinePassed => TransportError::TimedOut(failed(
                host,
                port,
                last_error,
                "no response within the time allowed",
            )),
        };
        deadline.check().map_err(stopped)?;
        if more && (racing.is_empty() || Instant::now() >= next_at) {
            match waiting.next() {
                Some(address) => {
                    let address = SocketAddr::new(address, port);
                    match start(address) {
                        Ok((socket, true)) => {
                            return finish(socket)
                                .map_err(|e| failed(host, port, Some((e, address)), "").into());
                        }
                        Ok((socket, false)) => racing.push((socket, address)),
                        Err(e) => last_error = Some((e, address)),
                    }
                    next_at = Instant::now() + STAGGER;
                    continue;
                }
                None => more = false,
            }
        }
        if racing.is_empty() {
            return Err(failed(host, port, last_error, "no address to try").into());
        }
        let mut patience = deadline.slice();
        if more {
            patience = patience.min(next_at.saturating_duration_since(Instant::now()));
        }
        let mut fds: Vec<PollFd> =
            racing.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::OUT)).collect();
        let ready: Vec<bool> = match poll(&mut fds, Some(&timespec(patience))) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
            Err(e) => return Err(failed(host, port, None, &e.to_string()).into()),
        };
        let settled = ready.iter().position(|ready| *ready);
        if let Some(index) = settled {
            let (socket, address) = racing.swap_remove(index);
            match sockopt::socket_error(&socket) {
                Ok(Ok(())) => {
                    return finish(socket).map_err(|e| failed(host, port, Some((e, address)), "").into());
                }
                Ok(Err(e)) | Err(e) => {
                    last_error = Some((e, address));
                    next_at = Instant::now();
                }
            }
        }
    }
}

fn failed(host: &str, port: u16, cause: Option<(Errno, SocketAddr)>, otherwise: &str) -> Error {
    let why = match cause {
        // Without "(os error N)": the address says more.
        Some((errno, address)) => {
            let text = std::io::Error::from(errno).to_string();
            format!("{} ({address})", text.split(" (os error").next().unwrap_or(&text))
        }
        None => otherwise.to_owned(),
    };
    Error::new(Code::Connect, format!("no connection to {host} port {port}: {why}"))
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

/// Begins to connect. Returns the socket, and whether it is connected already.
fn start(address: SocketAddr) -> Result<(OwnedFd, bool), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let mut socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if socket.as_raw_fd() < 3 {
        // If the host has closed stdout or stderr and still prints, it must not print into the connection.
        socket = rustix::io::fcntl_dupfd_cloexec(&socket, 3)?;
    }
    match rustix::net::connect(&socket, &address) {
        Ok(()) => Ok((socket, true)),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((socket, false)),
        Err(e) => Err(e),
    }
}

/// Makes the socket blocking, with timeouts of one slice.
fn finish(socket: OwnedFd) -> Result<TcpStream, Errno> {
    rustix::io::ioctl_fionbio(&socket, false)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(SLICE))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(SLICE))?;
    Ok(TcpStream::from(socket))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 100_000_000 })
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
