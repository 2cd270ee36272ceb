//! Messages that say what to do about the mistakes that people make, each through the C ABI.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::net::{SocketAddr, TcpStream};

use obs_local::{Fault, Options, Server};
use support::obs::server;
use support::peer::{Peer, refusing, request, send, until_closed};
use support::pki::Pki;
use support::{
    Config, OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN as CUSTOM_DOMAIN, OBS_ABORT_ADDRESSING_PATH as PATH,
};
use support::{Ending, Outcome, c, code, lib};

/// What one abort comes to, with this response.
fn aborted(fault: Fault) -> Outcome {
    let server = server();
    server.fault(fault.always());
    Config::new(&server.endpoint()).max_attempts(1).client().outcome(None, "backups", "k", "i")
}

/// What a listing comes to, with this response.
fn listed(fault: Fault) -> Ending {
    let server = server();
    server.fault(fault.query("uploads").always());
    let client = Config::new(&server.endpoint()).max_attempts(1).client();
    client.stale(None, "backups", Some("db/"), 3600, 0, &mut |_, _, _| false)
}

/// As nginx words them.
fn page(title: &str) -> String {
    format!("<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n")
}

fn assert_says(outcome: &Outcome, code: i32, status: u16, parts: &[&str]) {
    assert_eq!((outcome.code, outcome.http_status), (code, i32::from(status)), "{outcome:?}");
    let message = outcome.message.as_deref().unwrap();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert!(!message.contains(char::is_control) && message.ends_with("attempt 1 of 1)"), "{message}");
}

#[test]
fn an_endpoint_that_is_refused_says_why() {
    for (endpoint, why) in [
        (" https://obs.example.com", "white space or a line end"),
        ("https://obs.example.com ", "white space or a line end"),
        ("https://obs.example.com\n", "white space or a line end"),
        ("https://obs.example.com\r\n", "white space or a line end"),
        ("https://obs. example.com", "white space or a line end"),
        ("https://obs.example.com\u{a0}", "white space or a line end"),
        ("https://obs.example.com.", "ends in a dot"),
        ("https://obs.example.com.:443", "ends in a dot"),
        ("https://obs.example.com./", "ends in a dot"),
        ("\"https://obs.example.com\"", "quotation marks"),
        ("'obs.example.com'", "quotation marks"),
        ("\u{feff}https://obs.example.com", "U+FEFF"),
        ("https://obs.exämple.com", "U+00E4"),
        ("https://obs.example.com\u{200b}", "U+200B"),
        ("https://obs.example.com\u{1}", "U+0001"),
        ("https://obs.example.com/bucket", "a path"),
        ("obs://bucket", "a scheme other than http and https"),
    ] {
        let config = Config::bare();
        let code = unsafe { lib().obs_abort_config_set_endpoint(config.0, c(endpoint).as_ptr()) };
        assert_eq!(code, code::INVALID_ARGUMENT, "{endpoint:?}");
        let (code, error) = config.try_client().err().expect(endpoint);
        assert_eq!(code, code::INVALID_CONFIG, "{endpoint:?}");
        assert!(error.contains("endpoint") && error.contains(why), "{endpoint:?}: {error}");
        assert!(!error.contains(char::is_control), "{endpoint:?}: {error:?}");
    }
}

#[test]
fn an_html_page_is_called_one_with_its_likely_cause() {
    for (code, status, title, cause) in [
        (code::REJECTED, 400, "400 The plain HTTP request was sent to HTTPS port", "give an https endpoint"),
        (code::REJECTED, 400, "400 Bad Request", "check host and port of the endpoint"),
        (code::REJECTED, 404, "404 Not Found", "check host and port of the endpoint"),
        (code::REJECTED, 405, "405 Not Allowed", "check host and port of the endpoint"),
        (code::REJECTED, 401, "Please sign in", "a web filter, a firewall or an API gateway"),
        (code::ACCESS_DENIED, 403, "Web Page Blocked!", "a web filter, a firewall or an API gateway"),
        (code::REJECTED, 451, "Blocked", "a web filter, a firewall or an API gateway"),
        (code::THROTTLED, 429, "Too many requests", "a web filter, a firewall or an API gateway"),
        (code::SERVER, 502, "502 Bad Gateway", "a gateway or load balancer in front of the service"),
        (code::THROTTLED, 503, "503 Service Temporarily Unavailable", "a gateway or load balancer"),
        (code::SERVER, 504, "504 Gateway Time-out", "a gateway or load balancer"),
        (code::PROTOCOL, 200, "MinIO Console", "a console, a login page or a captive portal"),
        (code::REDIRECT, 302, "302 Found", "a console, a login page or a captive portal"),
    ] {
        let outcome = aborted(Fault::answer(status).bare().body(page(title)));
        let titled = format!("HTML page titled \"{title}\" and not that of an OBS service");
        assert_says(&outcome, code, status, &[&titled, cause]);
        assert!(!outcome.message.unwrap().contains("permission"), "it is no refusal of the service's");
    }
}

