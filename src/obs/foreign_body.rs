//! Bodies that no object storage service sends, recognized by their beginning.

use std::io::{self, Read};

use crate::http::Headers;

/// A body that no object storage service sends.
#[derive(Debug, PartialEq, Eq)]
pub enum ForeignBody {
    Html {
        title: Option<String>,
        wants_https: bool,
    },
    Json,
    /// A sentence that says that the port speaks https.
    PlainText,
    /// Compressed, with this content coding.
    Compressed(String),
}

impl ForeignBody {
    /// Recognizes a foreign body by its beginning. The Content-Type is not believed: there are services that call their
    /// XML HTML.
    pub fn recognize(headers: &Headers, body: &[u8]) -> Option<ForeignBody> {
        let coding =
            headers.get("content-encoding").map(|coding| String::from_utf8_lossy(coding).trim().to_owned());
        if let Some(coding) =
            coding.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
        {
            return Some(ForeignBody::Compressed(coding));
        }
        if body.starts_with(&[0x1f, 0x8b]) {
            return Some(ForeignBody::Compressed("gzip".to_owned()));
        }
        let text = String::from_utf8_lossy(body);
        let lower = text.to_ascii_lowercase();
        let wants_https = ["to https port", "to an https server", "ssl-enabled server port", "requires tls"]
            .iter()
            .any(|sentence| lower.contains(sentence));
        let root = after_prolog(&lower);
        if ["<!doctype html", "<html", "<head"].iter().any(|start| root.starts_with(start)) {
            let title = lower.find("<title").and_then(|at| {
                let (_, rest) = text[at..].split_once('>')?;
                let end = rest.to_ascii_lowercase().find("</title")?;
                Some(rest[..end].split_whitespace().collect::<Vec<_>>().join(" "))
            });
            return Some(ForeignBody::Html { title: title.filter(|title| !title.is_empty()), wants_https });
        }
        if root.starts_with('{') {
            return Some(ForeignBody::Json);
        }
        wants_https.then_some(ForeignBody::PlainText)
    }
}

/// What follows a byte order mark, an XML declaration and comments.
fn after_prolog(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    for (start, end) in [("<?", "?>"), ("<!--", "-->"), ("<!--", "-->")] {
        if let Some((_, after)) = rest.strip_prefix(start).and_then(|inner| inner.split_once(end)) {
            rest = after.trim_start();
        }
    }
    rest
}

/// A reader that keeps the first bytes of a body, so that a foreign one can be recognized when it could not be read.
pub struct BeginningReader<'a> {
    body: &'a mut dyn Read,
    beginning: Vec<u8>,
}

impl<'a> BeginningReader<'a> {
    /// The most bytes that are kept: enough for a title.
    const MAX_BYTES: usize = 1024;

    pub fn new(body: &'a mut dyn Read) -> BeginningReader<'a> {
        BeginningReader { body, beginning: Vec::new() }
    }

    /// The first bytes that were read.
    pub fn beginning(&self) -> &[u8] {
        &self.beginning
    }
}

impl Read for BeginningReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.body.read(into)?;
        let wanted = BeginningReader::MAX_BYTES - self.beginning.len();
        self.beginning.extend_from_slice(&into[..n.min(wanted)]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_body_is_kept() {
        let text = b"0123456789".repeat(300);
        for step in [1, 700, 1024, 5000] {
            let mut body = &text[..];
            let mut reader = BeginningReader::new(&mut body);
            let mut into = vec![0; step];
            let mut read = Vec::new();
            while let n @ 1.. = reader.read(&mut into).expect("a slice can be read") {
                read.extend_from_slice(&into[..n]);
            }
            assert_eq!(reader.beginning(), &text[..1024], "{step} bytes at a time");
            assert_eq!(read, text);
        }
    }
}
