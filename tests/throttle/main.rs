//! A service that asks to slow down: the workers of a clean-up do so together, and speed up again.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use obs_local::{Entry, Fault, Initiated, Options, Rate, Server};
use support::obs::{entries, server_with, uploads};
use support::{Call, Config, Ending, Report, code};

fn server(rate: Option<Rate>) -> Server {
    server_with(Options { rate, ..Options::default() })
}

/// Aborts so many by one obs_abort_many; also the attempts they took.
fn clean_up(server: &Server, count: usize, config: Config) -> (Ending, u64, Duration) {
    let uploads = uploads(server, count);
    let client = config.client();
    let (mut attempts, began) = (0, Instant::now());
    let ending = client.many(None, "backups", &entries(&uploads), &mut |outcome, _, _| {
        attempts += outcome.map_or(0, |outcome| u64::from(outcome.attempts));
        false
    });
    (ending, attempts, began.elapsed())
}

fn report(ending: &Ending) -> &Report {
    ending.report.as_ref().expect("a report")
}

/// Requests in each window since the first.
fn per_window(journal: &[Entry], window: Duration) -> Vec<usize> {
    let mut windows = Vec::new();
    for entry in journal {
        let at = (entry.at - journal[0].at).as_nanos() / window.as_nanos();
        windows.resize(windows.len().max(at as usize + 1), 0);
        windows[at as usize] += 1;
    }
    windows
}

#[test]
fn a_rate_limit_costs_few_attempts_and_no_upload() {
    for (per_second, count, workers) in [(300.0, 2000, 32), (60.0, 240, 32), (20.0, 60, 8)] {
        let server = server(Some(Rate::per_second(per_second)));
        let config = Config::new(&server.endpoint()).max_connections(workers);
        let (ending, attempts, took) = clean_up(&server, count, config);
        let report = report(&ending);
        let refused = server.counts().status(503);
        println!(
            "limit {per_second}/s, {workers} workers: {count} uploads in {took:?}, {attempts} attempts, {refused} refused, \
             {:.2} of the limit used",
            count as f64 / took.as_secs_f64() / per_second
        );
        println!(
            "  requests each half second: {:?}",
            per_window(&server.journal(), Duration::from_millis(500))
        );
        assert_eq!(ending.code, code::OK, "{per_second}: {ending:?}");
        assert_eq!((report.total, report.aborted), (count as u64, count as u64));
        assert_eq!(attempts, server.counts().requests);
        assert_eq!(report.throttled, refused, "each refusal is counted");
        assert!(refused > 0, "the limit was met");
        // Each worker hammering on would be refused many times for each that passes.
        assert!(attempts < count as u64 * 3 / 2, "few attempts: {attempts} for {count}");
        let ideal = Duration::from_secs_f64(count as f64 / per_second);
        assert!(took < ideal * 3 + Duration::from_secs(2), "and no crawl: {took:?}, ideal {ideal:?}");
    }
}

#[test]
fn down_after_complaints_and_up_again() {
    let server = server(None);
    server.set_latency(Duration::from_millis(4));
    // At full speed for 1500 requests; then the service has had enough, for a while.
    server.fault(Fault::answer(503).error("SlowDown").method("DELETE").skip(1500).times(30));
    let config = Config::new(&server.endpoint()).max_connections(16).max_attempts(20);
    let (ending, _, took) = clean_up(&server, 5000, config);
    assert_eq!(ending.code, code::OK, "{ending:?}");
    let journal = server.journal();
    let window = Duration::from_millis(100);
    let windows = per_window(&journal, window);
    println!("{took:?}; requests each 100 ms: {windows:?}");
    let complaints: Vec<Duration> =
        journal.iter().filter(|entry| entry.status == 503).map(|entry| entry.at - journal[0].at).collect();
    let (first, last) = (complaints[0], *complaints.last().unwrap());
    let between = |from: Duration, to: Duration| {
        let count = journal.iter().filter(|entry| (from..to).contains(&(entry.at - journal[0].at))).count();
        count as f64 / (to - from).as_secs_f64()
    };
    let second = Duration::from_secs(1);
    let before = between(Duration::ZERO, first);
    let after = between(last + window, last + window + second / 2);
    let end = journal.last().unwrap().at - journal[0].at;
    let recovered = between(end - second / 2, end);
    println!(
        "before the first complaint {before:.0}/s, after the last {after:.0}/s, at the end {recovered:.0}/s"
    );
    assert!(after < before * 0.75, "down: {before} {after}");
    assert!(recovered > after * 1.3, "and up: {after} {recovered}");
    // Complaints about requests that were in flight together cut the rate once, not forty times.
    assert!(after > before / 64.0, "{before} {after}");
}

