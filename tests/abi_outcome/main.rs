//! What an outcome tells: every getter, for success and for each way in which a service can say no.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use obs_local::{AccessKey, Fault, Options, Server};
use support::obs::{server, server_with};
use support::peer::{Head, Recorder};
use support::{Client, Config, Outcome, code, lib};
use support::{OBS_ABORT_SIGNATURE_AWS_V2, OBS_ABORT_SIGNATURE_OBS};

fn client(server: &Server) -> Client {
    Config::new(&server.endpoint()).max_attempts(1).client()
}

/// What comes of one answer.
fn answered(server: &Server, client: &Client, fault: Fault) -> Outcome {
    server.fault(fault.times(1));
    let outcome = client.outcome(None, "backups", "k", "i");
    assert_eq!(server.faults_left(), 0, "{outcome:?}");
    outcome
}

fn xml(code: &str, message: &str, ids: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{ids}</Error>"
    )
}

#[test]
fn success_has_everything_but_an_error() {
    let server = server();
    let client = client(&server);
    let id = server.create_upload("backups", "dir/k é");
    server.fault(Fault::real().header("x-obs-request-id", "REQ-1").header("x-obs-id-2", "HOST-1"));
    let outcome = client.outcome(None, "backups", "dir/k é", &id);
    let wanted = Outcome {
        code: code::OK,
        http_status: 204,
        message: None,
        service_code: None,
        request_id: Some("REQ-1".into()),
        host_id: Some("HOST-1".into()),
        attempts: 1,
        key: "dir/k é".into(),
        upload_id: id,
        initiated: -1,
        index: -1,
        parts: 0,
        bytes: 0,
        last_part: -1,
    };
    assert_eq!(outcome, wanted);
}

#[test]
fn an_outcome_is_not_needed() {
    let server = server();
    let client = client(&server);
    let id = server.create_upload("backups", "k");
    let (bucket, key, c_id) = (support::c("backups"), support::c("k"), support::c(&id));
    let code = unsafe {
        lib().obs_abort_multipart_outcome(
            client.0,
            std::ptr::null(),
            bucket.as_ptr(),
            key.as_ptr(),
            c_id.as_ptr(),
            std::ptr::null_mut(),
        )
    };
    assert_eq!(code, code::OK);
    assert!(server.was_aborted(&id));
}

#[test]
fn each_answer_of_the_service_has_its_code() {
    let server = server();
    let client = client(&server);
    let rows: [(u16, &str, i32); 37] = [
        (403, "AccessDenied", code::ACCESS_DENIED),
        (403, "SignatureDoesNotMatch", code::ACCESS_DENIED),
        (403, "InvalidAccessKeyId", code::ACCESS_DENIED),
        (403, "InvalidSecurity", code::ACCESS_DENIED),
        (403, "", code::ACCESS_DENIED),
        (403, "NoSuchUpload", code::ACCESS_DENIED),
        (404, "NoSuchUpload", code::NO_SUCH_UPLOAD),
        (404, "NoSuchKey", code::NO_SUCH_UPLOAD),
        (404, "NoSuchBucket", code::NO_SUCH_BUCKET),
        (404, "", code::REJECTED),
        (404, "NoSuchThing", code::REJECTED),
        (404, "nosuchupload", code::REJECTED),
        (400, "InvalidArgument", code::REJECTED),
        (400, "NoSuchUpload", code::REJECTED),
        (400, "RequestTimeout", code::REJECTED),
        (401, "", code::REJECTED),
        (405, "MethodNotAllowed", code::REJECTED),
        (408, "", code::REJECTED),
        (409, "Conflict", code::REJECTED),
        (412, "", code::REJECTED),
        (499, "", code::REJECTED),
        (429, "", code::THROTTLED),
        (503, "SlowDown", code::THROTTLED),
        (503, "", code::THROTTLED),
        (500, "InternalError", code::SERVER),
        (501, "NotImplemented", code::SERVER),
        (502, "", code::SERVER),
        (504, "", code::SERVER),
        (599, "", code::SERVER),
        (300, "", code::REDIRECT),
        (301, "PermanentRedirect", code::REDIRECT),
        (302, "", code::REDIRECT),
        (307, "TemporaryRedirect", code::REDIRECT),
        (200, "", code::PROTOCOL),
        (202, "", code::PROTOCOL),
        (205, "NoSuchUpload", code::PROTOCOL),
        (299, "", code::PROTOCOL),
    ];
    for (status, service_code, wanted) in rows {
        let given = (!service_code.is_empty()).then_some(service_code);
        let mut by_body = Fault::answer(status);
        let mut by_header = Fault::answer(status);
        if let Some(service_code) = given {
            by_body = by_body.error(service_code);
            by_header = by_header.header("x-obs-error-code", service_code);
        }
        for fault in [by_body, by_header] {
            let outcome = answered(&server, &client, fault);
            let shown = format!("{status} {service_code}: {outcome:?}");
            assert_eq!(
                (outcome.code, outcome.http_status, outcome.attempts),
                (wanted, status.into(), 1),
                "{shown}"
            );
            assert_eq!(outcome.service_code.as_deref(), given, "{shown}");
            let message = outcome.message.as_deref().unwrap();
            let name = unsafe { support::borrowed(lib().obs_abort_code_name(wanted)) }.unwrap();
            let beginning = match given {
                Some(given) => format!("{name}: {status} {given}"),
                None => format!("{name}: {status}"),
            };
            assert!(message.starts_with(&beginning), "{shown}");
            assert!(message.contains("attempt 1 of 1)"), "{shown}");
        }
    }
}

