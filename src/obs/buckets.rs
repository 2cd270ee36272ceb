//! Pages of ListBuckets: XML in, names and locations out, or the reason why the page may not be acted on.

use std::io::Read;

use crate::base::error::Error;
use crate::base::text::holds_secret;
use crate::obs::document::{self, Document, is_truncated};

/// A bucket of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBucket {
    pub name: String,
    /// The region, if the service says so.
    pub location: Option<String>,
}

/// The beginning of the next page, as the service wants it named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextBuckets {
    /// OBS: the buckets after this one.
    Marker(String),
    /// S3: whatever this stands for.
    Token(String),
}

/// A page, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketsPage {
    pub buckets: Vec<ListedBucket>,
    pub next: Option<NextBuckets>,
}

impl BucketsPage {
    /// Returns whether a name, a location or a marker holds the secret, as it is or escaped.
    pub fn repeats(&self, secret: &str) -> bool {
        let listed = self.buckets.iter().flat_map(|bucket| bucket.location.iter().chain([&bucket.name]));
        let next = self.next.iter().map(|(NextBuckets::Marker(text) | NextBuckets::Token(text))| text);
        listed.chain(next).any(|text| holds_secret(text, secret))
    }
}

/// The error about a page that is not fit to act on.
pub fn malformed(why: impl std::fmt::Display) -> Error {
    document::malformed::<RawPage>(why)
}

/// Reads and validates one page.
///
/// Source: "Listing Buckets" in Huawei's OBS API reference. Services that do not page leave out all about it.
pub fn read_buckets(body: &mut dyn Read) -> Result<BucketsPage, Error> {
    let mut page = RawPage::default();
    if document::read(body, &mut page)? {
        return Err(malformed("it has something in it that is no character of UTF-8"));
    }
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    let truncated = page.truncated.map(|text| is_truncated::<RawPage>(Some(&text))).transpose()?;
    let next = match (present(page.token), present(page.marker)) {
        (Some(token), _) => Some(NextBuckets::Token(token)),
        // A marker says by itself that there is more.
        (None, Some(marker)) if truncated != Some(false) => Some(NextBuckets::Marker(marker)),
        (None, None) if truncated == Some(true) => {
            return Err(malformed("it is truncated, and has no marker"));
        }
        _ => None,
    };
    if !page.is_list {
        return Err(malformed("it lacks Buckets"));
    }
    Ok(BucketsPage { buckets: page.buckets, next })
}

/// The texts of a page.
#[derive(Default)]
struct RawPage {
    truncated: Option<String>,
    marker: Option<String>,
    token: Option<String>,
    /// Name, and location by either name, of the bucket that is being read.
    bucket: [Option<String>; 3],
    buckets: Vec<ListedBucket>,
    /// Whether it has the element that all buckets are in.
    is_list: bool,
}

impl Document for RawPage {
    const NAME: &'static str = "the list of buckets";
    const ROOT: &'static str = "ListAllMyBucketsResult";

