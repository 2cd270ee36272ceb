//! What never changes: numbers, names and sentences of the codes, the versions, the header's constants, the symbols.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::path::Path;
use std::process::Command;

use support::{borrowed, lib, library_path};

/// As the contract has them: written down once more, by hand, so that a slip in the library can't bring its test along.
const CODES: [(i32, &str); 23] = [
    (0, "ok"),
    (10, "invalid_argument"),
    (11, "invalid_config"),
    (12, "no_credentials"),
    (20, "resolve"),
    (21, "connect"),
    (22, "tls"),
    (23, "timeout"),
    (24, "io"),
    (25, "protocol"),
    (26, "cancelled"),
    (30, "access_denied"),
    (31, "no_such_upload"),
    (32, "no_such_bucket"),
    (33, "clock_skew"),
    (34, "throttled"),
    (35, "server"),
    (36, "redirect"),
    (37, "rejected"),
    (38, "parts_remain"),
    (39, "partial"),
    (40, "still_listed"),
    (90, "internal"),
];

const SETTINGS: [(&str, i64); 16] = [
    ("OBS_ABORT_CREDENTIALS_ENV", 1),
    ("OBS_ABORT_CREDENTIALS_ECS", 2),
    ("OBS_ABORT_CREDENTIALS_CHAIN", 3),
    ("OBS_ABORT_ADDRESSING_AUTO", 0),
    ("OBS_ABORT_ADDRESSING_VIRTUAL_HOST", 1),
    ("OBS_ABORT_ADDRESSING_PATH", 2),
    ("OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN", 3),
    ("OBS_ABORT_SIGNATURE_AUTO", 0),
    ("OBS_ABORT_SIGNATURE_OBS", 1),
    ("OBS_ABORT_SIGNATURE_AWS_V2", 2),
    ("OBS_ABORT_LOG_ERROR", 1),
    ("OBS_ABORT_LOG_WARN", 2),
    ("OBS_ABORT_LOG_INFO", 3),
    ("OBS_ABORT_LOG_DEBUG", 4),
    ("OBS_ABORT_DRY_RUN", 1),
    ("OBS_ABORT_INCLUDE_LIVE", 2),
];

fn code_name(code: i32) -> String {
    unsafe { borrowed(lib().obs_abort_code_name(code)) }.expect("never NULL")
}

fn strerror(code: i32) -> String {
    unsafe { borrowed(lib().obs_abort_strerror(code)) }.expect("never NULL")
}

fn header() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/obsabort.h")).unwrap()
}

/// Names and values of the header's `#define`s, the include guard excepted.
fn defines() -> BTreeMap<String, String> {
    let header = header();
    let lines = header.lines().filter_map(|line| line.strip_prefix("#define "));
    lines
        .filter(|line| *line != "OBSABORT_H")
        .map(|line| line.split_once(' ').expect("a name and a value"))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = header();
    let mut names = BTreeSet::new();
    let mut in_comment = false;
    for line in header.lines() {
        in_comment |= line.trim_start().starts_with("/*");
        let declares = !in_comment && !line.starts_with([' ', '#', 't', '}']);
        if let Some((before, _)) = line.split_once('(').filter(|_| declares) {
            names.insert(before.rsplit([' ', '*']).next().unwrap().to_owned());
        }
        in_comment &= !line.contains("*/");
    }
    names
}

/// What the dynamic linker can find in the library, but for its own version nodes.
fn exported() -> BTreeSet<String> {
    let nm = Command::new("nm").arg("-D").arg("--defined-only").arg(library_path()).output();
    let nm = nm.expect("nm is there, since the linker is: apt-get install binutils");
    assert!(nm.status.success(), "{}", String::from_utf8_lossy(&nm.stderr));
    let text = String::from_utf8(nm.stdout).unwrap();
    text.lines().map(|line| line.split_whitespace().last().unwrap().to_owned()).collect()
}

#[test]
fn each_code_has_its_number_its_name_and_a_sentence_of_its_own() {
    let mut sentences = BTreeSet::new();
    for (code, name) in CODES {
        assert_eq!(code_name(code), name, "{code}");
        let sentence = strerror(code);
        assert!(sentence.len() > 10 && sentence.is_ascii() && !sentence.contains('\n'), "{sentence}");
        assert!(
            sentence.ends_with('.') && sentence.starts_with(|c: char| c.is_ascii_uppercase()),
            "{sentence}"
        );
        assert!(sentences.insert(sentence), "{name} says the same as another");
    }
}

