//! What real servers and proxies get wrong in listings.

use std::ops::Range;

use crate::xml::element;

/// A kind of listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The unfinished uploads of a bucket.
    Uploads,
    /// The parts of one upload.
    Parts,
    /// The buckets of an account.
    Buckets,
}

/// A mistake of a listing. A page that fails or lacks its Date is a [`Fault`](crate::Fault) with `query("uploads")`,
/// `query("uploadId").method("GET")` or `account()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListQuirk {
    /// Every truncated page names the markers that were sent (or the page's first upload): the listing never advances.
    RepeatMarkers,
    /// IsTruncated is true, and there are no markers.
    OmitMarkers,
    /// The next markers lie before the ones sent; of parts and buckets, they lead to the beginning: a cycle.
    BackwardMarkers,
    /// The document ends in the middle, and its length says that it is whole.
    TruncatedXml,
    /// The root is ListBucketResult, as when a proxy strips the query.
    WrongRoot,
    OmitIsTruncated,

    /// encoding-type=url is not understood: keys as they are, and no EncodingType.
    IgnoreEncodingType,
    /// Keys are encoded, but the answer does not say so.
    HideEncodingType,
    /// Keys are encoded without being asked for, and the answer says so.
    ForceEncodingType,
    /// EncodingType is echoed, and the keys are as they are (SeaweedFS).
    EchoEncodingType,
    /// Uploads outside the prefix are listed too.
    IgnorePrefix,
    /// The uploads of one key come by the time they were initiated, not by id.
    OrderByTime,
    /// upload-id-marker is not understood: the uploads of a key that do not fit on its first page are never listed.
    PageByKey,
    /// max-uploads is not understood: pages of as many uploads as the cap allows (the MinIO family).
    IgnoreMaxUploads,
    /// Control characters in keys stand in the XML as they are: not well formed.
    RawControlCharacters,

    /// An `<Error>` inside of the document, behind its last entry.
    ErrorInside,
    /// The last entry has two values of one field: LastModified, or a bucket's Name.
    TwoValues,
    /// An element within that field.
    NestedElement,
    /// Text behind the root.
    TextAfterRoot,

    /// The last part has no LastModified.
    OmitLastModified,
    /// The last part is of 0001-01-01, the zero of Go's times.
    ZeroTime,
    /// The last part is of 1970-01-01: a time that was zeroed.
    EpochTime,
    /// The last part's time has a zone of 99 hours.
    FarZone,
    /// The last part's time has no zone.
    NoZone,
    /// The last part has no Size.
    OmitSize,
    /// The last part's Size is a word.
    WordSize,
    /// The document names another upload.
    OtherUploadId,
    /// The document names another key.
    OtherKey,

    /// No bucket has a Location.
    OmitLocation,
}

impl ListQuirk {
    /// All of them, with their names for the program and the listings that they are for.
    pub const TABLE: [(ListQuirk, &'static str, &'static [Listing]); 29] = {
        use Listing::{Buckets, Parts, Uploads};
        [
            (Self::RepeatMarkers, "repeat-markers", &[Uploads, Parts, Buckets]),
            (Self::OmitMarkers, "omit-markers", &[Uploads, Parts, Buckets]),
            (Self::BackwardMarkers, "backward-markers", &[Uploads, Parts, Buckets]),
            (Self::TruncatedXml, "truncated-xml", &[Uploads, Parts, Buckets]),
            (Self::WrongRoot, "wrong-root", &[Uploads, Parts, Buckets]),
            (Self::OmitIsTruncated, "omit-is-truncated", &[Uploads, Parts, Buckets]),
            (Self::IgnoreEncodingType, "ignore-encoding-type", &[Uploads]),
            (Self::HideEncodingType, "hide-encoding-type", &[Uploads]),
            (Self::ForceEncodingType, "force-encoding-type", &[Uploads]),
            (Self::EchoEncodingType, "echo-encoding-type", &[Uploads]),
            (Self::IgnorePrefix, "ignore-prefix", &[Uploads]),
            (Self::OrderByTime, "order-by-time", &[Uploads]),
            (Self::PageByKey, "page-by-key", &[Uploads]),
            (Self::IgnoreMaxUploads, "ignore-max-uploads", &[Uploads]),
            (Self::RawControlCharacters, "raw-control-characters", &[Uploads]),
            (Self::ErrorInside, "error-inside", &[Parts, Buckets]),
            (Self::TwoValues, "two-values", &[Parts, Buckets]),
            (Self::NestedElement, "nested-element", &[Parts, Buckets]),
            (Self::TextAfterRoot, "text-after-root", &[Parts, Buckets]),
            (Self::OmitLastModified, "omit-last-modified", &[Parts]),
            (Self::ZeroTime, "zero-time", &[Parts]),
            (Self::EpochTime, "epoch-time", &[Parts]),
            (Self::FarZone, "far-zone", &[Parts]),
            (Self::NoZone, "no-zone", &[Parts]),
            (Self::OmitSize, "omit-size", &[Parts]),
            (Self::WordSize, "word-size", &[Parts]),
            (Self::OtherUploadId, "other-upload-id", &[Parts]),
            (Self::OtherKey, "other-key", &[Parts]),
            (Self::OmitLocation, "omit-location", &[Buckets]),
        ]
    };

