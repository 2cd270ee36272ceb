//! The byte stream of one connection, plain or through TLS, with a deadline for each operation.

use std::io::{self, Read, Write};
use std::time::Duration;

use rustls::ClientConnection;

use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::sys::descriptors::error_text;
use crate::base::sys::socket::Socket;

use super::error::TransportError;
use super::tls;

/// A connected socket, and the TLS session on it.
pub struct Stream {
    socket: Socket,
    session: Option<Box<Session>>,
    /// The host, for messages.
    host: String,
}

/// A TLS session.
struct Session {
    tls: ClientConnection,
    records: RecordTracker,
}

impl Session {
    /// Reads more of the stream. Returns 0 at its end.
    fn read_tls(&mut self, io: &mut DeadlineIo<'_>) -> io::Result<usize> {
        self.tls.read_tls(&mut RecordReader { io, records: &mut self.records })
    }
}

/// A reader that follows the records it reads.
struct RecordReader<'a, 'b> {
    io: &'a mut DeadlineIo<'b>,
    records: &'a mut RecordTracker,
}

impl Read for RecordReader<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.io.read(into)?;
        self.records.feed(&into[..n]);
        Ok(n)
    }
}

/// The position in a stream of TLS records (RFC 8446, 5.1). rustls does not tell whether it holds a part of one.
#[derive(Debug, Default)]
struct RecordTracker {
    header: [u8; 5],
    /// The bytes of the header that have arrived.
    of_header: usize,
    /// The bytes of the record that have not arrived.
    to_come: usize,
}

impl RecordTracker {
    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.to_come > 0 {
                let skipped = self.to_come.min(bytes.len());
                self.to_come -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.of_header] = *first;
            self.of_header += 1;
            bytes = rest;
            if self.of_header == self.header.len() {
                self.of_header = 0;
                self.to_come = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
        }
    }

    fn is_at_boundary(&self) -> bool {
        self.of_header == 0 && self.to_come == 0
    }
}

impl Stream {
    /// A stream over a connected socket.
    pub fn new(socket: Socket, host: String) -> Stream {
        Stream { socket, session: None, host }
    }

    /// Performs the TLS handshake. All later bytes pass through TLS.
    pub fn handshake(&mut self, tls: ClientConnection, deadline: &Deadline) -> Result<(), TransportError> {
        let slow = |stop| match stop {
            Interrupted::Cancelled => TransportError::Interrupted(stop),
            Interrupted::DeadlinePassed => TransportError::TimedOut(Error::new(
                Code::Tls,
                format!("TLS with {}: no end within the time allowed", self.host),
            )),
        };
        let mut session = Box::new(Session { tls, records: RecordTracker::default() });
        let mut io = DeadlineIo { socket: &mut self.socket, deadline };
        let broke = |e: io::Error| match interruption_in(&e) {
            Some(stop) => slow(stop),
            None => Error::new(
                Code::Tls,
                format!("TLS with {}: the connection broke in the handshake: {}", self.host, error_text(&e)),
            )
            .into(),
        };
        while session.tls.is_handshaking() || session.tls.wants_write() {
            deadline.check().map_err(slow)?;
            if session.tls.wants_write() {
                session.tls.write_tls(&mut io).map_err(broke)?;
                continue;
            }
            if session.read_tls(&mut io).map_err(broke)? == 0 {
                return Err(Error::new(
                    Code::Tls,
                    format!("TLS with {}: the server closed the connection in the handshake", self.host),
                )
                .into());
            }
            if let Err(e) = session.tls.process_new_packets() {
                // Sends the alert.
                let _ = session.tls.write_tls(&mut io);
                if session.records.header == *b"HTTP/" {
                    return Err(tls::plain_http(&self.host).into());
                }
                return Err(tls::failure(&self.host, &e));
            }
        }
        self.session = Some(session);
        Ok(())
    }