#[test]
fn headers_win_over_the_body() {
    let server = server();
    let client = client(&server);
    let body = xml("NoSuchBucket", "said the body", "<RequestId>B</RequestId><HostId>BH</HostId>");
    let from_body = answered(&server, &client, Fault::answer(404).bare().body(body.clone()));
    assert_eq!(from_body.code, code::NO_SUCH_BUCKET);
    assert_eq!(from_body.request_id.as_deref(), Some("B"));
    assert_eq!(from_body.host_id.as_deref(), Some("BH"));
    assert_eq!(
        from_body.message.as_deref(),
        Some("no_such_bucket: 404 NoSuchBucket \"said the body\" (request id B, attempt 1 of 1)")
    );
    for prefix in ["x-obs", "x-amz"] {
        let both = Fault::answer(404)
            .bare()
            .body(body.clone())
            .header(&format!("{prefix}-error-code"), "NoSuchUpload")
            .header(&format!("{prefix}-error-message"), "said the header")
            .header(&format!("{prefix}-request-id"), "H")
            .header(&format!("{prefix}-id-2"), "HH");
        let outcome = answered(&server, &client, both);
        assert_eq!(outcome.code, code::NO_SUCH_UPLOAD, "{outcome:?}");
        assert_eq!(outcome.service_code.as_deref(), Some("NoSuchUpload"));
        assert_eq!((outcome.request_id.as_deref(), outcome.host_id.as_deref()), (Some("H"), Some("HH")));
        assert_eq!(
            outcome.message.as_deref(),
            Some("no_such_upload: 404 NoSuchUpload \"said the header\" (request id H, attempt 1 of 1)")
        );
    }
    let only = Fault::answer(404).bare().header("x-obs-error-code", "NoSuchBucket");
    let outcome = answered(&server, &client, only);
    assert_eq!(outcome.message.as_deref(), Some("no_such_bucket: 404 NoSuchBucket (attempt 1 of 1)"));
    assert_eq!((outcome.request_id, outcome.host_id), (None, None));
}

