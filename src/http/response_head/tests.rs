//! Whole responses, head and body: framings by table, and what was recorded of 20 000 mangled ones.

use super::*;
use crate::base::deadline::CancelFlag;
use crate::http::body::Body;
use crate::http::pool::tests::pair;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A response as it was read: status and body, and whether the connection can serve again.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    status: u16,
    body: Vec<u8>,
    kept: bool,
}

/// Reads a response that arrives in these pieces, before the server closes.
fn read(pieces: &[&[u8]]) -> Result<Verdict, String> {
    let (mut connection, mut end) = pair();
    let sender = {
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        move || {
            for (n, piece) in pieces.iter().enumerate() {
                if n > 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
                end.write_all(piece).expect("sent");
            }
            end.shutdown(Shutdown::Write).expect("an end");
            end
        }
    };
    let sender: Box<dyn FnOnce() -> UnixStream + Send> = Box::new(sender);
    let end = if pieces.len() > 1 { Err(std::thread::spawn(sender)) } else { Ok(sender()) };
    let deadline = Deadline::new(Instant::now() + Duration::from_secs(5), CancelFlag::default(), None);
    let outcome = read_head(&mut connection.stream, &deadline).map_err(|(error, _)| format!("{error:?}"));
    let outcome = outcome.map(|(head, arrived)| {
        let timeout = Duration::from_secs(10);
        let mut body = Body::new(&mut connection.stream, deadline, timeout, &head, arrived);
        let mut bytes = Vec::new();
        let _ = (&mut body).take(16 * 1024).read_to_end(&mut bytes);
        Verdict { status: head.status, kept: body.connection_is_reusable(), body: bytes }
    });
    drop(end.map_err(std::thread::JoinHandle::join));
    outcome
}

/// What was made of 20 000 mangled responses by ureq 3.5.2, and for a plain 204 by a parser beside it, was
/// recorded before both went. The verdict is the same, or stricter: an error, or a connection that is not kept.
#[test]
fn mangled_responses() {
    let recorded = include_str!("../../../tests/vectors/mangled-responses.txt");
    let (mut same, mut stricter) = (0, 0);
    let mut rows = recorded.split([',', '\n']).filter(|row| !row.is_empty());
    for bytes in mangled() {
        let row = rows.next().expect("a verdict for each");
        let shown = String::from_utf8_lossy(&bytes);
        let now = read(&[&bytes]).ok();
        let Some(now) = now else {
            if row == "e" {
                same += 1;
            } else {
                stricter += 1;
            }
            continue;
        };
        let verdict = format!("{} {} {}", now.status, now.body.len(), if now.kept { 'k' } else { 'c' });
        if verdict == row {
            same += 1;
            continue;
        }
        stricter += 1;
        let (status, kept) = (row.split(' ').next(), row.ends_with('k'));
        assert!(row != "e", "{shown:?}: {verdict} now, and an error then");
        assert_eq!(status, Some(now.status.to_string().as_str()), "{shown:?}: {row} then, {verdict} now");
        assert!(!now.kept || kept, "{shown:?}: kept now, and closed then: {row}");
    }
    assert!(rows.next().is_none() && same + stricter == 20_000);
    assert!(same > 19_000, "{same} as before, {stricter} stricter");
}

fn mangled() -> impl Iterator<Item = Vec<u8>> {
    const HEADS: [&str; 16] = [
        "HTTP/1.1 204 No Content\r\nServer: OBS\r\nx-obs-request-id: 8DF4\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.1 204\nDate: x\n\n",
        "\r\nHTTP/1.1 204 x\r\nX: a\r\nX: b\r\nX:\r\n\r\n",
        "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
        "HTTP/1.1 500 x\r\n\r\nto the end",
        "HTTP/1.0 404 x\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno",
        "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    ];
    const PIECES: [&str; 13] = [
        "\r",
        "\n",
        " ",
        "0",
        ":",
        "\u{0}",
        "\t",
        ",",
        "close",
        "chunked",
        "Upgrade: h2c\r\n",
        "Connection: ",
        "HTTP/1.1 204 x\r\n\r\n",
    ];
    let mut state = 1_u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).expect("24 bits") % below
    };
    (0..20_000).map(move |round| {
        let mut bytes = HEADS[random(HEADS.len())].as_bytes().to_vec();
        if round >= HEADS.len() * 10 {
            for _ in 0..=random(2) {
                let at = random(bytes.len());
                match random(3) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes[at] ^= 1 << random(8),
                    _ => drop(bytes.splice(at..at, PIECES[random(PIECES.len())].bytes())),
                }
            }
        }
        bytes
    })
}

