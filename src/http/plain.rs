//! A 204 that says nothing of its connection: the answer that nearly every abort gets, understood as it comes.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

use super::{HeaderMap, HeaderName, HeaderValue};

/// More of them than any server sends along with a 204.
const MAX_HEADERS: usize = 32;

/// The headers, where these bytes are one whole 204 and nothing more, on a connection that can be kept as it is; `wanted`:
/// whether anybody looks at them. None is no verdict: what is not that plain is for ureq to read.
pub fn plain_204(bytes: &[u8], wanted: bool) -> Option<HeaderMap> {
    let mut headers: [MaybeUninit<Header<'_>>; MAX_HEADERS] = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    let whole = parsed == Ok(Status::Complete(bytes.len()));
    if !whole || response.code != Some(204) || response.version != Some(1) {
        return None;
    }
    let mut map = HeaderMap::new();
    let mut lengths = 0;
    for Header { name, value } in response.headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // A body, which no 204 has, would be read as the next answer.
        if is("transfer-encoding") {
            return None;
        }
        if is("content-length") {
            lengths += 1;
            if lengths > 1 || *value != b"0" {
                return None;
            }
        }
        if is("connection") && !value.eq_ignore_ascii_case(b"keep-alive") {
            return None;
        }
        if wanted {
            map.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
        }
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain() {
        for (lines, plain) in [
            ("HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", true),
            ("HTTP/1.1 204\r\n\r\n", true),
            ("HTTP/1.1 204 x\r\ncontent-length: 0\r\nCONNECTION: Keep-Alive\r\n\r\n", true),
            ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nContent-Length: 27\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nContent-Length: -0\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nTransfer-Encoding: identity\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nConnection: keep-alive, close\r\n\r\n", false),
            ("HTTP/1.0 204 x\r\n\r\n", false),
            ("HTTP/1.1 200 x\r\n\r\n", false),
            ("HTTP/1.1 404 x\r\n\r\n", false),
            ("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\n\r\n ", false),
            ("HTTP/1.1 204 x\r\nDate: x\r\n", false),
            ("HTTP/1.1 204 x\r\nDate : x\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nX: a\u{0}b\r\n\r\n", false),
            ("HTTP/1.1 2040 x\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(plain_204(lines.as_bytes(), false).is_some(), plain, "{lines:?}");
            assert_eq!(plain_204(lines.as_bytes(), true).is_some(), plain, "{lines:?}");
        }
        let many = format!("HTTP/1.1 204 x\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
        assert!(plain_204(many.as_bytes(), false).is_none(), "too many for here");
    }

    #[test]
    fn headers_where_they_are_wanted() {
        let bytes = b"HTTP/1.1 204 x\r\nx-obs-request-id: R\r\nX: \xff \r\nX-OBS-ID-2:  H\r\n\r\n";
        let headers = plain_204(bytes, true).expect("a plain one");
        assert_eq!(headers.get("x-obs-request-id").map(HeaderValue::as_bytes), Some(b"R".as_slice()));
        assert_eq!(headers.get("x-obs-id-2").map(HeaderValue::as_bytes), Some(b"H".as_slice()));
        assert_eq!(headers.len(), 3);
        assert!(plain_204(bytes, false).expect("a plain one").is_empty());
    }
}