#[test]
fn html_is_recognized_by_its_beginning() {
    for body in [
        "<html></html>".to_owned(),
        "<HTML><BODY>x".to_owned(),
        "<!DOCTYPE html>\n<title>\n a\n b </title>".to_owned(),
        "\u{feff}\r\n <!doctype HTML PUBLIC \"-//W3C//DTD HTML 4.0//EN\">".to_owned(),
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"x\">\n<html>"
            .to_owned(),
        "<!-- a comment -->\n<html></html>".to_owned(),
        "<head><title>x</title></head>".to_owned(),
    ] {
        assert_says(&aborted(Fault::answer(404).body(body)), code::REJECTED, 404, &["an HTML page"]);
    }
    // What has a service code is the service's, whatever its Content-Type.
    let error = "<Error><Code>NoSuchBucket</Code><Message><![CDATA[<html>]]></Message></Error>";
    let outcome = aborted(Fault::answer(404).bare().header("Content-Type", "text/html").body(error));
    assert_says(&outcome, code::NO_SUCH_BUCKET, 404, &["NoSuchBucket \"<html>\""]);
    assert!(!outcome.message.unwrap().contains("HTML page"));
}

#[test]
fn other_bodies_that_no_service_sends() {
    for (fault, code, status, parts) in [
        (
            Fault::answer(403).body("{\"message\":\"Missing Authentication Token\"}"),
            code::ACCESS_DENIED,
            403,
            ["the response is JSON", "an API gateway refuses the request"],
        ),
        (
            Fault::answer(400).body("Client sent an HTTP request to an HTTPS server.\n"),
            code::REJECTED,
            400,
            ["the port expects https", "give an https endpoint"],
        ),
        (
            Fault::answer(404).header("Content-Encoding", "gzip").body([0x1f, 0x8b, 8, 0, 0]),
            code::REJECTED,
            404,
            ["compressed (gzip)", "not asked for"],
        ),
        (
            Fault::answer(404).body([0x1f, 0x8b, 8, 0, 0]),
            code::REJECTED,
            404,
            ["compressed (gzip)", "not asked for"],
        ),
        (
            Fault::answer(404).header("Content-Encoding", "br").body("x"),
            code::REJECTED,
            404,
            ["compressed (br)", "not asked for"],
        ),
    ] {
        assert_says(&aborted(fault), code, status, &parts);
    }
    let outcome = aborted(Fault::answer(403).error("AccessDenied").header("Content-Encoding", "identity"));
    assert!(!outcome.message.unwrap().contains("compressed"));
}

