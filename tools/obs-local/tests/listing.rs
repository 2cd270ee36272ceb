//! Listings of unfinished uploads: pages, encodings, and what servers get wrong.

use std::time::Duration;

use obs_local::client::{Client, Response};
use obs_local::signing::encode;
use obs_local::*;

fn started() -> (Server, Client) {
    let server = Server::start(Options { buckets: vec!["bucket".into()], ..Options::default() });
    let client = Client::new(&server.endpoint(), ACCESS_KEY, SECRET_KEY);
    (server, client)
}

fn pairs(page: &Response) -> Vec<(String, String)> {
    page.elements("Key").into_iter().zip(page.elements("UploadId")).collect()
}

/// All pages, with `meanwhile` called on each.
fn all(client: &Client, rest: &str, meanwhile: impl Fn(&[(String, String)])) -> Vec<Vec<(String, String)>> {
    let mut pages = Vec::new();
    let mut markers = String::new();
    loop {
        let page = client.list_uploads("bucket", &format!("{rest}{markers}")).unwrap();
        assert_eq!(page.status, 200, "{}", page.text());
        meanwhile(&pairs(&page));
        pages.push(pairs(&page));
        if page.element("IsTruncated") == "false" {
            return pages;
        }
        markers = format!(
            "&key-marker={}&upload-id-marker={}",
            encode(&page.element("NextKeyMarker")),
            encode(&page.element("NextUploadIdMarker"))
        );
        assert!(pages.len() < 100, "the listing does not end");
    }
}

#[test]
fn pages_hold_each_upload_once_in_order() {
    let (server, client) = started();
    server.create_uploads("bucket", 2500, &Initiated::Ago(Duration::from_secs(60)), |n| {
        format!("dir/{}", n % 60)
    });
    server.create_upload("bucket", "other");
    let pages = all(&client, "&prefix=dir/", |_| {});
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    let listed: Vec<_> = pages.concat();
    let expected: Vec<_> = server
        .uploads("bucket")
        .into_iter()
        .filter(|upload| upload.key.starts_with("dir/"))
        .map(|upload| (upload.key, upload.upload_id))
        .collect();
    assert_eq!(listed, expected);
    assert_eq!(all(&client, "&max-uploads=5000", |_| {}).len(), 3);
    // Uploads that vanish while they are listed do not move the others out of sight.
    let pages = all(&client, "&max-uploads=100", |page| {
        for (key, id) in page {
            assert!(server.abort("bucket", key, id));
        }
    });
    assert_eq!((pages.concat().len(), server.upload_count("bucket")), (2501, 0));
}

#[test]
fn the_key_marker_alone_passes_over_all_uploads_of_that_key() {
    let (server, client) = started();
    for key in ["a", "a", "a", "a0", "b"] {
        server.create_upload("bucket", key);
    }
    let keys = |rest: &str| client.list_uploads("bucket", rest).unwrap().elements("Key");
    assert_eq!(keys("&key-marker=a"), ["a0", "b"]);
    let second = server.uploads("bucket")[1].upload_id.clone();
    assert_eq!(keys(&format!("&key-marker=a&upload-id-marker={second}")), ["a", "a0", "b"]);
    assert_eq!(keys(&format!("&upload-id-marker={second}")).len(), 5);
    assert_eq!(client.list_uploads("bucket", "&max-uploads=0").unwrap().element("Code"), "InvalidArgument");
}

#[test]
fn encoded_keys_are_encoded_as_forms_and_the_answer_says_so() {
    let (server, client) = started();
    server.create_upload("bucket", "a b+c/\u{1}é");
    let plain = client.list_uploads("bucket", "").unwrap();
    assert_eq!((plain.element("Key").as_str(), plain.elements("EncodingType").len()), ("a b+c/\u{1}é", 0));
    let encoded = client.list_uploads("bucket", "&encoding-type=url&prefix=a+b").unwrap();
    assert_eq!(encoded.element("Key"), "a+b%2Bc%2F%01%C3%A9");
    assert_eq!(
        (encoded.element("Prefix").as_str(), encoded.element("EncodingType").as_str()),
        ("a+b", "url")
    );
    server.set_list_quirks(&[ListQuirk::HideEncodingType]);
    let hidden = client.list_uploads("bucket", "&encoding-type=url").unwrap();
    assert_eq!(
        (hidden.element("Key").as_str(), hidden.elements("EncodingType").len()),
        ("a+b%2Bc%2F%01%C3%A9", 0)
    );
    server.set_list_quirks(&[ListQuirk::IgnoreEncodingType]);
    let ignored = client.list_uploads("bucket", "&encoding-type=url").unwrap();
    assert_eq!((ignored.element("Key"), ignored.elements("EncodingType").len()), (plain.element("Key"), 0));
    server.set_list_quirks(&[ListQuirk::RawControlCharacters]);
    assert!(client.list_uploads("bucket", "").unwrap().text().contains("c/\u{1}"));
}

