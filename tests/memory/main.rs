//! 100 000 stale uploads need no more memory than 1000, but for 2 MB.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use obs_local::{Initiated, JournalMode, Options, Server};
use support::process::{Ended, again, rest_of_line, status_kb};
use support::{Config, code};

const ROLE: &str = "OBSABORT_TEST_MEMORY_ROLE";

/// This program once more, as `role`, in a process of its own.
fn start(role: &str) -> Ended {
    let child = again("memory_is_flat").env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    Ended(child.expect("this program starts again"))
}

/// Serves so many uploads until its input ends.
fn serve(count: usize) {
    let server = Server::start(Options {
        buckets: vec!["backups".into()],
        journal: JournalMode::CountsOnly,
        ..Options::default()
    });
    server.create_uploads("backups", count, &Initiated::Ago(Duration::from_secs(7200)), |n| {
        format!("2026/backup of the {:02}th machine/part-{n:06}.tar.zst", n % 60)
    });
    println!("endpoint {}", server.endpoint());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    assert_eq!(server.upload_count("backups"), 0, "all are gone");
    assert_eq!(server.aborted_count(), count as u64);
}

/// Sweeps, and tells what it needed at most.
fn sweep(endpoint: &str, count: u64) {
    let client = Config::new(endpoint).client();
    let before = status_kb("VmRSS");
    let began = Instant::now();
    let mut most_known = 0;
    let ending = client.stale(None, "backups", None, 3600, 0, &mut |_, _, total| {
        most_known = total;
        false
    });
    let took = began.elapsed();
    assert_eq!(ending.code, code::OK, "{:?}", ending.error);
    let report = ending.report.unwrap();
    assert_eq!((report.total, report.aborted, most_known), (count, count, count));
    println!("swept {} {} {}", status_kb("VmHWM"), before, took.as_millis());
}

/// To its end, since the harness has more to say.
fn success(process: &mut Ended, output: &mut impl Read) {
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(process.0.wait().unwrap().success(), "{rest}");
}

fn measured(count: u64) -> u64 {
    let mut server = start(&format!("serve {count}"));
    let input = server.0.stdin.take();
    let mut said = BufReader::new(server.0.stdout.take().unwrap());
    let endpoint = rest_of_line(&mut said, "endpoint ");
    let mut sweeper = start(&format!("sweep {endpoint} {count}"));
    let mut told = BufReader::new(sweeper.0.stdout.take().unwrap());
    let figures = rest_of_line(&mut told, "swept ");
    success(&mut sweeper, &mut told);
    drop(input);
    success(&mut server, &mut said);
    let figures: Vec<u64> = figures.split(' ').map(|figure| figure.parse().unwrap()).collect();
    println!(
        "{count} uploads: {} kB resident at most, {} kB before the sweep, {} ms",
        figures[0], figures[1], figures[2]
    );
    figures[0]
}

#[test]
fn memory_is_flat() {
    if let Ok(role) = std::env::var(ROLE) {
        let words: Vec<&str> = role.split(' ').collect();
        match words[..] {
            ["serve", count] => serve(count.parse().unwrap()),
            ["sweep", endpoint, count] => sweep(endpoint, count.parse().unwrap()),
            _ => panic!("{role}"),
        }
        return;
    }
    let few = measured(1000);
    let many = measured(100_000);
    let more = many.saturating_sub(few);
    println!("100 000 uploads need {more} kB more than 1000");
    assert!(more <= 2048, "{more} kB");
}