#[test]
fn the_request_id_is_looked_for_in_three_places() {
    let server = server();
    let client = client(&server);
    let body = || xml("AccessDenied", "no", "<RequestId>body</RequestId>");
    let fault = || Fault::answer(403).bare().body(body());
    let id = |fault| answered(&server, &client, fault).request_id;
    let (obs, amz) = ("x-obs-request-id", "x-amz-request-id");
    assert_eq!(id(fault().header(amz, "amz").header(obs, "obs")).as_deref(), Some("obs"));
    assert_eq!(id(fault().header(amz, "amz")).as_deref(), Some("amz"));
    assert_eq!(id(fault().header(obs, "")).as_deref(), Some("body"), "an empty header says nothing");
    assert_eq!(id(fault()).as_deref(), Some("body"));
    assert_eq!(id(Fault::answer(403).bare()), None);
    assert_eq!(id(Fault::answer(204).bare().header(amz, "amz")).as_deref(), Some("amz"), "on success, too");
}

#[test]
fn messages_count_the_attempts() {
    let server = server();
    let client = Config::new(&server.endpoint()).max_attempts(3).client();
    server.fault(Fault::answer(503).error("SlowDown").header("x-obs-request-id", "R1").times(2));
    server.fault(Fault::answer(403).error("AccessDenied").header("x-obs-request-id", "R3"));
    let outcome = client.outcome(None, "backups", "k", "i");
    assert_eq!((outcome.attempts, outcome.http_status), (3, 403));
    assert_eq!(
        outcome.message.as_deref(),
        Some(
            "access_denied: 403 AccessDenied \"scripted by the test\": the permission \
             obs:object:AbortMultipartUpload is needed, by the initiator of the upload or the owner of the bucket \
             (request id R3, attempt 3 of 3)"
        )
    );
    server.fault(Fault::answer(503).error("SlowDown").header("x-obs-request-id", "R4").times(3));
    let outcome = client.outcome(None, "backups", "k", "i");
    assert_eq!((outcome.code, outcome.attempts), (code::THROTTLED, 3));
    assert!(outcome.message.unwrap().ends_with("(request id R4, attempt 3 of 3)"));
}

#[test]
fn the_services_text_is_cut_and_cleaned() {
    let server = server();
    let client = client(&server);
    let long = "x".repeat(5000);
    let wide = "é".repeat(3000);
    for (text, longest) in [(&long, "x".repeat(512)), (&wide, "é".repeat(256))] {
        for fault in [
            Fault::answer(403).bare().body(xml("AccessDenied", text, "")),
            Fault::answer(403)
                .bare()
                .header("x-obs-error-code", "AccessDenied")
                .header("x-obs-error-message", text),
        ] {
            let message = answered(&server, &client, fault).message.unwrap();
            assert!(message.contains(&format!("\"{longest}\"")), "{message}");
            assert!(!message.contains(&format!("{longest}x")) && !message.contains(&format!("{longest}é")));
            assert!(message.ends_with("(attempt 1 of 1)"), "{message}");
        }
    }
    // Every other text of the service as well.
    let fault = Fault::answer(403)
        .bare()
        .header("x-obs-error-code", &long)
        .header("x-obs-request-id", &long)
        .header("x-obs-id-2", &long);
    let outcome = answered(&server, &client, fault);
    for text in [outcome.service_code, outcome.request_id, outcome.host_id] {
        assert_eq!(text.map(|text| text.len()), Some(512));
    }
    let controls = "a&#13;&#10;X-Evil: 1&#9;&#27;[31m&#127;&#x85;&#x2028;&#x202e;z";
    let raw = "a\r\nX-Evil: 1\t\u{7f}\u{85}\u{2028}\u{202e}z";
    let escape = "a\u{1b}[31mz";
    for text in [controls, raw, escape] {
        let ids = format!("<RequestId>{text}</RequestId><HostId>{text}</HostId>");
        let outcome = answered(&server, &client, Fault::answer(403).bare().body(xml(text, text, &ids)));
        assert_eq!(outcome.code, code::ACCESS_DENIED);
        for shown in all_texts(&outcome) {
            assert_one_line(&shown);
        }
    }
    // A NUL would end the string for C.
    for body in [xml("Access&#0;Denied", "a\0b", ""), xml("AccessDenied", "a\0b&#0;c", "")] {
        let outcome = answered(&server, &client, Fault::answer(403).bare().body(body));
        assert!(outcome.message.unwrap().ends_with("attempt 1 of 1)"));
    }
    // Not UTF-8: replaced rather than dropped.
    let latin = b"<Error><Code>AccessDenied</Code><Message>caf\xe9</Message></Error>".to_vec();
    let outcome = answered(&server, &client, Fault::answer(403).bare().body(latin));
    assert!(outcome.message.unwrap().starts_with("access_denied: 403 AccessDenied \"caf"));
}