#[test]
fn ages_are_as_asked_missing_or_unreadable() {
    let (server, client) = started();
    server.set_clock_offset_s(100);
    let an_hour_ago = || iso_date(unix_ms(std::time::SystemTime::now()) + 100_000 - 3_600_000);
    let earliest = an_hour_ago();
    server.create_upload_at("bucket", "a", &Initiated::Ago(Duration::from_secs(3600)));
    server.create_upload_at("bucket", "b", &Initiated::Missing);
    server.create_upload_at("bucket", "c", &Initiated::Text("yesterday".into()));
    server.create_upload_with_id("bucket", "d", "2~own-id", &Initiated::Ago(Duration::ZERO));
    let page = client.list_uploads("bucket", "").unwrap();
    let initiated = page.elements("Initiated");
    assert_eq!((initiated.len(), initiated[1].as_str()), (3, "yesterday"));
    assert!(earliest <= initiated[0] && initiated[0] <= an_hour_ago(), "{}", initiated[0]);
    assert_eq!(page.elements("UploadId")[3], "2~own-id");
    assert_eq!(client.abort("bucket", "d", "2~own-id").unwrap().status, 204);
    assert!(server.was_aborted("2~own-id") && !server.was_aborted("2~other"));
}

#[test]
fn quirks_break_the_listing_as_they_say() {
    let (server, client) = started();
    for key in ["a", "b", "c", "c"] {
        server.create_upload("bucket", key);
    }
    let page = |quirk: ListQuirk, rest: &str| {
        server.set_list_quirks(&[quirk]);
        client.list_uploads("bucket", &format!("&max-uploads=2{rest}")).unwrap()
    };
    let repeated = page(ListQuirk::RepeatMarkers, "&key-marker=a&upload-id-marker=");
    assert_eq!(
        (repeated.element("NextKeyMarker").as_str(), repeated.element("IsTruncated").as_str()),
        ("a", "true")
    );
    assert!(page(ListQuirk::OmitMarkers, "").elements("NextKeyMarker").is_empty());
    assert_eq!(page(ListQuirk::BackwardMarkers, "&key-marker=a").element("NextKeyMarker"), "!");
    assert!(!page(ListQuirk::TruncatedXml, "").text().contains("</ListMultipartUploadsResult>"));
    assert!(page(ListQuirk::WrongRoot, "").text().contains("</ListBucketResult>"));
    assert!(page(ListQuirk::OmitIsTruncated, "").elements("IsTruncated").is_empty());
    assert_eq!(page(ListQuirk::IgnorePrefix, "&prefix=b").elements("Key"), ["a", "b"]);
    assert_eq!(page(ListQuirk::ForceEncodingType, "").element("EncodingType"), "url");
}

#[test]
fn one_keys_uploads_can_come_by_time() {
    let (server, client) = started();
    let mut expected = Vec::new();
    for age in (0..50u64).rev() {
        let id = server.create_upload_at("bucket", "k", &Initiated::Ago(Duration::from_secs(age)));
        expected.push(("k".to_owned(), id));
    }
    server.set_list_quirks(&[ListQuirk::OrderByTime]);
    assert_eq!(all(&client, "&max-uploads=7", |_| {}).concat(), expected);
    let swept = all(&client, "&max-uploads=7", |page| {
        for (key, id) in page {
            server.abort("bucket", key, id);
        }
    });
    assert_eq!((swept.concat(), server.upload_count("bucket")), (expected, 0));
}
