//! Text from outside, made fit for messages.

/// Returns one line of at most 512 bytes, with control characters and secrets replaced.
pub fn sanitize(text: impl Into<String>, secrets: &[&str]) -> String {
    const MAX_BYTES: usize = 512;
    let mut text = text.into();
    for secret in secrets {
        if !secret.is_empty() && secret.len() <= text.len() && text.contains(secret) {
            text = text.replace(secret, "[secret]");
        }
    }
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

/// Returns whether `c` is a control character, a Unicode line end, or changes the direction of the text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