    /// The quirk of that name, if this listing can have it.
    pub fn named(name: &str, listing: Listing) -> Option<Self> {
        let row =
            Self::TABLE.iter().find(|(_, known, listings)| *known == name && listings.contains(&listing));
        row.map(|(quirk, ..)| *quirk)
    }
}

/// Makes the mistakes that are made in the text of a whole document.
pub(crate) fn spoil(document: &mut String, quirks: &[ListQuirk], listing: Listing) {
    let (entry, field, other) = match listing {
        Listing::Buckets => ("</Bucket>", "Name", "another-bucket"),
        _ => ("</Part>", "LastModified", "2007-01-01T00:00:00.000Z"),
    };
    for quirk in quirks {
        match quirk {
            ListQuirk::ErrorInside => {
                let error = "<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>";
                let root_end = document.rfind("</").unwrap_or(0);
                document.insert_str(root_end, error);
            }
            ListQuirk::TwoValues => {
                if let Some(text) = last_text(document, field) {
                    document.insert_str(text.end + field.len() + 3, &element(field, other));
                }
            }
            ListQuirk::NestedElement => change(document, field, |text| format!("<Text/>{text}")),
            ListQuirk::TextAfterRoot => *document += "and more",
            ListQuirk::OmitLastModified => omit(document, "LastModified"),
            ListQuirk::ZeroTime => change(document, "LastModified", |_| "0001-01-01T00:00:00Z".into()),
            ListQuirk::EpochTime => change(document, "LastModified", |_| "1970-01-01T00:00:00.000Z".into()),
            ListQuirk::FarZone => change(document, "LastModified", |text| text.replace('Z', "+99:00")),
            ListQuirk::NoZone => change(document, "LastModified", |text| text.replace('Z', "")),
            ListQuirk::OmitSize => omit(document, "Size"),
            ListQuirk::WordSize => change(document, "Size", |_| "many".into()),
            ListQuirk::OtherUploadId => change(document, "UploadId", |_| "0THERUPLOAD".into()),
            ListQuirk::OtherKey => change(document, "Key", |key| format!("{key}.other")),
            ListQuirk::WrongRoot => {
                for root in ["ListPartsResult", "ListAllMyBucketsResult"] {
                    *document = document.replace(root, "ListBucketResult");
                }
            }
            // Behind the last entry, so that all of them can be read.
            ListQuirk::TruncatedXml => {
                let end = document.rfind(entry).map(|at| at + entry.len());
                document.truncate(end.or(document.rfind("</")).unwrap_or(0));
            }
            _ => {}
        }
    }
}

/// Where the text of the last element of that name stands.
fn last_text(document: &str, name: &str) -> Option<Range<usize>> {
    let open = format!("<{name}>");
    let start = document.rfind(&open)? + open.len();
    Some(start..start + document[start..].find("</")?)
}

fn change(document: &mut String, name: &str, changed: impl Fn(&str) -> String) {
    if let Some(text) = last_text(document, name) {
        let new = changed(&document[text.clone()]);
        document.replace_range(text, &new);
    }
}

fn omit(document: &mut String, name: &str) {
    if let Some(text) = last_text(document, name) {
        document.replace_range(text.start - name.len() - 2..text.end + name.len() + 3, "");
    }
}
