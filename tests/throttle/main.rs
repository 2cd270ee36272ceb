//! A service that asks to slow down: the workers of a clean-up do so together, and speed up again.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{c_char, c_void};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use obs_local::{Entry, Fault, Initiated, Options, Rate, Server};
use support::obs::{entries, server_with, uploads};
use support::{Call, Config, Ending, OBS_ABORT_LOG_WARN, Report, code};

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
        // A crawl, at a request a second, takes a minute. A busy machine stands still for seconds.
        assert!(took < ideal * 3 + Duration::from_secs(15), "and no crawl: {took:?}, ideal {ideal:?}");
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
    let after = between(last + window, last + window + second);
    let end = journal.last().unwrap().at - journal[0].at;
    let recovered = between(end - second / 2, end);
    println!(
        "before the first complaint {before:.0}/s, after the last {after:.0}/s, at the end {recovered:.0}/s"
    );
    assert!(after < before * 0.75, "down: {before} {after}");
    assert!(recovered > after * 1.3, "and up: {after} {recovered}");
    // Complaints about requests that were in flight together cut the rate once, not forty times.
    assert!(after > before / 200.0, "{before} {after}");
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

/// The Retry-After of so many seconds from now, as a date.
fn date_in(seconds: i64) -> String {
    obs_local::http_date(obs_local::unix_ms(SystemTime::now()) / 1000 + seconds)
}

/// A refusal that says how long to wait.
fn refusal(status: u16, wait: &str, method: &str) -> Fault {
    Fault::answer(status).error("SlowDown").header("Retry-After", wait).method(method)
}

/// A verb over 50 uploads that are an hour old: many or stale.
fn sweep(server: &Server, verb: &str, config: Config, call: Option<&Call>) -> Ending {
    let uploads = uploads(server, 50);
    let client = config.max_connections(4).client();
    match verb {
        "many" => client.many(call, "backups", &entries(&uploads), &mut |_, _, _| false),
        _ => client.stale(call, "backups", None, 60, 0, &mut |_, _, _| false),
    }
}

/// The wait is common to all. It takes nothing from the budget of an upload or of a list page.
#[test]
fn retry_after_beyond_one_uploads_budget_is_waited_for() {
    let in_three_seconds = date_in(4);
    for (verb, fault) in [
        // First: the date does not wait for the others.
        ("many", refusal(503, &in_three_seconds, "DELETE").skip(10)),
        ("many", refusal(503, "3", "DELETE").skip(10)),
        ("many", refusal(429, "3", "DELETE").times(4)),
        ("stale", refusal(503, "3", "DELETE").skip(10)),
        ("stale", refusal(429, "3", "GET")),
        ("stale", refusal(503, "2", "GET").times(2)),
    ] {
        let server = server(None);
        server.fault(fault);
        let began = Instant::now();
        let ending = sweep(&server, verb, Config::new(&server.endpoint()).timeout_ms(1000), None);
        let report = report(&ending);
        assert_eq!((ending.code, report.aborted), (code::OK, 50), "{verb}: {ending:?}");
        assert!(report.throttled >= 1 && server.aborted_count() == 50, "{verb}: {ending:?}");
        assert!(began.elapsed() > Duration::from_millis(1900), "{verb}: {:?}", began.elapsed());
    }
}