    /// Sends all bytes.
    pub fn write_all(&mut self, mut bytes: &[u8], deadline: &Deadline) -> Result<(), TransportError> {
        let mut io = DeadlineIo { socket: &mut self.socket, deadline };
        let Some(session) = &mut self.session else {
            while !bytes.is_empty() {
                let n = io.write(bytes).map_err(|e| transport_error(&e))?;
                bytes = bytes.get(n..).unwrap_or_default();
            }
            return Ok(());
        };
        session.tls.writer().write_all(bytes).map_err(|e| transport_error(&e))?;
        while session.tls.wants_write() {
            session.tls.write_tls(&mut io).map_err(|e| transport_error(&e))?;
        }
        Ok(())
    }

    /// Waits for bytes. Returns 0 at the end of the stream.
    pub fn read(&mut self, into: &mut [u8], deadline: &Deadline) -> Result<usize, TransportError> {
        let mut io = DeadlineIo { socket: &mut self.socket, deadline };
        let Some(session) = &mut self.session else {
            return io.read(into).map_err(|e| transport_error(&e));
        };
        loop {
            match session.tls.reader().read(into) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // The end without close_notify: the framing shows whether something is missing.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(e) => return Err(transport_error(&e)),
            }
            session.read_tls(&mut io).map_err(|e| transport_error(&e))?;
            if let Err(e) = session.tls.process_new_packets() {
                let _ = session.tls.write_tls(&mut io);
                return Err(tls::failure(&self.host, &e));
            }
        }
    }

    /// Returns whether TLS holds input that was not read: plaintext, the end of the stream, or a part of a record,
    /// whose rest would be read as the beginning of the next response. False without TLS.
    pub fn holds_unread_input(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        let state = session.tls.process_new_packets();
        let silent =
            state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed());
        !silent || !session.records.is_at_boundary()
    }

    /// Returns whether nothing has arrived, not even the end of the stream. One system call.
    pub fn has_no_input(&self) -> bool {
        self.socket.has_no_input()
    }
}

/// Reads and writes that check the deadline at least every [`CHECK_INTERVAL`](crate::base::deadline::CHECK_INTERVAL).
struct DeadlineIo<'a> {
    socket: &'a mut Socket,
    deadline: &'a Deadline,
}

impl DeadlineIo<'_> {
    /// Repeats a step, which waits no longer than the duration it is given, until it has a result.
    fn until_deadline(
        &mut self,
        mut step: impl FnMut(&mut Socket, Duration) -> io::Result<Option<usize>>,
    ) -> io::Result<usize> {
        loop {
            let timeout = self.deadline.check_next_wait().map_err(io::Error::other)?;
            if let Some(count) = step(self.socket, timeout)? {
                return Ok(count);
            }
        }
    }
}

impl Read for DeadlineIo<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.until_deadline(|socket, timeout| socket.receive(into, timeout))
    }
}

impl Write for DeadlineIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[io::IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.until_deadline(|socket, timeout| socket.send(bytes, timeout))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Interrupted::Cancelled => "cancelled",
            Interrupted::DeadlinePassed => "out of time",
        })
    }
}

impl std::error::Error for Interrupted {}

/// The interruption that was passed through an `io::Error`.
fn interruption_in(error: &io::Error) -> Option<Interrupted> {
    error.get_ref()?.downcast_ref().copied()
}

fn transport_error(error: &io::Error) -> TransportError {
    match interruption_in(error) {
        Some(stop) => TransportError::Interrupted(stop),
        None => Error::new(Code::Io, format!("the connection broke: {}", error_text(error))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_boundaries() {
        let two = [&[0x17, 3, 3, 0, 2, 1, 2][..], &[0x17, 3, 3, 1, 0], &[0; 256]].concat();
        for cut in 0..=two.len() {
            let mut records = RecordTracker::default();
            records.feed(&two[..cut]);
            assert_eq!(records.is_at_boundary(), [0, 7, two.len()].contains(&cut), "after {cut} bytes");
            records.feed(&two[cut..]);
            assert!(records.is_at_boundary());
        }
    }
}