    fn field(&mut self, path: &[String]) -> Option<&mut Option<String>> {
        match path {
            [_root, name] => match name.as_str() {
                "IsTruncated" => Some(&mut self.truncated),
                "NextMarker" => Some(&mut self.marker),
                "ContinuationToken" => Some(&mut self.token),
                _ => None,
            },
            [_root, buckets, bucket, name] if buckets == "Buckets" && bucket == "Bucket" => {
                let [bucket, location, region] = &mut self.bucket;
                match name.as_str() {
                    "Name" => Some(bucket),
                    "Location" => Some(location),
                    "BucketRegion" => Some(region),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn begin(&mut self, path: &[String]) -> Result<(), Error> {
        self.is_list |= matches!(path, [_root, name] if name == "Buckets");
        if is_bucket(path) {
            self.bucket = Default::default();
        }
        Ok(())
    }

    fn end(&mut self, path: &[String]) -> Result<(), Error> {
        if !is_bucket(path) {
            return Ok(());
        }
        let [name, location, region] = std::mem::take(&mut self.bucket);
        // Old buckets have names that no new one could have, so that only what no name can be is refused.
        let is_name = |text: &String| !text.is_empty() && !text.contains(char::is_control);
        let Some(name) = name.filter(is_name) else {
            return Err(malformed("it has a bucket without a name"));
        };
        let location = location.or(region).filter(is_name);
        self.buckets.push(ListedBucket { name, location });
        Ok(())
    }
}

fn is_bucket(path: &[String]) -> bool {
    matches!(path, [_root, buckets, name] if buckets == "Buckets" && name == "Bucket")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inner: &str) -> Result<BucketsPage, Error> {
        let body = format!(
            "<ListAllMyBucketsResult xmlns=\"x\"><Owner><ID>o</ID></Owner>{inner}</ListAllMyBucketsResult>"
        );
        read_buckets(&mut body.as_bytes())
    }

    fn bucket(name: &str, location: Option<&str>) -> ListedBucket {
        ListedBucket { name: name.to_owned(), location: location.map(str::to_owned) }
    }

    #[test]
    fn names_and_locations() {
        let inner = "<Buckets><Bucket><Name>abc</Name><CreationDate>2026-01-01T00:00:00Z</CreationDate><Location>eu-101</Location></Bucket>\
                     <Bucket><Name>b-2</Name></Bucket><Bucket><Name>b-3</Name><BucketRegion>r</BucketRegion></Bucket></Buckets>";
        let page = page(inner).expect("a page");
        assert_eq!(
            page.buckets,
            [bucket("abc", Some("eu-101")), bucket("b-2", None), bucket("b-3", Some("r"))]
        );
        assert_eq!(page.next, None);
    }

    #[test]
    fn what_is_elsewhere_is_not_a_buckets() {
        let one = "<Bucket><Name>abc</Name></Bucket>";
        for (before, within) in [("Grants", "Grant"), ("Grants", "Bucket"), ("Buckets", "Grant")] {
            let names = format!("<{before}><{within}><Name>a</Name><Name>b</Name></{within}></{before}>");
            let page = page(&format!("{names}<Buckets>{one}</Buckets>"));
            assert_eq!(page.map(|page| page.buckets), Ok(vec![bucket("abc", None)]), "{names}");
        }
    }

    #[test]
    fn pages() {
        for (inner, want) in [
            ("", None),
            ("<IsTruncated>false</IsTruncated><NextMarker>abc</NextMarker>", None),
            (
                "<IsTruncated>true</IsTruncated><NextMarker>abc</NextMarker>",
                Some(NextBuckets::Marker("abc".into())),
            ),
            ("<ContinuationToken>t</ContinuationToken>", Some(NextBuckets::Token("t".into()))),
            ("<ContinuationToken></ContinuationToken>", None),
            ("<NextMarker>abc</NextMarker>", Some(NextBuckets::Marker("abc".into()))),
        ] {
            assert_eq!(page(&format!("{inner}<Buckets/>")).map(|page| page.next), Ok(want), "{inner}");
        }
    }

    #[test]
    fn an_echoed_signature_is_seen() {
        for inner in [
            "<Buckets><Bucket><Name>a-secret</Name></Bucket></Buckets>",
            "<Buckets><Bucket><Name>abc</Name><Location>secret</Location></Bucket></Buckets>",
            "<Buckets/><ContinuationToken>secret</ContinuationToken>",
        ] {
            let page = page(inner).expect("a page");
            assert!(page.repeats("secret") && !page.repeats("other"), "{inner}");
        }
    }

    #[test]
    fn unfit_to_act_on() {
        for inner in [
            "",
            "<Bucket><Name>abc</Name></Bucket>",
            "<Buckets/><IsTruncated>true</IsTruncated>",
            "<Buckets/><IsTruncated>maybe</IsTruncated>",
            "<Buckets><Bucket/></Buckets>",
            "<Buckets><Bucket><Name>a&#10;b</Name></Bucket></Buckets>",
            "<Buckets><Bucket><Name>abc</Name><Name>abd</Name></Bucket></Buckets>",
            "<Buckets><Bucket><Name>abc<i/></Name></Bucket></Buckets>",
            "<Error/>",
        ] {
            assert!(page(inner).is_err(), "{inner}");
        }
        assert!(read_buckets(&mut &b"<ListAllMyBucketsResult>"[..]).is_err());
        assert!(
            read_buckets(&mut &b"<ListAllMyBucketsResult><a>\xff</a></ListAllMyBucketsResult>"[..]).is_err()
        );
    }
}
