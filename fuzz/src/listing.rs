//! Any page of a listing. Input: four lines (`encoded` or not, prefix, key marker, upload id marker), then the page.
//! The same bytes also name uploads of which a page is written here, and must be read back as they were.

use std::fmt::Write as _;
use std::io::Read;

use obsabort::fuzzing::{Code, Error, Marker, Page, PageRequest, read_page};

pub fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (encoded, prefix) = (line() == "encoded", line());
    let from = Marker { key: line(), upload_id: line() };
    let body = parts.next().unwrap_or_default();
    let asked = PageRequest { bucket: "b", prefix: &prefix, from: &from, encoded };

    let mut whole = body;
    let page = read_page(&mut whole, asked);
    judge(&page, asked);
    // However the bytes trickle in, it is the same page; where it is none, the parser may say so in other words.
    let dripped = read_page(&mut Dripping(body, body.len() % 7 + 1), asked);
    assert_eq!((dripped.as_ref().ok(), dripped.is_err()), (page.as_ref().ok(), page.is_err()));
    // Without its last byte it is none.
    if body.ends_with(b"</ListMultipartUploadsResult>") {
        let mut cut = &body[..body.len() - 1];
        assert!(read_page(&mut cut, asked).is_err(), "an incomplete page was taken for one");
    }
    read_back(body, encoded);
}

struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.1);
        self.0.read(&mut buffer[..n])
    }
}

fn judge(page: &Result<Option<Page>, Error>, asked: PageRequest<'_>) {
    match page {
        Err(e) => {
            assert_eq!(e.code, Code::Protocol, "{e}");
            assert!(!e.detail.chars().any(char::is_control), "{:?}", e.detail);
        }
        Ok(None) => assert!(asked.encoded, "there is nothing to ask again for"),
        Ok(Some(page)) => {
            for upload in page.uploads.iter().filter(|upload| upload.is_decoded) {
                assert!(upload.key.starts_with(asked.prefix), "{:?} is outside", upload.key);
            }
            if let Some(next) = &page.next {
                assert!(next != asked.from && next.key.as_bytes() >= asked.from.key.as_bytes());
                assert!(!next.key.is_empty() || !next.upload_id.is_empty(), "it would begin anew");
            }
        }
    }
}

/// What XML can carry, in numbers for all but the plainest characters.
fn xml(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        let _ =
            if c.is_ascii_alphanumeric() { write!(out, "{c}") } else { write!(out, "&#x{:x};", c as u32) };
        out
    })
}

/// As forms are encoded.
fn form(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = match byte {
            b' ' => write!(out, "+"),
            b'a'..=b'z' | b'0'..=b'9' => write!(out, "{}", char::from(byte)),
            _ => write!(out, "%{byte:02x}"),
        };
        out
    })
}

fn read_back(bytes: &[u8], encoded: bool) {
    let legal = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let texts: Vec<String> = bytes
        .split(|byte| *byte == b'\n')
        .map(|text| String::from_utf8_lossy(text).chars().filter(legal).take(300).collect())
        .filter(|text: &String| !text.is_empty())
        .take(40)
        .collect();
    let mut page = String::from("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>");
    page += if encoded { "<EncodingType>url</EncodingType>" } else { "" };
    for pair in texts.chunks_exact(2) {
        let key = if encoded { form(&pair[0]) } else { xml(&pair[0]) };
        let _ = write!(page, "<Upload><Key>{key}</Key><UploadId>{}</UploadId></Upload>", xml(&pair[1]));
    }
    page += "</ListMultipartUploadsResult>";
    let from = Marker::default();
    let asked = PageRequest { bucket: "b", prefix: "", from: &from, encoded };
    let read = read_page(&mut page.as_bytes(), asked);
    let read = read.unwrap_or_else(|e| panic!("{e}: {page}")).unwrap_or_else(|| panic!("not read: {page}"));
    let read: Vec<&str> = read.uploads.iter().flat_map(|u| [u.key.as_str(), u.upload_id.as_str()]).collect();
    assert_eq!(read, texts[..texts.len() / 2 * 2], "{page}");
}
