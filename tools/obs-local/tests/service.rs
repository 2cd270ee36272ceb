//! The service over HTTP: who may, what is done, what is answered.

use std::time::Duration;

use obs_local::client::{Client, send};
use obs_local::signing::{self, Scheme};
use obs_local::*;

fn started(options: Options) -> (Server, Client) {
    let server = Server::start(options);
    server.create_bucket("bucket");
    let client = Client::new(&server.endpoint(), ACCESS_KEY, SECRET_KEY);
    (server, client)
}

#[test]
fn an_upload_lives_from_initiation_to_abort() {
    let (server, client) = started(Options::default());
    let id = client.initiate("bucket", "a b/ключ").unwrap();
    assert_eq!(id.len(), 32);
    client.upload_part("bucket", "a b/ключ", &id, 1, b"first").unwrap();
    client.upload_part("bucket", "a b/ключ", &id, 2, b"second").unwrap();
    let parts = client.list_parts("bucket", "a b/ключ", &id).unwrap();
    assert_eq!((parts.status, parts.elements("Size")), (200, vec!["5".to_owned(), "6".to_owned()]));

    let other = client.abort("bucket", "another key", &id).unwrap();
    assert_eq!((other.status, other.element("Code").as_str()), (404, "NoSuchUpload"));
    assert!(!server.was_aborted(&id));
    let gone = client.abort("bucket", "a b/ключ", &id).unwrap();
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert!(gone.header("x-amz-request-id").is_some() && gone.header("date").is_some());
    assert!(server.was_aborted(&id) && server.aborted_count() == 1);

    let again = client.abort("bucket", "a b/ключ", &id).unwrap();
    assert_eq!((again.status, again.element("Code").as_str()), (404, "NoSuchUpload"));
    assert_eq!(again.element("RequestId"), again.header("x-amz-request-id").unwrap());
    assert_eq!(client.list_parts("bucket", "a b/ключ", &id).unwrap().status, 404);
    let elsewhere = client.abort("no-bucket", "k", &id).unwrap();
    assert_eq!((elsewhere.status, elsewhere.element("Code").as_str()), (404, "NoSuchBucket"));
}

#[test]
fn a_completed_upload_becomes_an_object() {
    let (server, client) = started(Options::default());
    let id = client.initiate("bucket", "k").unwrap();
    for (number, data) in [(1, b"one"), (2, b"two")] {
        client.upload_part("bucket", "k", &id, number, data).unwrap();
    }
    let tags = client.list_parts("bucket", "k", &id).unwrap().elements("ETag");
    let part = |number: usize| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", tags[number - 1])
    };
    let complete = |parts: String| {
        let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        client.request("POST", &format!("/bucket/k?uploadId={id}"), document.as_bytes()).unwrap()
    };
    assert_eq!(complete(part(2) + &part(1)).element("Code"), "InvalidPartOrder");
    assert_eq!(complete(part(1).replace(&tags[0], "other")).element("Code"), "InvalidPart");
    assert_eq!(complete(String::new()).element("Code"), "MalformedXML");
    assert_eq!(complete(part(1) + &part(2)).status, 200);
    assert_eq!(client.request("GET", "/bucket/k", b"").unwrap().text(), "onetwo");
    assert_eq!(client.abort("bucket", "k", &id).unwrap().element("Code"), "NoSuchUpload");
    assert!(!server.was_aborted(&id) && server.object_exists("bucket", "k"));
}

