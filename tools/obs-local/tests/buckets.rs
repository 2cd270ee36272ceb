//! The buckets of an account: where they are, whose they are, and the pages of their list.

use std::time::{Duration, SystemTime};

use obs_local::client::{Client, Response};
use obs_local::*;

fn started(options: Options) -> (Server, Client) {
    let server = Server::start(options);
    let client = Client::new(&server.endpoint(), ACCESS_KEY, SECRET_KEY);
    (server, client)
}

fn list(client: &Client, query: &str) -> Response {
    client.request("GET", &format!("/{query}"), b"").unwrap()
}

#[test]
fn the_list_tells_where_and_since_when_buckets_are() {
    let (server, client) = started(Options { buckets: vec!["bk-first".into()], ..Options::default() });
    server.set_location("bk-second", "eu-101");
    server.set_location("bk-first", "eu-102");
    server.create_bucket("bk-third");
    server.create_bucket("bk-second");
    let page = list(&client, "");
    assert_eq!(page.elements("Name"), ["bk-first", "bk-second", "bk-third"]);
    assert_eq!(page.elements("Location"), ["eu-102", "eu-101"]);
    assert_eq!(page.elements("CreationDate").len(), 3);
    let now = iso_date(unix_ms(SystemTime::now()));
    let minute = iso_date(unix_ms(SystemTime::now() - Duration::from_secs(60)));
    assert!(
        page.elements("CreationDate").iter().all(|date| (&minute..=&now).contains(&date)),
        "{}",
        page.text()
    );
    assert!(page.elements("IsTruncated").is_empty(), "nothing is said of pages unless they are asked for");
    server.set_quirks(Listing::Buckets, &[ListQuirk::OmitLocation]);
    assert!(list(&client, "").elements("Location").is_empty());
}

#[test]
fn each_key_has_its_own_buckets() {
    let (server, client) = started(Options { buckets: vec!["for-all".into()], ..Options::default() });
    server.add_access_key(&AccessKey::new("SECOND", "second-secret"));
    let second = Client::new(&server.endpoint(), "SECOND", "second-secret");
    server.set_owner("its-own", "SECOND");
    assert_eq!(list(&client, "").elements("Name"), ["for-all"]);
    assert_eq!(list(&second, "").elements("Name"), ["for-all", "its-own"]);
    assert_eq!(second.list_uploads("its-own", "").unwrap().status, 200);
    let refused = client.list_uploads("its-own", "").unwrap();
    assert_eq!((refused.status, refused.element("Code").as_str()), (403, "AccessDenied"));
}

#[test]
fn a_bucket_can_be_forbidden_or_elsewhere() {
    let (server, mut client) = started(Options { buckets: vec!["bucket".into()], ..Options::default() });
    let id = server.create_upload("bucket", "k");
    let all = |client: &Client| {
        [
            client.list_uploads("bucket", "").unwrap(),
            client.list_parts("bucket", "k", &id).unwrap(),
            client.abort("bucket", "k", &id).unwrap(),
            client.request("HEAD", "/bucket", b"").unwrap(),
            client.request("POST", "/bucket/k?uploads", b"").unwrap(),
        ]
    };
    server.set_forbidden("bucket", true);
    assert!(all(&client).iter().all(|answer| answer.status == 403));
    assert_eq!(list(&client, "").elements("Name"), ["bucket"]);
    server.set_forbidden("bucket", false);
    server.set_location("bucket", "eu-102");
    server.set_elsewhere("bucket", Some("obs.eu-102.example.com"));
    for answer in all(&client) {
        assert_eq!((answer.status, answer.header("x-amz-bucket-region")), (301, Some("eu-102")));
        assert!(answer.header("location").is_none());
    }
    client.scheme = signing::Scheme::Obs;
    let refused = client.list_uploads("bucket", "").unwrap();
    assert_eq!(refused.element("Code"), "PermanentRedirect");
    assert_eq!(refused.element("Endpoint"), "obs.eu-102.example.com");
    assert_eq!(refused.header("x-amz-bucket-region"), None);
    assert_eq!(server.upload_count("bucket"), 1);
    server.set_elsewhere("bucket", None);
    assert_eq!(client.abort("bucket", "k", &id).unwrap().status, 204);
    let wrong = Client::new(&server.endpoint(), ACCESS_KEY, "wrong");
    server.set_elsewhere("bucket", Some("obs.eu-102.example.com"));
    assert_eq!(wrong.list_uploads("bucket", "").unwrap().element("Code"), "SignatureDoesNotMatch");
}

fn named(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("bk-{n:03}")).collect()
}

