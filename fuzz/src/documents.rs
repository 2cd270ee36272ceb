//! Lists of parts and of buckets. Input: three lines (a key, an upload id, the number of a part), then the document.

use std::io::Read;

use obsabort::fuzzing::{Code, Error, NextBuckets, PartsRequest, read_buckets, read_parts};

pub fn run(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (key, upload_id, from) = (line(), line(), line().parse().unwrap_or(0));
    let body = lines.next().unwrap_or_default();

    let request = PartsRequest { bucket: "b", key: &key, upload_id: &upload_id, from };
    let parts = |mut body: &[u8]| read_parts(&mut body, request);
    let page = parts(body);
    if let Ok(page) = &page {
        assert!(page.next.is_none_or(|next| next > from), "the list would not end");
        assert!(page.parts.count > 0 || page.parts.bytes == 0 && page.parts.newest.is_none());
        // A time before such services tells nothing.
        assert!(page.parts.newest.is_none_or(|newest| newest >= 1_136_073_600));
        // Without its last byte it is none.
        assert!(!body.ends_with(b">") || parts(&body[..body.len() - 1]).is_err(), "an incomplete list");
    }
    judge(page.as_ref().err());
    let dripped = read_parts(&mut Dripping(body, body.len() % 7 + 1), request);
    assert_eq!((dripped.as_ref().ok(), dripped.is_err()), (page.as_ref().ok(), page.is_err()));

    let page = read_buckets(&mut { body });
    if let Ok(page) = &page {
        for bucket in &page.buckets {
            assert!(!bucket.name.is_empty() && !bucket.name.contains('\0'), "C can't hold {:?}", bucket.name);
        }
        if let Some(NextBuckets::Marker(next) | NextBuckets::Token(next)) = &page.next {
            assert!(!next.is_empty(), "the list would begin anew");
        }
    }
    judge(page.as_ref().err());
}

fn judge(error: Option<&Error>) {
    if let Some(e) = error {
        assert_eq!(e.code, Code::Protocol, "{e}");
        assert!(!e.detail.chars().any(char::is_control), "{:?}", e.detail);
    }
}

struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.1);
        self.0.read(&mut buffer[..n])
    }
}