#[test]
fn buckets_and_objects_are_made_listed_and_deleted() {
    let (server, client) = started(Options::default());
    assert_eq!(client.request("PUT", "/new-bucket", b"").unwrap().status, 200);
    assert_eq!(client.request("PUT", "/new-bucket/", b"").unwrap().status, 409);
    assert_eq!(client.request("PUT", "/Bad_Bucket", b"").unwrap().element("Code"), "InvalidBucketName");
    for key in ["a/1", "a/2", "b"] {
        client.put_object("new-bucket", key, key.as_bytes()).unwrap();
    }
    let page = client.request("GET", "/new-bucket/?prefix=a%2F&max-keys=1", b"").unwrap();
    assert_eq!((page.elements("Key"), page.element("IsTruncated")), (vec!["a/1".into()], "true".into()));
    let page = client.request("GET", "/new-bucket?prefix=a%2F&marker=a%2F1", b"").unwrap();
    assert_eq!((page.elements("Key"), page.element("IsTruncated")), (vec!["a/2".into()], "false".into()));
    assert_eq!(client.request("DELETE", "/new-bucket", b"").unwrap().element("Code"), "BucketNotEmpty");
    let head = client.request("HEAD", "/new-bucket/b", b"").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("1")));
    let head = client.request("HEAD", "/new-bucket/none", b"").unwrap();
    assert_eq!((head.status, head.header("x-obs-error-code")), (404, Some("NoSuchKey")));
    for key in server.objects("new-bucket") {
        assert_eq!(client.request("DELETE", &format!("/new-bucket/{key}"), b"").unwrap().status, 204);
    }
    assert_eq!(client.request("DELETE", "/new-bucket", b"").unwrap().status, 204);
    assert!(!server.bucket_exists("new-bucket"));
    assert_eq!(client.request("GET", "/", b"").unwrap().elements("Name"), ["bucket"]);
}

#[test]
fn a_delete_that_is_no_abort_deletes_the_object() {
    let (server, client) = started(Options::default());
    let id = server.create_upload("bucket", "k");
    for query in ["?uploadId=".to_owned(), format!("?uploadid={id}"), String::new(), "?uploadId".to_owned()] {
        server.put_object("bucket", "k", b"precious");
        let answer = client.request("DELETE", &format!("/bucket/k{query}"), b"").unwrap();
        assert_eq!(answer.status, 204, "{query}");
        assert!(!server.object_exists("bucket", "k"), "{query}");
    }
    assert!(server.upload_exists("bucket", "k", &id));
    assert_eq!(server.counts().objects_deleted, 4);

    server.put_object("bucket", "k", b"precious");
    assert_eq!(client.abort("bucket", "k", &id).unwrap().status, 204);
    assert!(server.object_exists("bucket", "k"));
}

#[test]
fn both_schemes_and_all_addressings_are_verified() {
    let (server, mut client) = started(Options {
        custom_domains: vec![("img.example.com".into(), "bucket".into())],
        ..Options::default()
    });
    let address = server.addr().to_string();
    for scheme in [Scheme::Obs, Scheme::Aws] {
        client.scheme = scheme;
        let id = server.create_upload("bucket", "my key");
        assert_eq!(client.abort("bucket", "my key", &id).unwrap().status, 204);
        for (host, signed) in
            [("bucket.localhost", "/bucket/my%20key"), ("img.example.com", "/img.example.com/my%20key")]
        {
            let id = server.create_upload("bucket", "my key");
            let mut headers = vec![
                ("Host".to_owned(), format!("{host}:{}", server.port())),
                ("Date".to_owned(), http_date(unix_ms(std::time::SystemTime::now()) / 1000)),
            ];
            let query = format!("uploadId={id}");
            let resource = signing::canonical_resource(signed, &query);
            let text = signing::string_to_sign(scheme, "DELETE", &headers, &resource);
            let signature = signing::signature(SECRET_KEY, &text);
            headers.push(("Authorization".into(), format!("{} {ACCESS_KEY}:{signature}", scheme.word())));
            let target = format!("/my%20key?{query}");
            assert_eq!(send(&address, "DELETE", &target, &headers, b"").unwrap().status, 204, "{host}");
            // The signature holds for this key and id only.
            let other = send(&address, "DELETE", "/other?uploadId=1", &headers, b"").unwrap();
            assert_eq!((other.status, other.element("Code").as_str()), (403, "SignatureDoesNotMatch"));
        }
    }
    let answer = client.request("GET", "/bucket/?uploads&prefix=a+b%2B", b"").unwrap();
    assert_eq!((answer.status, answer.element("Prefix").as_str()), (200, "a b+"));
}

