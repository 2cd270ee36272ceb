//! The log: what it tells at each level, that it tells no secret, and that a callback may take its time and call back.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

use obs_local::{ACCESS_KEY, AccessKey, End, Fault, Initiated, SECRET_KEY, Server};
use support::apart;
use support::obs::server;
use support::peer::{Recorder, refusing};
use support::process::{is_again, within_a_minute};
use support::{Client, Config, Outcome, borrowed, code};
use support::{
    OBS_ABORT_INCLUDE_LIVE as INCLUDE_LIVE, OBS_ABORT_LOG_DEBUG as DEBUG, OBS_ABORT_LOG_ERROR as ERROR,
    OBS_ABORT_LOG_INFO as INFO, OBS_ABORT_LOG_WARN as WARN,
};

type Then = Box<dyn Fn(i32, &str) + Send + Sync>;

/// What the callback was told, and what it is to do besides.
#[derive(Default)]
struct Told {
    lines: Mutex<Vec<(i32, String)>>,
    then: OnceLock<Then>,
}

unsafe extern "C" fn told(level: i32, message: *const c_char, userdata: *mut c_void) {
    let told = unsafe { &*userdata.cast::<Told>() };
    let line = unsafe { borrowed(message) }.expect("a line");
    told.lines.lock().unwrap().push((level, line.clone()));
    if let Some(then) = told.then.get() {
        then(level, &line);
    }
}

impl Told {
    /// Lives as long as the program: callbacks may come from any thread.
    fn new() -> &'static Told {
        Box::leak(Box::default())
    }

    fn hear(&'static self, config: Config, level: i32) -> Config {
        config.log(Some(told), std::ptr::from_ref(self).cast_mut().cast(), level)
    }

    fn take(&self) -> Vec<(i32, String)> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        for (level, line) in &lines {
            assert!((ERROR..=DEBUG).contains(level), "{level} {line}");
            assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?} is not one line");
        }
        lines
    }
}

/// A success, a success after a retry, and a failure.
fn three_calls(server: &Server, client: &Client) {
    let id = server.create_upload("backups", "k");
    assert_eq!(client.abort("backups", "k", &id).0, code::OK);
    let id = server.create_upload("backups", "k");
    server.fault(Fault::answer(503).error("SlowDown").times(1));
    assert_eq!(client.abort("backups", "k", &id).0, code::OK);
    assert_eq!(client.abort("backups", "k", "no-such-id").0, code::NO_SUCH_UPLOAD);
}

#[test]
fn each_level_includes_those_below_it() {
    let server = server();
    let counts = |level: i32| {
        let told = Told::new();
        let client = told.hear(Config::new(&server.endpoint()), level).client();
        three_calls(&server, &client);
        let mut counts = [0; 5];
        told.take().iter().for_each(|(level, _)| counts[*level as usize] += 1);
        counts
    };
    let all = counts(DEBUG);
    assert_eq!(all[ERROR as usize], 1, "the call that failed");
    assert_eq!(all[WARN as usize], 1, "the attempt that was repeated");
    assert_eq!(all[INFO as usize], 2, "the calls that went well");
    assert!(all[DEBUG as usize] >= 4, "each of four requests: {all:?}");
    for level in [ERROR, WARN, INFO] {
        let mut wanted = all;
        wanted[level as usize + 1..].fill(0);
        assert_eq!(counts(level), wanted, "level {level}");
    }
}

#[test]
fn no_callback_is_told_nothing() {
    let server = server();
    let told = Told::new();
    let config = told.hear(Config::new(&server.endpoint()), DEBUG);
    three_calls(&server, &config.log(None, std::ptr::null_mut(), DEBUG).client());
    assert_eq!(told.take(), []);
}

