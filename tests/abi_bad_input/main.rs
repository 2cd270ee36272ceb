//! Bad input gets a clear error, and nothing is sent: each limit of the verbs' arguments, just below and just beyond.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{CString, c_char};
use std::net::TcpListener;
use std::ptr::{null, null_mut};

use obs_local::{Options, Server};
use support::{Client, Config, Outcome, borrowed, c, code, lib, owned, upload};

const ID: &str = "00000163D40171ED8DF4050919BD02B8";

/// A listener that nobody may connect to, and a client that would.
struct Quiet {
    listener: TcpListener,
    client: Client,
}

impl Quiet {
    fn new() -> Quiet {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // One attempt, and soon over, should something be sent after all.
        let config = Config::new(&endpoint).timeout_ms(500).max_attempts(1);
        Quiet { client: config.client(), listener }
    }

    /// The kernel accepts connections whether or not the program does: one made earlier would be waiting here.
    fn assert_no_connection(&self, what: &str) {
        let waiting = self.listener.accept();
        assert!(
            waiting.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
            "{what}: {waiting:?}"
        );
    }

    /// Both verbs for one upload refuse it, name the part, and send nothing.
    fn refuses(&self, bucket: &[u8], key: &[u8], id: &[u8], named: &str) {
        let what = format!(
            "{:?} {:?} {:?}",
            String::from_utf8_lossy(bucket),
            String::from_utf8_lossy(key),
            String::from_utf8_lossy(id)
        );
        let strings = [bucket, key, id].map(|bytes| CString::new(bytes).unwrap());
        let [bucket, key, id] = strings.each_ref().map(|string| string.as_ptr());
        let (mut status, mut error) = (-7, std::ptr::dangling_mut::<c_char>());
        let code = unsafe {
            lib().obs_abort_multipart(self.client.0, bucket, key, id, &raw mut status, &raw mut error)
        };
        let error = unsafe { owned(error) }.unwrap_or_else(|| panic!("{what}: no error string"));
        assert_eq!((code, status), (code::INVALID_ARGUMENT, 0), "{what}: {error}");
        assert_one_clear_line(&error, named);
        let mut outcome = std::ptr::dangling_mut();
        unsafe {
            let code =
                lib().obs_abort_multipart_outcome(self.client.0, null(), bucket, key, id, &raw mut outcome);
            let all = Outcome::read(outcome);
            lib().obs_abort_outcome_free(outcome);
            assert_eq!(code, code::INVALID_ARGUMENT, "{what}");
            assert_eq!((all.code, all.http_status, all.attempts), (code, 0, 0), "{what}");
            assert_eq!((all.initiated, all.index), (-1, -1), "{what}");
            assert_eq!(all.message.as_deref(), Some(error.as_str()), "{what}");
            assert_eq!((all.service_code, all.request_id, all.host_id), (None, None, None), "{what}");
        }
        self.assert_no_connection(&what);
    }
}

fn assert_one_clear_line(error: &str, named: &str) {
    assert!(error.starts_with("invalid_argument: "), "{error}");
    assert!(error.contains(named), "{error:?} does not name the {named}");
    assert!(!error.chars().any(char::is_control), "{error:?} is not one line");
    assert!(error.len() > "invalid_argument: ".len() + 10 && error.len() < 400, "{error}");
}

#[test]
fn illegal_buckets_are_refused() {
    let quiet = Quiet::new();
    let long = "a".repeat(64);
    let bad: [&str; 38] = [
        "",
        "a",
        "ab",
        &long,
        " ",
        "   ",
        "ab ",
        " abc",
        "a b",
        "abc\n",
        "abc\r\n",
        "abc\r\nX-Evil: 1",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\u{1}b",
        "a\u{7f}b",
        "a/b",
        "/abc",
        "abc/",
        "abc/../def",
        "a@b",
        "user@abc",
        "a#b",
        "abc?x",
        "a%2fb",
        "a:b",
        "abc:80",
        "a\\b",
        "a_b",
        "Abc",
        "abcé",
        "-abc",
        "abc-",
        ".abc",
        "abc.",
        "a..b",
        "192.168.0.1",
    ];
    for bucket in bad {
        quiet.refuses(bucket.as_bytes(), b"k", ID.as_bytes(), "bucket");
    }
    quiet.refuses(b"ab\xffc", b"k", ID.as_bytes(), "bucket");
    quiet.refuses(b"999.999.999.999", b"k", ID.as_bytes(), "bucket");
}

