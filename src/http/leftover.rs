//! Bytes that a server sends beyond its answer, and that could be read as the next one: "gone", for an upload that nobody
//! aborted.

use memchr::memchr_iter;

/// Whether this is the head of a 204 that announces a body; or an interim answer, which nobody asked for, and behind
/// which such a head may stand in the same piece.
pub fn may_leave_bytes(head: &[u8]) -> bool {
    if !head.starts_with(b"HTTP/1.") {
        // An empty line before the head is skipped by the parser, too.
        return matches!(head.first(), Some(b'\r' | b'\n'));
    }
    if head.get(9) == Some(&b'1') {
        return true;
    }
    if head.get(9..12) != Some(b"204") {
        return false;
    }
    let value = |line: &[u8], name: &[u8]| -> Option<bool> {
        let value = line
            .get(..name.len())
            .filter(|start| start.eq_ignore_ascii_case(name))
            .map(|_| &line[name.len()..])?;
        Some(value.split(|b| *b == b'\n').next()?.trim_ascii() != b"0")
    };
    memchr_iter(b'\n', head).map(|end| &head[end + 1..]).any(|line| match line.first() {
        Some(b'c' | b'C') => value(line, b"content-length:") == Some(true),
        Some(b't' | b'T') => value(line, b"transfer-encoding:") == Some(true),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_no_204_has() {
        for (head, spoiled) in [
            ("HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", false),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello", true),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", true),
            ("HTTP/1.1 103 E", true),
            ("\r\nHTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", true),
            ("HTTP/1.1 ", false),
            ("H", false),
        ] {
            assert_eq!(may_leave_bytes(head.as_bytes()), spoiled, "{head}");
        }
    }
}