/// All pages: how many, and the names on them.
fn all(client: &Client, first: &str, next: impl Fn(&Response) -> Option<String>) -> (usize, Vec<String>) {
    let (mut names, mut pages, mut query) = (Vec::new(), 0, first.to_owned());
    loop {
        let page = list(client, &query);
        assert_eq!(page.status, 200, "{}", page.text());
        names.extend(page.elements("Name"));
        pages += 1;
        assert!(pages < 20, "the list does not end");
        match next(&page) {
            Some(more) => query = more,
            None => return (pages, names),
        }
    }
}

#[test]
fn pages_come_by_marker_as_huaweis() {
    let (server, client) = started(Options { buckets: named(25), ..Options::default() });
    let next = |page: &Response| {
        assert_eq!(page.element("IsTruncated") == "true", !page.element("NextMarker").is_empty());
        let marker = page.element("NextMarker");
        (!marker.is_empty()).then(|| format!("?marker={marker}&max-keys=10"))
    };
    assert_eq!(list(&client, "").elements("Name"), named(25));
    assert_eq!(all(&client, "?max-keys=10", next), (3, named(25)));
    assert_eq!(list(&client, "?marker=bk-022").elements("Name"), ["bk-023", "bk-024"]);
    assert_eq!(
        list(&client, "?max-buckets=10").elements("Name").len(),
        25,
        "Amazon's parameters are unknown"
    );
    server.set_buckets_page_cap(Some(7));
    assert_eq!(all(&client, "", next), (4, named(25)));
}

#[test]
fn pages_come_by_token_as_amazons() {
    let options = Options { buckets: named(25), bucket_paging: BucketPaging::Token, ..Options::default() };
    let (server, client) = started(options);
    server.set_location("bk-000", "eu-west-1");
    let next = |page: &Response| {
        assert!(page.elements("IsTruncated").is_empty() && page.elements("NextMarker").is_empty());
        let token = page.element("ContinuationToken");
        assert!(!token.contains("bk-"), "{token}");
        let encoded = signing::encode(&token);
        (!token.is_empty()).then(|| format!("?continuation-token={encoded}&max-buckets=10"))
    };
    assert_eq!(all(&client, "?max-buckets=10", next), (3, named(25)));
    assert_eq!(list(&client, "").element("BucketRegion"), "eu-west-1");
    assert_eq!(list(&client, "?marker=bk-022&max-keys=1").elements("Name").len(), 25);
    assert_eq!(list(&client, "?continuation-token=bk-001").element("Code"), "InvalidArgument");
    server.set_buckets_page_cap(Some(7));
    assert_eq!(all(&client, "", next), (4, named(25)));
}

#[test]
fn quirks_break_the_list_of_buckets_as_they_say() {
    let (server, client) = started(Options { buckets: named(5), ..Options::default() });
    let page = |quirk: ListQuirk, query: &str| {
        server.set_quirks(Listing::Buckets, &[quirk]);
        list(&client, query)
    };
    let first = "?max-keys=2";
    let second = "?max-keys=2&marker=bk-001";
    let next = |page: Response| (page.element("NextMarker"), page.element("IsTruncated"));
    let expect = |marker: &str| (marker.to_owned(), "true".to_owned());
    assert_eq!(next(page(ListQuirk::RepeatMarkers, second)), expect("bk-001"));
    assert_eq!(next(page(ListQuirk::OmitMarkers, second)), expect(""));
    assert_eq!(next(page(ListQuirk::BackwardMarkers, first)), expect("bk-001"));
    assert_eq!(next(page(ListQuirk::BackwardMarkers, second)), expect("000"));
    assert_eq!(
        page(ListQuirk::BackwardMarkers, "?max-keys=2&marker=000").elements("Name"),
        ["bk-000", "bk-001"]
    );
    assert_eq!(next(page(ListQuirk::OmitIsTruncated, first)), ("bk-001".to_owned(), String::new()));
    let cut = page(ListQuirk::TruncatedXml, "");
    assert!(cut.text().ends_with("</Bucket>") && cut.elements("Name").len() == 5);
    assert!(page(ListQuirk::WrongRoot, "").text().ends_with("</Buckets></ListBucketResult>"));
    assert_eq!(page(ListQuirk::ErrorInside, "").element("Code"), "InternalError");
    assert_eq!(page(ListQuirk::TwoValues, "").elements("Name")[4..], ["bk-004", "another-bucket"]);
    assert_eq!(page(ListQuirk::NestedElement, "").elements("Name")[4], "<Text/>bk-004");
    assert!(page(ListQuirk::TextAfterRoot, "").text().ends_with("</ListAllMyBucketsResult>and more"));
}

#[test]
fn faults_can_be_of_the_account_alone() {
    let (server, client) = started(Options { buckets: named(1), ..Options::default() });
    server.fault("answer=403;error=AccessDenied;account;always".parse().unwrap());
    assert_eq!(list(&client, "").status, 403);
    assert_eq!(list(&client, "?max-keys=1").status, 403);
    assert_eq!(client.list_uploads("bk-000", "").unwrap().status, 200);
}
