//! The service's lists: XML in, fields out, or the reason why the document may not be acted on.
//!
//! A list decides which uploads are destroyed, so that whatever could be read in two ways is refused: two values of one
//! field, an element inside a value, an error half-way, anything around the root.

use std::fmt::Display;
use std::io::{BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::base::date;
use crate::base::error::{Code, Error};
use crate::base::percent::decode;
use crate::obs::xml::{LossyReader, resolve};

/// The largest document in bytes. 1000 uploads with the longest keys stay below it.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The longest text of one element. An encoded key has up to 3072 bytes.
const MAX_TEXT: usize = 16 * 1024;

/// 2006-01-01T00:00:00Z, before any service of this kind. An earlier time is a zeroed one (0001-01-01 in Go,
/// 1970-01-01), and counts as unknown, not as old.
const EARLIEST_PLAUSIBLE: i64 = 1_136_073_600;

/// A document, as it is read. A path names an element by those around it and its own name.
pub trait Document {
    /// Its name in messages.
    const NAME: &'static str;
    /// The name of its root.
    const ROOT: &'static str;

    /// Returns the field that the text of an element goes to, if the document wants it.
    fn field(&mut self, path: &[String]) -> Option<&mut Option<String>>;

    /// Takes note of an entry's beginning.
    fn begin(&mut self, path: &[String]) -> Result<(), Error>;

    /// Takes note of an entry's end.
    fn end(&mut self, path: &[String]) -> Result<(), Error>;
}

/// The error about a document that is not fit to act on.
pub fn malformed<D: Document>(why: impl Display) -> Error {
    Error::new(Code::Protocol, format!("{} can't be acted on: {why}", D::NAME))
}

/// Reads a whole document into its fields. Returns whether bytes that are not UTF-8, or references to no character, were
/// replaced by U+FFFD.
pub fn read<D: Document>(body: &mut dyn Read, document: &mut D) -> Result<bool, Error> {
    let input = BufReader::with_capacity(16 * 1024, LossyReader::new(body.take(MAX_BYTES)));
    let mut reader = Reader::from_reader(input);
    let mut buffer = Vec::new();
    let mut state =
        State { document, path: Vec::new(), text: String::new(), complete: false, is_lossy: false };
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => break,
            Ok(event) => state.take(event)?,
            Err(quick_xml::Error::Io(e)) => {
                return Err(Error::new(Code::Io, format!("{} broke off: {e}", D::NAME)));
            }
            Err(e) => return Err(malformed::<D>(format_args!("it is not XML: {:?}", e.to_string()))),
        }
    }
    if !state.complete {
        return Err(malformed::<D>("its XML is not complete"));
    }
    Ok(state.is_lossy || reader.get_ref().get_ref().is_lossy)
}

struct State<'a, D> {
    document: &'a mut D,
    /// The elements that are open.
    path: Vec<String>,
    text: String,
    /// Whether the root has ended.
    complete: bool,
    /// Whether a reference was replaced that stands for no character.
    is_lossy: bool,
}

impl<D: Document> State<'_, D> {
    fn take(&mut self, event: Event<'_>) -> Result<(), Error> {
        let is_outside = self.path.is_empty();
        match event {
            Event::Start(start) => self.begin(start.local_name().as_ref())?,
            Event::Empty(empty) => {
                self.begin(empty.local_name().as_ref())?;
                self.end()?;
            }
            Event::Text(part) if is_outside && is_white_space(&part) => {}
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if is_outside => {
                return Err(malformed::<D>("it has text outside its root"));
            }
            Event::Text(part) => self.text.push_str(&part),
            Event::CData(part) => self.text.push_str(&part),
            Event::GeneralRef(part) => {
                // Like bytes that are not UTF-8: half of a surrogate pair, or a NUL, in one key does not spoil the rest.
                let resolved = resolve(&part);
                self.is_lossy |= resolved.is_none();
                self.text.push(resolved.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Event::End(_) => {
                self.end()?;
                self.complete = self.path.is_empty();
            }
            Event::PI(_) | Event::Decl(_) if is_outside && self.complete => {
                return Err(malformed::<D>("it has something other than comments behind its root"));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => {}
            Event::DocType(_) => {
                return Err(malformed::<D>("it has a document type, which no service sends"));
            }
        }
        if self.text.len() > MAX_TEXT {
            return Err(malformed::<D>("it has an element that is too long"));
        }
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Result<(), Error> {
        if self.path.is_empty() && (self.complete || name != D::ROOT) {
            return Err(malformed::<D>(format_args!("its root is not {}", D::ROOT)));
        }
        if self.path.len() > 16 {
            return Err(malformed::<D>("it is nested too deeply"));
        }
        if let (Some(_), Some(field)) = (self.document.field(&self.path), self.path.last()) {
            return Err(malformed::<D>(format_args!("it has an element inside a {field}")));
        }
        if name == "Error" {
            return Err(malformed::<D>("it has an Error in it: the service failed half-way"));
        }
        self.text.clear();
        self.path.push(name.to_owned());
        self.document.begin(&self.path)
    }

    fn end(&mut self) -> Result<(), Error> {
        let text = std::mem::take(&mut self.text);
        if let Some(field) = self.document.field(&self.path)
            && field.replace(text).is_some()
            && let Some(name) = self.path.last()
        {
            // Whichever is taken may be the wrong one: another upload's key, or a time before the upload was initiated.
            return Err(malformed::<D>(format_args!("it has two values of one {name}")));
        }
        self.document.end(&self.path)?;
        self.path.pop();
        Ok(())
    }
}

/// Refuses a list that names another bucket: a server that knows but one, or that sends all hosts to one, would have that
/// one swept. Some servers do not name the bucket.
pub fn check_bucket<D: Document>(named: Option<&str>, bucket: &str) -> Result<(), Error> {
    match named.unwrap_or_default().trim() {
        "" => Ok(()),
        name if name == bucket => Ok(()),
        other => Err(malformed::<D>(format_args!("it is of another bucket: {other:?}"))),
    }
}

/// White space as XML knows it.
fn is_white_space(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Reads IsTruncated.
pub fn is_truncated<D: Document>(text: Option<&str>) -> Result<bool, Error> {
    match text.map(str::trim) {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(malformed::<D>("its IsTruncated is neither true nor false")),
        None => Err(malformed::<D>("it lacks IsTruncated")),
    }
}

/// Reads EncodingType: whether keys are encoded as forms are.
pub fn is_encoded<D: Document>(text: Option<&str>) -> Result<bool, Error> {
    match text.unwrap_or_default().trim() {
        "" => Ok(false),
        name if name.eq_ignore_ascii_case("url") => Ok(true),
        _ => Err(malformed::<D>("its keys have an encoding other than url")),
    }
}

/// Reads a time. None: it can't be read, or can't be right.
pub fn plausible_time(text: &str) -> Option<i64> {
    date::parse_iso8601(text).filter(|at| *at >= EARLIEST_PLAUSIBLE)
}

/// Decodes as forms are encoded: `+` is a space, `%2B` a plus. None: not well encoded, or not UTF-8.
pub fn form_decoded(text: &str) -> Option<String> {
    String::from_utf8(decode(&text.replace('+', "%20"))?).ok()
}
