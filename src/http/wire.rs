//! One connection: bytes in and out, plain or through TLS, never longer than the watch allows.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, sendmsg, sockopt};
use rustls::ClientConnection;

use crate::error::{Code, Error};
use crate::watch::{SLICE, Stop, Watch};

use super::{Trouble, tls};

/// A connected socket, and the TLS session on it.
pub struct Wire {
    socket: TcpStream,
    session: Option<Box<ClientConnection>>,
    /// For messages.
    host: String,
    receive_timeout: Duration,
    send_timeout: Duration,
}

impl Wire {
    /// A connected socket whose timeouts are one slice.
    pub fn new(socket: TcpStream, host: String) -> Wire {
        Wire { socket, session: None, host, receive_timeout: SLICE, send_timeout: SLICE }
    }

    /// Speaks TLS from here on.
    pub fn handshake(&mut self, session: ClientConnection, watch: &Watch) -> Result<(), Trouble> {
        let slow = |stop| match stop {
            Stop::Cancelled => Trouble::Stopped(stop),
            Stop::Deadline => Trouble::TooSlow(Error::new(
                Code::Tls,
                format!("TLS with {}: no end within the time allowed", self.host),
            )),
        };
        let mut session = Box::new(session);
        let mut io = Paced {
            socket: &self.socket,
            receive: &mut self.receive_timeout,
            send: &mut self.send_timeout,
            watch,
        };
        let broke = |e: io::Error| match stop_in(&e) {
            Some(stop) => slow(stop),
            None => Error::new(
                Code::Tls,
                format!("TLS with {}: the connection broke in the handshake: {}", self.host, plain(&e)),
            )
            .into(),
        };
        while session.is_handshaking() || session.wants_write() {
            watch.check().map_err(slow)?;
            if session.wants_write() {
                session.write_tls(&mut io).map_err(broke)?;
                continue;
            }
            if session.read_tls(&mut io).map_err(broke)? == 0 {
                return Err(Error::new(
                    Code::Tls,
                    format!("TLS with {}: the server closed the connection in the handshake", self.host),
                )
                .into());
            }
            if let Err(e) = session.process_new_packets() {
                // The alert that tells the server why.
                let _ = session.write_tls(&mut io);
                return Err(tls::failure(&self.host, &e));
            }
        }
        self.session = Some(session);
        Ok(())
    }

    /// Sends all of it.
    pub fn write_all(&mut self, mut bytes: &[u8], watch: &Watch) -> Result<(), Trouble> {
        let mut io = Paced {
            socket: &self.socket,
            receive: &mut self.receive_timeout,
            send: &mut self.send_timeout,
            watch,
        };
        let Some(session) = &mut self.session else {
            while !bytes.is_empty() {
                let n = io.write(bytes).map_err(|e| broken(&e))?;
                bytes = bytes.get(n..).unwrap_or_default();
            }
            return Ok(());
        };
        session.writer().write_all(bytes).map_err(|e| broken(&e))?;
        while session.wants_write() {
            session.write_tls(&mut io).map_err(|e| broken(&e))?;
        }
        Ok(())
    }

    /// Waits for bytes; 0 is the end of the stream.
    pub fn read(&mut self, into: &mut [u8], watch: &Watch) -> Result<usize, Trouble> {
        let mut io = Paced {
            socket: &self.socket,
            receive: &mut self.receive_timeout,
            send: &mut self.send_timeout,
            watch,
        };
        let Some(session) = &mut self.session else {
            return io.read(into).map_err(|e| broken(&e));
        };
        loop {
            match session.reader().read(into) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // Cut without close_notify: what is missing, the layer above will see.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(e) => return Err(broken(&e)),
            }
            session.read_tls(&mut io).map_err(|e| broken(&e))?;
            if let Err(e) = session.process_new_packets() {
                let _ = session.write_tls(&mut io);
                return Err(tls::failure(&self.host, &e));
            }
        }
    }

    /// Whether plaintext is waiting that nobody asked for.
    pub fn has_pending_plaintext(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| {
            session
                .process_new_packets()
                .map_or(true, |state| state.plaintext_bytes_to_read() > 0 || state.peer_has_closed())
        })
    }

    /// Whether nothing at all has arrived, the end of the stream included: one system call.
    pub fn is_quiet(&self) -> bool {
        loop {
            let peeked =
                rustix::net::recv(&self.socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
            match peeked {
                Err(rustix::io::Errno::INTR) => {}
                peeked => return peeked == Err(rustix::io::Errno::AGAIN),
            }
        }
    }
}

/// Reads and writes that look at the watch at least once a slice.
struct Paced<'a> {
    socket: &'a TcpStream,
    receive: &'a mut Duration,
    send: &'a mut Duration,
    watch: &'a Watch,
}

impl Paced<'_> {
    /// Socket timeouts are changed only for the last slice of a budget, and back after it: no system call in between.
    fn adjust(&mut self, which: sockopt::Timeout) -> io::Result<()> {
        let current =
            if matches!(which, sockopt::Timeout::Recv) { &mut *self.receive } else { &mut *self.send };
        let wanted = self.watch.next_slice().map_err(io::Error::other)?;
        if current.abs_diff(wanted) > Duration::from_millis(2) {
            sockopt::set_socket_timeout(self.socket, which, Some(wanted))?;
            *current = wanted;
        }
        Ok(())
    }

    fn patiently(
        &mut self,
        which: sockopt::Timeout,
        mut step: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            self.adjust(which)?;
            match step(self.socket) {
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) && e.raw_os_error() != Some(libc::ETIMEDOUT) => {}
                settled => return settled,
            }
        }
    }
}

impl Read for Paced<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.patiently(sockopt::Timeout::Recv, |mut socket| socket.read(into))
    }
}

impl Write for Paced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[io::IoSlice::new(bytes)])
    }

    /// Every byte that goes onto a socket passes through here, with MSG_NOSIGNAL. The standard library's
    /// `TcpStream::write_vectored` is writev(2), which has no flags: its EPIPE comes with a SIGPIPE that kills the host.
    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.patiently(sockopt::Timeout::Send, |socket| {
            let sent = sendmsg(socket, bytes, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?;
            Ok(sent)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stop::Cancelled => "cancelled",
            Stop::Deadline => "out of time",
        })
    }
}

impl std::error::Error for Stop {}

/// The stop that went through an `io::Error`.
fn stop_in(error: &io::Error) -> Option<Stop> {
    error.get_ref()?.downcast_ref().copied()
}

fn broken(error: &io::Error) -> Trouble {
    match stop_in(error) {
        Some(stop) => Trouble::Stopped(stop),
        None => Error::new(Code::Io, format!("the connection broke: {}", plain(error))).into(),
    }
}

fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