fn all_texts(outcome: &Outcome) -> Vec<String> {
    let Outcome { message, service_code, request_id, host_id, .. } = outcome.clone();
    [message, service_code, request_id, host_id].into_iter().flatten().collect()
}

fn assert_one_line(text: &str) {
    let hostile = |c: char| c.is_control() || ['\u{2028}', '\u{2029}', '\u{202e}'].contains(&c);
    assert!(!text.chars().any(hostile), "{text:?}");
}

#[test]
fn what_is_no_error_document_is_no_reason_to_fail() {
    let server = server();
    let client = client(&server);
    for body in [
        "",
        "<html><body><h1>404 Not Found</h1><Code>NoSuchUpload</Code></body></html>",
        "{\"Code\":\"NoSuchUpload\"}",
        "<Error><Code>NoSuchUp",
        "<Error",
        "NoSuchUpload",
        "<Error><Resource><Code>NoSuchUpload</Code></Resource></Error>",
        "\u{1}\u{2}\u{3}",
        "<!DOCTYPE x [<!ENTITY e \"NoSuchUpload\">]><Error><Code>&e;</Code></Error>",
    ] {
        let outcome = answered(&server, &client, Fault::answer(404).bare().body(body));
        assert_eq!((outcome.code, outcome.http_status), (code::REJECTED, 404), "{body:?}: {outcome:?}");
        assert_one_line(&outcome.message.unwrap());
    }
    // What stands before the break counts.
    let broken = "<Error><Code>NoSuchUpload</Code><Message>\u{1} & < broken";
    assert_eq!(answered(&server, &client, Fault::answer(404).bare().body(broken)).code, code::NO_SUCH_UPLOAD);
}

/// Every byte percent-encoded.
fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

