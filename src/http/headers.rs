//! The header fields of a response.

use std::ops::Range;

/// The header fields of a response, in the bytes in which they arrived.
#[derive(Debug, Default)]
pub struct Headers {
    pub(super) bytes: Vec<u8>,
    /// Where the name and the value of each stand in `bytes`.
    pub(super) fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Headers {
    /// The value of the first field of this name. Names are compared without case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The values of all fields of this name, in order.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let is_it =
            move |field: &Range<usize>| self.bytes[field.clone()].eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(move |(field, _)| is_it(field)).map(|(_, value)| &self.bytes[value.clone()])
    }

    /// Makes headers from names and values.
    pub fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            let start = headers.bytes.len();
            headers.bytes.extend_from_slice(name.as_bytes());
            let end_of_name = headers.bytes.len();
            headers.bytes.extend_from_slice(value);
            headers.fields.push((start..end_of_name, end_of_name..headers.bytes.len()));
        }
        headers
    }

    /// Returns whether a field of this name lists this token (RFC 9110, 5.6.1).
    pub(super) fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|b| *b == b','))
            .any(|element| element.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}