#[test]
fn illegal_keys_are_refused() {
    let quiet = Quiet::new();
    quiet.refuses(b"bucket", b"", ID.as_bytes(), "key");
    quiet.refuses(b"bucket", &[b'k'; 1025], ID.as_bytes(), "key");
    // 1024 bytes are meant, not 1024 characters.
    quiet.refuses(b"bucket", "é".repeat(513).as_bytes(), ID.as_bytes(), "key");
    for not_utf8 in [&b"\xff"[..], b"a\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"caf\xe9"] {
        quiet.refuses(b"bucket", not_utf8, ID.as_bytes(), "key");
    }
}

#[test]
fn illegal_upload_ids_are_refused() {
    let quiet = Quiet::new();
    quiet.refuses(b"bucket", b"k", b"", "upload id");
    quiet.refuses(b"bucket", b"k", &[b'u'; 1025], "upload id");
    for white in
        [" ", "     ", "\t", "\n", "\r\n", " \t ", "\u{a0}", "\u{3000}", "\u{2028}", "\u{85}", "\u{b}"]
    {
        quiet.refuses(b"bucket", b"k", white.as_bytes(), "upload id");
    }
    for control in
        ["a\n", "\na", "a\r\nX-Evil: 1", "a\tb", "a\u{1}", "\u{7f}a", "a\u{1b}[0m", "a\u{9f}", "a\u{80}b"]
    {
        quiet.refuses(b"bucket", b"k", control.as_bytes(), "upload id");
    }
    quiet.refuses(b"bucket", b"k", b"\xff\xfe", "upload id");
}

/// Copied along with an id, and invisible: sent, it would give NoSuchUpload, which looks like "gone".
#[test]
fn upload_ids_with_white_space_at_an_end_are_refused() {
    let quiet = Quiet::new();
    for (white, named) in [
        (" ", "white space"),
        ("\u{a0}", "U+00A0"),
        ("\u{2003}", "U+2003"),
        ("\u{202f}", "U+202F"),
        ("\u{3000}", "U+3000"),
        ("\u{1680}", "U+1680"),
        ("\u{2028}", "U+2028"),
        ("\u{feff}", "U+FEFF"),
        ("\u{200b}", "U+200B"),
        ("\u{200e}", "U+200E"),
        ("\u{2060}", "U+2060"),
    ] {
        for id in [format!("{white}{ID}"), format!("{ID}{white}"), format!("{white}{ID}{white}")] {
            quiet.refuses(b"bucket", b"k", id.as_bytes(), named);
        }
        quiet.refuses(b"bucket", b"k", format!("é{white}").as_bytes(), "upload id");
    }
}

