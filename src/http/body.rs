//! The body of a response, read by the framing that its head announces.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use httparse::Status;

use crate::base::deadline::Deadline;

use super::error::TransportError;
use super::response_head::{Framing, ResponseHead, cut_short, fill, not_http};
use super::stream::Stream;

/// The longest line of a chunk's size with its extensions.
const MAX_CHUNK_LINE: usize = 4096;

/// The body of a response, read by its framing.
pub struct Body<'a> {
    stream: &'a mut Stream,
    /// Bounds the whole body.
    pub deadline: Deadline,
    /// Bounds each read, within the deadline.
    pub read_timeout: Duration,
    /// Bytes that have arrived and are not read yet.
    arrived: Vec<u8>,
    state: State,
    reusable: bool,
    /// The error that ended the body early. A reader in between passes on no more than an `io::Error`.
    pub error: Option<TransportError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The bytes left of the body, or of a chunk.
    Left(u64, Section),
    UntilClose,
    ChunkSize,
    ChunkEnd,
    Trailers,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Body,
    Chunk,
}

impl<'a> Body<'a> {
    /// The body of the response with this head. `arrived` has come along with the head.
    pub fn new(
        stream: &'a mut Stream,
        deadline: Deadline,
        read_timeout: Duration,
        head: &ResponseHead,
        arrived: Vec<u8>,
    ) -> Body<'a> {
        let state = match head.framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Left(length, Section::Body),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Body { stream, deadline, read_timeout, arrived, state, reusable: head.reusable, error: None }
    }

    /// Returns whether the connection can serve again: the framing was unambiguous, the body was read to its end, and
    /// nothing has arrived behind it.
    pub fn connection_is_reusable(&self) -> bool {
        self.reusable && self.state == State::Done && self.arrived.is_empty() && self.error.is_none()
    }

    /// The deadline of a read that begins now.
    fn read_deadline(&self) -> Deadline {
        self.deadline.capped_at(Instant::now() + self.read_timeout)
    }

    fn fail(&mut self, error: TransportError) -> io::Error {
        self.error.get_or_insert(error);
        io::Error::other("the body broke off")
    }

    /// Reads more of the stream. Returns false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let deadline = self.read_deadline();
        match fill(self.stream, &mut self.arrived, &deadline) {
            Ok(n) => Ok(n > 0),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Copies up to `most` bytes of the body. Returns 0 at the end of the stream.
    fn copy_out(&mut self, into: &mut [u8], most: u64) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        if self.arrived.is_empty() {
            // Straight from the stream, never beyond this body.
            let deadline = self.read_deadline();
            return match self.stream.read(&mut into[..most], &deadline) {
                Ok(n) => Ok(n),
                Err(error) => Err(self.fail(error)),
            };
        }
        let n = most.min(self.arrived.len());
        into[..n].copy_from_slice(&self.arrived[..n]);
        self.arrived.drain(..n);
        Ok(n)
    }

    /// Reads one line of the chunked framing, without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.arrived.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.arrived.drain(..=end).collect();
                line.pop();
                if line.pop_if(|last| *last == b'\r').is_none() {
                    return Err(self.fail(not_http("a line of its chunks has no CR").into()));
                }
                return Ok(line);
            }
            if self.arrived.len() >= MAX_CHUNK_LINE {
                return Err(self.fail(not_http("a line of its chunks is too long").into()));
            }
            if !self.fill()? {
                return Err(self.fail(cut_short().into()));
            }
        }
    }

    fn chunk_size(&mut self) -> io::Result<u64> {
        let mut line = self.line()?;
        // httparse takes an empty line for a size of 0.
        let has_digits = line.first().is_some_and(u8::is_ascii_hexdigit);
        line.extend_from_slice(b"\r\n");
        match httparse::parse_chunk_size(&line) {
            Ok(Status::Complete((_, size))) if has_digits => Ok(size),
            _ => Err(self.fail(not_http("the size of a chunk is not a number").into())),
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Done => return Ok(0),
                State::UntilClose => {
                    let n = self.copy_out(into, u64::MAX)?;
                    if n == 0 {
                        self.state = State::Done;
                    }
                    return Ok(n);
                }
                State::Left(left, section) => {
                    let n = self.copy_out(into, left)?;
                    if n == 0 {
                        return Err(self.fail(cut_short().into()));
                    }
                    self.state = match (left - n as u64, section) {
                        (0, Section::Body) => State::Done,
                        (0, Section::Chunk) => State::ChunkEnd,
                        (left, section) => State::Left(left, section),
                    };
                    return Ok(n);
                }
                State::ChunkSize => {
                    self.state = match self.chunk_size()? {
                        0 => State::Trailers,
                        size => State::Left(size, Section::Chunk),
                    };
                }
                State::ChunkEnd => {
                    if !self.line()?.is_empty() {
                        return Err(self.fail(not_http("a chunk is longer than its size").into()));
                    }
                    self.state = State::ChunkSize;
                }
                State::Trailers => {
                    if self.line()?.is_empty() {
                        self.state = State::Done;
                    } else {
                        // Skipped: no request asks for trailers.
                        self.reusable = false;
                    }
                }
            }
        }
    }
}
