//! Keys and upload ids that are hard to read, or to send.

use super::*;

fn hard_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a+b",
        "a b",
        "a%20b",
        "a%2Bb",
        "100%",
        "a&b<c>\"d'",
        "é/漢字/😀",
        "?#&=;",
        " ",
        "//",
        ".",
        "a/../b",
    ]
    .map(String::from)
    .into();
    keys.extend(["line\nbreak".to_owned(), "tab\tand\rreturn".to_owned(), "ctrl\u{1}\u{7f}".to_owned()]);
    keys.push("k".repeat(1024));
    keys
}

/// As the service encodes them when asked to, and as one that ignores the wish or encodes unasked.
#[test]
fn hard_keys_are_found_and_aborted() {
    for quirks in [vec![], vec![ListQuirk::ForceEncodingType]] {
        for cap in [1000, 1] {
            let server = server();
            server.set_page_cap(cap);
            server.set_list_quirks(&quirks);
            for key in hard_keys() {
                server.create_upload_at("backups", &key, &ago(2 * HOUR));
            }
            let ending = swept(&client(&server), "");
            assert_eq!(ending.code, code::OK, "{quirks:?} {ending:?}");
            let all = hard_keys().len() as u64;
            assert_eq!(counts(&ending), (all, all, 0, 0, 0), "{quirks:?} {:?}", left(&server));
        }
    }
}

/// A C caller would be told of another key. It could only have that one aborted.
#[test]
fn a_key_that_no_c_string_holds() {
    for flags in [0, DRY_RUN] {
        let server = server();
        for key in ["old/a\0b", "old/b"] {
            server.create_upload_at("backups", key, &ago(2 * HOUR));
        }
        let ending = client(&server).stale(None, "backups", None, HOUR, flags, &mut |_, _, _| false);
        assert_eq!(ending.code, code::PARTIAL, "{ending:?}");
        assert_eq!(counts(&ending), (2, 1, 0, 1, 0), "{ending:?}");
        let failure = &report(&ending).failures[0];
        assert_eq!((failure.code, failure.attempts), (code::INVALID_ARGUMENT, 0), "{failure:?}");
        assert_eq!(left(&server).len(), if flags == 0 { 1 } else { 2 });
    }
}

/// An id that begins or ends with white space is none that a service issues: it fails alone, rather than be sent, and
/// counted as gone after NoSuchUpload.
#[test]
fn a_listed_id_with_white_space_at_an_end() {
    for flags in [0, DRY_RUN] {
        let server = server();
        for (key, id) in [("old/a", "0123456789ABCDEF\u{a0}"), ("old/b", "0123456789ABCDE0")] {
            server.create_upload_with_id("backups", key, id, &ago(2 * HOUR));
        }
        let ending = client(&server).stale(None, "backups", None, HOUR, flags, &mut |_, _, _| false);
        assert_eq!((ending.code, counts(&ending)), (code::PARTIAL, (2, 1, 0, 1, 0)), "{ending:?}");
        let failure = &report(&ending).failures[0];
        assert_eq!((failure.code, failure.attempts), (code::INVALID_ARGUMENT, 0), "{failure:?}");
        assert!(failure.message.as_ref().unwrap().contains("U+00A0"), "{failure:?}");
        assert_eq!(left(&server).len(), if flags == 0 { 1 } else { 2 });
    }
}

#[test]
fn keys_of_a_server_that_does_not_encode() {
    for quirk in [ListQuirk::IgnoreEncodingType, ListQuirk::HideEncodingType] {
        let server = server();
        server.set_list_quirks(&[quirk]);
        server.set_page_cap(3);
        // What XML can carry.
        let keys: Vec<String> =
            hard_keys().into_iter().filter(|key| !key.contains(['\u{1}', '\r', '\n', '\t'])).collect();
        for key in &keys {
            server.create_upload_at("backups", key, &ago(2 * HOUR));
        }
        let ending = swept(&client(&server), "");
        assert_eq!(ending.code, code::OK, "{quirk:?} {ending:?}");
        assert_eq!((report(&ending).missing, server.upload_count("backups")), (0, 0), "{quirk:?}");
    }
}

/// Raw control characters are no XML: never a wrong key, never "nothing found".
#[test]
fn keys_that_xml_cannot_carry() {
    let server = server();
    server.set_list_quirks(&[ListQuirk::IgnoreEncodingType, ListQuirk::RawControlCharacters]);
    server.create_upload_at("backups", "ctrl\u{1}", &ago(2 * HOUR));
    let ending = swept(&client(&server), "");
    let gone = server.upload_count("backups") == 0;
    assert!((ending.code == code::OK && gone) || ending.code == code::PROTOCOL, "{ending:?}");
    assert_eq!(report(&ending).missing, 0);
}