#[test]
fn limits_are_reached_and_hard_keys_legal() {
    let server = Server::start(Options { buckets: vec!["abc".into(), "a".repeat(63)], ..Options::default() });
    let client = Config::new(&server.endpoint()).client();
    let long = "k".repeat(1024);
    let wide = "é".repeat(512);
    for key in [" ", "/", ".", "..", "\n", "\u{1}", "a\r\nX-Evil: 1", "?uploadId=x", &long, &wide] {
        let id = server.create_upload("abc", key);
        assert_eq!(client.abort("abc", key, &id), (code::OK, 204, None), "{key:?}");
        assert!(server.was_aborted(&id), "{key:?}");
    }
    let initiated = obs_local::Initiated::Ago(std::time::Duration::ZERO);
    for id in ["i", "a b", "a\u{a0}b", "2~abcDEF-_.", "a&acl", "é", &"u".repeat(1024)] {
        server.create_upload_with_id("abc", "k", id, &initiated);
        assert_eq!(client.abort("abc", "k", id), (code::OK, 204, None), "{id:?}");
    }
    let bucket = "a".repeat(63);
    let id = server.create_upload(&bucket, "k");
    assert_eq!(client.abort(&bucket, "k", &id), (code::OK, 204, None));
    for bucket in ["1.2.3", "a-b.c", "0ab", "1.2.3.4.5"] {
        let outcome = client.outcome(None, bucket, "k", ID);
        assert_eq!(outcome.code, code::NO_SUCH_BUCKET, "{bucket}: legal, and sent");
    }
}

#[test]
fn a_host_name_that_a_bucket_makes_too_long_is_refused() {
    let endpoint = format!("http://{}.{}", vec!["a".repeat(60); 3].join("."), "b".repeat(60));
    let client = Config::new(&endpoint).proxy("http://127.0.0.1:1").client();
    let outcome = client.outcome(None, &"c".repeat(63), "k", ID);
    assert_eq!((outcome.code, outcome.attempts), (code::INVALID_ARGUMENT, 0), "{outcome:?}");
    assert_one_clear_line(&outcome.message.unwrap(), "bucket");
}

#[test]
fn null_in_each_place_of_a_verb_is_an_argument_error() {
    let quiet = Quiet::new();
    let lib = lib();
    let (bucket, key, id) = (c("bucket"), c("k"), c(ID));
    let all = [bucket.as_ptr(), key.as_ptr(), id.as_ptr()];
    for (missing, named) in [(0, "bucket"), (1, "key"), (2, "upload id"), (3, "client")] {
        let mut args = all;
        let mut client = quiet.client.0;
        match args.get_mut(missing) {
            Some(arg) => *arg = null(),
            None => client = null_mut(),
        }
        let (mut status, mut error) = (-7, std::ptr::dangling_mut::<c_char>());
        unsafe {
            let [b, k, i] = args;
            assert_eq!(
                lib.obs_abort_multipart(client, b, k, i, &raw mut status, &raw mut error),
                10,
                "{named}"
            );
            assert_eq!(status, 0, "{named}");
            assert_one_clear_line(&owned(error).unwrap(), named);
            assert_eq!(lib.obs_abort_multipart(client, b, k, i, null_mut(), null_mut()), 10, "{named}");
            let mut outcome = std::ptr::dangling_mut();
            assert_eq!(
                lib.obs_abort_multipart_outcome(client, null(), b, k, i, &raw mut outcome),
                10,
                "{named}"
            );
            assert_eq!(outcome.is_null(), client.is_null(), "{named}: an outcome whenever there is a client");
            if !outcome.is_null() {
                assert_one_clear_line(&borrowed(lib.obs_abort_outcome_message(outcome)).unwrap(), named);
                let (key, id) =
                    (lib.obs_abort_outcome_key(outcome), lib.obs_abort_outcome_upload_id(outcome));
                assert_eq!(borrowed(key).as_deref(), Some(if missing == 1 { "" } else { "k" }));
                assert_eq!(borrowed(id).as_deref(), Some(if missing == 2 { "" } else { ID }));
                lib.obs_abort_outcome_free(outcome);
            }
            assert_eq!(lib.obs_abort_multipart_outcome(client, null(), b, k, i, null_mut()), 10, "{named}");
        }
    }
    quiet.assert_no_connection("NULL");
}

