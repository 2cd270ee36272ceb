//! TCP sockets that block, for a short time.

use std::io::{self, IoSlice, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
#[cfg(not(target_vendor = "apple"))]
use rustix::net::SocketFlags;
use rustix::net::{AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketType, sockopt};

/// A socket that is connecting, or has a result.
pub struct Connecting(OwnedFd);

impl Connecting {
    /// Begins to connect to an address.
    pub fn start(address: SocketAddr) -> io::Result<Connecting> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let mut socket = unconnected(family)?;
        if socket.as_raw_fd() < 3 {
            // If the host has closed stdout or stderr and still prints, it must not print into the connection.
            socket = rustix::io::fcntl_dupfd_cloexec(&socket, 3)?;
        }
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Connecting(socket)),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until a socket has a result, or until `timeout`. Returns its index.
    pub fn wait<'a>(
        sockets: impl Iterator<Item = &'a Connecting>,
        timeout: Duration,
    ) -> io::Result<Option<usize>> {
        let mut polled: Vec<PollFd<'_>> =
            sockets.map(|socket| PollFd::new(&socket.0, PollFlags::OUT)).collect();
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 100_000_000 });
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Ok(None),
            Ok(_) => Ok(polled.iter().position(|socket| !socket.revents().is_empty())),
            Err(e) => Err(e.into()),
        }
    }

    /// Returns the connected socket, or the reason why the connection failed. Waits of `timeout` will need no system
    /// call to be set up.
    pub fn finish(self, timeout: Duration) -> io::Result<Socket> {
        sockopt::socket_error(&self.0)??;
        rustix::io::ioctl_fionbio(&self.0, false)?;
        sockopt::set_tcp_nodelay(&self.0, true)?;
        Socket::new(TcpStream::from(self.0), timeout)
    }
}

/// A socket that neither blocks nor passes to programs that the host starts.
#[cfg(not(target_vendor = "apple"))]
fn unconnected(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

/// Likewise, and without SIGPIPE. macOS has no flags for that, neither here nor for each send.
#[cfg(target_vendor = "apple")]
fn unconnected(family: AddressFamily) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

#[cfg(not(target_vendor = "apple"))]
const NO_SIGPIPE: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGPIPE: SendFlags = SendFlags::empty();

/// A connected socket. It blocks, no longer than the timeouts that it was given last: to set one costs a system call,
/// so that they are set only when they change.
pub struct Socket {
    stream: TcpStream,
    receive_timeout: Duration,
    send_timeout: Duration,
}

impl Socket {
    /// A socket over a connected stream that blocks.
    pub fn new(stream: TcpStream, timeout: Duration) -> io::Result<Socket> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Socket { stream, receive_timeout: timeout, send_timeout: timeout })
    }

    /// Receives what there is, 0 bytes at the end of the stream. Waits for it until `timeout`, or until a signal, and
    /// returns None then.
    pub fn receive(&mut self, into: &mut [u8], timeout: Duration) -> io::Result<Option<usize>> {
        if differ(self.receive_timeout, timeout) {
            self.stream.set_read_timeout(Some(timeout))?;
            self.receive_timeout = timeout;
        }
        unless_timeout_or_signal(self.stream.read(into))
    }

    /// Sends what there is room for. Waits for it as [`Socket::receive`] does.
    ///
    /// With MSG_NOSIGNAL: std's `TcpStream::write_vectored` is writev(2), which has no flags. With its EPIPE comes a
    /// SIGPIPE, which kills a host that does not ignore it. rustls writes through it.
    pub fn send(&mut self, bytes: &[IoSlice<'_>], timeout: Duration) -> io::Result<Option<usize>> {
        if differ(self.send_timeout, timeout) {
            self.stream.set_write_timeout(Some(timeout))?;
            self.send_timeout = timeout;
        }
        let nothing_else = &mut SendAncillaryBuffer::default();
        let sent = rustix::net::sendmsg(&self.stream, bytes, nothing_else, NO_SIGPIPE);
        unless_timeout_or_signal(sent.map_err(io::Error::from))
    }

    /// Returns whether nothing has arrived, not even the end of the stream. One system call.
    pub fn has_no_input(&self) -> bool {
        loop {
            match rustix::net::recv(&self.stream, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                peeked => return peeked == Err(Errno::AGAIN),
            }
        }
    }
}

/// Timeouts are changed only for the last interval of a budget, and back after it: a waiting thread is late by more than
/// this anyway.
fn differ(set: Duration, wanted: Duration) -> bool {
    set.abs_diff(wanted) > Duration::from_millis(2)
}

/// None if a read or write ended only because of the socket's timeout or a signal. ETIMEDOUT has the same `ErrorKind` as
/// such a timeout, and means that the peer is gone.
fn unless_timeout_or_signal(moved: io::Result<usize>) -> io::Result<Option<usize>> {
    use io::ErrorKind as Kind;
    match moved {
        Err(e)
            if matches!(e.kind(), Kind::WouldBlock | Kind::TimedOut | Kind::Interrupted)
                && e.raw_os_error() != Some(libc::ETIMEDOUT) =>
        {
            Ok(None)
        }
        moved => moved.map(Some),
    }
}
