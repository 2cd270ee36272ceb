//! The fuzz targets of fuzz/, run over the corpus in fuzz/seeds/ and some thousand mutations of it, the same ones each
//! time. What `cargo fuzz` finds goes into the corpus, and is held from then on.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/capi.rs"]
mod capi;
#[path = "../../fuzz/src/documents.rs"]
mod documents;
#[path = "../../fuzz/src/endpoint.rs"]
mod endpoint;
#[path = "../../fuzz/src/listing.rs"]
mod listing;
#[path = "../../fuzz/src/response.rs"]
mod response;
#[path = "../../fuzz/src/target.rs"]
mod target;

/// Xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

/// What parsers trip over.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n\r\n",
    b"<",
    b"</",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"&#0;",
    b"&#x1F600;",
    b"&lt;",
    b"%",
    b"%2",
    b"%00",
    b"%zz",
    b"\xff\xfe",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
    b"~",
    b"..",
    b"[::1]",
    b"@",
    b"18446744073709551616",
    b"-1",
];

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(7) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.below(256) as u8,
            2 => data.insert(at, random.below(256) as u8),
            3 => drop(data.drain(at..(at + random.below(16)).min(data.len()))),
            4 => drop(data.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
            5 => data.truncate(at),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(64)).min(other.len());
                drop(data.splice(at..at, other[from..to].iter().copied()));
            }
        }
    }
    data.truncate(64 * 1024);
    data
}

fn hold(name: &str, mutations: usize, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 12, "{}: {} files are no corpus", directory.display(), files.len());
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for (file, seed) in files.iter().zip(&seeds) {
        check(run, seed, &file.display().to_string());
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..mutations {
        check(run, &mutated(&seeds, &mut random), &format!("{name}: mutation {number}"));
    }
}

fn check(run: fn(&[u8]), data: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(data))) {
        eprintln!("{what}, as it stands in Rust: b\"{}\"", data.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn responses() {
    hold("response", 20000, response::run);
}

#[test]
fn listings() {
    hold("listing", 10000, listing::run);
}

#[test]
fn lists_of_parts_and_buckets() {
    hold("documents", 3000, documents::run);
}

#[test]
fn targets() {
    hold("target", 20000, target::run);
}

#[test]
fn endpoints_and_proxies() {
    hold("endpoint", 20000, endpoint::run);
}

#[test]
fn the_c_functions() {
    hold("capi", 5000, capi::run);
}
