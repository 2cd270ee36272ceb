//! Pages of ListMultipartUploads: XML in, uploads and markers out, or the reason why the page may not be acted on.

use std::io::Read;

use crate::base::error::Error;
use crate::base::text::holds_secret;
use crate::obs::document::{
    self, Document, check_bucket, form_decoded, is_encoded, is_truncated, plausible_time,
};

/// An upload on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// The key, decoded. As it stands on the page if it can't be decoded.
    pub key: String,
    /// Whether key and upload id could be decoded.
    pub is_decoded: bool,
    /// The upload id, unchanged.
    pub upload_id: String,
    /// The time of initiation in Unix seconds. None if it is missing, unreadable or impossible.
    pub initiated: Option<i64>,
}

/// A page, complete and decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The uploads in the server's order.
    pub uploads: Vec<ListedUpload>,
    /// The beginning of the next page, if there is one.
    pub next: Option<Marker>,
}

impl Page {
    /// Returns whether a key, an upload id or a marker holds the secret, as it is or escaped.
    pub fn repeats(&self, secret: &str) -> bool {
        let listed = self.uploads.iter().flat_map(|upload| [&upload.key, &upload.upload_id]);
        let next = self.next.iter().flat_map(|next| [&next.key, &next.upload_id]);
        listed.chain(next).any(|text| holds_secret(text, secret))
    }
}

/// The beginning of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marker {
    /// The page lists the keys after this one, and with an upload id the rest of this one's uploads.
    pub key: String,
    /// The page lists the key's uploads after this one.
    pub upload_id: String,
}

/// The error about a page that is not fit to act on.
pub fn malformed(why: impl std::fmt::Display) -> Error {
    document::malformed::<RawPage>(why)
}

/// The error about a page that does not fit into the memory that the process can have.
pub fn larger_than_memory() -> Error {
    malformed("there is no memory for all of its uploads")
}

/// The parameters of a page.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<'a> {
    /// The bucket whose uploads are listed.
    pub bucket: &'a str,
    /// The prefix of all keys.
    pub prefix: &'a str,
    /// The beginning of the page.
    pub from: &'a Marker,
    /// Whether the server was asked to percent-encode keys.
    pub encoded: bool,
}

/// Reads and validates one page. An error quotes the page as it came, of any length: the caller makes it fit for a
/// message, by [`FailedRequest::refine_transport_error`](crate::obs::diagnosis::FailedRequest::refine_transport_error).
///
/// None: the server was asked to encode its keys, does not say whether it did, and the page could be read both ways.
/// It has to be asked for again without encoding. Ceph RGW encodes the keys but not the markers, and does not say so.
/// A wrong key would give NoSuchUpload, look like an upload that is gone, and leave the orphan for ever.
pub fn read_page(body: &mut dyn Read, request: PageRequest<'_>) -> Result<Option<Page>, Error> {
    let PageRequest { bucket, prefix, from, encoded } = request;
    let mut raw = RawPage::default();
    raw.is_lossy = document::read(body, &mut raw)?;
    check_bucket::<RawPage>(raw.bucket.as_deref(), bucket)?;
    if encoded && raw.is_ambiguous() {
        return Ok(None);
    }
    let page = raw.decoded()?;
    let mut decoded = page.uploads.iter().filter(|upload| upload.is_decoded);
    if let Some(stranger) = decoded.find(|upload| !upload.key.starts_with(prefix)) {
        // The key last: the caller cuts what is too long.
        return Err(malformed(format_args!(
            "something on the way strips the query, it has a key outside the prefix {prefix:?}: {:?}",
            stranger.key
        )));
    }
    if let Some(next) = &page.next {
        // The pair must advance, or the listing would never end. The key alone may stay the same while its uploads
        // are listed, in an order of the server's own.
        if (next.key.is_empty() && next.upload_id.is_empty())
            || next == from
            || next.key.as_bytes() < from.key.as_bytes()
        {
            return Err(malformed("it is truncated, and its markers do not advance"));
        }
    }
    Ok(Some(page))
}

/// The texts of a page, not decoded yet.
#[derive(Default)]
struct RawPage {
    bucket: Option<String>,
    uploads: Vec<[Option<String>; 3]>,
    truncated: Option<String>,
    next_key: Option<String>,
    next_upload_id: Option<String>,
    encoding: Option<String>,
    /// Whether bytes that are not UTF-8 were replaced by U+FFFD.
    is_lossy: bool,
}

