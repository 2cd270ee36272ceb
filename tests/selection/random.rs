//! Random uploads, parts, selections and faults: what a sweep aborts is compared with what the server knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use obs_local::{End, Fault, ListQuirk, Listing, Options};
use support::obs::server_with;
use support::{Config, Selection, code};

use super::*;

const ROUNDS: u64 = 60;
const AGES: [u64; 4] = [HOUR / 2, 3 * HOUR / 2, 5 * HOUR / 2, 7 * HOUR / 2];
const BOUNDS: [u64; 4] = [0, HOUR, 2 * HOUR, 3 * HOUR];

/// A generator of its own for each round, so that a round can be run again by its number.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What the server knows of an upload.
struct Known {
    key: String,
    age: u64,
    /// The age of the youngest part.
    written: Option<u64>,
    bytes: u64,
}

fn fill(server: &Server, dice: &mut Dice) -> BTreeMap<String, Known> {
    let mut all = BTreeMap::new();
    for n in 0..=dice.below(60) {
        let key = format!("{}/{:02}/{n:03}", dice.pick(&["a", "b"]), dice.below(5));
        let age = dice.pick(&AGES);
        let id = server.create_upload_at("backups", &key, &ago(age));
        let mut known = Known { key: key.clone(), age, written: None, bytes: 0 };
        for _ in 0..dice.below(4) {
            let written = dice.pick(&AGES).min(age);
            let (count, size) = (1 + dice.below(5), dice.below(1000));
            server.create_parts("backups", &key, count as u32, size, written as i64);
            known.written = Some(known.written.map_or(written, |other| other.min(written)));
            known.bytes += count * size;
        }
        all.insert(id, known);
    }
    all
}

/// Faults of a service under load, each of which may hit any request that it is for.
fn play(server: &Server, dice: &mut Dice) -> Vec<&'static str> {
    let lists = |fault: Fault| fault.query("uploadId").method("GET");
    let mut played = Vec::new();
    for (name, fault) in [
        ("lists of parts are refused", lists(Fault::answer(403).error("AccessDenied"))),
        ("lists of parts fail", lists(Fault::answer(500).error("InternalError"))),
        ("lists of parts are throttled", lists(Fault::answer(503).error("SlowDown"))),
        ("lists of parts break off", lists(Fault::real().cut(200).then(End::Reset))),
        ("lists of parts have another date", lists(Fault::real().date_offset(2 * DAY as i64))),
        ("lists of parts say that all are gone", lists(Fault::answer(404).error("NoSuchUpload"))),
        ("aborts are carried out, and their responses lost", Fault::real().cut(0).method("DELETE")),
        ("aborts are refused", Fault::answer(403).error("AccessDenied").method("DELETE")),
        ("aborts are lies", Fault::answer(204).method("DELETE")),
    ] {
        if dice.one_in(4) {
            server.fault(fault.probability(0.2).always());
            played.push(name);
        }
    }
    if dice.one_in(4) {
        let quirk = dice.pick(&[
            ListQuirk::OmitLastModified,
            ListQuirk::ZeroTime,
            ListQuirk::TruncatedXml,
            ListQuirk::OtherUploadId,
            ListQuirk::OmitIsTruncated,
        ]);
        server.set_quirks(Listing::Parts, &[quirk]);
        played.push("lists of parts have a quirk");
    }
    played
}

fn round(number: u64) {
    let mut dice = Dice(number);
    let server = server_with(Options { seed: number, ..Options::default() });
    let uploads = fill(&server, &mut dice);
    server.set_page_cap(dice.pick(&[2, 7, 1000]));
    server.set_parts_page_cap(dice.pick(&[2, 5, 1000]));
    let played = play(&server, &mut dice);

    let (older, idle) = (dice.pick(&BOUNDS), dice.pick(&BOUNDS));
    let before = dice.pick(&BOUNDS);
    let prefix = dice.pick(&["", "a/", "b/03"]);
    let measure = dice.one_in(2);
    let dry_run = dice.one_in(6);
    let (filter_asked, kept_digit) = (dice.one_in(2), char::from(b'0' + dice.below(10) as u8));
    let mut selection = Selection::new().older_than(older).idle(idle).prefix(prefix);
    if before > 0 {
        selection = selection.initiated_before(unix_now() - before as i64);
    }
    if measure {
        selection = selection.measure();
    }
    let is_kept_by_filter = |key: &str| filter_asked && key.ends_with(kept_digit);
    let may_go = |known: &Known| {
        let bound = older.max(idle).max(before);
        known.key.starts_with(prefix)
            && known.age > bound
            && known.written.is_none_or(|written| written > idle)
            && !is_kept_by_filter(&known.key)
    };

    let flags = INCLUDE_LIVE | if dry_run { DRY_RUN } else { 0 };
    let client = Config::new(&server.endpoint()).max_connections(6).max_attempts(3).client();
    let mut told = BTreeSet::new();
    let ending = client.filtered_sweep(
        None,
        "backups",
        &selection,
        flags,
        &mut |candidate| is_kept_by_filter(&candidate.key),
        &mut |outcome, done, total| {
            assert!(done <= total);
            told.extend(outcome.map(|outcome| outcome.upload_id.clone()));
            false
        },
    );
    let report = report(&ending);
    let context = format!(
        "round {number}: {played:?} older {older} idle {idle} before {before} prefix {prefix:?} dry run {dry_run} \
         filter {filter_asked}: {ending:?}"
    );
    for (id, known) in &uploads {
        let (was_aborted, may_go) = (server.was_aborted(id), may_go(known));
        assert!(!was_aborted || may_go, "{} was aborted: {context}", known.key);
        // What is said to be gone is told, too.
        let gone = played.iter().any(|name| name.contains("gone"));
        assert!(!told.contains(id) || may_go || gone, "{} was told: {context}", known.key);
        if played.is_empty() {
            assert_eq!(was_aborted, may_go && !dry_run, "{}: {context}", known.key);
        }
    }
    assert!(matches!(ending.code, code::OK | code::PARTIAL), "{context}");
    assert!(!dry_run || requests(&server, is_abort) == 0, "{context}");
    assert_eq!(
        report.total,
        uploads.values().filter(|known| known.key.starts_with(prefix)).count() as u64,
        "{context}"
    );
    // A loss of a response is the one thing that leaves it open who aborted.
    let aborted = server.aborted_count();
    assert!(dry_run || report.aborted + report.missing + report.failed >= aborted, "{context}");
    let left: Vec<&Known> =
        uploads.iter().filter(|(id, k)| may_go(k) && !server.was_aborted(id)).map(|(_, k)| k).collect();
    assert!(!report.complete || left.is_empty(), "complete, and {} are left: {context}", left.len());
    if played.is_empty() {
        let go: u64 = uploads.values().filter(|known| may_go(known)).map(|known| known.bytes).sum();
        assert_eq!(report.bytes, if measure || idle > 0 { go } else { 0 }, "{context}");
        let nothing_to_do = !dry_run || uploads.values().all(|known| !may_go(known));
        assert_eq!(report.complete, nothing_to_do, "{context}");
    }
}

#[test]
fn only_what_may_go_goes() {
    let next = std::sync::atomic::AtomicU64::new(0);
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= ROUNDS {
                        return;
                    }
                    round(number);
                }
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
}
