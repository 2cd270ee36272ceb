//! System calls on TCP sockets that std has no safe function for.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, sockopt,
};

/// A socket that is connecting, or is connected.
pub struct Connecting(OwnedFd);

impl Connecting {
    /// Begins to connect to an address.
    pub fn start(address: SocketAddr) -> io::Result<Connecting> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let mut socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
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

    /// Returns the blocking stream, with this timeout for receiving and sending, or the reason why the connection
    /// failed.
    pub fn finish(self, timeout: Duration) -> io::Result<TcpStream> {
        sockopt::socket_error(&self.0)??;
        rustix::io::ioctl_fionbio(&self.0, false)?;
        sockopt::set_tcp_nodelay(&self.0, true)?;
        let stream = TcpStream::from(self.0);
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(stream)
    }
}

/// Sends, with MSG_NOSIGNAL. std's `TcpStream::write_vectored` is writev(2), which has no flags: with its EPIPE comes
/// a SIGPIPE, which kills a host that does not ignore it. rustls writes through it.
pub fn send(socket: &TcpStream, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
    let nothing_else = &mut SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(socket, bytes, nothing_else, SendFlags::NOSIGNAL)?)
}

/// Returns whether nothing has arrived, not even the end of the stream. One system call.
pub fn has_no_input(socket: &TcpStream) -> bool {
    loop {
        match rustix::net::recv(socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            peeked => return peeked == Err(Errno::AGAIN),
        }
    }
}

/// Returns whether a read or write ended only because of the socket's timeout or a signal. ETIMEDOUT has the same
/// `ErrorKind` as such a timeout, and means that the peer is gone.
pub fn is_timeout_or_signal(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::WouldBlock | Kind::TimedOut | Kind::Interrupted)
        && error.raw_os_error() != Some(libc::ETIMEDOUT)
}
