//! Percent-encoding as the protocol has it: `A-Z a-z 0-9 - . _ ~ /` stay, and nothing is normalised.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The bytes that become `%XX`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Appends the encoded text.
pub fn encode(text: &str, out: &mut String) {
    out.extend(utf8_percent_encode(text, ENCODED));
}

/// The greatest length of the encoded text.
pub fn max_encoded_len(text: &str) -> usize {
    3 * text.len()
}

/// Decodes a text. Returns None if a `%` is not followed by two hex digits. `percent_encoding` would pass such a `%`
/// on unchanged, but then the text was not encoded at all.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let malformed = text.match_indices('%').any(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    (!malformed).then(|| percent_decode_str(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_decodes_to_itself() {
        let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        let mut encoded = String::new();
        encode(&all, &mut encoded);
        assert!(encoded.is_ascii() && encoded.len() <= max_encoded_len(&all));
        assert_eq!(decode(&encoded).as_deref(), Some(all.as_bytes()));
        encoded.clear();
        encode("a-Z_0.9~/ +%é", &mut encoded);
        assert_eq!(encoded, "a-Z_0.9~/%20%2B%25%C3%A9");
    }

    #[test]
    fn malformed_text_does_not_decode() {
        for text in ["%2", "%", "%zz", "a%2", "%+2", "%%20", "é%é0"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("%2541").as_deref(), Some(b"%41".as_slice()), "once");
    }
}