#[test]
fn many_and_stale_refuse_what_they_can_not_work_with() {
    let quiet = Quiet::new();
    let lib = lib();
    let (bucket, wrong, key, id) = (c("bucket"), c("a/b"), c("k"), c(ID));
    let list = [upload { key: key.as_ptr(), upload_id: id.as_ptr() }];
    let many = |client, bucket, uploads, named: &str| unsafe {
        let (mut report, mut error) = (std::ptr::dangling_mut(), std::ptr::dangling_mut());
        let code = lib.obs_abort_many(
            client,
            null(),
            bucket,
            uploads,
            1,
            None,
            null_mut(),
            &raw mut report,
            &raw mut error,
        );
        assert_eq!((code, report.is_null()), (code::INVALID_ARGUMENT, true), "{named}");
        assert_one_clear_line(&owned(error).unwrap(), named);
        let code =
            lib.obs_abort_many(client, null(), bucket, uploads, 1, None, null_mut(), null_mut(), null_mut());
        assert_eq!(code, code::INVALID_ARGUMENT, "{named}");
    };
    many(null_mut(), bucket.as_ptr(), list.as_ptr(), "client");
    many(quiet.client.0, null(), list.as_ptr(), "bucket");
    many(quiet.client.0, wrong.as_ptr(), list.as_ptr(), "bucket");
    many(quiet.client.0, bucket.as_ptr(), null(), "uploads");
    let long = c(&"p".repeat(1025));
    let not_utf8 = CString::new(b"\xff".to_vec()).unwrap();
    let stale = |client, bucket, prefix, age, flags, named: &str| unsafe {
        let (mut report, mut error) = (std::ptr::dangling_mut(), std::ptr::dangling_mut());
        let code = lib.obs_abort_stale(
            client,
            null(),
            bucket,
            prefix,
            age,
            flags,
            None,
            null_mut(),
            &raw mut report,
            &raw mut error,
        );
        assert_eq!((code, report.is_null()), (code::INVALID_ARGUMENT, true), "{named}");
        assert_one_clear_line(&owned(error).unwrap(), named);
    };
    stale(null_mut(), bucket.as_ptr(), null(), 60, 0, "client");
    stale(quiet.client.0, null(), null(), 60, 0, "bucket");
    stale(quiet.client.0, wrong.as_ptr(), null(), 60, 0, "bucket");
    stale(quiet.client.0, bucket.as_ptr(), long.as_ptr(), 60, 0, "prefix");
    stale(quiet.client.0, bucket.as_ptr(), not_utf8.as_ptr(), 60, 0, "prefix");
    stale(quiet.client.0, bucket.as_ptr(), null(), 0, 0, "older_than_seconds");
    for flags in [4, 7, 0x100, u32::MAX] {
        stale(quiet.client.0, bucket.as_ptr(), null(), 60, flags, "flags");
        stale(quiet.client.0, bucket.as_ptr(), null(), 0, flags, "flags");
    }
    // A bad entry fails alone, and nothing is sent for it.
    let entries =
        [upload { key: null(), upload_id: id.as_ptr() }, upload { key: key.as_ptr(), upload_id: null() }];
    unsafe {
        let mut report = null_mut();
        let code = lib.obs_abort_many(
            quiet.client.0,
            null(),
            bucket.as_ptr(),
            entries.as_ptr(),
            2,
            None,
            null_mut(),
            &raw mut report,
            null_mut(),
        );
        assert_eq!(code, code::PARTIAL);
        assert_eq!((lib.obs_abort_report_total(report), lib.obs_abort_report_failed(report)), (2, 2));
        for i in 0..2 {
            let failure = Outcome::read(lib.obs_abort_report_failure(report, i));
            assert_eq!((failure.code, failure.attempts), (code::INVALID_ARGUMENT, 0), "{failure:?}");
            assert!(matches!(failure.index, 0 | 1), "{failure:?}");
        }
        lib.obs_abort_report_free(report);
        let code = lib.obs_abort_many(
            quiet.client.0,
            null(),
            bucket.as_ptr(),
            null(),
            0,
            None,
            null_mut(),
            &raw mut report,
            null_mut(),
        );
        assert_eq!(
            (code, lib.obs_abort_report_total(report)),
            (code::OK, 0),
            "an empty list is done at once"
        );
        lib.obs_abort_report_free(report);
    }
    quiet.assert_no_connection("many and stale");
}

