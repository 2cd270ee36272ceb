//! Pages of ListParts: XML in, number, size and time of the parts out, or the reason why the page may not be acted on.

use std::io::Read;

use crate::base::error::Error;
use crate::obs::document::{
    self, Document, check_bucket, form_decoded, is_encoded, is_truncated, plausible_time,
};

/// The parts of an upload, as far as they have been listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub count: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// When the newest was written, in Unix seconds. None if there is none, or if the time of any is missing, unreadable
    /// or impossible.
    pub newest: Option<i64>,
}

impl Parts {
    /// These and those of another page.
    pub fn and(self, other: Parts) -> Parts {
        let newest = match (self, other) {
            (Parts { count: 0, .. }, only) | (only, Parts { count: 0, .. }) => only.newest,
            // One unknown time leaves the newest unknown.
            _ => self.newest.zip(other.newest).map(|(one, other)| one.max(other)),
        };
        Parts { count: self.count + other.count, bytes: self.bytes.saturating_add(other.bytes), newest }
    }
}

/// A page, complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartsPage {
    pub parts: Parts,
    /// The number after which the next page begins, if there is one.
    pub next: Option<u32>,
}

/// The error about a page that is not fit to act on.
pub fn malformed(why: impl std::fmt::Display) -> Error {
    document::malformed::<RawPage>(why)
}

/// The parameters of a page.
#[derive(Clone, Copy, Debug)]
pub struct PartsRequest<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub upload_id: &'a str,
    /// The page begins after the part with this number.
    pub from: u32,
}

/// Reads and validates the page of an upload.
///
/// Source: "Listing Uploaded Parts" in Huawei's OBS API reference.
pub fn read_parts(body: &mut dyn Read, request: PartsRequest<'_>) -> Result<PartsPage, Error> {
    let PartsRequest { bucket, key, upload_id, from } = request;
    let mut page = RawPage::default();
    document::read(body, &mut page)?;
    check_bucket::<RawPage>(page.bucket.as_deref(), bucket)?;
    let is_encoded = is_encoded::<RawPage>(page.encoding.as_deref())?;
    let named = page.key.map(|text| if is_encoded { form_decoded(&text) } else { Some(text) });
    if named.is_some_and(|named| named.as_deref() != Some(key)) {
        return Err(malformed("it is of another key"));
    }
    match page.upload_id.as_deref().map(str::trim) {
        Some(id) if id == upload_id => {}
        Some(_) => return Err(malformed("it is of another upload")),
        None => return Err(malformed("it does not say which upload it is of")),
    }
    let next = page.next.as_deref().and_then(|text| text.trim().parse::<u32>().ok());
    let next = next.filter(|next| *next > from);
    if next.is_some() && page.parts.count == 0 {
        return Err(malformed("it has a marker, and no part"));
    }
    match (is_truncated::<RawPage>(page.truncated.as_deref())?, next) {
        (false, _) => Ok(PartsPage { parts: page.parts, next: None }),
        (true, Some(next)) => Ok(PartsPage { parts: page.parts, next: Some(next) }),
        // Otherwise the list would never end.
        (true, None) => Err(malformed("it is truncated, and its marker does not advance")),
    }
}

/// The texts of a page, of which only sums stay.
#[derive(Default)]
struct RawPage {
    bucket: Option<String>,
    encoding: Option<String>,
    key: Option<String>,
    upload_id: Option<String>,
    truncated: Option<String>,
    next: Option<String>,
    /// Number, time and size of the part that is being read.
    part: [Option<String>; 3],
    parts: Parts,
}

impl Document for RawPage {
    const NAME: &'static str = "the list of parts";
    const ROOT: &'static str = "ListPartsResult";