#[test]
fn refusals_name_their_reason() {
    let (server, client) = started(Options::default());
    let code = |client: &Client| client.abort("bucket", "k", "1").unwrap().element("Code");
    assert_eq!(code(&client), "NoSuchUpload");
    let with = |access_key: &str, secret_key: &str| Client::new(&server.endpoint(), access_key, secret_key);
    assert_eq!(code(&with(ACCESS_KEY, "wrong")), "SignatureDoesNotMatch");
    assert_eq!(code(&with("UNKNOWN", SECRET_KEY)), "InvalidAccessKeyId");
    let anonymous =
        send(&server.addr().to_string(), "DELETE", "/bucket/k", &[("Host".into(), "x".into())], b"");
    assert_eq!(anonymous.unwrap().element("Code"), "AccessDenied");
    let undated = client.request_with("GET", "/bucket/", &[("Date", "Mi, 01 Jul 2015 05:28:27 GMT")], b"");
    assert_eq!(undated.unwrap().element("Code"), "AccessDenied");

    server.set_clock_offset_s(16 * 60);
    assert_eq!(code(&client), "RequestTimeTooSkewed");
    server.set_clock_offset_s(-16 * 60);
    let skewed = client.abort("bucket", "k", "1").unwrap();
    assert_eq!((skewed.status, skewed.element("Code").as_str()), (403, "RequestTimeTooSkewed"));
    let date = skewed.header("date").unwrap().to_owned();
    let corrected = client.request_with("GET", "/bucket/", &[("Date", &date)], b"").unwrap();
    assert_eq!(corrected.status, 200);
}

#[test]
fn keys_rotate_and_temporary_ones_need_their_token() {
    let (server, client) = started(Options::default());
    let mut second = Client::new(&server.endpoint(), "SECOND", "second-secret");
    let status = |client: &Client| client.request("GET", "/bucket/", b"").unwrap().status;
    server.add_access_key(&AccessKey::temporary("SECOND", "second-secret", "to/ken+=="));
    assert_eq!(status(&second), 403);
    second.key.security_token = Some("another".into());
    assert_eq!(status(&second), 403);
    second.key.security_token = Some("to/ken+==".into());
    assert_eq!(status(&second), 200);
    second.scheme = Scheme::Obs;
    assert_eq!(status(&second), 200);
    assert_eq!(status(&client), 200);
    assert!(server.remove_access_key(ACCESS_KEY) && !server.remove_access_key(ACCESS_KEY));
    assert_eq!((status(&client), status(&second)), (403, 200));
}

#[test]
fn the_rate_is_limited_and_latency_delays_nobody_else() {
    let (server, client) = started(Options {
        rate: Some(Rate { per_second: 0.001, burst: 2.0, retry_after_s: Some(7) }),
        ..Options::default()
    });
    for _ in 0..2 {
        assert_eq!(client.request("GET", "/bucket/", b"").unwrap().status, 200);
    }
    let slow = client.request("GET", "/bucket/", b"").unwrap();
    assert_eq!((slow.status, slow.header("retry-after")), (503, Some("7")));
    assert_eq!((slow.element("Code").as_str(), server.counts().code("SlowDown")), ("SlowDown", 1));
    server.set_rate(None);
    server.set_latency(Duration::from_millis(200));
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(client.request("GET", "/bucket/", b"").unwrap().status, 200));
        }
    });
    let taken = begun.elapsed();
    assert!(taken >= Duration::from_millis(200) && taken < Duration::from_millis(600), "{taken:?}");
}

#[test]
fn the_journal_tells_what_came_over_which_connection() {
    let (server, client) = started(Options { journal: JournalMode::Last(2), ..Options::default() });
    for key in ["a", "b", "c"] {
        client.abort("bucket", key, "1").unwrap();
    }
    let journal = server.journal();
    let targets: Vec<&str> = journal.iter().map(|entry| entry.target.as_str()).collect();
    assert_eq!(targets, ["/bucket/b?uploadId=1", "/bucket/c?uploadId=1"]);
    let last = &journal[1];
    assert_eq!((last.connection, last.status, last.code.as_str()), (3, 404, "NoSuchUpload"));
    assert_eq!((last.method.as_str(), last.scheme.as_str()), ("DELETE", "AWS"));
    assert_eq!(last.host, server.addr().to_string());
    assert!(last.header("DATE").is_some() && last.executed && !last.fault);
    assert_eq!((server.counts().requests, server.connections_accepted()), (3, 3));
}
