//! Listings that fail, and pages that are not fit to act on.

use super::*;

/// Three pages of ten, the third one bad: the first two pages are done, and reported.
fn half_way(bad: Fault, code: i32, text: &str) {
    let server = server();
    server.set_page_cap(10);
    old(&server, 30);
    server.fault(bad.query("uploads").skip(2).always());
    let ending = swept(&Config::new(&server.endpoint()).max_attempts(2).client(), "");
    assert_eq!(ending.code, code, "{ending:?}");
    assert!(ending.error.as_ref().unwrap().contains(text), "{ending:?}");
    assert_eq!(counts(&ending), (20, 20, 0, 0, 0), "{text}");
    assert_eq!(server.upload_count("backups"), 10);
}

#[test]
fn refused_half_way() {
    half_way(Fault::answer(403).error("AccessDenied"), code::ACCESS_DENIED, "403 AccessDenied");
    half_way(Fault::answer(500).error("InternalError"), code::SERVER, "500 InternalError");
    half_way(Fault::answer(503).error("SlowDown"), code::THROTTLED, "503 SlowDown");
    half_way(Fault::answer(404).error("NoSuchBucket"), code::NO_SUCH_BUCKET, "404 NoSuchBucket");
    half_way(Fault::answer(404).error("NoSuchKey"), code::REJECTED, "404 NoSuchKey");
    half_way(Fault::answer(404).error("NoSuchUpload"), code::REJECTED, "404 NoSuchUpload");
    half_way(Fault::answer(204), code::PROTOCOL, "204");
    half_way(Fault::real().cut(600).then(End::Reset), code::IO, "");
    half_way(Fault::real().cut(900), code::IO, "");
    half_way(Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"), code::PROTOCOL, "");
    half_way(Fault::real().without("Date"), code::PROTOCOL, "Date");
    half_way(Fault::real().header("Date", "yesterday"), code::PROTOCOL, "Date");
    half_way(Fault::answer(200).body("<html><body>Sign in</body></html>"), code::PROTOCOL, "root");
    half_way(Fault::answer(200).body(""), code::PROTOCOL, "complete");
}

/// One page, unfit to act on: nothing at all is aborted, and never is it "nothing found".
#[test]
fn unfit_pages() {
    let upload = |key: &str| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>1</UploadId><Initiated>2011-01-01T00:00:00Z</Initiated></Upload>"
        )
    };
    let (good, last) = (upload("old/1"), "<IsTruncated>false</IsTruncated>");
    let more = "<IsTruncated>true</IsTruncated>";
    let marker = "<NextKeyMarker>old/1</NextKeyMarker>";
    let with = |field: &str| format!("{last}{}", good.replace("</Upload>", &format!("{field}</Upload>")));
    let with_time = |time: &str| format!("{last}{}", good.replace("2011-01-01T00:00:00Z", time));
    for (what, bad) in [
        ("no IsTruncated", page(&good)),
        ("IsTruncated of neither kind", page(&format!("<IsTruncated>maybe</IsTruncated>{good}"))),
        ("truncated without markers", page(&format!("{more}{good}"))),
        ("empty markers", page(&format!("{more}<NextKeyMarker></NextKeyMarker><NextUploadIdMarker/>{good}"))),
        ("a stranger's key, first", page(&format!("{last}{}{good}", upload("other/1")))),
        ("a stranger's key, last", page(&format!("{last}{good}{}", upload("other/1")))),
        ("an upload without an id", page(&format!("{last}{good}<Upload><Key>old/2</Key></Upload>"))),
        (
            "another root",
            Fault::answer(200).body(format!("<ListBucketResult>{last}{good}</ListBucketResult>")),
        ),
        ("the end is missing", Fault::answer(200).body(format!("<ListMultipartUploadsResult>{last}{good}"))),
        (
            "a second root",
            Fault::answer(200).body(format!(
                "<ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult><Upload/>"
            )),
        ),
        ("two times of one upload", page(&with("<Initiated>2011-01-01T00:00:00Z</Initiated>"))),
        ("two times of one upload, one of them empty", page(&with("<Initiated/>"))),
        ("two keys of one upload", page(&with("<Key>old/2</Key>"))),
        ("two ids of one upload", page(&with("<UploadId>1</UploadId>"))),
        ("an element inside a time", page(&with_time("2011-01-01T00:00:00Z<x/>"))),
        ("an element before a time", page(&with_time("<x>9</x>2011-01-01T00:00:00Z"))),
        ("an element inside IsTruncated", page(&format!("<IsTruncated><x/>false</IsTruncated>{good}"))),
        ("IsTruncated twice", page(&format!("{last}{last}{good}"))),
        ("two values of a marker", page(&format!("{more}{marker}{marker}{good}"))),
        ("two encodings", page(&format!("{last}<EncodingType/><EncodingType>url</EncodingType>{good}"))),
        ("the list of another bucket", page(&format!("<Bucket>other</Bucket>{last}{good}"))),
        ("two buckets", page(&format!("<Bucket>backups</Bucket>{last}{good}<Bucket>backups</Bucket>"))),
        (
            "half a character in a marker",
            page(&format!("{more}{marker}<NextUploadIdMarker>&#xd83d;</NextUploadIdMarker>{good}")),
        ),
        ("crossed tags", page(&format!("{last}<a><b></a></b>{good}"))),
        ("no Date", page(&format!("{last}{good}")).without("Date")),
        ("an encoding other than url", page(&format!("{last}<EncodingType>base64</EncodingType>{good}"))),
        ("an Error in it", page(&format!("{last}{good}<Error><Code>InternalError</Code></Error>"))),
        ("an Error in an upload", page(&with("<Error/>"))),
        (
            "text after the root",
            Fault::answer(200).body(format!(
                "<ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult>\r\n0\r\n"
            )),
        ),
        (
            "an instruction after the root",
            Fault::answer(200).body(format!(
                "<ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult><?x y?>"
            )),
        ),
        (
            "text before the root",
            Fault::answer(200).body(format!(
                "HTTP/1.1 <ListMultipartUploadsResult>{last}{good}</ListMultipartUploadsResult>"
            )),
        ),
        ("17 MB", page(&format!("{last}{good}<Filler>{}</Filler>", " ".repeat(17 << 20)))),
    ] {
        let server = server();
        server.fault(bad.query("uploads").always());
        let ending = swept(&client(&server), "old/");
        assert_eq!(ending.code, code::PROTOCOL, "{what}: {ending:?}");
        assert_eq!(counts(&ending), (0, 0, 0, 0, 0), "{what}");
        assert!(ending.error.unwrap().starts_with("protocol: "), "{what}");
        assert_eq!(server.counts().method("DELETE"), 0, "{what}: nothing of it may be acted on");
    }
}

