//! A 204 that says nothing of its connection: the answer that nearly every abort gets, understood as it comes.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

use super::{HeaderMap, HeaderName, HeaderValue};

/// More of them than any server sends along with a 204.
const MAX_HEADERS: usize = 32;

/// The headers, where these bytes are one whole 204 and nothing more, on a connection that can be kept as it is; `wanted`:
/// whether anybody looks at them. None is no verdict: what is not that plain is for ureq to read.
pub fn plain_204(bytes: &[u8], wanted: bool) -> Option<HeaderMap> {
    if !bytes.starts_with(b"HTTP/1.1 204") {
        return None;
    }
    let mut headers: [MaybeUninit<Header<'_>>; MAX_HEADERS] = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    if parsed != Ok(Status::Complete(bytes.len())) {
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
    use crate::http::pool::tests::{here, pair};
    use crate::http::{Ask, Head, Http, Settings, proxy::Proxies, tls};
    use crate::watch::{Flag, Watch};
    use std::time::{Duration, Instant};

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
            ("\r\nHTTP/1.1 204 x\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(plain_204(lines.as_bytes(), false).is_some(), plain, "{lines:?}");
            assert_eq!(plain_204(lines.as_bytes(), true).is_some(), plain, "{lines:?}");
        }
        let many = format!("HTTP/1.1 204 x\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
        assert!(plain_204(many.as_bytes(), false).is_none(), "too many for here");
    }

    /// What ureq makes of it, and whether the connection may serve again.
    fn by_ureq(http: &Http, bytes: &[u8]) -> (Option<(u16, HeaderMap)>, bool) {
        let (connection, _end) = pair();
        let at = here();
        let watch = Watch::new(Instant::now() + Duration::from_millis(20), Flag::default(), None);
        let ask = Ask {
            https: false,
            at: &at,
            head: Head::new("DELETE", "/", &at),
            watch: &watch,
            connect_timeout: Duration::from_secs(1),
            fresh: false,
            headers: true,
        };
        let answer = http.read_on(&ask, connection, bytes, |_, _, _| Ok(()));
        (answer.ok().map(|a| (a.status, a.headers)), http.pool.take(false, &at, Instant::now()).is_some())
    }

    /// The two ways to read an answer are one: what is plain, ureq takes for the same 204, and keeps its connection, too.
    #[test]
    fn ureq_agrees() {
        let http = Http::new(Settings {
            max_connections: 1,
            proxies: Proxies::default(),
            tls: None,
            trust: tls::Trust::default(),
        });
        let heads = [
            "HTTP/1.1 204 No Content\r\nServer: OBS\r\nx-obs-request-id: 8DF4\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.1 204\nDate: x\n\n",
            "\r\nHTTP/1.1 204 x\r\nX: a\r\nX: b\r\nX:\r\n\r\n",
            "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ];
        let pieces = [
            "\r",
            "\n",
            " ",
            "0",
            ":",
            "\u{0}",
            "\t",
            "close",
            "Upgrade: h2c\r\n",
            "Connection: ",
            "HTTP/1.1 204 x\r\n\r\n",
        ];
        let (mut state, mut plain) = (1_u32, 0);
        let mut random = move |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(state >> 8).expect("24 bits") % below
        };
        for round in 0..20_000 {
            let mut bytes = heads[random(heads.len())].as_bytes().to_vec();
            if round >= heads.len() * 10 {
                for _ in 0..=random(2) {
                    let at = random(bytes.len());
                    match random(3) {
                        0 => drop(bytes.remove(at)),
                        1 => bytes[at] ^= 1 << random(8),
                        _ => drop(bytes.splice(at..at, pieces[random(pieces.len())].bytes())),
                    }
                }
            }
            let Some(headers) = plain_204(&bytes, true) else { continue };
            plain += 1;
            let shown = String::from_utf8_lossy(&bytes);
            assert_eq!(by_ureq(&http, &bytes), (Some((204, headers)), true), "{shown:?}");
        }
        assert!(plain > 2000, "{plain} were plain");
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