#[test]
fn unknown_codes_have_a_name_and_a_sentence_too() {
    let unknown = strerror(-1);
    assert!(!unknown.is_empty());
    let known: Vec<i32> = CODES.iter().map(|(code, _)| *code).collect();
    let all = (-300..1000).chain([i32::MIN, i32::MIN + 1, i32::MAX, 0x1_0000, -0x1_0000]);
    for code in all.filter(|code| !known.contains(code)) {
        assert_eq!(code_name(code), "unknown", "{code}");
        assert_eq!(strerror(code), unknown, "{code}");
    }
    assert!(known.iter().all(|code| strerror(*code) != unknown));
}

#[test]
fn static_strings_stay_where_they_are() {
    let lib = lib();
    unsafe {
        assert_eq!(lib.obs_abort_strerror(31), lib.obs_abort_strerror(31));
        assert_eq!(lib.obs_abort_code_name(31), lib.obs_abort_code_name(31));
        assert_eq!(lib.obs_abort_version(), lib.obs_abort_version());
    }
}

#[test]
fn versions_agree() {
    let lib = lib();
    let version = unsafe { CStr::from_ptr(lib.obs_abort_version()) }.to_str().unwrap();
    let number = unsafe { lib.obs_abort_version_number() };
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(parts.len(), 3, "{version}");
    // The whole number, since a sum with one part taken twice would pass a look at each part.
    assert_eq!(number, parts[0] * 1_000_000 + parts[1] * 1000 + parts[2]);
    let defines = defines();
    assert_eq!(defines["OBS_ABORT_VERSION"], format!("\"{version}\""));
    assert_eq!(defines["OBS_ABORT_VERSION_NUMBER"], number.to_string());
}

#[test]
fn the_header_has_the_constants_of_the_contract_and_no_others() {
    let mut wanted: BTreeMap<String, String> =
        SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    for (code, name) in CODES {
        wanted.insert(format!("OBS_ABORT_{}", name.to_ascii_uppercase()), code.to_string());
    }
    let mut defined = defines();
    assert!(defined.remove("OBS_ABORT_VERSION").is_some());
    assert!(defined.remove("OBS_ABORT_VERSION_NUMBER").is_some());
    assert_eq!(defined, wanted);
}

#[test]
fn every_type_in_the_header_bears_the_prefix() {
    let header = header();
    let typedefs: Vec<&str> = header
        .lines()
        .filter(|line| line.starts_with("typedef ") || line.starts_with("} "))
        .filter(|line| !line.ends_with('{') && !line.contains("extern"))
        .collect();
    assert!(typedefs.len() >= 8, "{typedefs:?}");
    for line in typedefs {
        assert!(line.contains("obs_abort_"), "{line}");
    }
    for word in ["bool", "enum", "_Bool", "stdbool"] {
        let used = header.lines().filter(|line| !line.starts_with(" *")).any(|line| line.contains(word));
        assert!(!used, "{word} crosses the boundary");
    }
}

#[test]
fn exported_symbols_are_the_functions_of_the_header() {
    let declared = declared();
    assert!(declared.len() >= 50, "{declared:?}");
    assert!(declared.iter().all(|name| name.starts_with("obs_abort_")), "{declared:?}");
    let exported = exported();
    assert_eq!(exported, declared, "left: in the .so; right: in the header");
    lib(); // Panics where one that the tests know is missing.
}

#[test]
fn codes_are_what_calls_return() {
    // One of each end of the table, so that the constants are more than names.
    let code = unsafe { lib().obs_abort_config_set_confirm(std::ptr::null_mut(), 1) };
    assert_eq!((code, code_name(code).as_str()), (10, "invalid_argument"));
    let (code, error) = support::Config::bare().try_client().err().expect("no endpoint, no client");
    assert_eq!(code, 11);
    assert!(error.starts_with("invalid_config: ") && error.contains("endpoint"), "{error}");
}