/// A service that asks for more than ten minutes ends the sweep. Only what was under way has failed.
#[test]
fn a_wait_beyond_ten_minutes_ends_the_sweep() {
    let in_an_hour = date_in(3600);
    for (verb, method, wait, listed) in [
        ("many", "DELETE", "601", 50),
        ("many", "DELETE", "700", 50),
        ("many", "DELETE", &in_an_hour, 50),
        ("many", "DELETE", "99999999999999999999", 50),
        ("stale", "DELETE", "700", 50),
        ("stale", "GET", "700", 0),
    ] {
        let server = server(None);
        server.fault(refusal(503, wait, method).always());
        let began = Instant::now();
        let ending = sweep(&server, verb, Config::new(&server.endpoint()), None);
        let report = report(&ending);
        assert_eq!(ending.code, code::THROTTLED, "{verb} {method} {wait}: {ending:?}");
        assert!(ending.error.as_ref().unwrap().contains("the service asked to wait"), "{ending:?}");
        assert_eq!((report.total, report.aborted), (listed, 0), "{verb} {method} {wait}: {ending:?}");
        assert!(report.failed <= 4, "{report:?}");
        let was_sent = |failure: &support::Outcome| failure.code == code::THROTTLED && failure.attempts == 1;
        assert!(report.failures.iter().all(was_sent), "{report:?}");
        assert!(server.counts().requests <= 5, "all heed it: {:?}", server.counts());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

/// Ten minutes are waited for, and a cancellation ends the wait.
#[test]
fn cancelled_while_all_are_held() {
    for (verb, method) in [("many", "DELETE"), ("stale", "DELETE"), ("stale", "GET")] {
        let server = server(None);
        server.fault(refusal(503, "600", method).always());
        let call = Call::new();
        let (ending, late) = std::thread::scope(|scope| {
            let sweep = scope.spawn(|| {
                let ending =
                    sweep(&server, verb, Config::new(&server.endpoint()).timeout_ms(500), Some(&call));
                (ending, Instant::now())
            });
            std::thread::sleep(Duration::from_millis(1500));
            assert!(!sweep.is_finished(), "{verb} {method}: it waits");
            let cancelled = Instant::now();
            call.cancel();
            let (ending, ended) = sweep.join().unwrap();
            (ending, ended - cancelled)
        });
        let report = report(&ending);
        assert_eq!(ending.code, code::CANCELLED, "{verb} {method}: {ending:?}");
        assert!(report.failed <= 4 && report.aborted == 0, "{verb} {method}: {ending:?}");
        assert!(late < Duration::from_millis(750), "{verb} {method}: {late:?}");
    }
}

/// A wait that the call has no time for: it is known at once.
#[test]
fn a_wait_beyond_the_calls_budget_is_a_timeout() {
    for (verb, method) in [("many", "DELETE"), ("stale", "DELETE"), ("stale", "GET")] {
        let server = server(None);
        server.fault(refusal(503, "30", method).always());
        let began = Instant::now();
        let call = Call::with_timeout_ms(5000);
        let ending = sweep(&server, verb, Config::new(&server.endpoint()), Some(&call));
        assert_eq!(ending.code, code::TIMEOUT, "{verb} {method}: {ending:?}");
        assert!(report(&ending).failed <= 4, "{verb} {method}: {ending:?}");
        assert!(began.elapsed() < Duration::from_secs(4), "{verb} {method}: {:?}", began.elapsed());
    }
}

/// A single abort waits within its budget, or ends at once.
#[test]
fn one_abort_ends_at_once_if_the_wait_is_beyond_its_budget() {
    let server = server(None);
    server.fault(refusal(503, "30", "DELETE"));
    let uploads = uploads(&server, 1);
    let client = Config::new(&server.endpoint()).timeout_ms(5000).client();
    let began = Instant::now();
    let outcome = client.outcome(None, "backups", &uploads[0].0, &uploads[0].1);
    assert_eq!((outcome.code, outcome.attempts), (code::THROTTLED, 1), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// What waits for its turn has not begun: at 20 requests a second and 32 workers a turn comes after more than the
/// budget of an upload.
#[test]
fn a_turn_may_come_later_than_an_uploads_budget() {
    let server = server(Some(Rate { per_second: 20.0, burst: 1.0, retry_after_s: None }));
    let config = Config::new(&server.endpoint()).max_connections(32).timeout_ms(900);
    let (ending, _, took) = clean_up(&server, 100, config);
    println!("{took:?}, {} refused", server.counts().status(503));
    assert_eq!((ending.code, report(&ending).aborted), (code::OK, 100), "{ending:?}");
}

/// A limit whose refusals say how long to wait: the rate is found all the same, or each wait would end in a burst.
#[test]
fn a_rate_limit_with_retry_after_loses_no_upload() {
    let server = server(Some(Rate { per_second: 50.0, burst: 5.0, retry_after_s: Some(1) }));
    let (ending, attempts, took) =
        clean_up(&server, 100, Config::new(&server.endpoint()).max_connections(16));
    println!("{took:?}, {attempts} attempts");
    assert_eq!((ending.code, report(&ending).aborted), (code::OK, 100), "{ending:?}");
}

/// Random refusals are no limit: 10 % of 503s cost no more than twice what 10 % of 500s do.
#[test]
fn random_refusals_are_no_limit() {
    let took = |status: u16| {
        let server = server(None);
        server.set_latency(Duration::from_millis(20));
        let code = if status == 503 { "SlowDown" } else { "InternalError" };
        server.fault(Fault::answer(status).error(code).method("DELETE").probability(0.1).always());
        let config = Config::new(&server.endpoint()).max_connections(32).max_attempts(10);
        let (ending, attempts, took) = clean_up(&server, 2000, config);
        assert_eq!(ending.code, code::OK, "{ending:?}");
        println!("{status}: {took:?}, {attempts} attempts");
        took
    };
    let (throttled, failed) = (took(503), took(500));
    assert!(throttled < failed * 3 + Duration::from_secs(10), "{throttled:?} against {failed:?}: no crawl");
}

unsafe extern "C" fn keep_line(_: i32, message: *const c_char, userdata: *mut c_void) {
    let lines = unsafe { &*userdata.cast::<Mutex<Vec<String>>>() };
    lines.lock().unwrap().push(unsafe { support::borrowed(message) }.expect("a line"));
}

/// The log says when the sweep slows down: once for a wait, however many are told of it, and once for each cut.
#[test]
fn the_log_says_when_it_slows_down() {
    let lines: Mutex<Vec<String>> = Mutex::default();
    let logged = |config: Config| {
        config.log(Some(keep_line), (&raw const lines).cast_mut().cast(), OBS_ABORT_LOG_WARN)
    };
    let server = server(None);
    server.set_latency(Duration::from_millis(20));
    server.fault(refusal(503, "1", "DELETE").times(4));
    let ending = sweep(&server, "many", logged(Config::new(&server.endpoint())), None);
    assert_eq!(ending.code, code::OK, "{ending:?}");
    let slowed = |lines: &[String]| {
        lines.iter().filter(|line| line.starts_with("throttled: ")).cloned().collect::<Vec<_>>()
    };
    let told = slowed(&lines.lock().unwrap());
    assert_eq!(told, ["throttled: no request for 1 s, as the service asked"], "{lines:?}");
    lines.lock().unwrap().clear();
    server.set_rate(Some(Rate { per_second: 100.0, burst: 5.0, retry_after_s: None }));
    let (ending, ..) = clean_up(&server, 200, logged(Config::new(&server.endpoint())));
    assert_eq!(ending.code, code::OK, "{ending:?}");
    let told = slowed(&lines.lock().unwrap());
    let refused = server.counts().status(503);
    assert!(!told.is_empty() && (told.len() as u64) < refused, "{told:?} of {refused}");
    assert!(told.iter().all(|line| line.ends_with(" requests a second from now on")), "{told:?}");
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