#[test]
fn lines_tell_what_an_operator_needs() {
    let server = server();
    let told = Told::new();
    let client = told.hear(Config::new(&server.endpoint()), DEBUG).client();
    let id = server.create_upload("backups", "dir/a b");
    server.fault(Fault::answer(503).error("SlowDown").header("x-obs-request-id", "REQ-503"));
    server.fault(Fault::real().header("x-obs-request-id", "REQ-204"));
    assert_eq!(client.abort("backups", "dir/a b", &id).0, code::OK);
    let lines = told.take();
    let with = |level: i32, parts: &[&str]| {
        let found = lines.iter().any(|(l, line)| *l == level && parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line of level {level} with {parts:?} in {lines:#?}");
    };
    let host = server.addr().to_string();
    let target = format!("/backups/dir/a%20b?uploadId={id}");
    with(DEBUG, &["DELETE", &host, &target, "503", "REQ-503", "attempt 1 of 4"]);
    with(DEBUG, &["DELETE", &host, &target, "204", "REQ-204", "attempt 2 of 4"]);
    with(WARN, &["503", "SlowDown", "REQ-503", "attempt 1 of 4", " ms"]);
    with(INFO, &[&id, "dir/a b", "204", "REQ-204"]);
    assert!(!lines.iter().any(|(level, _)| *level == ERROR), "{lines:?}");
    // The id of a success is read where it is logged, whoever else asks for it.
    let at_info = told.hear(Config::new(&server.endpoint()), INFO).client();
    let id = server.create_upload("backups", "k");
    server.fault(Fault::real().header("x-obs-request-id", "REQ-INFO"));
    assert_eq!(at_info.abort("backups", "k", &id).0, code::OK);
    assert!(told.take().iter().any(|(level, line)| *level == INFO && line.contains("REQ-INFO")));
    // A failure has the line of the outcome's message, and says whose upload it is.
    let outcome = client.outcome(None, "backups", "k\nk", "nowhere");
    let lines = told.take();
    let failed: Vec<_> = lines.iter().filter(|(level, _)| *level == ERROR).collect();
    assert_eq!(failed.len(), 1, "{lines:?}");
    assert!(failed[0].1.contains(&outcome.message.unwrap()) && failed[0].1.contains("nowhere"), "{lines:?}");
    // So has bad input, and a transport that fails.
    assert_eq!(client.abort("backups", "", "i").0, code::INVALID_ARGUMENT);
    assert!(told.take().iter().any(|(level, line)| *level == ERROR && line.contains("key is empty")));
    server.fault(Fault::silence().times(1));
    // Carried out or not, it is gone.
    assert_eq!(client.abort("backups", "k", "i").0, code::OK);
    let lines = told.take();
    assert!(lines.iter().any(|(_, line)| line.contains("attempt 1 of 4")), "{lines:?}");
}

#[test]
fn sweeps_and_lists_are_logged_as_well() {
    let server = server();
    let told = Told::new();
    let client = told.hear(Config::new(&server.endpoint()), DEBUG).client();
    let ids =
        server.create_uploads("backups", 3, &Initiated::Ago(Duration::from_secs(90)), |n| format!("k{n}"));
    assert_eq!(client.stale(None, "backups", None, 60, 0, &mut |_, _, _| false).code, code::OK);
    let lines = told.take();
    assert!(lines.iter().any(|(_, line)| line.contains("GET") && line.contains("?uploads")), "{lines:#?}");
    for id in &ids {
        assert!(lines.iter().any(|(level, line)| *level == INFO && line.contains(id)), "{lines:#?}");
    }
}

const SECRET: &str = "sK/very+Secret=0123456789";
const TOKEN: &str = "tOkEn/very+Secret=0123456789";
const PASSWORD: &str = "pAssWord-0123456789";

/// Everything the log said at DEBUG, and every error string, is without secrets and signatures.
fn assert_no_secret(told: &Told, recorders: &[&Recorder], errors: impl IntoIterator<Item = String>) {
    let mut secrets = vec![SECRET.to_owned(), TOKEN.to_owned(), PASSWORD.to_owned()];
    // "user:" and the password in Base64, as the proxy gets it.
    secrets.push("dXNlcjpwQXNzV29yZC0wMTIzNDU2Nzg5".to_owned());
    for head in recorders.iter().flat_map(|recorder| recorder.heads()) {
        if let Some(authorization) = head.header("authorization") {
            secrets.push(authorization.rsplit_once(':').unwrap().1.to_owned());
        }
    }
    let lines = told.take();
    assert!(!lines.is_empty());
    for line in lines.into_iter().map(|(_, line)| line).chain(errors) {
        let decoded = decoded(&line);
        for secret in &secrets {
            assert!(!decoded.contains(&secret[..secret.len() - 8]), "{secret} in {line}");
            assert!(!line.contains(secret.as_str()), "{secret} in {line}");
            assert!(!line.contains(&secret[..secret.len() - 8]), "{secret} in {line}");
        }
        assert!(!line.to_lowercase().contains("authorization"), "{line}");
    }
}

/// Without percent-encoding.
fn decoded(line: &str) -> String {
    let bytes = line.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| bytes[at] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[test]
fn no_line_holds_a_secret() {
    let config =
        |endpoint: &str| Config::new(endpoint).credentials("AK", SECRET, Some(TOKEN)).max_attempts(2);
    // Whatever of a request a server echoes, wherever it puts it.
    let echo = |status: &'static str, code: &'static str| {
        Recorder::answering(move |head| {
            let authorization = head.header("authorization").unwrap();
            let signature = authorization.rsplit_once(':').unwrap().1;
            let all = format!("{authorization} {signature} {SECRET} {TOKEN} {PASSWORD}");
            let body =
                format!("<Error><Code>{code}</Code><Message>{all}</Message><HostId>{all}</HostId></Error>");
            let length = if status.starts_with("204") {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            };
            let body = if status.starts_with("204") { String::new() } else { body };
            let place = format!("http://{}/{}", head.header("host").unwrap(), all.replace(' ', "/"));
            format!("HTTP/1.1 {status} {all}\r\nx-obs-request-id: {all}\r\nlocation: {place}\r\n{length}\r\n{body}").into_bytes()
        })
    };
    let proxy_url = |recorder: &Recorder| format!("http://user:{PASSWORD}@{}", recorder.address());
    for status in ["204", "200", "301", "307", "308", "400", "403", "404", "407", "408", "429", "500", "503"]
    {
        for code in ["NoSuchUpload", "RequestTimeTooSkewed", "SlowDown"] {
            let recorder = echo(status, code);
            // Once as the server itself, once as the proxy in front of one.
            for through in [false, true] {
                let told = Told::new();
                let config = match through {
                    false => config(&recorder.url()),
                    true => config("http://obs.example.com").proxy(&proxy_url(&recorder)),
                };
                let client = told.hear(config, DEBUG).client();
                let (_, _, error) = client.abort("backups", "k", "i");
                if !through {
                    // Without a proxy, its password is no secret that the library knows of.
                    let mut lines = told.lines.lock().unwrap();
                    lines.iter_mut().for_each(|(_, line)| *line = line.replace(PASSWORD, ""));
                }
                let error = error.map(|error| if through { error } else { error.replace(PASSWORD, "") });
                assert_no_secret(told, &[&recorder], error);
            }
        }
    }
    // What is no HTTP, what is no TLS, and who is not there.
    let garbage = Recorder::answering(|head| format!("{head:?}\r\n\r\n").into_bytes());
    let denying = Recorder::answering(|head| {
        format!("HTTP/1.1 407 {head:?}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let nobody = refusing();
    let endpoints = [
        (garbage.url(), String::new()),
        (garbage.url().replace("http:", "https:"), String::new()),
        (nobody.endpoint.clone(), String::new()),
        ("https://obs.example.com".into(), proxy_url(&denying)),
        ("https://obs.example.com".into(), proxy_url(&garbage)),
        ("http://obs.example.com".into(), proxy_url(&garbage)),
        ("http://obs.example.com".into(), nobody.endpoint.replace("//", &format!("//user:{PASSWORD}@"))),
    ];
    for (endpoint, proxy) in endpoints {
        let told = Told::new();
        let client = told.hear(config(&endpoint).proxy(&proxy).connect_timeout_ms(500), DEBUG).client();
        let (code, _, error) = client.abort("backups", "k", "i");
        assert_ne!(code, code::OK, "{endpoint} {proxy}");
        assert_no_secret(told, &[&garbage, &denying], error);
    }
}

/// What a server can know of a request, and what it may send besides, as it may write it.
fn hostile_texts(signature: &str) -> Vec<String> {
    let base64 = "dXNlcjpwQXNzV29yZC0wMTIzNDU2Nzg5".to_owned();
    let secrets = [TOKEN.to_owned(), signature.to_owned(), SECRET.to_owned(), PASSWORD.to_owned(), base64];
    let encoded = |secret: &String| secret.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    let references = |secret: &String| secret.bytes().map(|b| format!("&#{b};")).collect::<String>();
    let marks = "a\u{202e}b\u{61c}c\u{200e}d\u{2066}e\u{1b}[31mf\u{85}g\u{2028}h&#x202e;&#27;&#0;".to_owned();
    let long = |secret: &String| format!("{}{secret}", "x".repeat(490));
    secrets
        .iter()
        .flat_map(|secret| [secret.clone(), encoded(secret), references(secret), long(secret)])
        .chain([marks])
        .collect()
}

type Place = fn(&str) -> String;

/// A whole response to a listing, with the text in one place.
fn response(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nDate: {}\r\nContent-Length: {length}\r\n\r\n{body}", DATE)
}

const DATE: &str = "Wed, 01 Jul 2015 05:28:27 GMT";

fn list(inner: &str) -> String {
    response("200 OK", &format!("<ListMultipartUploadsResult>{inner}</ListMultipartUploadsResult>"))
}

fn one_upload(key: &str, upload_id: &str, more: &str) -> String {
    list(&format!(
        "<IsTruncated>false</IsTruncated>{more}<Upload><Key>{key}</Key><UploadId>{upload_id}</UploadId></Upload>"
    ))
}

/// Without line ends, which would end a header.
fn header(name: &str, text: &str) -> String {
    format!("403 Forbidden\r\n{name}: {}", text.replace(['\u{85}', '\u{1b}', '\u{2028}'], "?"))
}

const PLACES: &[(&str, Place)] = &[
    ("a reason phrase", |t| response(&format!("200 {t}"), "<x/>")),
    ("an end tag", |t| list(&format!("<IsTruncated>false</{t}>"))),
    ("a start tag", |t| list(&format!("<{t}>false</IsTruncated>"))),
    ("an attribute", |t| list(&format!("<IsTruncated a=\"{t}\" a='{t}' {t}>"))),
    ("an entity", |t| list(&format!("<IsTruncated>&{t};</IsTruncated>"))),
    ("a root", |t| response("200 OK", &format!("<{t}></{t}>"))),
    ("text before the root", |t| response("200 OK", t)),
    ("text after the root", |t| one_upload("db/k", "i", "") + t),
    ("a comment", |t| list(&format!("<!-- {t} --"))),
    ("a document type", |t| response("200 OK", &format!("<!DOCTYPE {t} SYSTEM '{t}'>"))),
    ("IsTruncated", |t| list(&format!("<IsTruncated>{t}</IsTruncated>"))),
    ("EncodingType", |t| one_upload("db/k", "i", &format!("<EncodingType>{t}</EncodingType>"))),
    ("a marker", |t| list(&format!("<IsTruncated>true</IsTruncated><NextKeyMarker>{t}</NextKeyMarker>"))),
    ("a key outside the prefix", |t| one_upload(t, "i", "")),
    ("a key in the prefix", |t| one_upload(&format!("db/{t}"), "i", "")),
    ("an encoded key in the prefix", |t| {
        one_upload(&format!("db/{t}"), "i", "<EncodingType>url</EncodingType>")
    }),
    ("an upload id", |t| one_upload("db/k", t, "")),
    ("an error in place of a list", |t| response("200 OK", &format!("<Error><Code>{t}</Code></Error>"))),
    ("the title of a page", |t| response("200 OK", &format!("<html><title>{t}</title>"))),
    ("a content coding", |t| response(&format!("200 OK\r\nContent-Encoding: {}", header("", t)), "x")),
    ("a Date", |t| format!("HTTP/1.1 {}\r\n\r\n", header("Date", t).replace("403", "200"))),
    ("the code of an error", |t| response("403 x", &format!("<Error><Code>{t}</Code></Error>"))),
    ("the message of an error", |t| response("403 x", &format!("<Error><Message>{t}</Message></Error>"))),
    ("the endpoint of an error", |t| response("301 x", &format!("<Error><Endpoint>{t}</Endpoint></Error>"))),
    ("the title of an error", |t| response("502 x", &format!("<html><title>{t}</title>"))),
    ("an error code in a header", |t| response(&header("x-obs-error-code", t), "")),
    ("a request id", |t| response(&header("x-obs-request-id", t), "")),
    ("a host id", |t| response(&header("x-obs-id-2", t), "")),
    ("a region", |t| response(&header("x-amz-bucket-region", t).replace("403", "301"), "")),
    ("a Location", |t| response(&header("Location", t).replace("403", "302"), "")),
    ("the host of a Location", |t| {
        response(
            &header("Location", &format!("http://backups.{t}.obs.example.com/")).replace("403", "307"),
            "",
        )
    }),
    ("no HTTP", |t| format!("{t}\r\n\r\n")),
];

/// Whatever a server sends, wherever it puts it: in what comes of a sweep there is no secret, and nothing that changes
/// how a terminal shows it.
#[test]
fn no_text_of_a_server_reaches_a_line_as_it_is() {
    let rows = PLACES.iter().flat_map(|place| (0..hostile_texts("").len()).map(move |text| (place, text)));
    let failed: Vec<String> = rows
        .filter_map(|((place, write), text)| {
            // The Date matters only if the age does.
            let older_than = if *place == "a Date" { 3600 } else { 0 };
            let run = std::panic::AssertUnwindSafe(|| sweep_of_a_hostile_server(*write, text, older_than));
            let why = std::panic::catch_unwind(run).err()?;
            let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
            Some(format!("{place}, text {text}: {why}"))
        })
        .collect();
    assert!(failed.is_empty(), "{} rows failed\n{}", failed.len(), failed.join("\n"));
}

/// `write` puts the text into responses to listings. Aborts are refused with it.
fn sweep_of_a_hostile_server(write: Place, text: usize, older_than: u64) {
    let recorder = Recorder::answering(move |head| {
        let authorization = head.header("authorization").unwrap();
        let text = hostile_texts(authorization.rsplit_once(':').unwrap().1).remove(text);
        match head.line.starts_with("GET") {
            true => write(&text).into_bytes(),
            false => response("403 x", &format!("<Error><Message>{text}</Message></Error>")).into_bytes(),
        }
    });
    let told = Told::new();
    let proxy = format!("http://user:{PASSWORD}@{}", recorder.address());
    let config = Config::new("http://obs.example.com").credentials("AK", SECRET, Some(TOKEN)).proxy(&proxy);
    let client = told.hear(config.max_attempts(1), DEBUG).client();
    let ending =
        client.stale(None, "backups", Some("db/"), older_than, INCLUDE_LIVE as u32, &mut |_, _, _| false);
    assert_ne!(ending.code, code::OK);
    let failures = ending.report.map(|report| report.failures).unwrap_or_default();
    let mut texts: Vec<String> = ending.error.into_iter().collect();
    for failure in failures {
        let Outcome { message, service_code, request_id, host_id, .. } = failure;
        texts.extend([message, service_code, request_id, host_id].into_iter().flatten());
    }
    let marks = ['\u{61c}', '\u{200e}', '\u{202e}', '\u{2028}', '\u{2066}'];
    for line in texts.iter().chain(told.lines.lock().unwrap().iter().map(|(_, line)| line)) {
        assert!(!line.chars().any(|c| c.is_control() || marks.contains(&c)), "{line:?}");
    }
    assert_no_secret(told, &[&recorder], texts);
}

#[test]
fn rotated_secrets_are_not_logged_either() {
    let server = server();
    server.add_access_key(&AccessKey::temporary("AK2", SECRET, TOKEN));
    let told = Told::new();
    let client = told.hear(Config::new(&server.endpoint()), DEBUG).client();
    assert_eq!(client.set_credentials("AK2", SECRET, Some(TOKEN)), code::OK);
    let id = server.create_upload("backups", "k");
    let (code, _, error) = client.abort("backups", "k", &id);
    assert_eq!(
        (code, client.set_credentials("AK2", &format!("{SECRET}\n"), None)),
        (code::OK, code::INVALID_ARGUMENT)
    );
    assert_no_secret(told, &[], error);
}

#[test]
fn a_callback_may_call_the_library() {
    within_a_minute("a callback that calls back", || {
        let server: &'static Server = Box::leak(Box::new(server()));
        let told = Told::new();
        let config = told.hear(Config::new(&server.endpoint()).max_connections(1), DEBUG);
        let client: &'static Client = Box::leak(Box::new(config.client()));
        thread_local!(static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
        // Workers are threads of their own, and what they are told nests again: that must have an end.
        static LEFT: AtomicUsize = AtomicUsize::new(0);
        let nested = move |_: i32, _: &str| {
            let left = |left: usize| left.checked_sub(1);
            if INSIDE.get() || LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_err() {
                return;
            }
            INSIDE.set(true);
            assert_eq!(client.set_credentials(ACCESS_KEY, SECRET_KEY, None), code::OK);
            let id = server.create_upload("backups", "nested");
            let (code, _, error) = client.abort("backups", "nested", &id);
            assert_eq!((code, server.was_aborted(&id)), (code::OK, true), "{error:?}");
            let ending = client.many(None, "backups", &[("nested", "gone")], &mut |_, _, _| false);
            assert_eq!(ending.code, code::OK, "{ending:?}");
            assert_eq!(
                client.stale(None, "backups", Some("none/"), 60, 0, &mut |_, _, _| false).code,
                code::OK
            );
            drop(Config::new(&server.endpoint()).client());
            INSIDE.set(false);
        };
        assert!(told.then.set(Box::new(nested)).is_ok());
        let nesting = |run: &dyn Fn()| {
            LEFT.store(6, Ordering::SeqCst);
            run();
            assert_eq!(LEFT.load(Ordering::SeqCst), 0, "it called back as often as it could");
        };
        nesting(&|| three_calls(server, client));
        let ninety = Initiated::Ago(Duration::from_secs(90));
        let ids = server.create_uploads("backups", 5, &ninety, |n| format!("m{n}"));
        let keys: Vec<String> = (0..5).map(|n| format!("m{n}")).collect();
        let uploads: Vec<_> = keys.iter().zip(&ids).map(|(key, id)| (key.as_str(), id.as_str())).collect();
        let many = || client.many(None, "backups", &uploads, &mut |_, _, _| false).code;
        nesting(&|| assert_eq!(many(), code::OK));
        server.create_uploads("backups", 5, &ninety, |n| format!("s{n}"));
        let stale = || client.stale(None, "backups", Some("s"), 60, 0, &mut |_, _, _| false).code;
        nesting(&|| assert_eq!(stale(), code::OK));
    });
}

#[test]
fn a_callback_may_cancel_and_shut_down() {
    within_a_minute("a callback that shuts down", || {
        let server = server();
        server.fault(Fault::answer(503).error("SlowDown").always());
        let told = Told::new();
        let client: &'static Client =
            Box::leak(Box::new(told.hear(Config::new(&server.endpoint()), WARN).client()));
        let call: &'static support::Call = Box::leak(Box::new(support::Call::new()));
        assert!(told.then.set(Box::new(move |_, _| call.cancel())).is_ok());
        assert_eq!(client.outcome(Some(call), "backups", "k", "i").code, code::CANCELLED);
        let told = Told::new();
        let client: &'static Client =
            Box::leak(Box::new(told.hear(Config::new(&server.endpoint()), WARN).client()));
        assert!(told.then.set(Box::new(move |_, _| client.shutdown())).is_ok());
        assert_eq!(client.outcome(None, "backups", "k", "i").code, code::CANCELLED);
        assert_eq!(client.outcome(None, "backups", "k", "i").code, code::CANCELLED, "later ones, too");
    });
}

#[test]
fn a_slow_callback_holds_up_nobody_else() {
    within_a_minute("a slow callback", || {
        let server = server();
        let told = Told::new();
        let (entered, wait_entered) = mpsc::channel();
        let (release, wait_release) = mpsc::channel::<()>();
        let gates = Mutex::new(Some((entered, wait_release)));
        // The first line that is told stays in the callback until the others are done.
        let hold = move |_: i32, _: &str| {
            let gates = gates.lock().unwrap().take();
            if let Some((entered, wait_release)) = gates {
                entered.send(()).unwrap();
                wait_release.recv().unwrap();
            }
        };
        assert!(told.then.set(Box::new(hold)).is_ok());
        let client = told.hear(Config::new(&server.endpoint()).max_connections(1), DEBUG).client();
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| client.abort("backups", "slow", "i").0);
            wait_entered.recv().unwrap();
            for _ in 0..3 {
                let id = server.create_upload("backups", "k");
                assert_eq!(client.abort("backups", "k", &id).0, code::OK);
            }
            assert_eq!(client.set_credentials(ACCESS_KEY, SECRET_KEY, None), code::OK);
            assert!(!slow.is_finished());
            release.send(()).unwrap();
            assert_eq!(slow.join().unwrap(), code::NO_SUCH_UPLOAD);
        });
    });
}

#[test]
fn nothing_goes_to_stdout_or_stderr() {
    const NAME: &str = "nothing_goes_to_stdout_or_stderr";
    if !is_again(NAME) {
        let output = apart::run(NAME, &[("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let between = stdout.split_once("BEGIN\n").and_then(|(_, rest)| rest.split_once("END\n"));
        assert_eq!(between.map(|(between, _)| between), Some(""), "{stdout}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        return;
    }
    println!("BEGIN");
    let server = server();
    for told in [None, Some(Told::new())] {
        let config = Config::new(&server.endpoint()).max_attempts(2);
        let client = match told {
            Some(told) => told.hear(config, DEBUG).client(),
            None => config.client(),
        };
        three_calls(&server, &client);
        for fault in [
            Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"),
            Fault::silence().then(End::Reset),
            Fault::answer(403).error("SignatureDoesNotMatch"),
            Fault::answer(307).header("Location", "http://evil.example/"),
        ] {
            server.fault(fault.times(2));
            assert_ne!(client.abort("backups", "k", "i").0, code::OK);
            server.clear_faults();
        }
        assert_eq!(client.abort("a/b", "", "").0, code::INVALID_ARGUMENT);
        let plain_port = server.endpoint().replace("http:", "https:");
        let tls = Config::new(&plain_port).max_attempts(1).client();
        assert_eq!(tls.abort("backups", "k", "i").0, code::TLS);
        assert!(Config::bare().try_client().is_err());
        client.shutdown();
    }
    // A recorder's own thread would print where it panics: it must not have.
    let recorder = Recorder::start();
    assert_eq!(Config::new(&recorder.url()).client().abort("backups", "k", "i").0, code::OK);
    println!("END");
}