    fn field(&mut self, path: &[String]) -> Option<&mut Option<String>> {
        match path {
            [_root, name] => match name.as_str() {
                "Bucket" => Some(&mut self.bucket),
                "EncodingType" => Some(&mut self.encoding),
                "Key" => Some(&mut self.key),
                "UploadId" => Some(&mut self.upload_id),
                "IsTruncated" => Some(&mut self.truncated),
                "NextPartNumberMarker" => Some(&mut self.next),
                _ => None,
            },
            [_root, part, name] if part == "Part" => {
                let [number, modified, size] = &mut self.part;
                match name.as_str() {
                    "PartNumber" => Some(number),
                    "LastModified" => Some(modified),
                    "Size" => Some(size),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn begin(&mut self, path: &[String]) -> Result<(), Error> {
        if is_part(path) {
            self.part = Default::default();
        } else if path.last().is_some_and(|name| name == "Part") {
            return Err(malformed("it has a part where none can be"));
        }
        Ok(())
    }

    fn end(&mut self, path: &[String]) -> Result<(), Error> {
        if !is_part(path) {
            return Ok(());
        }
        let [number, modified, size] = std::mem::take(&mut self.part);
        let whole = |text: Option<String>| text.and_then(|text| text.trim().parse::<u64>().ok());
        let (Some(_), Some(bytes)) = (whole(number), whole(size)) else {
            return Err(malformed("it has a part without a number or a size"));
        };
        let newest = modified.as_deref().and_then(plausible_time);
        self.parts = self.parts.and(Parts { count: 1, bytes, newest });
        Ok(())
    }
}

fn is_part(path: &[String]) -> bool {
    matches!(path, [_root, name] if name == "Part")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "2026-01-02T03:04:05.000Z";
    const NEW_UNIX: i64 = 1_767_323_045;

    fn part(number: u32, modified: &str, size: &str) -> String {
        format!(
            "<Part><PartNumber>{number}</PartNumber><LastModified>{modified}</LastModified><Size>{size}</Size></Part>"
        )
    }

    fn request(from: u32) -> PartsRequest<'static> {
        PartsRequest { bucket: "bkt", key: "a b", upload_id: "id", from }
    }

    fn page(inner: &str, from: u32) -> Result<PartsPage, Error> {
        let body = format!("<ListPartsResult>{inner}</ListPartsResult>");
        read_parts(&mut body.as_bytes(), request(from))
    }

    const WHOLE: &str = "<UploadId>id</UploadId><IsTruncated>false</IsTruncated>";

    #[test]
    fn sums() {
        let old = part(1, "2025-01-01T00:00:00Z", "5");
        for (parts, want) in [
            (String::new(), Parts::default()),
            (old.clone(), Parts { count: 1, bytes: 5, newest: Some(1_735_689_600) }),
            (old.clone() + &part(2, NEW, "7"), Parts { count: 2, bytes: 12, newest: Some(NEW_UNIX) }),
            (part(1, NEW, "7") + &old, Parts { count: 2, bytes: 12, newest: Some(NEW_UNIX) }),
            // One that is not known may be the newest.
            (old.clone() + &part(2, "", "0"), Parts { count: 2, bytes: 5, newest: None }),
            (part(1, "1970-01-01T00:00:00Z", "1") + &old, Parts { count: 2, bytes: 6, newest: None }),
            (part(1, "2026-01-02T03:04:05", "1"), Parts { count: 1, bytes: 1, newest: None }),
            (
                part(1, NEW, "18446744073709551615") + &old,
                Parts { count: 2, bytes: u64::MAX, newest: Some(NEW_UNIX) },
            ),
        ] {
            assert_eq!(
                page(&(WHOLE.to_owned() + &parts), 0),
                Ok(PartsPage { parts: want, next: None }),
                "{parts}"
            );
        }
    }

    #[test]
    fn elements_that_are_not_a_parts_do_not_count() {
        let other = "<Owner><PartNumber>7</PartNumber><Size>8</Size><Size>9</Size></Owner>";
        let sum = page(&format!("{WHOLE}{other}{}{other}", part(1, NEW, "7")), 0).map(|page| page.parts);
        assert_eq!(sum, Ok(Parts { count: 1, bytes: 7, newest: Some(NEW_UNIX) }));
    }

    #[test]
    fn the_key_that_it_names() {
        for (inner, is_ours) in [
            ("", true),
            ("<Key>a b</Key>", true),
            ("<Key>a+b</Key>", false),
            ("<Key>a b</Key><EncodingType>url</EncodingType>", true),
            ("<Key>a+b</Key><EncodingType>url</EncodingType>", true),
            ("<Key>a%20b</Key><EncodingType>URL</EncodingType>", true),
            ("<Key>a%2bb</Key><EncodingType>url</EncodingType>", false),
            ("<Key>%</Key><EncodingType>url</EncodingType>", false),
            ("<Key>a b</Key><EncodingType>gzip</EncodingType>", false),
            ("<Key>a b </Key>", false),
            ("<Key>b</Key>", false),
        ] {
            assert_eq!(page(&(WHOLE.to_owned() + inner), 0).is_ok(), is_ours, "{inner}");
        }
    }

    #[test]
    fn pages() {
        let truncated = |marker: &str| {
            let part = part(1, NEW, "1");
            format!(
                "<UploadId>id</UploadId><IsTruncated>true</IsTruncated>
                 <NextPartNumberMarker>{marker}</NextPartNumberMarker>{part}"
            )
        };
        assert_eq!(page(&truncated("1000"), 0).map(|page| page.next), Ok(Some(1000)));
        assert_eq!(page(&truncated("2000"), 1000).map(|page| page.next), Ok(Some(2000)));
        for (marker, from) in
            [("0", 0), ("1000", 1000), ("999", 1000), ("", 0), ("x", 0), ("-1", 0), ("4294967296", 0)]
        {
            assert!(page(&truncated(marker), from).is_err(), "{marker} after {from}");
        }
        let unknown = Parts { count: 1, bytes: 1, newest: None };
        let known = Parts { count: 1, bytes: 2, newest: Some(9) };
        assert_eq!(unknown.and(known), Parts { count: 2, bytes: 3, newest: None });
        assert_eq!(Parts::default().and(known), known);
        assert_eq!(known.and(Parts::default()), known);
    }

    #[test]
    fn unfit_to_act_on() {
        for inner in [
            "",
            "<UploadId>id</UploadId>",
            "<IsTruncated>false</IsTruncated>",
            "<UploadId>other</UploadId><IsTruncated>false</IsTruncated>",
            "<UploadId>id</UploadId><UploadId>id</UploadId><IsTruncated>false</IsTruncated>",
            "<UploadId>id</UploadId><IsTruncated>no</IsTruncated>",
            &format!("{WHOLE}<Bucket>other</Bucket>"),
            "<UploadId>id</UploadId><IsTruncated>true</IsTruncated>",
            &format!("{WHOLE}<NextPartNumberMarker>1</NextPartNumberMarker>"),
            &format!("{WHOLE}<Parts>{}</Parts>", part(1, NEW, "1")),
            "<UploadId>id</UploadId><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>",
            &format!("{WHOLE}<Part/>"),
            &format!("{WHOLE}<Part><PartNumber>1</PartNumber></Part>"),
            &format!("{WHOLE}{}", part(1, NEW, "")),
            &format!("{WHOLE}{}", part(1, NEW, "-1")),
            &format!("{WHOLE}{}", part(1, NEW, "1</Size><Size>2")),
            &format!("{WHOLE}{}", part(1, "<b>x</b>", "1")),
            &format!("{WHOLE}<Error><Code>InternalError</Code></Error>"),
        ] {
            assert!(page(inner, 0).is_err(), "{inner}");
        }
        for body in ["", "<ListPartsResult>", "<Error/>", "<ListMultipartUploadsResult/>", "no XML"] {
            assert!(read_parts(&mut body.as_bytes(), request(0)).is_err(), "{body}");
        }
    }
}
