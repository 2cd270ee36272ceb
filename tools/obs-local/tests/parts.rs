//! Parts that were made up, their pages, and lists of parts that are wrong.

use std::time::{Duration, SystemTime};

use obs_local::client::{Client, Response};
use obs_local::*;

const DAY: u64 = 86_400;

fn started() -> (Server, Client) {
    let server = Server::start(Options { buckets: vec!["bucket".into()], ..Options::default() });
    let client = Client::new(&server.endpoint(), ACCESS_KEY, SECRET_KEY);
    (server, client)
}

/// An upload of `key`, two days old.
fn old(server: &Server, key: &str) -> String {
    server.create_upload_at("bucket", key, &Initiated::Ago(Duration::from_secs(2 * DAY)))
}

fn unix_now() -> i64 {
    unix_ms(SystemTime::now()) / 1000
}

/// A page of the parts of `key`; `rest` is more of the query.
fn page(client: &Client, key: &str, id: &str, rest: &str) -> Response {
    client.request("GET", &format!("{}?uploadId={id}{rest}", client::path("bucket", key)), b"").unwrap()
}

#[test]
fn parts_are_made_up_below_a_prefix_and_come_behind_those_put() {
    let (server, client) = started();
    let ids =
        server.create_uploads("bucket", 3, &Initiated::Ago(Duration::from_secs(DAY)), |n| format!("a/{n}"));
    let other = old(&server, "b");
    server.put_part("bucket", "a/1", &ids[1], 1, b"first");
    assert_eq!(server.create_parts("bucket", "a/", 2, 5 << 20, 7200), 3);
    assert_eq!(server.create_parts("bucket", "a/2", 1, 7, -60), 1);
    assert_eq!(server.create_parts("bucket", "none/", 1, 1, 1), 0);
    let listed = |key: &str, id: &str| {
        let page = page(&client, key, id, "");
        (page.elements("PartNumber"), page.elements("Size"), page.elements("LastModified"))
    };
    let (numbers, sizes, _) = listed("a/1", &ids[1]);
    assert_eq!((numbers.join(" "), sizes.join(" ")), ("1 2 3".into(), "5 5242880 5242880".into()));
    let (numbers, sizes, times) = listed("a/2", &ids[2]);
    assert_eq!((numbers.len(), sizes[2].as_str()), (3, "7"));
    let near =
        |text: &str, unix: i64| (unix - 5..=unix + 5).any(|s| text.starts_with(&iso_date(s * 1000)[..19]));
    assert!(near(&times[0], unix_now() - 7200) && near(&times[2], unix_now() + 60), "{times:?}");
    assert_eq!(listed("b", &other).0.len(), 0);
    let bytes: Vec<(usize, u64)> = server.uploads("bucket").iter().map(|u| (u.parts, u.bytes)).collect();
    assert_eq!(bytes, [(2, 10 << 20), (3, (10 << 20) + 5), (3, (10 << 20) + 7), (0, 0)]);
}

