//! Helpers for the service's XML documents.

use std::io::{self, Read};

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesRef;

/// Resolves a reference such as `&amp;` or `&#38;`.
pub fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c);
    }
    resolve_xml_entity(reference)?.chars().next()
}

/// Replaces what is not UTF-8 by U+FFFD, so that one such key does not spoil the document.
pub struct LossyReader<R> {
    input: R,
    /// Bytes that were read, of which the last may be the beginning of a character.
    bytes: Vec<u8>,
    /// Text that is ready, from `taken` on.
    text: String,
    taken: usize,
    /// Whether anything was replaced.
    pub is_lossy: bool,
}

impl<R: Read> LossyReader<R> {
    pub fn new(input: R) -> LossyReader<R> {
        LossyReader { input, bytes: Vec::new(), text: String::new(), taken: 0, is_lossy: false }
    }

    /// Reads until there is text, or the input ends.
    fn fill(&mut self) -> io::Result<()> {
        const READ: usize = 8 * 1024;
        self.text.clear();
        self.taken = 0;
        while self.text.is_empty() {
            let before = self.bytes.len();
            self.bytes.resize(before + READ, 0);
            let read = self.input.read(&mut self.bytes[before..]);
            self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
            let at_end = read? == 0;
            if at_end && self.bytes.is_empty() {
                return Ok(());
            }
            let mut left = 0;
            for chunk in self.bytes.utf8_chunks() {
                self.text.push_str(chunk.valid());
                match chunk.invalid() {
                    [] => {}
                    // The last bytes may be the beginning of a character.
                    start if !at_end && start.as_ptr_range().end == self.bytes.as_ptr_range().end => {
                        left = start.len();
                    }
                    _ => {
                        self.text.push(char::REPLACEMENT_CHARACTER);
                        self.is_lossy = true;
                    }
                }
            }
            self.bytes.drain(..self.bytes.len() - left);
        }
        Ok(())
    }
}

impl<R: Read> Read for LossyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.text.len() {
            self.fill()?;
        }
        let ready = &self.text.as_bytes()[self.taken..];
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn lossy(reader: LossyReader<impl Read>) -> (String, bool) {
        let mut reader = reader;
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        (text, reader.is_lossy)
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        for (bytes, want, is_lossy) in [
            (&b"plain"[..], "plain", false),
            ("é漢😀\u{fffd}".as_bytes(), "é漢😀\u{fffd}", false),
            (b"", "", false),
            (b"a\xffb", "a\u{fffd}b", true),
            (b"a\xc3", "a\u{fffd}", true),
            (b"\xf0\x9f\x98", "\u{fffd}", true),
            (b"\xc3\xc3\xa9", "\u{fffd}é", true),
            (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}", true),
        ] {
            let want = (want.to_owned(), is_lossy);
            assert_eq!(lossy(LossyReader::new(bytes)), want, "{bytes:?}");
            assert_eq!(lossy(LossyReader::new(Slowly(bytes))), want, "{bytes:?}, a byte at a time");
        }
        let long = "é".repeat(10_001);
        assert_eq!(lossy(LossyReader::new(long.as_bytes())), (long.clone(), false));
    }
}
