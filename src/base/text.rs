//! Text from outside, made fit for messages.

use std::ops::Range;

/// Returns one line of at most 512 bytes, with control characters and secrets replaced.
pub fn sanitize(text: impl Into<String>, secrets: &[&str]) -> String {
    const MAX_BYTES: usize = 512;
    // Before the text is cut, which could leave most of a secret.
    let mut text = without_secrets(text.into(), secrets);
    let is_plain = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if !is_plain && text.chars().any(is_unprintable) {
        text = text.chars().map(|c| if is_unprintable(c) { '?' } else { c }).collect();
    }
    if text.len() > MAX_BYTES {
        let end = (0..=MAX_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Replaces secrets, also if they are escaped in one of the usual ways.
pub fn without_secrets(mut text: String, secrets: &[&str]) -> String {
    let has_escapes = may_have_escapes(&text);
    for secret in secrets {
        if let Some(first) = find_secret(&text, secret, has_escapes) {
            text = replace_secret(&text, secret, first);
        }
    }
    text
}

/// Returns whether the text holds the secret, as it is or escaped.
pub fn holds_secret(text: &str, secret: &str) -> bool {
    find_secret(text, secret, may_have_escapes(text)).is_some()
}

/// Settles nearly all texts. Every abort has its request ids looked through, for each secret.
fn may_have_escapes(text: &str) -> bool {
    text.bytes().fold(false, |any, b| any | matches!(b, b'%' | b'&' | b'\\'))
}

fn replace_secret(text: &str, secret: &str, first: Range<usize>) -> String {
    let (mut cleaned, mut rest, mut found) = (String::new(), text, Some(first));
    while let Some(place) = found {
        cleaned.push_str(&rest[..place.start]);
        cleaned.push_str("[secret]");
        rest = &rest[place.end..];
        found = find_secret(rest, secret, true);
    }
    cleaned.push_str(rest);
    cleaned
}

/// The first place of the secret. It begins and ends between characters, since both texts are UTF-8.
fn find_secret(text: &str, secret: &str, has_escapes: bool) -> Option<Range<usize>> {
    let (text, secret) = (text.as_bytes(), secret.as_bytes());
    let first = *secret.first()?;
    let decoded = if first == b'+' { b' ' } else { first };
    let may_begin = |b: u8| b == first || b == decoded || (has_escapes && matches!(b, b'%' | b'&' | b'\\'));
    // An escaped secret is never shorter.
    let starts = text.get(..=text.len().checked_sub(secret.len())?)?;
    let mut start = 0;
    loop {
        start += starts[start..].iter().position(|b| may_begin(*b))?;
        if let Some(length) = length_of_secret(&text[start..], secret) {
            return Some(start..start + length);
        }
        start += 1;
    }
}

/// The length of the secret that the text begins with, as it is or escaped.
fn length_of_secret(text: &[u8], secret: &[u8]) -> Option<usize> {
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut length = 0;
    for wanted in secret {
        length += length_of_character(&text[length..], *wanted)?;
    }
    Some(length)
}

/// The length of the character `wanted` at the beginning of a text, as it is or escaped: percent-encoded any number of
/// times, decoded as in forms, as an XML reference, or behind backslashes (JSON, and Rust's own quotes).
fn length_of_character(text: &[u8], wanted: u8) -> Option<usize> {
    let number = |digits: &[u8], radix| {
        std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, radix).ok())
    };
    let is_wanted = |found: Option<u32>| found == Some(u32::from(wanted));
    match text {
        [b'%', encoded @ ..] => {
            let layers = encoded.chunks_exact(2).take_while(|pair| *pair == b"25").count();
            let escaped = (0..=layers)
                .map(|layers| 2 * layers)
                .find(|at| is_wanted(encoded.get(*at..at + 2).and_then(|pair| number(pair, 16))));
            if let Some(at) = escaped {
                return Some(1 + at + 2);
            }
        }
        [b'&', reference @ ..] => {
            let end = reference.iter().take(10).position(|b| *b == b';');
            let name = end.map(|end| &reference[..end]).unwrap_or_default();
            let found = match name {
                b"amp" => Some(u32::from(b'&')),
                b"lt" => Some(u32::from(b'<')),
                b"gt" => Some(u32::from(b'>')),
                b"quot" => Some(u32::from(b'"')),
                b"apos" => Some(u32::from(b'\'')),
                [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
                [b'#', digits @ ..] => number(digits, 10),
                _ => None,
            };
            if is_wanted(found) {
                return Some(1 + name.len() + 1);
            }
        }
        [b'\\', ..] => {
            // A message quotes what a server has escaped already. Nobody makes more layers than these.
            let run = text.iter().take(8).take_while(|b| **b == b'\\').count();
            let layers = if wanted == b'\\' { 1 } else { run };
            match &text[layers..] {
                [b'u', digits @ ..] if is_wanted(digits.get(..4).and_then(|digits| number(digits, 16))) => {
                    return Some(layers + 5);
                }
                [escaped, ..] if *escaped == wanted => return Some(layers + 1),
                _ => {}
            }
        }
        [b' ', ..] if wanted == b'+' => return Some(1),
        _ => {}
    }
    (text.first() == Some(&wanted)).then_some(1)
}

/// Returns whether `c` is a control character, a Unicode line end, or changes the direction of the text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_however_they_are_escaped() {
        let secret = "a+/=<&\"%b";
        for shown in [
            "a+/=<&\"%b",
            "a%2B%2F%3D%3C%26%22%25b",
            "a%2b%2f%3d%3c%26%22%25b",
            "%61%2b%2f%3d%3c%26%22%25%62",
            "a%252B%252f%253D%25253C%2526%2522%25b",
            "a+/=&lt;&amp;&quot;%b",
            "a&#43;&#x2F;&#X3d;<&#38;\"%b",
            "a+\\/=<&\\\"%b",
            "a\\u002b/=\\u003C&\"%b",
            "a+\\\\/=<&\\\\\\\"%b",
            "a\\\\u002b/=\\\\\\\\u003C&\"%b",
            "a /=<&\"%b",
        ] {
            let text = format!("é {shown} {shown}é");
            assert_eq!(sanitize(text, &["none", secret]), "é [secret] [secret]é", "{shown}");
        }
        for other in ["a+/=<&\"%", "A+/=<&\"%b", "a%2", "a%", "a&", "a&#43", "a\\", "a\\u", "a%zz", "a&;"] {
            assert_eq!(sanitize(other, &[secret]), other);
        }
        // A cut leaves no part of one.
        let long = format!("{} {}", "x".repeat(500), "s3cret".repeat(10));
        assert!(!sanitize(long, &["s3cret"]).contains("s3"));
    }

    #[test]
    fn texts_are_one_clean_line() {
        assert_eq!(sanitize("a\r\nb\u{0}\u{1b}[31m\u{2028}\u{202e}", &[]), "a??b??[31m??");
        assert_eq!(sanitize("the s3cret and the s3cret", &["s3cret", ""]), "the [secret] and the [secret]");
        assert_eq!(sanitize("a\u{61c}\u{200e}\u{200f}\u{2029}\u{202a}\u{2066}\u{2069}b", &[]), "a???????b");
        assert_eq!(sanitize("\u{200d}\u{5de}", &[]), "\u{200d}\u{5de}");
        assert_eq!(sanitize("é".repeat(400), &[]).len(), 512);
        assert_eq!(sanitize(format!("x{}", "é".repeat(400)), &[]).len(), 511);
    }
}
