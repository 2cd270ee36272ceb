//! 100 000 stale uploads need hardly more memory than 1000: if all go, if 30 000 of them stay, and if the parts of all are
//! listed.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::ffi::c_void;
use std::io::{BufReader, Read, Write};
use std::process::Stdio;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use obs_local::{Fault, Initiated, JournalMode, Options, Server};
use support::process::{Ended, again, rest_of_line, status_kb};
use support::{Config, Report, Selection, code};

const ROLE: &str = "OBSABORT_TEST_MEMORY_ROLE";

/// This program once more, as `role`, in a process of its own.
fn start(role: &str) -> Ended {
    let child = again("memory_is_flat").env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    Ended(child.expect("this program starts again"))
}

/// What becomes of 3 uploads in 10. The parts of all are listed for the active ones.
const STAYS: [&str; 4] = ["nothing", "refused", "gone", "active"];

/// Serves so many uploads until its input ends. Those of the first 18 of 60 machines may stay.
fn serve(count: u64, stays: &str) {
    let server = Server::start(Options {
        buckets: vec!["backups".into()],
        journal: JournalMode::CountsOnly,
        ..Options::default()
    });
    server.create_uploads("backups", count as usize, &Initiated::Ago(Duration::from_secs(7200)), |n| {
        let stays = if n % 10 < 3 { "stays" } else { "goes" };
        format!("2026/{stays}/backup of the {:02}th machine/part-{n:06}.tar.zst", n % 60)
    });
    // Three parts each.
    server.create_parts("backups", "2026/goes/", 3, 100, 7200);
    server.create_parts("backups", "2026/stays/", 2, 100, 7200);
    server.create_parts("backups", "2026/stays/", 1, 100, 60);
    let fault = match stays {
        "refused" => Some(Fault::answer(403).error("AccessDenied")),
        "gone" => Some(Fault::answer(404).error("NoSuchUpload")),
        _ => None,
    };
    let left = if stays == "nothing" { 0 } else { count * 3 / 10 };
    if let Some(fault) = fault {
        server.fault(fault.method("DELETE").target_contains("/stays/").always());
    }
    println!("endpoint {}", server.endpoint());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    assert_eq!(server.upload_count("backups") as u64, left);
    assert_eq!(server.aborted_count(), count - left);
}

unsafe extern "C" fn keep_total(
    _: *const support::outcome,
    _: u64,
    total: u64,
    most_known: *mut c_void,
) -> i32 {
    // SAFETY: the userdata below.
    unsafe { *most_known.cast::<u64>() = total };
    0
}

/// Sweeps, and tells what it needed at most.
fn sweep(endpoint: &str, count: u64, stays: &str) {
    let client = Config::new(endpoint).client();
    let before = status_kb("VmRSS");
    let began = Instant::now();
    let (bucket, mut most_known) = (c"backups", 0_u64);
    let (mut report, mut error) = (null_mut(), null_mut());
    let selection = Selection::new().older_than(3600);
    let selection = if stays == "active" { selection.idle(3600).measure() } else { selection };
    // SAFETY: handles that live, a callback with its userdata, and places for what is given away.
    let code = unsafe {
        support::lib().obs_abort_sweep(
            client.0,
            null(),
            bucket.as_ptr(),
            selection.0,
            0,
            Some(keep_total),
            (&raw mut most_known).cast(),
            &raw mut report,
            &raw mut error,
        )
    };
    let took = began.elapsed();
    // Before this program copies anything.
    let peak = status_kb("VmHWM");
    // SAFETY: given away by the library.
    let report = unsafe { Report::take(report) }.unwrap();
    let (left, expected, failure) = match stays {
        "refused" => (count * 3 / 10, code::PARTIAL, Some(code::ACCESS_DENIED)),
        "gone" => (count * 3 / 10, code::PARTIAL, Some(code::STILL_LISTED)),
        "active" => (0, code::OK, None),
        _ => (0, code::OK, None),
    };
    assert_eq!(code, expected, "{report:?}");
    let active = if stays == "active" { count * 3 / 10 } else { 0 };
    let counts = (report.total, report.aborted, report.missing, report.failed, report.active, most_known);
    assert_eq!(counts, (count, count - left - active, 0, left, active, count));
    assert_eq!(report.bytes, if stays == "active" { report.aborted * 300 } else { 0 });
    assert!(report.failures.iter().all(|outcome| Some(outcome.code) == failure));
    println!("swept {peak} {before} {}", took.as_millis());
}

/// To its end, since the harness has more to say.
fn success(process: &mut Ended, output: &mut impl Read) {
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(process.0.wait().unwrap().success(), "{rest}");
}

fn measured(count: u64, stays: &str) -> u64 {
    let mut server = start(&format!("serve {count} {stays}"));
    let input = server.0.stdin.take();
    let mut said = BufReader::new(server.0.stdout.take().unwrap());
    let endpoint = rest_of_line(&mut said, "endpoint ");
    let mut sweeper = start(&format!("sweep {endpoint} {count} {stays}"));
    let mut told = BufReader::new(sweeper.0.stdout.take().unwrap());
    let figures = rest_of_line(&mut told, "swept ");
    success(&mut sweeper, &mut told);
    drop(input);
    success(&mut server, &mut said);
    let figures: Vec<u64> = figures.split(' ').map(|figure| figure.parse().unwrap()).collect();
    println!(
        "{count} uploads, of which {stays} stays: {} kB resident at most, {} kB before the sweep, {} ms",
        figures[0], figures[1], figures[2]
    );
    figures[0]
}

#[test]
fn memory_is_flat() {
    if let Ok(role) = std::env::var(ROLE) {
        let words: Vec<&str> = role.split(' ').collect();
        match words[..] {
            ["serve", count, stays] => serve(count.parse().unwrap(), stays),
            ["sweep", endpoint, count, stays] => sweep(endpoint, count.parse().unwrap(), stays),
            _ => panic!("{role}"),
        }
        return;
    }
    // Half a megabyte are the fingerprints of all uploads, and half a megabyte the outcomes of 700 failures more. The rest is
    // what the 16 arenas of glibc make of what 32 workers leave behind: on a busy machine up to another megabyte.
    let at_most = 2048;
    for stays in STAYS {
        // On a busy machine another worker has to list now and then, and its arena keeps half a megabyte: a second run
        // counts.
        let is_flat = || {
            let more = measured(100_000, stays).saturating_sub(measured(1000, stays));
            println!("{stays} stays: 100 000 uploads need {more} kB more than 1000, of {at_most}");
            more <= at_most
        };
        assert!(is_flat() || is_flat(), "{stays}: more than {at_most} kB, twice");
    }
}