/// A page of any number of uploads: some servers (the MinIO family) ignore max-uploads.
impl Document for RawPage {
    const NAME: &'static str = "the list of uploads";
    const ROOT: &'static str = "ListMultipartUploadsResult";

    fn field(&mut self, path: &[String]) -> Option<&mut Option<String>> {
        match path {
            [_root, name] => match name.as_str() {
                "Bucket" => Some(&mut self.bucket),
                "IsTruncated" => Some(&mut self.truncated),
                "NextKeyMarker" => Some(&mut self.next_key),
                "NextUploadIdMarker" => Some(&mut self.next_upload_id),
                "EncodingType" => Some(&mut self.encoding),
                _ => None,
            },
            [_root, upload, name] if upload == "Upload" => {
                let [key, upload_id, initiated] = self.uploads.last_mut()?;
                match name.as_str() {
                    "Key" => Some(key),
                    "UploadId" => Some(upload_id),
                    "Initiated" => Some(initiated),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn begin(&mut self, path: &[String]) -> Result<(), Error> {
        if is_upload(path) {
            self.uploads.try_reserve(1).map_err(|_| larger_than_memory())?;
            self.uploads.push([None, None, None]);
        }
        Ok(())
    }

    fn end(&mut self, path: &[String]) -> Result<(), Error> {
        // At once: a page that is full of empty uploads would take up memory.
        match self.uploads.last() {
            Some([key, upload_id, _]) if is_upload(path) && (key.is_none() || upload_id.is_none()) => {
                Err(malformed("it has an upload without a key or an upload id"))
            }
            _ => Ok(()),
        }
    }
}

fn is_upload(path: &[String]) -> bool {
    matches!(path, [_root, name] if name == "Upload")
}

impl RawPage {
    /// Returns whether the keys could be read both ways, since the response does not name an encoding.
    fn is_ambiguous(&self) -> bool {
        let keys = self.uploads.iter().filter_map(|[key, ..]| key.as_deref());
        self.encoding.as_deref().unwrap_or_default().trim().is_empty()
            && keys.chain(self.next_key.as_deref()).any(|key| key.contains(['%', '+']))
    }

    fn decoded(self) -> Result<Page, Error> {
        let truncated = is_truncated::<RawPage>(self.truncated.as_deref())?;
        let encoded = is_encoded::<RawPage>(self.encoding.as_deref())?;
        let is_intact = |text: &str| !(self.is_lossy && text.contains(char::REPLACEMENT_CHARACTER));
        // With whether that could be done. If not, it stays as it stands on the page.
        let decoded = |text: String| match (is_intact(&text), encoded) {
            (true, true) => match form_decoded(&text) {
                Some(decoded) => (decoded, true),
                None => (text, false),
            },
            (is_intact, _) => (text, is_intact),
        };
        let upload = |[key, upload_id, initiated]: [Option<String>; 3]| {
            // Both are there: `end_element` has looked.
            let (key, upload_id) = (key.unwrap_or_default(), upload_id.unwrap_or_default());
            let initiated = initiated.as_deref().and_then(plausible_time);
            let (key, key_is_decoded) = decoded(key);
            let is_decoded = key_is_decoded && is_intact(&upload_id);
            ListedUpload { key, is_decoded, upload_id, initiated }
        };
        // In the memory of the raw ones.
        let uploads = self.uploads.into_iter().map(upload).collect();
        let (key, is_decoded) = decoded(self.next_key.unwrap_or_default());
        let upload_id = self.next_upload_id.unwrap_or_default();
        if !is_decoded || !is_intact(&upload_id) {
            return Err(malformed("its marker can't be decoded"));
        }
        let next = Marker { key, upload_id };
        Ok(Page { uploads, next: truncated.then_some(next) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Code;

    fn page(body: &str, prefix: &str, from: &Marker) -> Result<Page, Error> {
        let request = PageRequest { bucket: "bkt", prefix, from, encoded: false };
        read_page(&mut body.as_bytes(), request).map(|page| page.expect("nothing to ask again for"))
    }

    fn xml(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"x\">{inner}</ListMultipartUploadsResult>"
        )
    }

    fn marker(key: &str, upload_id: &str) -> Marker {
        Marker { key: key.into(), upload_id: upload_id.into() }
    }

    #[test]
    fn a_page() {
        let body = xml(
            "<IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>
             <Upload><Key>a&amp;b&#x21; c</Key><UploadId>1</UploadId><Initiator><ID>Key</ID></Initiator><Initiated>2015-07-01T05:28:27.5Z</Initiated></Upload>
             <Upload><Key>b</Key><UploadId>2~x</UploadId><Initiated>whenever</Initiated></Upload>",
        );
        let page = page(&body, "", &Marker::default()).expect("a page");
        assert_eq!(
            page.uploads[0],
            ListedUpload {
                key: "a&b! c".into(),
                is_decoded: true,
                upload_id: "1".into(),
                initiated: Some(1_435_728_507)
            }
        );
        assert_eq!(page.uploads[1].initiated, None);
        assert_eq!(page.next, Some(marker("b", "2")));
    }

    #[test]
    fn encoded_only_where_it_says_so() {
        let upload =
            "<IsTruncated>false</IsTruncated><Upload><Key>a%2Bb+c%0A</Key><UploadId>%41+</UploadId></Upload>";
        let plain = page(&xml(upload), "", &Marker::default()).expect("a page");
        assert_eq!(plain.uploads[0].key, "a%2Bb+c%0A");
        let encoded =
            page(&xml(&format!("{upload}<EncodingType>url</EncodingType>")), "", &Marker::default())
                .expect("a page");
        assert_eq!(
            (encoded.uploads[0].key.as_str(), encoded.uploads[0].upload_id.as_str()),
            ("a+b c\n", "%41+")
        );
    }

    #[test]
    fn asked_again_where_the_encoding_is_not_told() {
        let from = Marker::default();
        let encoded = PageRequest { bucket: "bkt", prefix: "a b", from: &from, encoded: true };
        let named = "<EncodingType>url</EncodingType>";
        for (key, encoding, again) in
            [("a%20b", "", true), ("a b+", "", true), ("a b", "", false), ("a%20b", named, false)]
        {
            let body = xml(&format!(
                "<IsTruncated>false</IsTruncated>{encoding}<Upload><Key>{key}</Key><UploadId>1</UploadId></Upload>"
            ));
            let page = read_page(&mut body.as_bytes(), encoded).expect("fit");
            assert_eq!(page.is_none(), again, "{key} {encoding}");
        }
    }

    #[test]
    fn unfit_pages() {
        let none = Marker::default();
        let one = "<Upload><Key>k</Key><UploadId>1</UploadId></Upload>";
        let more = "<IsTruncated>true</IsTruncated>";
        for (body, prefix, from) in [
            (String::new(), "", none.clone()),
            ("<html></html>".into(), "", none.clone()),
            (xml(one), "", none.clone()),
            (xml(&format!("{one}<IsTruncated>perhaps</IsTruncated>")), "", none.clone()),
            (
                xml("<IsTruncated>false</IsTruncated>").replace("</ListMultipartUploadsResult>", ""),
                "",
                none.clone(),
            ),
            (xml("<IsTruncated>false</IsTruncated>") + "<more/>", "", none.clone()),
            (xml(more), "", none.clone()),
            (xml(&format!("{more}<NextKeyMarker>k</NextKeyMarker>")), "", marker("k", "")),
            (xml(&format!("{more}<NextKeyMarker>a</NextKeyMarker>")), "", marker("k", "9")),
            (xml(&format!("<IsTruncated>false</IsTruncated>{one}")), "other", none.clone()),
            (xml("<IsTruncated>false</IsTruncated><Upload><Key>k</Key></Upload>"), "", none.clone()),
            (
                xml(&format!("<IsTruncated>false</IsTruncated><EncodingType>base64</EncodingType>{one}")),
                "",
                none.clone(),
            ),
            (
                xml(&format!(
                    "<IsTruncated>false</IsTruncated>{one}<Error><Code>InternalError</Code></Error>"
                )),
                "",
                none.clone(),
            ),
            (xml(&format!("<IsTruncated>false</IsTruncated>{one}")) + "\n 0", "", none.clone()),
            (xml(&format!("<IsTruncated>false</IsTruncated>{one}")) + "<![CDATA[ ]]>", "", none.clone()),
            (xml(&format!("<IsTruncated>false</IsTruncated>{one}")) + "&#32;", "", none.clone()),
            (format!("HTTP {}", xml("<IsTruncated>false</IsTruncated>")), "", none.clone()),
            (
                xml(
                    "<IsTruncated>true</IsTruncated><NextKeyMarker>%zz</NextKeyMarker><EncodingType>url</EncodingType>",
                ),
                "",
                none.clone(),
            ),
            (format!("<!DOCTYPE x>{}", xml("<IsTruncated>false</IsTruncated>")), "", none.clone()),
        ] {
            let refused = page(&body, prefix, &from).expect_err(&body);
            assert_eq!(refused.code, Code::Protocol, "{body}");
        }
        let commented = format!("<!-- a -->\n{}\r\n<!-- z -->\n", xml("<IsTruncated>false</IsTruncated>"));
        assert!(page(&commented, "", &none).is_ok());
        // A server may page by key alone.
        let by_key = page(&xml(&format!("{more}<NextKeyMarker>l</NextKeyMarker>")), "", &marker("k", ""))
            .expect("fit");
        assert_eq!(by_key.next, Some(marker("l", "")));
        // One key's uploads may be listed in any order.
        let same_key =
            xml(&format!("{more}<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>"));
        assert!(page(&same_key, "", &marker("k", "2")).is_ok());
    }

    #[test]
    fn limits() {
        let none = Marker::default();
        let with = |more: &str| {
            let upload = "<Upload><Key>k</Key><UploadId>1</UploadId></Upload>";
            xml(&format!("<IsTruncated>false</IsTruncated>{upload}{more}"))
        };
        let text = |length: usize| with(&format!("<Prefix>{}</Prefix>", "x".repeat(length)));
        let nested = |depth: usize| with(&format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)));
        assert!(page(&text(16 * 1024), "", &none).is_ok());
        assert!(page(&text(16 * 1024 + 1), "", &none).is_err());
        assert!(page(&nested(16), "", &none).is_ok());
        assert!(page(&nested(17), "", &none).is_err());
        // As large as a thousand uploads with long keys.
        let full = with(&format!("<a>{}</a>", "x".repeat(8000)).repeat(500));
        assert!(page(&full, "", &none).is_ok(), "{} bytes", full.len());
    }

    #[test]
    fn elements_that_are_not_an_uploads_do_not_count() {
        let body = xml("<Upload><Key>k</Key><UploadId>1</UploadId><Owner><Key>o</Key></Owner></Upload>
             <Other><Key>other</Key><UploadId>2</UploadId></Other><IsTruncated>false</IsTruncated>");
        let page = page(&body, "", &Marker::default()).expect("a page");
        assert_eq!(page.uploads.len(), 1);
        assert_eq!((page.uploads[0].key.as_str(), page.uploads[0].upload_id.as_str()), ("k", "1"));
    }

    #[test]
    fn what_cannot_be_decoded_fails_alone() {
        let upload = |key: &[u8], id: &[u8]| {
            [b"<Upload><Key>", key, b"</Key><UploadId>", id, b"</UploadId></Upload>"].concat()
        };
        let named = &b"<EncodingType>url</EncodingType>"[..];
        for (encoding, key, id, shown, is_decoded) in [
            (named, &b"%zz"[..], &b"1"[..], "%zz", false),
            (named, b"a%2", b"1", "a%2", false),
            (named, b"%FF+b", b"1", "%FF+b", false),
            (named, b"a\xff", b"1", "a\u{fffd}", false),
            (named, b"a%EF%BF%BD", b"1", "a\u{fffd}", true),
            (b"", b"a\xff%zz", b"1", "a\u{fffd}%zz", false),
            (b"", "a\u{fffd}".as_bytes(), b"1", "a\u{fffd}", true),
            (b"", b"a%zz", b"1", "a%zz", true),
            (b"", b"a", b"\xff", "a", false),
            (named, b"a", b"%zz", "a", true),
        ] {
            let body = [
                b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>",
                encoding,
                &upload(key, id)[..],
                &upload(b"good", b"2"),
                b"</ListMultipartUploadsResult>",
            ]
            .concat();
            let from = Marker::default();
            let request = PageRequest { bucket: "bkt", prefix: "", from: &from, encoded: false };
            let page = read_page(&mut &body[..], request).expect("fit").expect("unambiguous");
            let [bad, good] = &page.uploads[..] else { panic!("two uploads") };
            assert_eq!((bad.key.as_str(), bad.is_decoded), (shown, is_decoded), "{key:?} {id:?}");
            assert!(good.is_decoded && good.key == "good");
        }
    }
}