#[test]
fn a_server_that_echoes_secrets_is_not_repeated() {
    const SECRET: &str = "sK/very+Secret=0123456789";
    const TOKEN: &str = "tOkEn/very+Secret=0123456789";
    type Echo = fn(&Head) -> String;
    /// The request's head, the signature in it alone, and the keys, as a debugging server might print them.
    fn all(head: &Head) -> String {
        let authorization = head.header("authorization").unwrap();
        let signature = authorization.rsplit_once(':').unwrap().1;
        format!("s {SECRET} t {TOKEN} g {signature} a {authorization}")
    }
    let echoes: [(i32, Echo); 10] = [
        (code::ACCESS_DENIED, |head| {
            let body =
                xml("AccessDenied", &format!("{} {}", hex(&all(head)), all(head).replace('/', "%2F")), "");
            format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }),
        (code::ACCESS_DENIED, |head| {
            let body = xml("SignatureDoesNotMatch", &all(head), "");
            format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }),
        (code::ACCESS_DENIED, |head| {
            let ids = format!("<RequestId>{0}</RequestId><HostId>{0}</HostId>", all(head));
            let body = xml(&all(head), "no", &ids);
            format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }),
        (code::ACCESS_DENIED, |head| {
            // Of two parts, the first ends where the text is cut.
            let body = xml("AccessDenied", &format!("{} {}", "x".repeat(500), all(head)), "");
            format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }),
        (code::ACCESS_DENIED, |head| {
            let all = all(head);
            format!(
                "HTTP/1.1 403 Forbidden\r\nx-obs-error-code: {all}\r\nx-obs-error-message: {all}\r\n\
                 x-obs-request-id: {all}\r\nx-obs-id-2: {all}\r\ncontent-length: 0\r\n\r\n"
            )
        }),
        (code::REDIRECT, |head| {
            let place = all(head).replace(' ', "/");
            format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://evil.example/{place}\r\ncontent-length: 0\r\n\r\n"
            )
        }),
        (code::PROTOCOL, |head| {
            let all = all(head);
            format!("HTTP/1.1 200 {all}\r\nx-obs-request-id: {all}\r\ncontent-length: 0\r\n\r\n")
        }),
        (code::PROTOCOL, |head| format!("ECHO {}\r\nauthorization: {}\r\n\r\n", head.line, all(head))),
        (code::PROTOCOL, |head| format!("HTTP/1.1 {}\r\n\r\n", all(head))),
        (code::OK, |head| {
            let all = all(head);
            format!("HTTP/1.1 204 {all}\r\nx-obs-request-id: {all}\r\nx-obs-id-2: {all}\r\n\r\n")
        }),
    ];
    for (position, (code, echo)) in echoes.into_iter().enumerate() {
        for signature in [OBS_ABORT_SIGNATURE_OBS, OBS_ABORT_SIGNATURE_AWS_V2] {
            let recorder = Recorder::answering(move |head| echo(head).into_bytes());
            let client = Config::new(&recorder.url())
                .credentials("AK", SECRET, Some(TOKEN))
                .signature(signature)
                .max_attempts(1)
                .client();
            let outcome = client.outcome(None, "backups", "k", "i");
            assert_eq!(outcome.code, code, "{position}: {outcome:?}");
            let head = recorder.heads().pop().unwrap();
            let signature = head.header("authorization").unwrap().rsplit_once(':').unwrap().1.to_owned();
            for text in all_texts(&outcome) {
                for secret in [SECRET, TOKEN, &signature] {
                    for encoded in [secret.replace('/', "%2F"), hex(secret)] {
                        assert!(
                            !text.contains(&encoded[..encoded.len() - 6]),
                            "{position}: {secret} in {text}"
                        );
                    }
                    assert!(!text.contains(secret), "{position}: {secret} in {text}");
                    // Nor most of one.
                    assert!(!text.contains(&secret[..secret.len() - 6]), "{position}: {secret} in {text}");
                }
                assert_one_line(&text);
            }
        }
    }
}

#[test]
fn a_secret_that_is_part_of_a_service_code_changes_no_meaning() {
    let access_keys = vec![AccessKey::new("AK", "Upload")];
    let server = server_with(Options { access_keys, ..Options::default() });
    let client = Config::new(&server.endpoint()).credentials("AK", "Upload", None).client();
    let outcome = client.outcome(None, "backups", "k", "no such id");
    assert_eq!(outcome.code, code::NO_SUCH_UPLOAD, "{outcome:?}");
    assert_eq!(
        outcome.service_code.as_deref(),
        Some("NoSuch[secret]"),
        "judged as it came, shown without secrets"
    );
    // And through a proxy whose password is one: a lost answer, then the 404 that tells of success.
    let proxy = format!("http://user:load@127.0.0.1:{}", server.port());
    let client = Config::new("http://obs.test").credentials("AK", "Upload", None).proxy(&proxy).client();
    let id = server.create_upload("backups", "k");
    server.fault(Fault::real().cut(0).method("DELETE"));
    let outcome = client.outcome(None, "backups", "k", &id);
    assert_eq!((outcome.code, outcome.attempts), (code::OK, 2), "{outcome:?}");
}

#[test]
fn the_plain_verb_gives_the_same_message() {
    let server = server();
    let client = client(&server);
    let fault = || Fault::answer(403).error("AccessDenied").header("x-obs-request-id", "R").times(1);
    server.fault(fault());
    let (code, status, error) = client.abort("backups", "k", "i");
    let outcome = answered(&server, &client, fault());
    assert_eq!((code, status, error), (outcome.code, outcome.http_status, outcome.message));
}
