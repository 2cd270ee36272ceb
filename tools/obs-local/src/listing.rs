//! The documents that list something, and what real servers get wrong in them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use crate::options::ListQuirk;
use crate::server::Shared;
use crate::service::{Failure, fail, modified};
use crate::signing::form_encode;
use crate::store::{Bucket, Contents, Upload};
use crate::wire::{Answer, Request};
use crate::xml::{self, element};

pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const OWNER: &str = "b4bf1b36d9ca43d984fbcb9491b6fce9";

pub(crate) fn uploads(
    shared: &Shared,
    request: &Request,
    bucket: &Bucket,
    bucket_name: &str,
) -> Result<Answer, Failure> {
    let quirks = shared.list_quirks.read().unwrap().clone();
    let quirk = |wanted| quirks.contains(&wanted);
    let claimed = shared.initiated.read().unwrap().clone();
    let limit = match quirk(ListQuirk::IgnoreMaxUploads) {
        true => shared.page_cap.load(Ordering::Relaxed),
        false => page_limit(shared, request, "max-uploads")?,
    };
    let asked = encoding_asked(request)?;
    let raw = quirk(ListQuirk::IgnoreEncodingType) || quirk(ListQuirk::EchoEncodingType);
    let encode = asked && !raw || quirk(ListQuirk::ForceEncodingType);
    let named = encode && !quirk(ListQuirk::HideEncodingType) || asked && quirk(ListQuirk::EchoEncodingType);
    let prefix = request.query("prefix").unwrap_or("");
    let wanted_prefix = if quirk(ListQuirk::IgnorePrefix) { "" } else { prefix };
    let key_marker = request.query("key-marker").unwrap_or("");
    let id_marker = request.query("upload-id-marker").filter(|_| !quirk(ListQuirk::PageByKey)).unwrap_or("");
    let begins = key_marker.is_empty() && id_marker.is_empty();
    let lagging = shared.list_lag.lock().unwrap().uploads(bucket, begins);
    let bucket = lagging.as_ref().unwrap_or(bucket);

    let mut page: Vec<_> = if quirk(ListQuirk::OrderByTime) {
        by_time(bucket, wanted_prefix, key_marker, id_marker)
    } else {
        bucket.uploads_after(key_marker, id_marker, wanted_prefix).take(limit + 1).collect()
    };
    let truncated = page.len() > limit;
    page.truncate(limit);

    let text = |name: &str, value: &str| match encode {
        true => element(name, &form_encode(value)),
        false if quirk(ListQuirk::RawControlCharacters) => {
            format!("<{name}>{}</{name}>", xml::escape_markup(value))
        }
        false => element(name, value),
    };
    let mut document = String::with_capacity(512 + page.len() * 512);
    let root = match quirk(ListQuirk::WrongRoot) {
        true => "ListBucketResult",
        false => "ListMultipartUploadsResult",
    };
    let _ = write!(document, "{DECLARATION}<{root} xmlns=\"http://obs.myhwclouds.com/doc/2015-06-30/\">");
    document += &element("Bucket", bucket_name);
    document += &text("KeyMarker", key_marker);
    document += &element("UploadIdMarker", id_marker);
    if let Some(((key, id), _)) = page.last().filter(|_| truncated && !quirk(ListQuirk::OmitMarkers)) {
        let (next_key, next_id) = if quirk(ListQuirk::RepeatMarkers) {
            (key_marker, id_marker)
        } else if quirk(ListQuirk::BackwardMarkers) && !key_marker.is_empty() {
            // '!' sorts before every letter and digit.
            ("!", "0")
        } else {
            (key.as_str(), id.as_str())
        };
        document += &text("NextKeyMarker", next_key);
        document += &element("NextUploadIdMarker", next_id);
    }
    if named {
        document += &element("EncodingType", "url");
    }
    document += &text("Prefix", prefix);
    document += &element("MaxUploads", &limit.to_string());
    if !quirk(ListQuirk::OmitIsTruncated) {
        document += &element("IsTruncated", if truncated { "true" } else { "false" });
    }
    for ((key, id), upload) in &page {
        document += "<Upload>";
        document += &text("Key", key);
        document += &element("UploadId", id);
        let _ = write!(
            document,
            "<Initiator><ID>{OWNER}</ID></Initiator><Owner><ID>{OWNER}</ID></Owner>\
             <StorageClass>STANDARD</StorageClass>"
        );
        if let Some(initiated) = claimed.as_ref().or(upload.initiated.as_ref()) {
            document += &element("Initiated", initiated);
        }
        document += "</Upload>";
    }
    let _ = write!(document, "</{root}>");
    let mut answer = Answer::xml(document);
    if quirk(ListQuirk::TruncatedXml) {
        // Past the middle, so that some uploads were already readable.
        answer.body.truncate(answer.body.len() * 2 / 3);
    }
    Ok(answer)
}

