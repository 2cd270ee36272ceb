//! The rooms of src/ and the arrows between them, as src/lib.rs draws them: an arrow points downwards only, so that there
//! is no cycle. Functions fit a screen.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the top. A room may use those after it.
const ROOMS: [&str; 6] = ["capi", "operation", "auth", "obs", "http", "base"];
/// The longest function, in lines.
const MAX_FUNCTION: usize = 70;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => files.extend(sources(&path)),
            Some(extension) if extension == "rs" => files.push(path),
            _ => {}
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules that a text names below `prefix`: `crate::room::module`, `super::module`, and lists in braces.
fn names_below<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let first_word = |text: &'a str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        &text[..end]
    };
    text.split(prefix).skip(1).flat_map(move |rest| match rest.strip_prefix('{') {
        Some(list) => {
            list[..list.find("};").unwrap_or(0)].split([',', '{']).map(str::trim).map(first_word).collect()
        }
        None => vec![first_word(rest)],
    })
}

/// A file's text without its tests.
fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
        .split("#[cfg(test)]\npub mod tests")
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn arrows_between_rooms_point_downwards() {
    let level = |room: &str| ROOMS.iter().position(|other| *other == room);
    let mut seen = BTreeSet::new();
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap().to_owned();
        let room = inside.iter().next().unwrap().to_str().unwrap().to_owned();
        let Some(from) = level(&room) else {
            assert_eq!(room, "lib.rs", "a room that is not in the list");
            continue;
        };
        for to in names_below(&code_of(&path), "crate::") {
            let below = level(to).unwrap_or_else(|| panic!("{}: crate::{to}", inside.display()));
            assert!(below >= from, "{} uses crate::{to}, which is above it", inside.display());
            seen.insert((room.clone(), to.to_owned()));
        }
    }
    assert!(seen.len() > 10, "the arrows are seen: {seen:?}");
}

/// Within a room, too, the files form no cycle. `mod.rs` stands above the others.
#[test]
fn no_cycle_between_files() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap().with_extension("");
        let name = inside.to_str().unwrap().to_owned();
        let Some((room, module)) = name.split_once('/') else { continue };
        if module.ends_with("/tests") {
            continue;
        }
        let code = code_of(&path);
        let own_room = format!("crate::{room}::");
        let mut used: BTreeSet<String> = names_below(&code, &own_room)
            .chain(names_below(&code, "super::"))
            .filter(|other| *other != module)
            .map(|other| {
                let is_file = src().join(room).join(other).with_extension("rs").exists();
                format!("{room}/{}", if is_file { other } else { "mod" })
            })
            .collect();
        if module == "mod" {
            let declared = code.lines().filter_map(|line| line.trim_end_matches(';').split_once("mod "));
            used = declared.map(|(_, module)| format!("{room}/{module}")).collect();
        }
        uses.insert(name, used);
    }
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 50, "the arrows are seen: {uses:#?}");
    // Takes away what uses nothing that is left, until nothing can be taken away.
    while let Some((free, _)) = uses.iter().find(|(_, used)| used.iter().all(|to| !uses.contains_key(to))) {
        let free = free.clone();
        uses.remove(&free);
    }
    assert!(uses.is_empty(), "cycles: {uses:#?}");
}

/// The picture in docs/architecture.md: each room's box names the files of the room.
#[test]
fn the_picture_names_every_file() {
    let picture = std::fs::read_to_string(src().join("../docs/architecture.md")).unwrap();
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap();
        let (Some(room), name) = (inside.parent().unwrap().iter().next(), path.file_stem().unwrap()) else {
            continue;
        };
        let (room, name) = (room.to_str().unwrap(), name.to_str().unwrap());
        let start = picture.find(&format!(" │ {room} ")).unwrap_or_else(|| panic!("no box for {room}"));
        let room_box = &picture[start..start + picture[start..].find('└').unwrap()];
        let is_named = room_box.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
        assert!(is_named || matches!(name, "mod" | "tests"), "{} is not in the picture", inside.display());
    }
}

#[test]
fn functions_fit_a_screen() {
    let mut functions = 0;
    for path in sources(&src()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function = ["fn ", "pub fn ", "pub(super) fn ", "unsafe fn ", "pub unsafe fn "]
                .iter()
                .chain(&["pub unsafe extern \"C\" fn ", "pub extern \"C\" fn ", "pub const fn ", "const fn "])
                .any(|start| code.starts_with(start));
            if !is_function || line.ends_with(';') {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[n..].iter().position(|line| **line == end).map_or(1, |length| length + 1);
            functions += 1;
            assert!(length <= MAX_FUNCTION, "{}:{}: {length} lines: {code}", path.display(), n + 1);
        }
    }
    assert!(functions > 300, "the functions are seen: {functions}");
}