#[test]
fn retry_after_holds_for_all() {
    let server = server(None);
    server.set_latency(Duration::from_millis(5));
    let fault = Fault::answer(503).error("SlowDown").header("Retry-After", "2").method("DELETE");
    server.fault(fault.skip(200));
    let (ending, attempts, took) =
        clean_up(&server, 600, Config::new(&server.endpoint()).max_connections(16));
    assert_eq!(ending.code, code::OK, "{ending:?}");
    assert_eq!((report(&ending).aborted, attempts), (600, 601), "one complaint, one more attempt");
    let journal = server.journal();
    let complained = journal.iter().position(|entry| entry.status == 503).unwrap();
    let told = journal[complained].at;
    let hush = journal
        .iter()
        // What was in flight, or on its way to be, when the answer came.
        .filter(|entry| entry.at > told + Duration::from_millis(150))
        .map(|entry| entry.at - told)
        .next()
        .unwrap();
    println!("the next request but for those in flight: {hush:?} after the complaint; all in {took:?}");
    assert!(hush >= Duration::from_millis(1990), "{hush:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_429_and_a_listing_count_too() {
    let server = server(None);
    server.create_uploads("backups", 50, &Initiated::Ago(Duration::from_secs(3600)), |n| format!("key/{n}"));
    let fault = Fault::answer(429).header("Retry-After", "1").query("uploads");
    server.fault(fault);
    let client = Config::new(&server.endpoint()).client();
    let ending = client.stale(None, "backups", None, 60, 0, &mut |_, _, _| false);
    let report = report(&ending);
    assert_eq!((ending.code, report.aborted, report.throttled), (code::OK, 50, 1), "{ending:?}");
    let journal = server.journal();
    assert!(journal[1].at - journal[0].at >= Duration::from_millis(990));
}

/// A service that asks for an hour: an upload whose budget is shorter can't be waited for, and waiting the budget out
/// would help nobody, a minute an upload.
#[test]
fn retry_after_beyond_the_budget_ends_them_at_once() {
    let server = server(None);
    server
        .fault(Fault::answer(503).error("SlowDown").header("Retry-After", "3600").method("DELETE").always());
    let (ending, _, took) = clean_up(&server, 100, Config::new(&server.endpoint()).max_connections(4));
    let report = report(&ending);
    println!("{took:?} {:?} {:?}", ending.error, server.counts());
    assert_eq!(ending.code, code::PARTIAL, "{ending:?}");
    assert_eq!((report.total, report.failed), (100, 100));
    assert!(report.failures.iter().all(|failure| failure.code == code::THROTTLED), "{report:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(server.counts().requests <= 8, "all heed it: {:?}", server.counts());
}

/// At a few requests a second nobody is passed over: each worker's upload gets its turn within the budget.
#[test]
fn turns_are_fair_at_a_slow_rate() {
    let server = server(Some(Rate { per_second: 8.0, burst: 2.0, retry_after_s: None }));
    let config = Config::new(&server.endpoint()).max_connections(16).max_attempts(100).timeout_ms(10_000);
    let (ending, _, took) = clean_up(&server, 60, config);
    println!("{took:?}, each second: {:?}", per_window(&server.journal(), Duration::from_secs(1)));
    assert_eq!(ending.code, code::OK, "{ending:?}");
}

/// Cancelled or out of time before its turn came: an upload that nothing was sent for is kept, not failed.
#[test]
fn who_waits_for_a_turn_when_it_ends_is_kept() {
    for cancelled in [true, false] {
        let server = server(None);
        let fault = Fault::answer(503).error("SlowDown").header("Retry-After", "30").method("DELETE");
        server.fault(fault.skip(20).times(1));
        server.set_latency(Duration::from_millis(20));
        let ids = server
            .create_uploads("backups", 100, &Initiated::Ago(Duration::from_secs(3600)), |_| "key".into());
        let list: Vec<(&str, &str)> = ids.iter().map(|id| ("key", id.as_str())).collect();
        let client = Config::new(&server.endpoint()).max_connections(8).client();
        let call = if cancelled { Call::new() } else { Call::with_timeout_ms(2000) };
        let began = Instant::now();
        let ending = client.many(Some(&call), "backups", &list, &mut |_, _, _| {
            if cancelled && began.elapsed() > Duration::from_millis(800) {
                call.cancel();
            }
            false
        });
        let report = report(&ending);
        assert_eq!(ending.code, if cancelled { code::CANCELLED } else { code::TIMEOUT }, "{ending:?}");
        // The one that was refused had been begun.
        assert_eq!((report.total, report.missing, report.failed), (100, 0, 1), "{report:?}");
        assert_eq!(report.aborted, server.aborted_count());
        assert_eq!(report.kept, 99 - report.aborted);
        assert!(report.kept > 60 && report.failures[0].attempts == 1, "{report:?}");
        assert!(began.elapsed() < Duration::from_millis(2600), "{:?}", began.elapsed());
    }
}

/// A callback that stops ends the wait for turns as well: only what was begun finishes.
#[test]
fn stopped_while_all_wait_for_their_turns() {
    let server = server(None);
    server.set_latency(Duration::from_millis(20));
    let fault = Fault::answer(503).error("SlowDown").header("Retry-After", "3").method("DELETE");
    server.fault(fault.skip(20).times(1));
    let ids =
        server.create_uploads("backups", 100, &Initiated::Ago(Duration::from_secs(3600)), |_| "key".into());
    let list: Vec<(&str, &str)> = ids.iter().map(|id| ("key", id.as_str())).collect();
    let client = Config::new(&server.endpoint()).max_connections(8).client();
    let began = Instant::now();
    let ending =
        client.many(None, "backups", &list, &mut |_, _, _| began.elapsed() > Duration::from_millis(800));
    let report = report(&ending);
    assert_eq!(ending.code, code::CANCELLED);
    assert_eq!(
        (report.failed, report.missing),
        (0, 0),
        "the one that was refused had its second try: {report:?}"
    );
    assert_eq!((report.aborted, report.kept), (server.aborted_count(), 100 - server.aborted_count()));
    assert!(report.kept > 60, "{report:?}");
    assert_eq!(server.counts().requests, report.aborted + 1);
}