/// A list that lags behind: it shows a bucket's uploads as they were so many listings before.
#[derive(Default)]
pub(crate) struct ListLag {
    listings: usize,
    earlier: VecDeque<BTreeMap<(String, String), Upload>>,
}

impl ListLag {
    pub fn of(listings: usize) -> Self {
        Self { listings, earlier: VecDeque::new() }
    }

    /// What the list shows, if that is not the truth.
    fn uploads(&mut self, bucket: &Bucket, begins: bool) -> Option<Bucket> {
        if self.listings == 0 {
            return None;
        }
        if begins {
            self.earlier.push_back(bucket.uploads.clone());
            if self.earlier.len() > self.listings + 1 {
                self.earlier.pop_front();
            }
        }
        let uploads = self.earlier.front().cloned()?;
        Some(Bucket { uploads, ..Bucket::default() })
    }
}

type Listed<'a> = (&'a (String, String), &'a Upload);

/// The uploads after the marker when those of one key come by time.
fn by_time<'a>(bucket: &'a Bucket, prefix: &'a str, key_marker: &str, id_marker: &str) -> Vec<Listed<'a>> {
    // Everything of the marker's key is looked at again: its ids are not in the order of the listing.
    let mut all: Vec<Listed> = bucket.uploads_after("", "", prefix).collect();
    all.sort_by(|((key, id), upload), ((other_key, other_id), other)| {
        (key, upload.initiated_ms, id).cmp(&(other_key, other.initiated_ms, other_id))
    });
    if key_marker.is_empty() {
        return all;
    }
    let marker = all.iter().position(|((key, id), _)| key == key_marker && id == id_marker);
    let start = match marker {
        Some(position) => position + 1,
        // The marker's upload is gone by now: rather all of its key once more than one of them skipped.
        None if !id_marker.is_empty() => all.partition_point(|((key, _), _)| key.as_str() < key_marker),
        None => all.partition_point(|((key, _), _)| key.as_str() <= key_marker),
    };
    all.split_off(start)
}