/// As a debugging server might: neither the report nor a message may hold the signature.
#[test]
fn a_page_that_repeats_the_signature_of_its_request() {
    type Page = fn(&str) -> String;
    let pages: [(&str, Page); 4] = [
        ("a key", |it| format!("<Upload><Key>k {it}</Key><UploadId>1</UploadId></Upload>")),
        ("a key, encoded", |it| {
            format!("<Upload><Key>k {}</Key><UploadId>1</UploadId></Upload>", it.replace('=', "%3D"))
        }),
        ("an upload id", |it| format!("<Upload><Key>k</Key><UploadId>{it}</UploadId></Upload>")),
        ("a marker", |it| {
            format!("<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>{it}</NextUploadIdMarker>")
        }),
    ];
    for (what, page) in pages {
        let recorder = Recorder::answering(move |head| {
            let authorization = head.header("authorization").unwrap();
            let page = page(authorization.rsplit_once(':').unwrap().1);
            let body = format!(
                "<ListMultipartUploadsResult><IsTruncated>{}</IsTruncated><EncodingType/>{page}</ListMultipartUploadsResult>",
                page.contains("Marker")
            );
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        });
        let client = Config::new(&recorder.url()).max_attempts(1).client();
        let ending = client.stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
        let error = ending.error.clone().unwrap_or_default();
        assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (0, 0, 0, 0, 0)), "{what}: {ending:?}");
        assert!(error.contains("it repeats the signature of its request"), "{what}: {error}");
        for head in recorder.heads() {
            assert!(head.line.starts_with("GET "), "{what}: {}", head.line);
            let signature = head.header("authorization").unwrap().rsplit_once(':').unwrap().1.to_owned();
            assert!(!error.contains(&signature), "{what}: {error}");
        }
    }
}

#[test]
fn quirks_that_make_a_listing_unfit() {
    for (quirk, done) in [
        (ListQuirk::TruncatedXml, 0),
        (ListQuirk::WrongRoot, 0),
        (ListQuirk::OmitIsTruncated, 0),
        (ListQuirk::OmitMarkers, 0),
        (ListQuirk::RepeatMarkers, 0),
        (ListQuirk::BackwardMarkers, 10),
    ] {
        let server = server();
        server.set_page_cap(10);
        server.set_list_quirks(&[quirk]);
        old(&server, 30);
        let ending = swept(&client(&server), "old/");
        assert_eq!(ending.code, code::PROTOCOL, "{quirk:?} {ending:?}");
        assert_eq!(counts(&ending), (done, done, 0, 0, 0), "{quirk:?}");
        assert_eq!(server.upload_count("backups") as u64, 30 - done, "{quirk:?}");
        assert!(listings(&server) <= 2, "{quirk:?}: it does not list for ever");
    }
}

/// Once the marker's own uploads are gone, a server that repeats it would list the next ones: found on the second page.
#[test]
fn markers_that_repeat_on_a_later_page() {
    let server = server();
    server.set_page_cap(10);
    old(&server, 40);
    let marker = "<NextKeyMarker>old/00009</NextKeyMarker><NextUploadIdMarker>x</NextUploadIdMarker>";
    let bad = page(&format!("<IsTruncated>true</IsTruncated>{marker}"));
    server.fault(bad.skip(1).always());
    let ending = swept(&client(&server), "old/");
    // The second answer moves on by its upload id, the third repeats it.
    assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (10, 10, 0, 0, 0)), "{ending:?}");
    assert_eq!(listings(&server), 3);
}

/// A proxy strips the query, or a server ignores the prefix: nothing of that page is touched.
#[test]
fn a_key_outside_the_prefix() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::IgnorePrefix]);
    old(&server, 5);
    server.create_upload_at("backups", "other/1", &ago(2 * HOUR));
    let ending = swept(&client(&server), "old/");
    assert_eq!((ending.code, counts(&ending)), (code::PROTOCOL, (0, 0, 0, 0, 0)));
    assert!(ending.error.unwrap().contains("prefix"));
    assert_eq!((server.upload_count("backups"), server.counts().method("DELETE")), (6, 0));
}

/// If age does not matter, a Date is not needed.
#[test]
fn no_date_if_no_age_is_asked_for() {
    let server = server();
    old(&server, 5);
    server.fault(Fault::real().without("Date").query("uploads").always());
    let ending = client(&server).stale(None, "backups", None, 0, INCLUDE_LIVE, &mut |_, _, _| false);
    assert_eq!((ending.code, counts(&ending).1), (code::OK, 5), "{ending:?}");
}