#[test]
fn a_page_of_a_listing_that_is_none() {
    for (fault, part) in [
        (Fault::answer(200).body(page("Sign in")), "an HTML page titled \"Sign in\""),
        (Fault::answer(200).header("Content-Type", "text/html").body(page("x")), "a console, a login page"),
        (Fault::answer(200).body("{}"), "the response is JSON"),
        (Fault::answer(200).header("Content-Encoding", "gzip").body([0x1f, 0x8b, 8, 0]), "compressed (gzip)"),
        (Fault::answer(200).body([0x1f, 0x8b, 8, 0]), "compressed (gzip)"),
        (Fault::answer(200).header("Content-Encoding", "identity").body("{}"), "the response is JSON"),
        (Fault::answer(200).header("Content-Encoding", "").body("{}"), "the response is JSON"),
    ] {
        let ending = listed(fault);
        assert_eq!(ending.code, code::PROTOCOL, "{ending:?}");
        let error = ending.error.unwrap();
        assert!(error.contains("backups") && error.contains("can't be acted on"), "{error}");
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    // The connection broke, whatever it was that began to arrive.
    let ending = listed(Fault::answer(200).body(format!("<html class=\"{}", "x".repeat(9000))).cut(5000));
    let error = ending.error.unwrap();
    assert_eq!(ending.code, code::IO, "{error}");
    assert!(error.contains("in the middle of its response") && !error.contains("HTML"), "{error}");
}

#[test]
fn a_refusal_names_the_permission() {
    let abort = "the permission obs:object:AbortMultipartUpload is needed";
    for fault in [Fault::answer(403).error("AccessDenied"), Fault::answer(403)] {
        assert_says(&aborted(fault), code::ACCESS_DENIED, 403, &[abort]);
    }
    let ending = listed(Fault::answer(403).error("AccessDenied"));
    assert_eq!(ending.code, code::ACCESS_DENIED);
    assert!(ending.error.unwrap().contains("the permission obs:bucket:ListBucketMultipartUploads is needed"));
    let server = server();
    let id = server.create_upload("backups", "k");
    server.fault(Fault::answer(403).error("AccessDenied").method("GET"));
    let outcome = Config::new(&server.endpoint()).confirm().client().outcome(None, "backups", "k", &id);
    assert_eq!(outcome.code, code::ACCESS_DENIED);
    let message = outcome.message.unwrap();
    assert!(message.contains("the permission obs:object:ListMultipartUploadParts is needed"), "{message}");
}

#[test]
fn credentials_that_are_refused_have_advice_of_their_own() {
    for (status, code, service_code, advice) in [
        (403, code::ACCESS_DENIED, "SignatureDoesNotMatch", "the secret key is not that of the access key"),
        (403, code::ACCESS_DENIED, "InvalidAccessKeyId", "the access key does not exist"),
        (403, code::ACCESS_DENIED, "InvalidSecurityToken", "get new temporary credentials"),
        (403, code::ACCESS_DENIED, "InvalidSecurity", "get new temporary credentials"),
        (400, code::REJECTED, "ExpiredToken", "get new temporary credentials"),
        (400, code::REJECTED, "InvalidToken", "get new temporary credentials"),
        (403, code::CLOCK_SKEW, "RequestTimeTooSkewed", "set this machine's clock"),
    ] {
        let outcome = aborted(Fault::answer(status).error(service_code).bare());
        assert_says(&outcome, code, status, &[service_code, advice]);
        assert!(!outcome.message.unwrap().contains("permission"), "{service_code}");
    }
    let body =
        |message: &str| format!("<Error><Code>InvalidRequest</Code><Message>{message}</Message></Error>");
    let v4 =
        body("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");
    assert_says(
        &aborted(Fault::answer(400).bare().body(v4)),
        code::REJECTED,
        400,
        &["Signature Version 4 only"],
    );
}

#[test]
fn a_redirect_shows_the_right_endpoint() {
    let body = |endpoint: &str| {
        let code = "<Code>PermanentRedirect</Code>";
        Fault::answer(301).bare().body(format!("<Error>{code}<Endpoint>{endpoint}</Endpoint></Error>"))
    };
    for (fault, status, part) in [
        (body("obs.cn-north-4.hw.test"), 301, "the endpoint of this bucket is obs.cn-north-4.hw.test"),
        (body("backups.obs.cn-1.hw.test"), 301, "the endpoint of this bucket is obs.cn-1.hw.test"),
        (
            Fault::answer(301).bare().header("x-amz-bucket-region", "eu-west-1"),
            301,
            "this bucket is in the region eu-west-1",
        ),
        (
            Fault::answer(301).bare().header("x-obs-bucket-location", "cn-north-4"),
            301,
            "this bucket is in the region cn-north-4",
        ),
        (
            Fault::answer(302).bare().header("Location", "http://portal.test/login?x"),
            302,
            "a captive portal?",
        ),
        (Fault::answer(303).bare().header("Location", "/login"), 303, "a login page"),
        (
            Fault::answer(301).bare().header("Location", "https://127.0.0.1/backups/k?uploadId=i"),
            301,
            "give an https endpoint",
        ),
        (
            Fault::answer(301).bare().header("Location", "https://127.0.0.1:8443/").body(page("301 Moved")),
            301,
            "give an https endpoint",
        ),
    ] {
        assert_says(&aborted(fault), code::REDIRECT, status, &[part]);
    }
    for status in [300, 301, 304] {
        let outcome = aborted(Fault::answer(status).bare().header("Location", "/login"));
        assert_says(&outcome, code::REDIRECT, status, &[" to /login"]);
        assert!(!outcome.message.unwrap().contains("portal"), "{status}");
    }
    let ending = listed(body("obs.cn-north-4.hw.test"));
    assert_eq!(ending.code, code::REDIRECT);
    assert!(ending.error.unwrap().contains("the endpoint of this bucket is obs.cn-north-4.hw.test"));
}

/// An obs-local whose names are reached through it as a proxy.
fn behind_names() -> Server {
    let domains = vec!["obs.hw.test".to_owned(), "backups.obs.hw.test".to_owned()];
    Server::start(Options { buckets: vec!["backups".into()], domains, ..Options::default() })
}

#[test]
fn the_bucket_in_the_endpoint() {
    let server = behind_names();
    let hint = "begins with the bucket";
    let client = |endpoint: &str| Config::new(endpoint).proxy(&server.endpoint()).max_attempts(1);
    for (status, service_code, code) in [
        (404, "NoSuchBucket", code::NO_SUCH_BUCKET),
        (404, "NoSuchUpload", code::NO_SUCH_UPLOAD),
        (404, "NoSuchKey", code::NO_SUCH_UPLOAD),
        (403, "SignatureDoesNotMatch", code::ACCESS_DENIED),
        (404, "", code::REJECTED),
    ] {
        let fault = || Fault::answer(status).bare().error(service_code);
        for addressing in [0, PATH] {
            server.fault(fault());
            let client = client("http://backups.obs.hw.test").addressing(addressing).client();
            let outcome = client.outcome(None, "backups", "k", "i");
            assert_says(&outcome, code, status, &[hint, "give obs.hw.test"]);
        }
        // No suspicion without the bucket, and with a domain that stands for it.
        server.fault(fault().times(2));
        for (endpoint, addressing) in
            [("http://obs.hw.test", 0), ("http://backups.obs.hw.test", CUSTOM_DOMAIN)]
        {
            let outcome = client(endpoint).addressing(addressing).client().outcome(None, "backups", "k", "i");
            assert!(!outcome.message.unwrap().contains(hint), "{endpoint}");
        }
    }
    // It may be meant.
    server.fault(Fault::answer(204));
    let client = client("http://backups.obs.hw.test").client();
    assert_eq!(client.outcome(None, "backups", "k", "i").code, code::OK);
    server.fault(Fault::answer(503).bare());
    assert!(
        !client.outcome(None, "backups", "k", "i").message.unwrap().contains(hint),
        "no reason for a 503"
    );
}

/// Servers that know no virtual hosts take the first segment of the path for the bucket.
#[test]
fn a_server_that_looks_for_the_bucket_in_the_path() {
    let server = behind_names();
    let error = |code: &str, bucket: &str| {
        let bucket = format!("<BucketName>{bucket}</BucketName>");
        Fault::answer(404).bare().body(format!("<Error><Code>{code}</Code>{bucket}</Error>"))
    };
    let client = |addressing| {
        let config = Config::new("http://obs.hw.test").proxy(&server.endpoint()).max_attempts(1);
        config.addressing(addressing).client()
    };
    let hint = "use path addressing";
    server.fault(error("NoSuchBucket", "dir"));
    let outcome = client(0).outcome(None, "backups", "dir/k", "i");
    assert_says(&outcome, code::NO_SUCH_BUCKET, 404, &["looked for the bucket \"dir\"", hint]);
    server.fault(error("InvalidBucketName", "d"));
    assert_says(&client(0).outcome(None, "backups", "d/k", "i"), code::REJECTED, 404, &[hint]);
    for (bucket, addressing) in [("backups", 0), ("dir", PATH)] {
        server.fault(error("NoSuchBucket", bucket));
        let outcome = client(addressing).outcome(None, "backups", "dir/k", "i");
        assert!(!outcome.message.as_ref().unwrap().contains(hint), "{outcome:?}");
    }
}

#[test]
fn the_proxy_that_an_html_page_comes_from() {
    let server = behind_names();
    server.fault(Fault::answer(503).bare().body(page("ERROR: The requested URL could not be retrieved")));
    let config = Config::new("http://obs.hw.test").proxy(&server.endpoint()).max_attempts(1);
    let outcome = config.client().outcome(None, "backups", "k", "i");
    let proxy = format!("the proxy {} may have sent it", server.addr());
    assert_says(&outcome, code::THROTTLED, 503, &["HTML page", &proxy]);
}

#[test]
fn a_static_web_site_is_no_api() {
    let server = behind_names();
    server.fault(Fault::answer(405).bare().body(page("405 Method Not Allowed")));
    let config = Config::new("http://obs-website.hw.test").proxy(&server.endpoint()).max_attempts(1);
    let outcome = config.client().outcome(None, "backups", "k", "i");
    assert_says(&outcome, code::REJECTED, 405, &["static web sites"]);
}

#[test]
fn http_and_tls_at_cross_purposes() {
    // What OpenSSL, rustls and Go send if they are spoken to in http.
    for alert in [[0x15, 3, 1, 0, 2, 2, 70], [0x15, 3, 3, 0, 2, 2, 10], [0x15, 3, 1, 0, 2, 2, 22]] {
        let peer = Peer::start(move |_, mut stream| {
            request(&mut stream);
            send(&mut stream, alert);
        });
        let outcome = Config::new(&peer.url()).max_attempts(1).client().outcome(None, "backups", "k", "i");
        assert_says(&outcome, code::PROTOCOL, 0, &["the server speaks TLS: give an https endpoint"]);
    }
    let peer = Peer::start(|_, mut stream| {
        send(&mut stream, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        until_closed(&mut stream);
    });
    let pki = Pki::new();
    let config = Config::new(&peer.url().replace("http:", "https:")).ca_file(&pki.ca()).max_attempts(1);
    let outcome = config.client().outcome(None, "backups", "k", "i");
    assert_says(&outcome, code::TLS, 0, &["answered in plain HTTP", "http://"]);
    // Nothing of this is said of a server that is not there.
    let nobody = refusing();
    let outcome = Config::new(&nobody.endpoint).max_attempts(1).client().outcome(None, "backups", "k", "i");
    assert_says(&outcome, code::CONNECT, 0, &["Connection refused"]);
    assert!(!outcome.message.unwrap().contains("TLS"));
}

/// Opens tunnels to one address, whatever the name.
fn tunnel_to(address: SocketAddr) -> Peer {
    Peer::start(move |_, mut stream| {
        request(&mut stream);
        send(&mut stream, "HTTP/1.1 200 OK\r\n\r\n");
        let mut upstream = TcpStream::connect(address).unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), upstream.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut upstream, &mut stream);
    })
}

#[test]
fn a_certificate_for_the_endpoint_alone() {
    // For localhost, and for no host below it.
    let pki = Pki::new();
    let server = Server::start(Options { tls: Some(pki.tls()), ..Options::default() });
    let proxy = tunnel_to(server.addr());
    let config =
        |endpoint: &str| Config::new(endpoint).proxy(&proxy.url()).ca_file(&pki.ca()).max_attempts(1);
    let outcome = config("https://localhost").client().outcome(None, "backups", "k", "i");
    assert_says(&outcome, code::TLS, 0, &["not for the name backups.localhost", "use path addressing"]);
    let outcome = config("https://backups.localhost").client().outcome(None, "backups", "k", "i");
    assert_says(&outcome, code::TLS, 0, &["the endpoint backups.localhost begins with the bucket"]);
    let path = config("https://localhost").addressing(PATH).client();
    assert_eq!(path.outcome(None, "backups", "k", "i").http_status, 404, "as the message says");
}