pub(crate) fn objects(
    shared: &Shared,
    request: &Request,
    bucket: &Bucket,
    bucket_name: &str,
) -> Result<Answer, Failure> {
    let limit = page_limit(shared, request, "max-keys")?;
    let encode = encoding_asked(request)?;
    let text = |name: &str, value: &str| match encode {
        true => element(name, &form_encode(value)),
        false => element(name, value),
    };
    let prefix = request.query("prefix").unwrap_or("");
    let marker = request.query("marker").unwrap_or("");
    let start = match marker >= prefix && !marker.is_empty() {
        true => Bound::Excluded(marker),
        false => Bound::Included(prefix),
    };
    let mut page: Vec<_> = bucket
        .objects
        .range::<str, _>((start, Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .take(limit + 1)
        .collect();
    let truncated = page.len() > limit;
    page.truncate(limit);
    let mut document = format!("{DECLARATION}<ListBucketResult>");
    document += &element("Name", bucket_name);
    document += &text("Prefix", prefix);
    document += &text("Marker", marker);
    if let Some((key, _)) = page.last().filter(|_| truncated) {
        document += &text("NextMarker", key);
    }
    if encode {
        document += &element("EncodingType", "url");
    }
    document += &element("MaxKeys", &limit.to_string());
    document += &element("IsTruncated", if truncated { "true" } else { "false" });
    for (key, object) in page {
        document += "<Contents>";
        document += &text("Key", key);
        document += &modified(object.modified_ms);
        document += &element("ETag", &object.etag);
        document += &element("Size", &object.data.len().to_string());
        let _ = write!(
            document,
            "<Owner><ID>{OWNER}</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
    document += "</ListBucketResult>";
    Ok(Answer::xml(document))
}

pub(crate) fn parts(
    shared: &Shared,
    request: &Request,
    upload: &Upload,
    bucket_name: &str,
    key: &str,
    id: &str,
) -> Result<Answer, Failure> {
    let limit = page_limit(shared, request, "max-parts")?;
    let marker: u32 = request.query("part-number-marker").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut page: Vec<_> = upload.parts.range(marker.saturating_add(1)..).take(limit + 1).collect();
    let truncated = page.len() > limit;
    page.truncate(limit);
    let mut document = format!("{DECLARATION}<ListPartsResult>");
    document += &element("Bucket", bucket_name);
    document += &element("Key", key);
    document += &element("UploadId", id);
    let _ = write!(
        document,
        "<Initiator><ID>{OWNER}</ID></Initiator><Owner><ID>{OWNER}</ID></Owner><StorageClass>STANDARD</StorageClass>"
    );
    document += &element("PartNumberMarker", &marker.to_string());
    if let Some((number, _)) = page.last().filter(|_| truncated) {
        document += &element("NextPartNumberMarker", &number.to_string());
    }
    document += &element("MaxParts", &limit.to_string());
    document += &element("IsTruncated", if truncated { "true" } else { "false" });
    for (number, part) in page {
        document += "<Part>";
        document += &element("PartNumber", &number.to_string());
        document += &modified(part.modified_ms);
        document += &element("ETag", &part.etag);
        document += &element("Size", &part.data.len().to_string());
        document += "</Part>";
    }
    document += "</ListPartsResult>";
    Ok(Answer::xml(document))
}

pub(crate) fn initiated(bucket: &str, key: &str, id: &str) -> String {
    format!(
        "{DECLARATION}<InitiateMultipartUploadResult>{}{}{}</InitiateMultipartUploadResult>",
        element("Bucket", bucket),
        element("Key", key),
        element("UploadId", id)
    )
}

pub(crate) fn buckets(contents: &Contents) -> String {
    let mut document = format!("{DECLARATION}<ListAllMyBucketsResult>{}<Buckets>", owner());
    for name in contents.buckets.keys() {
        let _ = write!(document, "<Bucket>{}</Bucket>", element("Name", name));
    }
    document + "</Buckets></ListAllMyBucketsResult>"
}

fn owner() -> String {
    format!("<Owner><ID>{OWNER}</ID></Owner>")
}

fn encoding_asked(request: &Request) -> Result<bool, Failure> {
    match request.query("encoding-type") {
        None | Some("") => Ok(false),
        Some("url") => Ok(true),
        Some(_) => fail(400, "InvalidArgument", "Invalid Encoding Method specified in Request."),
    }
}

fn page_limit(shared: &Shared, request: &Request, name: &str) -> Result<usize, Failure> {
    let cap = shared.page_cap.load(Ordering::Relaxed).max(1);
    match request.query(name).filter(|text| !text.is_empty()).map(str::parse::<usize>) {
        None => Ok(cap),
        Some(Ok(asked)) if asked > 0 => Ok(asked.min(cap)),
        Some(_) => fail(400, "InvalidArgument", "The page size must be a positive integer."),
    }
}
