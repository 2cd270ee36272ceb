//! The soak: 64 threads, random faults, rotating credentials, and every call accounted for against the server's own
//! record. SOAK_ABORTS calls (20 000 unless it says otherwise; `make soak`: a million); the server is a process of its own.
//! Beside it, sweeps under faults.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod sweeps;

use std::collections::{BTreeMap, HashSet};
use std::io::{BufReader, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use obs_local::{ACCESS_KEY, AccessKey, End, Fault, Initiated, JournalMode, Options, SECRET_KEY, Server};
use support::process::{Ended, again, descriptors, is_again, rest_of_line, status_kb};
use support::{Config, code};

const TEST: &str = "every_call_is_accounted_for";
const BUCKET: &str = "backups";
const KEYS: usize = 8;
const THREADS: u64 = 64;

/// Held by each test: memory and descriptors are those of one alone.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_TEST: Mutex<()> = Mutex::new(());
    ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn aborts() -> u64 {
    std::env::var("SOAK_ABORTS").ok().map_or(20_000, |n| n.parse().expect("SOAK_ABORTS is a number"))
}

fn access_key(n: usize) -> String {
    format!("ROTATED{n:013}")
}

fn key(n: u64) -> String {
    format!("dir {}/{n}", n % 60)
}

fn id(n: u64) -> String {
    format!("{n:032X}")
}

/// Serves until standard input closes.
fn serve() {
    let mut access_keys: Vec<AccessKey> =
        (0..KEYS).map(|n| AccessKey::new(&access_key(n), SECRET_KEY)).collect();
    access_keys.push(AccessKey::new(ACCESS_KEY, SECRET_KEY));
    let server =
        Server::start(Options { access_keys, journal: JournalMode::CountsOnly, ..Options::default() });
    server.create_bucket(BUCKET);
    let old = Initiated::Ago(Duration::from_secs(86_400));
    for n in 0..aborts() {
        server.create_upload_with_id(BUCKET, &key(n), &id(n), &old);
    }
    // Some 4 in a hundred go wrong, in ways in which an abort may or may not have been carried out.
    let faults = [
        Fault::answer(503).error("SlowDown"),
        Fault::answer(500).error("InternalError"),
        Fault::answer(502).executed(),
        Fault::answer(429),
        Fault::real().cut(0),
        Fault::real().cut(20),
        Fault::raw("garbage\r\n\r\n"),
        Fault::silence(),
        Fault::silence().then(End::Reset),
        Fault::real().delay(Duration::from_millis(5)),
        Fault::real().then(End::Close),
    ];
    for fault in faults {
        server.fault(fault.method("DELETE").probability(0.004).always());
    }
    println!("soak server on {}", server.port());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
    server.clear_faults();
    println!("faults cleared");
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn every_call_is_accounted_for() {
    if is_again(TEST) {
        return serve();
    }
    let _alone = alone();
    let total = aborts();
    let mut server = Ended(again(TEST).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(server.0.stdout.take().unwrap());
    let mut input = server.0.stdin.take().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", rest_of_line(&mut output, "soak server on "));

    let config = Config::new(&endpoint).credentials(&access_key(0), SECRET_KEY, None).max_connections(64);
    let client = config.client();
    let results: Vec<AtomicU8> = (0..total).map(|_| AtomicU8::new(u8::MAX)).collect();
    let (next, attempts, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let early = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= total {
                            return;
                        }
                        let outcome = client.outcome(None, BUCKET, &key(n), &id(n));
                        attempts.fetch_add(outcome.attempts.into(), Ordering::Relaxed);
                        results[usize::try_from(n).unwrap()]
                            .store(u8::try_from(outcome.code).unwrap(), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let rotations = scope.spawn(|| {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                n += 1;
                assert_eq!(client.set_credentials(&access_key(n % KEYS), SECRET_KEY, None), code::OK);
                std::thread::sleep(Duration::from_millis(20));
            }
            n
        });
        // What a tenth of the work has brought up to its level may not grow with the rest.
        while next.load(Ordering::Relaxed) < total / 10 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let early = (status_kb("VmRSS"), descriptors());
        for worker in workers {
            worker.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        (early, rotations.join().unwrap())
    });
    let ((early_kb, early_descriptors), rotations) = early;
    let seconds = began.elapsed().as_secs_f64();
    let (late_kb, late_descriptors) = (status_kb("VmRSS"), descriptors());

    input.write_all(b"\n").unwrap();
    rest_of_line(&mut output, "faults cleared");
    // The server's own word on what is left, by a client that shares no code with the library.
    let plain = obs_local::client::Client::new(&endpoint, ACCESS_KEY, SECRET_KEY);
    let mut left: HashSet<String> = HashSet::new();
    let (mut key_marker, mut id_marker) = (String::new(), String::new());
    loop {
        let rest = format!(
            "max-uploads=1000&key-marker={}&upload-id-marker={id_marker}",
            key_marker.replace('%', "%25").replace(' ', "%20")
        );
        let page = plain.list_uploads(BUCKET, &rest).unwrap();
        assert_eq!(page.status, 200, "{}", page.text());
        left.extend(page.elements("UploadId"));
        if page.element("IsTruncated") != "true" {
            break;
        }
        (key_marker, id_marker) = (page.element("NextKeyMarker"), page.element("NextUploadIdMarker"));
    }
    let mut codes: BTreeMap<u8, u64> = BTreeMap::new();
    let (mut false_success, mut gone_unnoticed) = (0, 0);
    for (n, result) in (0..total).zip(&results) {
        let code = result.load(Ordering::Relaxed);
        *codes.entry(code).or_default() += 1;
        let is_left = left.contains(&id(n));
        false_success += u64::from(i32::from(code) == code::OK && is_left);
        gone_unnoticed += u64::from(i32::from(code) != code::OK && !is_left);
    }
    let count = |code: i32| codes.get(&u8::try_from(code).unwrap()).copied().unwrap_or(0);
    println!("| aborts, {THREADS} threads, 4 % of the requests disturbed | {total} in {seconds:.0} s |");
    println!("| requests put on the wire | {} |", attempts.load(Ordering::Relaxed));
    println!("| credentials rotated | {rotations} times |");
    println!("| reported gone, and gone by the server's own list | {} |", count(code::OK) - false_success);
    println!("| reported gone, and still there | {false_success} |");
    println!("| reported as failed (codes {codes:?}) | {} |", total - count(code::OK));
    println!("| of these, gone all the same: a response was lost | {gone_unnoticed} |");
    println!("| resident memory after a tenth, and at the end | {early_kb} kB, {late_kb} kB |");
    println!("| descriptors after a tenth, and at the end | {early_descriptors}, {late_descriptors} |");
    assert_eq!(codes.values().sum::<u64>(), total);
    assert_eq!(count(u8::MAX.into()), 0, "every call has a result");
    assert_eq!(false_success, 0, "nothing is reported gone that the server did not see gone");
    assert_eq!(count(code::NO_SUCH_UPLOAD), 0, "every upload was there, and this client alone aborts");
    assert_eq!(count(code::ACCESS_DENIED), 0, "rotation disturbs nobody");
    assert!(count(code::OK) * 1000 >= total * 999, "retries see nearly all of them through: {codes:?}");
    assert!(late_descriptors <= early_descriptors + 70, "{early_descriptors} {late_descriptors}");
    assert!(late_kb <= early_kb + 4096, "memory grows: {early_kb} kB, {late_kb} kB");
}