#[test]
fn every_function_takes_null_for_its_handle() {
    let lib = lib();
    let text = c("text");
    let t = text.as_ptr();
    unsafe {
        lib.obs_abort_string_free(null_mut());
        lib.obs_abort_config_free(null_mut());
        lib.obs_abort_client_free(null_mut());
        lib.obs_abort_client_shutdown(null());
        lib.obs_abort_call_free(null_mut());
        lib.obs_abort_call_cancel(null());
        lib.obs_abort_outcome_free(null_mut());
        lib.obs_abort_report_free(null_mut());
        let n = null_mut();
        let codes = [
            lib.obs_abort_config_set_endpoint(n, t),
            lib.obs_abort_config_set_credentials(n, t, t, t),
            lib.obs_abort_config_set_credential_source(n, 1),
            lib.obs_abort_config_set_addressing(n, 0),
            lib.obs_abort_config_set_signature(n, 0),
            lib.obs_abort_config_set_connect_timeout_ms(n, 1),
            lib.obs_abort_config_set_response_timeout_ms(n, 1),
            lib.obs_abort_config_set_timeout_ms(n, 1),
            lib.obs_abort_config_set_max_attempts(n, 1),
            lib.obs_abort_config_set_max_connections(n, 1),
            lib.obs_abort_config_set_ca_file(n, t),
            lib.obs_abort_config_set_client_certificate(n, t, t),
            lib.obs_abort_config_set_proxy(n, t),
            lib.obs_abort_config_set_confirm(n, 1),
            lib.obs_abort_config_set_request_payer(n, 1),
            lib.obs_abort_config_set_user_agent(n, t),
            lib.obs_abort_config_set_log(n, None, null_mut(), 1),
            lib.obs_abort_client_set_credentials(null(), t, t, t, null_mut()),
            lib.obs_abort_call_set_timeout_ms(null_mut(), 1),
            lib.obs_abort_client_new(null(), null_mut(), null_mut()),
        ];
        assert_eq!(codes, [code::INVALID_ARGUMENT; 20]);
        let mut error = null_mut();
        assert_eq!(
            lib.obs_abort_client_set_credentials(null(), t, t, t, &raw mut error),
            code::INVALID_ARGUMENT
        );
        assert_one_clear_line(&owned(error).unwrap(), "client");
        let o = null();
        let numbers = [
            i64::from(lib.obs_abort_outcome_http_status(o)),
            i64::from(lib.obs_abort_outcome_attempts(o)),
            lib.obs_abort_report_total(null()) as i64,
            lib.obs_abort_report_aborted(null()) as i64,
            lib.obs_abort_report_missing(null()) as i64,
            lib.obs_abort_report_failed(null()) as i64,
            lib.obs_abort_report_kept(null()) as i64,
            lib.obs_abort_report_throttled(null()) as i64,
            lib.obs_abort_report_unknown_age(null()) as i64,
            lib.obs_abort_report_failure_count(null()) as i64,
        ];
        assert_eq!(numbers, [0; 10]);
        assert!(matches!(lib.obs_abort_outcome_code(o), 0 | code::INVALID_ARGUMENT));
        assert_eq!((lib.obs_abort_outcome_initiated(o), lib.obs_abort_outcome_index(o)), (-1, -1));
        let strings = [
            lib.obs_abort_outcome_message(o),
            lib.obs_abort_outcome_service_code(o),
            lib.obs_abort_outcome_request_id(o),
            lib.obs_abort_outcome_host_id(o),
            lib.obs_abort_outcome_key(o),
            lib.obs_abort_outcome_upload_id(o),
        ];
        assert_eq!(strings, [null(); 6]);
        assert!(lib.obs_abort_report_failure(null(), 0).is_null());
    }
}
