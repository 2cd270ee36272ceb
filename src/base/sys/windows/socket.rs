//! TCP sockets that never block. What waits is select().
//!
//! - Not a socket's own timeouts: Windows makes 500 ms of shorter ones on old versions, and leaves a socket whose receive
//!   has timed out in an undefined state.
//! - Not WSAPoll: before Windows 10 2004, it does not report that a connection has failed.

#![allow(unsafe_code)]

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::windows::io::AsRawSocket as _;
use std::ptr::{from_mut, null_mut};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use windows_sys::Win32::Networking::WinSock::{FD_SET, FD_SETSIZE, SOCKET, SOCKET_ERROR, TIMEVAL, select};

/// A socket that is connecting, or has a result.
pub struct Connecting(socket2::Socket);

impl Connecting {
    /// Begins to connect to an address. Child processes don't inherit the socket.
    pub fn start(address: SocketAddr) -> io::Result<Connecting> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address.into()) {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(e),
            _ => Ok(Connecting(socket)),
        }
    }

    /// Waits until a socket has a result, or until `timeout`. Returns its index.
    pub fn wait<'a>(
        sockets: impl Iterator<Item = &'a Connecting>,
        timeout: Duration,
    ) -> io::Result<Option<usize>> {
        // More than a set can hold wait for those before them.
        let sockets: Vec<SOCKET> =
            sockets.take(FD_SETSIZE as usize).map(|socket| socket.0.as_raw_socket() as SOCKET).collect();
        let (mut connected, mut failed) = (set(&sockets), set(&sockets));
        wait(None, Some(&mut connected), Some(&mut failed), timeout)?;
        Ok(sockets.iter().position(|socket| holds(&connected, *socket) || holds(&failed, *socket)))
    }

    /// Returns the connected socket, or the reason why the connection failed.
    pub fn finish(self, timeout: Duration) -> io::Result<Socket> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        self.0.set_tcp_nodelay(true)?;
        Socket::new(TcpStream::from(self.0), timeout)
    }
}

/// A connected socket.
pub struct Socket(TcpStream);

impl Socket {
    /// A socket over a connected stream.
    pub fn new(stream: TcpStream, _timeout: Duration) -> io::Result<Socket> {
        stream.set_nonblocking(true)?;
        Ok(Socket(stream))
    }

    /// Receives what there is, 0 bytes at the end of the stream. Waits for it until `timeout`, and returns None then.
    pub fn receive(&mut self, into: &mut [u8], timeout: Duration) -> io::Result<Option<usize>> {
        if let Some(count) = unless_blocked(self.0.read(into))? {
            return Ok(Some(count));
        }
        wait(Some(&mut set(&[self.socket()])), None, None, timeout)?;
        unless_blocked(self.0.read(into))
    }

    /// Sends what there is room for. Waits for it as [`Socket::receive`] does.
    pub fn send(&mut self, bytes: &[IoSlice<'_>], timeout: Duration) -> io::Result<Option<usize>> {
        if let Some(count) = unless_blocked(self.0.write_vectored(bytes))? {
            return Ok(Some(count));
        }
        wait(None, Some(&mut set(&[self.socket()])), None, timeout)?;
        unless_blocked(self.0.write_vectored(bytes))
    }

    /// Returns whether nothing has arrived, not even the end of the stream. One system call.
    pub fn has_no_input(&self) -> bool {
        self.0.peek(&mut [0_u8; 1]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    fn socket(&self) -> SOCKET {
        self.0.as_raw_socket() as SOCKET
    }
}

fn unless_blocked(moved: io::Result<usize>) -> io::Result<Option<usize>> {
    match moved {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
        moved => moved.map(Some),
    }
}

/// A set of some sockets, of which there are no more than FD_SETSIZE.
fn set(sockets: &[SOCKET]) -> FD_SET {
    let mut set = FD_SET::default();
    for (place, socket) in set.fd_array.iter_mut().zip(sockets) {
        *place = *socket;
        set.fd_count += 1;
    }
    set
}

fn holds(set: &FD_SET, socket: SOCKET) -> bool {
    set.fd_array.iter().take(set.fd_count as usize).any(|other| *other == socket)
}

/// Waits until a socket of a set is ready, or until `timeout`. Leaves in each set the sockets that are.
fn wait(
    readable: Option<&mut FD_SET>,
    writable: Option<&mut FD_SET>,
    failed: Option<&mut FD_SET>,
    timeout: Duration,
) -> io::Result<()> {
    let timeout = TIMEVAL {
        tv_sec: i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX),
        tv_usec: i32::try_from(timeout.subsec_micros()).unwrap_or_default(),
    };
    let pointer = |set: Option<&mut FD_SET>| set.map_or(null_mut(), from_mut);
    // SAFETY: each set is NULL or one of ours, whose count says how many sockets it holds.
    let ready =
        unsafe { select(0, pointer(readable), pointer(writable), pointer(failed), &raw const timeout) };
    // The error of the last call to WinSock is the thread's last error.
    if ready == SOCKET_ERROR { Err(io::Error::last_os_error()) } else { Ok(()) }
}