/// A response; its status and body, and whether the connection is kept.
type Row = (&'static str, Option<(u16, &'static str, bool)>);
const FRAMINGS: &[Row] = &[
    ("HTTP/1.1 204 x\r\n\r\n", Some((204, "", KEPT))),
    ("HTTP/1.1 204\r\n\r\n", Some((204, "", KEPT))),
    ("HTTP/1.1 204 x\r\ncontent-length: 0\r\nCONNECTION: Keep-Alive\r\n\r\n", Some((204, "", KEPT))),
    ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\nContent-Length: 0\r\nTransfer-Encoding: foo\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\nContent-Length: 27\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\nContent-Length: -0\r\n\r\n", None),
    ("HTTP/1.1 204 x\r\nTransfer-Encoding: identity\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\nConnection: keep-alive, Close\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.0 204 x\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n", Some((204, "", KEPT))),
    ("HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 204 x\r\n\r\n ", Some((204, "", CLOSED))),
    ("HTTP/1.1 304 x\r\n\r\n", Some((304, "", KEPT))),
    ("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", Some((304, "", CLOSED))),
    ("HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n", Some((304, "", CLOSED))),
    ("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n", Some((101, "", CLOSED))),
    ("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 x\r\n\r\n", Some((204, "", CLOSED))),
    ("HTTP/1.1 100 x\r\nA: b\r\n\r\nHTTP/1.1 204 x\r\n\r\n", None),
    ("HTTP/1.1 404 x\r\nContent-Length: 2\r\n\r\nno", Some((404, "no", KEPT))),
    ("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", Some((404, "", KEPT))),
    ("HTTP/1.1 404 x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nno", Some((404, "no", CLOSED))),
    ("HTTP/1.1 404 x\r\nContent-Length: 2, 2\r\n\r\nno", Some((404, "no", CLOSED))),
    ("HTTP/1.1 404 x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nnot", None),
    ("HTTP/1.1 404 x\r\nContent-Length: +2\r\n\r\nno", None),
    ("HTTP/1.1 404 x\r\nContent-Length: 0x2\r\n\r\nno", None),
    ("HTTP/1.1 404 x\r\nContent-Length: 99999999999999999999\r\n\r\nno", None),
    ("HTTP/1.1 404 x\r\nContent-Length:\r\n\r\nno", None),
    ("HTTP/1.1 404 x\r\nContent-Length: 0\r\nTransfer-Encoding: foo\r\n\r\n", Some((404, "", CLOSED))),
    ("HTTP/1.1 404 x\r\nContent-Length: 5\r\n\r\nno", Some((404, "no", CLOSED))),
    ("HTTP/1.1 404 x\r\n\r\nto the end", Some((404, "to the end", CLOSED))),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", Some((404, "no", KEPT))),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nno\r\n0\r\n\r\n", Some((404, "no", KEPT))),
    (
        "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nT: x\r\n\r\n",
        Some((404, "no", CLOSED)),
    ),
    (
        "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        Some((404, "no", CLOSED)),
    ),
    (
        "HTTP/1.1 404 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        Some((404, "no", CLOSED)),
    ),
    (
        "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        Some((404, "no", CLOSED)),
    ),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nnot\r\n0\r\n\r\n", Some((404, "no", CLOSED))),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\nno\n0\n\n", Some((404, "", CLOSED))),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nno\r\n0\r\n\r\n", Some((404, "", CLOSED))),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nno", Some((404, "", CLOSED))),
    ("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n!", Some((404, "no", CLOSED))),
    ("HTTP/1.0 404 x\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nno", Some((404, "no", KEPT))),
    (
        "HTTP/1.0 404 x\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nno",
        Some((404, "no", CLOSED)),
    ),
    (
        "HTTP/1.0 404 x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nno",
        Some((404, "no", CLOSED)),
    ),
    ("HTTP/1.1 099 x\r\n\r\n", None),
    ("HTTP/1.1 2040 x\r\n\r\n", None),
    ("HTTP/2 204 x\r\n\r\n", None),
    ("HTTP/1.1 204 x\r\nDate : x\r\n\r\n", None),
    ("HTTP/1.1 204 x\r\nX: a\u{0}b\r\n\r\n", None),
    ("HTTP/1.1 204 x\r\nDate: x\r\n", None),
    ("SSH-2.0-x\r\n", None),
    ("", None),
];

const KEPT: bool = true;
const CLOSED: bool = false;

#[test]
fn framings() {
    for (response, want) in FRAMINGS {
        let bytes = response.as_bytes();
        let want = want.map(|(status, body, kept)| Verdict { status, body: body.into(), kept });
        assert_eq!(read(&[bytes]).ok(), want, "{response:?}");
        // However it is cut, the verdict is the same.
        for at in [1, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            if let Some((first, second)) = bytes.split_at_checked(at) {
                let cut = read(&[first, second]).ok();
                let kept_less = cut.as_ref().map(|read| (read.status, &read.body));
                assert_eq!(
                    kept_less,
                    want.as_ref().map(|read| (read.status, &read.body)),
                    "{response:?} cut at {at}"
                );
            }
        }
    }
}

#[test]
fn heads_have_a_limit() {
    let head = |fields: usize, value: usize| {
        format!("HTTP/1.1 204 x\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(value)).repeat(fields))
    };
    assert!(read(&[head(MAX_FIELDS, 1).as_bytes()]).is_ok());
    assert!(read(&[head(MAX_FIELDS + 1, 1).as_bytes()]).is_err());
    assert!(read(&[head(1, MAX_HEAD - 64).as_bytes()]).is_ok());
    assert!(read(&[head(1, MAX_HEAD).as_bytes()]).is_err_and(|e| e.contains("larger than 16384")));
    let interim = "HTTP/1.1 103 x\r\nA: b\r\n\r\n".repeat(2000);
    assert!(read(&[interim.as_bytes()]).is_err(), "interim responses have one, too");
}
