//! The documents that list something, and what real servers get wrong in them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::clock::iso_date;
use crate::options::BucketPaging;
use crate::quirk::{ListQuirk, Listing, spoil};
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
    let quirks = shared.quirks(Listing::Uploads);
    let quirk = |wanted| quirks.contains(&wanted);
    let claimed = shared.initiated.read().unwrap().clone();
    let limit = match quirk(ListQuirk::IgnoreMaxUploads) {
        true => shared.page_cap.load(Ordering::Relaxed),
        false => page_limit(request, "max-uploads", shared.page_cap.load(Ordering::Relaxed))?,
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
    let limit = page_limit(request, "max-keys", shared.page_cap.load(Ordering::Relaxed))?;
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
        document += &element("Size", &object.data.size().to_string());
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
    let quirks = shared.quirks(Listing::Parts);
    let quirk = |wanted| quirks.contains(&wanted);
    let limit = page_limit(request, "max-parts", shared.parts_page_cap.load(Ordering::Relaxed))?;
    let encode = encoding_asked(request)?;
    let marker: u32 = request.query("part-number-marker").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut page = upload.parts.after(marker, limit + 1);
    let truncated = page.len() > limit;
    page.truncate(limit);
    let mut document = format!("{DECLARATION}<ListPartsResult>");
    document += &element("Bucket", bucket_name);
    if encode {
        document += &element("EncodingType", "url");
    }
    document += &element("Key", &if encode { form_encode(key) } else { key.to_owned() });
    document += &element("UploadId", id);
    let _ = write!(
        document,
        "<Initiator><ID>{OWNER}</ID></Initiator><Owner><ID>{OWNER}</ID></Owner><StorageClass>STANDARD</StorageClass>"
    );
    document += &element("PartNumberMarker", &marker.to_string());
    if let Some((number, _)) = page.last().filter(|_| truncated && !quirk(ListQuirk::OmitMarkers)) {
        let next = match *number {
            _ if quirk(ListQuirk::RepeatMarkers) => marker,
            _ if quirk(ListQuirk::BackwardMarkers) && marker > 0 => 0,
            number => number,
        };
        document += &element("NextPartNumberMarker", &next.to_string());
    }
    document += &element("MaxParts", &limit.to_string());
    if !quirk(ListQuirk::OmitIsTruncated) {
        document += &element("IsTruncated", if truncated { "true" } else { "false" });
    }
    for (number, part) in page {
        document += "<Part>";
        document += &element("PartNumber", &number.to_string());
        document += &modified(part.modified_ms);
        document += &element("ETag", &part.etag);
        document += &element("Size", &part.data.size().to_string());
        document += "</Part>";
    }
    document += "</ListPartsResult>";
    spoil(&mut document, &quirks, Listing::Parts);
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

/// The buckets of the key's account, wherever they are.
pub(crate) fn buckets(shared: &Shared, request: &Request, contents: &Contents) -> Result<Answer, Failure> {
    let quirks = shared.quirks(Listing::Buckets);
    let quirk = |wanted| quirks.contains(&wanted);
    let tokens = shared.bucket_paging == BucketPaging::Token;
    let (size, after) = if tokens { ("max-buckets", "continuation-token") } else { ("max-keys", "marker") };
    let cap = *shared.buckets_page_cap.lock().unwrap();
    // Without a page asked for, all of them come at once, and nothing is said of pages.
    let paged = cap.is_some() || [size, after].iter().any(|name| request.query(name).is_some());
    let limit = match paged {
        true => page_limit(request, size, cap.unwrap_or(1000))?,
        false => usize::MAX - 1,
    };
    let sent = request.query(after).unwrap_or("");
    let marker = if tokens { unwrapped(sent)? } else { sent.to_owned() };
    let start = if marker.is_empty() { Bound::Unbounded } else { Bound::Excluded(marker.as_str()) };
    let mut page: Vec<_> = contents
        .buckets
        .range::<str, _>((start, Bound::Unbounded))
        .filter(|(_, bucket)| bucket.settings.belongs_to(request.access_key()))
        .take(limit + 1)
        .collect();
    let truncated = page.len() > limit;
    page.truncate(limit);

    let next = page.last().filter(|_| truncated && !quirk(ListQuirk::OmitMarkers)).map(|(name, _)| {
        match () {
            () if quirk(ListQuirk::RepeatMarkers) => marker.clone(),
            // Before the first of them: '0' sorts before every letter.
            () if quirk(ListQuirk::BackwardMarkers) && !marker.is_empty() => "000".to_owned(),
            () => (*name).clone(),
        }
    });
    let mut document = format!("{DECLARATION}<ListAllMyBucketsResult>{}", owner());
    if paged && !tokens {
        if !quirk(ListQuirk::OmitIsTruncated) {
            document += &element("IsTruncated", if truncated { "true" } else { "false" });
        }
        document += &element("Marker", &marker);
        document += &element("MaxKeys", &limit.to_string());
        document += &next.as_ref().map_or(String::new(), |next| element("NextMarker", next));
    }
    document += "<Buckets>";
    for (name, bucket) in page {
        document += "<Bucket>";
        document += &element("Name", name);
        document += &element("CreationDate", &iso_date(bucket.created_ms));
        if let Some(location) = bucket.settings.location.as_ref().filter(|_| !quirk(ListQuirk::OmitLocation))
        {
            document += &element(if tokens { "BucketRegion" } else { "Location" }, location);
        }
        if !tokens {
            document += &element("BucketType", "OBJECT");
        }
        document += "</Bucket>";
    }
    document += "</Buckets>";
    if let Some(next) = next.filter(|_| tokens) {
        document += &element("ContinuationToken", &wrapped(&next));
    }
    document += "</ListAllMyBucketsResult>";
    spoil(&mut document, &quirks, Listing::Buckets);
    Ok(Answer::xml(document))
}

/// A marker as a token, in which no name can be read.
fn wrapped(marker: &str) -> String {
    BASE64_STANDARD.encode(format!("after/{marker}"))
}

fn unwrapped(token: &str) -> Result<String, Failure> {
    if token.is_empty() {
        return Ok(String::new());
    }
    let text = BASE64_STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text.as_deref().and_then(|text| text.strip_prefix("after/")) {
        Some(marker) => Ok(marker.to_owned()),
        None => fail(400, "InvalidArgument", "The continuation token provided is incorrect."),
    }
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

fn page_limit(request: &Request, name: &str, cap: usize) -> Result<usize, Failure> {
    let cap = cap.max(1);
    match request.query(name).filter(|text| !text.is_empty()).map(str::parse::<usize>) {
        None => Ok(cap),
        Some(Ok(asked)) if asked > 0 => Ok(asked.min(cap)),
        Some(_) => fail(400, "InvalidArgument", "The page size must be a positive integer."),
    }
}