#[test]
fn an_upload_with_parts_made_up_goes_on_as_any_other() {
    let (server, client) = started();
    let id = old(&server, "k");
    server.create_parts("bucket", "k", 2, 3, 60);
    client.upload_part("bucket", "k", &id, 2, b"two").unwrap();
    client.upload_part("bucket", "k", &id, 3, b"three").unwrap();
    let parts = client.list_parts("bucket", "k", &id).unwrap();
    assert_eq!(parts.elements("Size"), ["3", "3", "5"]);
    let upload = &server.uploads("bucket")[0];
    assert_eq!((upload.parts, upload.bytes), (3, 11), "a part that is put again replaces the one before");
    let document: String = parts
        .elements("ETag")
        .iter()
        .enumerate()
        .map(|(n, tag)| format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", n + 1))
        .collect();
    let document = format!("<CompleteMultipartUpload>{document}</CompleteMultipartUpload>");
    let target = format!("/bucket/k?uploadId={id}");
    assert_eq!(client.request("POST", &target, document.as_bytes()).unwrap().status, 200);
    assert_eq!(client.request("GET", "/bucket/k", b"").unwrap().text(), "\0\0\0twothree");

    let id = old(&server, "huge");
    server.create_parts("bucket", "huge", 10_000, u64::MAX, 60);
    assert_eq!(server.uploads("bucket")[0].bytes, u64::MAX);
    assert!(server.complete("bucket", "huge", &id));
}

#[test]
fn a_hundred_thousand_uploads_share_their_parts() {
    let (server, _) = started();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    server.create_uploads("bucket", 100_000, &Initiated::Ago(Duration::from_secs(DAY)), |n| {
        format!("a/{n:06}")
    });
    let before = resident();
    assert_eq!(server.create_parts("bucket", "a/", 900, 5 << 20, 7200), 100_000);
    assert_eq!(server.create_parts("bucket", "a/", 100, 100, 60), 100_000);
    let more = resident().saturating_sub(before);
    assert!(more < 2048, "100 million parts take {more} kB");
    assert!(server.uploads("bucket").iter().all(|upload| upload.parts == 1000));
}

#[test]
fn pages_of_parts_hold_each_part_once() {
    let (server, client) = started();
    let id = old(&server, "k");
    server.create_parts("bucket", "k", 25, 1, 60);
    let all = |size: &str| {
        let (mut numbers, mut pages, mut marker) = (Vec::new(), 0, "0".to_owned());
        loop {
            let page = page(&client, "k", &id, &format!("&part-number-marker={marker}{size}"));
            assert_eq!(page.element("PartNumberMarker"), marker);
            numbers.extend(page.elements("PartNumber").iter().map(|n| n.parse::<u32>().unwrap()));
            pages += 1;
            if page.element("IsTruncated") == "false" {
                assert_eq!(page.elements("NextPartNumberMarker").len(), 0);
                return (pages, numbers);
            }
            marker = page.element("NextPartNumberMarker");
        }
    };
    assert_eq!(all(""), (1, (1..=25).collect()));
    assert_eq!(all("&max-parts=10"), (3, (1..=25).collect()));
    server.set_parts_page_cap(7);
    assert_eq!(all("&max-parts=10"), (4, (1..=25).collect()));
    server.set_page_cap(1);
    assert_eq!(all(""), (4, (1..=25).collect()), "the cap of uploads is another");
    assert_eq!(page(&client, "k", &id, "&max-parts=0").element("Code"), "InvalidArgument");
}

#[test]
fn keys_of_lists_of_parts_are_encoded_if_asked() {
    let (server, client) = started();
    let id = old(&server, "a b+c/\u{1}é");
    let plain = client.list_parts("bucket", "a b+c/\u{1}é", &id).unwrap();
    assert_eq!((plain.element("Key").as_str(), plain.elements("EncodingType").len()), ("a b+c/\u{1}é", 0));
    let encoded = page(&client, "a b+c/\u{1}é", &id, "&encoding-type=url");
    let said = (encoded.element("Key"), encoded.element("EncodingType"));
    assert_eq!(said, ("a+b%2Bc%2F%01%C3%A9".to_owned(), "url".to_owned()));
}

#[test]
fn quirks_break_lists_of_parts_as_they_say() {
    let (server, client) = started();
    let id = old(&server, "k");
    server.create_parts("bucket", "k", 3, 4, 3600);
    let page = |quirk: ListQuirk, rest: &str| {
        server.set_quirks(Listing::Parts, &[quirk]);
        page(&client, "k", &id, &format!("&max-parts=2{rest}"))
    };
    let next = |page: &Response| (page.element("NextPartNumberMarker"), page.element("IsTruncated"));
    let expect = |marker: &str| (marker.to_owned(), "true".to_owned());
    assert_eq!(next(&page(ListQuirk::RepeatMarkers, "")), expect("0"));
    assert_eq!(next(&page(ListQuirk::RepeatMarkers, "&part-number-marker=1")).0, "");
    assert_eq!(next(&page(ListQuirk::OmitMarkers, "")), expect(""));
    assert_eq!(next(&page(ListQuirk::BackwardMarkers, "")), expect("2"));
    server.create_parts("bucket", "k", 3, 4, 3600);
    assert_eq!(next(&page(ListQuirk::BackwardMarkers, "&part-number-marker=2")), expect("0"));
    assert_eq!(next(&page(ListQuirk::RepeatMarkers, "&part-number-marker=2")), expect("2"));

    let good = page(ListQuirk::OrderByTime, "");
    let times = good.elements("LastModified");
    assert_eq!(times, [times[0].clone(), times[0].clone()], "a quirk of another listing does nothing");
    let last = |quirk: ListQuirk, field: &str| page(quirk, "").elements(field).last().cloned().unwrap();
    for (quirk, time) in [
        (ListQuirk::ZeroTime, "0001-01-01T00:00:00Z"),
        (ListQuirk::EpochTime, "1970-01-01T00:00:00.000Z"),
        (ListQuirk::FarZone, &times[0].replace('Z', "+99:00")),
        (ListQuirk::NoZone, times[0].trim_end_matches('Z')),
        (ListQuirk::NestedElement, &format!("<Text/>{}", times[0])),
        (ListQuirk::TwoValues, "2007-01-01T00:00:00.000Z"),
    ] {
        assert_eq!(last(quirk, "LastModified"), time, "{quirk:?}");
        assert_eq!(
            page(quirk, "").elements("LastModified")[0],
            times[0],
            "{quirk:?}: the first part is as it was"
        );
    }
    assert_eq!(page(ListQuirk::TwoValues, "").elements("LastModified").len(), 3);
    assert_eq!(page(ListQuirk::OmitLastModified, "").elements("LastModified").len(), 1);
    assert_eq!(page(ListQuirk::OmitSize, "").elements("Size").len(), 1);
    assert_eq!(last(ListQuirk::WordSize, "Size"), "many");
    assert_eq!(page(ListQuirk::OtherUploadId, "").element("UploadId"), "0THERUPLOAD");
    assert_eq!(page(ListQuirk::OtherKey, "").element("Key"), "k.other");
    assert!(page(ListQuirk::OmitIsTruncated, "").elements("IsTruncated").is_empty());
    assert_eq!(page(ListQuirk::ErrorInside, "").element("Code"), "InternalError");
    let cut = page(ListQuirk::TruncatedXml, "");
    assert!(cut.text().ends_with("</Part>") && cut.elements("Size").len() == 2, "{}", cut.text());
    assert!(page(ListQuirk::WrongRoot, "").text().ends_with("</ListBucketResult>"));
    assert!(page(ListQuirk::TextAfterRoot, "").text().ends_with("</ListPartsResult>and more"));

    // Without parts, what can be wrong still is, and nothing else.
    let empty = old(&server, "empty");
    for (quirk, name, listings) in ListQuirk::TABLE {
        server.set_quirks(Listing::Parts, &[quirk]);
        let page = client.list_parts("bucket", "empty", &empty).unwrap();
        assert_eq!(page.status, 200, "{name}");
        let about_parts = listings.contains(&Listing::Parts);
        assert!(
            about_parts || page.text().ends_with("</IsTruncated></ListPartsResult>"),
            "{name}: {}",
            page.text()
        );
    }
}

#[test]
fn a_gateway_can_date_lists_of_parts_alone() {
    let (server, client) = started();
    let id = old(&server, "k");
    server.fault("real;date-offset-s=172800;query=uploadId;method=GET;always".parse().unwrap());
    server.fault("answer=403;error=AccessDenied;query=uploadId;method=GET;always;key=other".parse().unwrap());
    let date = |response: Response| httpdate::parse_http_date(response.header("date").unwrap()).unwrap();
    let two_days = Duration::from_secs(2 * DAY - 60);
    assert!(date(client.list_parts("bucket", "k", &id).unwrap()) > SystemTime::now() + two_days);
    assert!(date(client.list_uploads("bucket", "").unwrap()) < SystemTime::now() + two_days);
    assert!(date(client.abort("bucket", "k", &id).unwrap()) < SystemTime::now() + two_days);
}
