//! The committed header is the one that the Rust docs make, and says the library's version.
//!
//! `OBSABORT_UPDATE_HEADER=1 cargo test --test header` (or `make header`) writes it anew.

use std::path::Path;

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is readable");
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_crate(root)
        .generate()
        .expect("cbindgen reads the crate");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let version = env!("CARGO_PKG_VERSION");
    let number =
        version.split('.').fold(0, |number, part| number * 1000 + part.parse::<u32>().expect("a number"));
    String::from_utf8(text)
        .expect("the header is UTF-8")
        .replace("@VERSION@", version)
        .replace("@VERSION_NUMBER@", &number.to_string())
}

#[test]
fn header_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/obsabort.h");
    let fresh = generated();
    if std::env::var_os("OBSABORT_UPDATE_HEADER").is_some() {
        std::fs::write(&path, &fresh).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("the header is there");
    assert!(committed == fresh, "include/obsabort.h is stale: run `make header` and commit it");
}

#[test]
fn header_is_ascii_with_c89_comments() {
    let header = generated();
    assert!(!header.lines().any(|line| line.trim_start().starts_with("//")), "a // comment");
    assert!(header.is_ascii(), "something other than ASCII");
}

/// cbindgen also exports constants of the rooms below, if they are pub and numbers.
#[test]
fn each_constant_has_the_prefix() {
    let header = generated();
    for line in header.lines() {
        if let Some(definition) = line.strip_prefix("#define ") {
            assert!(definition.starts_with("OBS_ABORT_") || definition == "OBSABORT_H", "{line}");
        }
    }
}

/// The list of exported symbols stands between the header and what the linker shows, which tests/e2e/test_symbols.py
/// compares with it.
#[test]
fn each_function_is_listed_with_the_version_that_its_description_gives() {
    let header = generated();
    let mut functions = Vec::new();
    let mut since = None;
    for line in header.lines() {
        if line == "/**" {
            since = None;
        } else if let Some((_, version)) = line.split_once("Since ") {
            since = version.strip_suffix('.');
        } else if let Some((before, _)) = line.split_once('(')
            && let Some(name) = before.rsplit([' ', '*']).next().filter(|name| name.starts_with("obs_abort_"))
            && !line.starts_with([' ', '/'])
        {
            functions.push(format!("{name} {}", since.unwrap_or("of no version")));
        }
    }
    functions.sort();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/obsabort.symbols");
    let text = std::fs::read_to_string(&path).expect("the list is there");
    let listed: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(functions, listed);
}
