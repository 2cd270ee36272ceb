//! Sweeps under faults: every upload is accounted for against the server's own record.
//!
//! A round is a server with uploads to take and uploads to keep, a random mixture of faults, up to three sweeps at once,
//! and one more sweep after the faults. SOAK_SWEEPS sweeps (100 unless it says otherwise; `make soak`: 2000). SOAK_SEED
//! is the seed of the first round, each other one has the next number: a wrong report names its round's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use obs_local::{End, Fault, Initiated, ListQuirk, Options, Server};
use support::process::descriptors;
use support::{Call, Client, Config, Ending, Outcome, Report, borrowed, code, lib};

const BUCKET: &str = "backups";
const HOUR: u64 = 3600;
const DRY_RUN: u32 = support::OBS_ABORT_DRY_RUN as u32;
const ROUNDS_AT_ONCE: usize = 16;
const PREFIXES: [&str; 3] = ["db/", "logs of 2024/", "médias/"];

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(default, |n| n.parse().unwrap_or_else(|_| panic!("{variable}: {n:?}")))
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.next() % choices.len() as u64).unwrap()]
    }
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FaultKind {
    SilentAborts,
    SilentLists,
    LostResponses,
    ErrorsOfProxies,
    BrokenConnections,
    /// 503 for one request in ten.
    Noise,
    RetryAfter,
    /// 204 or NoSuchUpload, and nothing is done.
    FalseGone,
    LaggingList(usize),
    PageByKey,
    EchoedEncoding,
    PagesBreakOff,
    PagesFail,
    PageRefused,
    PageOfHtml,
    /// The Date of every list page is so many seconds off.
    WrongDate(i64),
    /// That of one page in four.
    WrongDateAtTimes(i64),
    SlightlyWrongDate(i64),
    /// The server's clock is so many seconds from ours.
    ServerClock(i64),
}

impl FaultKind {
    fn drawn(dice: &mut Dice) -> FaultKind {
        let lag = usize::try_from(dice.between(1, 3)).unwrap();
        let date = dice.pick(&[-86_400 * 30, -7200, -1000, 1000, 7200, 86_400 * 365]);
        let slight = dice.pick(&[-700, -60, 60, 700]);
        let clock = dice.pick(&[-86_400, -7200, -600, 600, 7200, 86_400 * 365]);
        dice.pick(&[
            FaultKind::SilentAborts,
            FaultKind::SilentAborts,
            FaultKind::SilentLists,
            FaultKind::LostResponses,
            FaultKind::LostResponses,
            FaultKind::ErrorsOfProxies,
            FaultKind::ErrorsOfProxies,
            FaultKind::BrokenConnections,
            FaultKind::Noise,
            FaultKind::Noise,
            FaultKind::RetryAfter,
            FaultKind::FalseGone,
            FaultKind::LaggingList(lag),
            FaultKind::LaggingList(lag),
            FaultKind::PageByKey,
            FaultKind::EchoedEncoding,
            FaultKind::PagesBreakOff,
            FaultKind::PagesFail,
            FaultKind::PageRefused,
            FaultKind::PageOfHtml,
            FaultKind::WrongDate(date),
            FaultKind::WrongDateAtTimes(date),
            FaultKind::SlightlyWrongDate(slight),
            FaultKind::ServerClock(clock),
        ])
    }

    fn faults(self, dice: &mut Dice) -> Vec<Fault> {
        let abort = |fault: Fault, probability| fault.method("DELETE").probability(probability).always();
        let page = |fault: Fault, probability| fault.query("uploads").probability(probability).always();
        match self {
            FaultKind::SilentAborts => vec![
                abort(Fault::silence().then(End::Stall), 0.02),
                abort(Fault::silence().executed().then(End::Stall), 0.02),
            ],
            FaultKind::SilentLists => vec![page(Fault::silence().then(End::Stall), 0.2)],
            FaultKind::LostResponses => {
                vec![abort(Fault::real().cut(0), 0.1), abort(Fault::real().cut(20).then(End::Reset), 0.05)]
            }
            FaultKind::ErrorsOfProxies => vec![
                abort(Fault::answer(500).error("InternalError").executed(), 0.1),
                abort(Fault::answer(502).body("<html>").executed(), 0.1),
                abort(Fault::answer(500).error("InternalError"), 0.1),
            ],
            FaultKind::BrokenConnections => vec![
                abort(Fault::silence().then(End::Reset), 0.1),
                abort(Fault::real().then(End::Close), 0.1),
                abort(Fault::raw("garbage\r\n\r\n"), 0.05),
            ],
            FaultKind::Noise => vec![Fault::answer(503).error("SlowDown").probability(0.1).always()],
            FaultKind::RetryAfter => {
                let fault = Fault::answer(503).error("SlowDown").header("Retry-After", "1");
                let fault = if dice.one_in(4) { fault.query("uploads") } else { fault.method("DELETE") };
                vec![fault.skip(dice.between(0, 50))]
            }
            FaultKind::FalseGone => {
                let probability = dice.pick(&[0.05, 0.3, 1.0]);
                let refusal = Fault::answer(404).error("NoSuchUpload");
                vec![abort(Fault::answer(204), probability), abort(refusal, probability)]
            }
            FaultKind::PagesBreakOff => {
                let bytes = usize::try_from(dice.between(0, 3000)).unwrap();
                vec![page(Fault::real().cut(bytes), dice.pick(&[0.2, 1.0]))]
            }
            FaultKind::PagesFail => {
                vec![page(Fault::answer(500).error("InternalError"), dice.pick(&[0.2, 1.0]))]
            }
            FaultKind::PageRefused => {
                let refusal = Fault::answer(403).error("AccessDenied").query("uploads");
                vec![refusal.skip(dice.between(0, 4))]
            }
            FaultKind::PageOfHtml => {
                vec![
                    Fault::answer(200).body("<html>Sign in</html>").query("uploads").skip(dice.between(0, 4)),
                ]
            }
            FaultKind::WrongDate(seconds) | FaultKind::SlightlyWrongDate(seconds) => {
                vec![page(Fault::real().date_offset(seconds), 1.0)]
            }
            FaultKind::WrongDateAtTimes(seconds) => vec![page(Fault::real().date_offset(seconds), 0.25)],
            FaultKind::LaggingList(_)
            | FaultKind::PageByKey
            | FaultKind::EchoedEncoding
            | FaultKind::ServerClock(_) => Vec::new(),
        }
    }

    /// The codes with which it may end a listing.
    fn ends_listings_with(self) -> &'static [i32] {
        match self {
            FaultKind::Noise | FaultKind::RetryAfter => &[code::THROTTLED],
            FaultKind::PagesBreakOff => &[code::IO],
            FaultKind::PagesFail => &[code::SERVER],
            FaultKind::PageRefused => &[code::ACCESS_DENIED],
            FaultKind::EchoedEncoding
            | FaultKind::PageOfHtml
            | FaultKind::WrongDate(_)
            | FaultKind::WrongDateAtTimes(_) => &[code::PROTOCOL],
            _ => &[],
        }
    }
}

/// What ends a sweep early.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    Never,
    Budget { ms: u32 },
    Cancel { after_ms: u64 },
    Callback { done: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Sweep {
    prefix: &'static str,
    stop: Stop,
}

/// All that is drawn for a round.
#[derive(Debug)]
struct Plan {
    fault_kinds: Vec<FaultKind>,
    sweeps: Vec<Sweep>,
    dry_run: bool,
    /// Other clients initiate uploads all the time.
    births: bool,
    page_cap: usize,
    connections: u32,
    attempts: u32,
    timeout_ms: u32,
    confirm: bool,
}

impl Plan {
    fn drawn(dice: &mut Dice) -> Plan {
        let mut fault_kinds: Vec<FaultKind> = Vec::new();
        for _ in 0..dice.between(1, 4) {
            let kind = FaultKind::drawn(dice);
            let is_about_time = |kind: &FaultKind| {
                matches!(
                    kind,
                    FaultKind::WrongDate(_)
                        | FaultKind::WrongDateAtTimes(_)
                        | FaultKind::SlightlyWrongDate(_)
                        | FaultKind::ServerClock(_)
                )
            };
            // A wrong Date on a refusal for a wrong clock is another story: CLOCK_SKEW.
            if !is_about_time(&kind) || !fault_kinds.iter().any(is_about_time) {
                fault_kinds.push(kind);
            }
        }
        // It is for every page, and the first fault that matches is applied.
        fault_kinds.sort_by_key(|kind| !matches!(kind, FaultKind::WrongDate(_)));
        let sweeps = (0..dice.pick(&[1, 1, 2, 3])).map(|_| Sweep::drawn(dice)).collect();
        Plan {
            fault_kinds,
            sweeps,
            dry_run: dice.one_in(12),
            births: dice.one_in(6),
            page_cap: dice.pick(&[15, 50, 1000]),
            connections: dice.pick(&[1, 4, 8, 16]),
            attempts: dice.pick(&[1, 2, 4, 4]),
            timeout_ms: dice.pick(&[600, 5000, 5000]),
            confirm: dice.one_in(6),
        }
    }

    fn has(&self, is: impl Fn(&FaultKind) -> bool) -> bool {
        self.fault_kinds.iter().any(is)
    }

    /// Whether another sweep of the round may take the same uploads.
    fn has_rival(&self, sweep: &Sweep) -> bool {
        let same =
            |other: &&Sweep| other.prefix.starts_with(sweep.prefix) || sweep.prefix.starts_with(other.prefix);
        self.sweeps.iter().filter(same).count() > 1
    }

    fn may_end_with(&self, sweep: &Sweep, code: i32) -> bool {
        match sweep.stop {
            Stop::Budget { .. } if code == code::TIMEOUT => return true,
            Stop::Cancel { .. } | Stop::Callback { .. } if code == code::CANCELLED => return true,
            _ => {}
        }
        // A busy machine is as slow as a silent peer.
        matches!(code, code::OK | code::PARTIAL | code::TIMEOUT)
            || self.has(|kind| kind.ends_listings_with().contains(&code))
    }

    fn client(&self, server: &Server) -> Client {
        let is_silent = self.has(|kind| matches!(kind, FaultKind::SilentAborts | FaultKind::SilentLists));
        let config = Config::new(&server.endpoint())
            .max_connections(self.connections)
            .max_attempts(self.attempts)
            .timeout_ms(self.timeout_ms)
            .response_timeout_ms(if is_silent { 200 } else { 1000 });
        if self.confirm { config.confirm().client() } else { config.client() }
    }
}

impl Sweep {
    fn drawn(dice: &mut Dice) -> Sweep {
        let stop = match dice.between(0, 9) {
            0 => Stop::Budget { ms: u32::try_from(dice.between(1, 400)).unwrap() },
            1 => Stop::Cancel { after_ms: dice.between(0, 300) },
            2 => Stop::Callback { done: dice.between(0, 100) },
            _ => Stop::Never,
        };
        Sweep { prefix: dice.pick(&["", "", "db/", "logs", "médias/"]), stop }
    }
}

/// What a sweep ought to do with an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Old,
    Young,
    Unknown,
}

#[derive(Debug)]
struct Upload {
    key: String,
    id: String,
    age: Age,
}

fn create_uploads(server: &Server, plan: &Plan, dice: &mut Dice) -> Vec<Upload> {
    // If a page ends with `%41`, a server that echoes the encoding is asked to go on after `A`: no client can see that
    // uploads between them are never listed.
    let hard = if plan.fault_kinds.contains(&FaultKind::EchoedEncoding) { "a+b" } else { "%41" };
    let mut uploads = Vec::new();
    let mut create = |key: String, age: Age, initiated: &Initiated| {
        let id = server.create_upload_at(BUCKET, &key, initiated);
        uploads.push(Upload { key, id, age });
    };
    let ago = |seconds: u64| Initiated::Ago(Duration::from_secs(seconds));
    for prefix in PREFIXES {
        for n in 0..dice.pick(&[0, 3, 30, 100]) {
            let key = format!("{prefix}{}{n:04}", dice.pick(&["a", "a+b", "c d", "e/f", "é", "~", hard]));
            server.put_object(BUCKET, &key, b"of the same name");
            // More than 15 minutes beyond the limit: by so much clocks may differ.
            create(key, Age::Old, &ago(HOUR + 1200 + dice.between(0, 90 * 86_400)));
        }
        for _ in 0..dice.pick(&[0, 5, 25]) {
            create(format!("{prefix}one key"), Age::Old, &ago(2 * HOUR));
        }
        for n in 0..dice.pick(&[0, 3, 40]) {
            let key = format!("{prefix}{}{n:04}", dice.pick(&["a", "b+c", "c d", "live/"]));
            create(format!("{key} young"), Age::Young, &ago(dice.between(0, HOUR - 600)));
        }
        for n in 0..dice.pick(&[0, 4]) {
            let texts = ["1970-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z", "last year", ""];
            create(format!("{prefix}u{n} unknown"), Age::Unknown, &Initiated::Missing);
            create(format!("{prefix}u{n} text"), Age::Unknown, &Initiated::Text(dice.pick(&texts).into()));
        }
    }
    uploads
}

fn set_up(server: &Server, plan: &Plan, dice: &mut Dice) {
    let mut quirks = Vec::new();
    for kind in &plan.fault_kinds {
        match kind {
            FaultKind::LaggingList(listings) => server.set_list_lag(*listings),
            FaultKind::PageByKey => quirks.push(ListQuirk::PageByKey),
            FaultKind::EchoedEncoding => quirks.push(ListQuirk::EchoEncodingType),
            _ => kind.faults(dice).into_iter().for_each(|fault| server.fault(fault)),
        }
    }
    server.set_list_quirks(&quirks);
    server.set_page_cap(plan.page_cap);
}

/// What a sweep came to.
struct SweepResult {
    ending: Ending,
    /// The outcomes of each upload id, in their order.
    outcomes: HashMap<String, Vec<Outcome>>,
    /// `done` and `total_so_far` went down, or contradicted each other.
    progress_is_wrong: bool,
}

fn sweep(client: &Client, sweep: &Sweep, flags: u32) -> SweepResult {
    let call = match sweep.stop {
        Stop::Budget { ms } => Call::with_timeout_ms(ms),
        _ => Call::new(),
    };
    let mut outcomes: HashMap<String, Vec<Outcome>> = HashMap::new();
    let (mut last, mut progress_is_wrong) = ((0, 0), false);
    let mut progress = |outcome: Option<&Outcome>, done: u64, total: u64| {
        progress_is_wrong |= done < last.0 || total < last.1 || done > total;
        last = (done, total);
        if let Some(outcome) = outcome {
            outcomes.entry(outcome.upload_id.clone()).or_default().push(outcome.clone());
        }
        matches!(sweep.stop, Stop::Callback { done: enough } if done >= enough)
    };
    let ending = std::thread::scope(|scope| {
        if let Stop::Cancel { after_ms } = sweep.stop {
            let call = &call;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(after_ms));
                call.cancel();
            });
        }
        client.stale(Some(&call), BUCKET, Some(sweep.prefix), HOUR, flags, &mut progress)
    });
    SweepResult { ending, outcomes, progress_is_wrong }
}

/// What there is to say of a round.
#[derive(Default)]
struct Findings {
    sweeps: u64,
    uploads: u64,
    gone: u64,
    kept: u64,
    faults: u64,
    requests: u64,
    codes: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

impl Findings {
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(what());
        }
    }

    fn count(&mut self, result: &SweepResult) {
        self.sweeps += 1;
        let name = unsafe { borrowed(lib().obs_abort_code_name(result.ending.code)) };
        *self.codes.entry(name.unwrap()).or_default() += 1;
    }

    fn add(&mut self, other: Findings) {
        self.sweeps += other.sweeps;
        self.uploads += other.uploads;
        self.gone += other.gone;
        self.kept += other.kept;
        self.faults += other.faults;
        self.requests += other.requests;
        for (name, count) in other.codes {
            *self.codes.entry(name).or_default() += count;
        }
        self.wrong.extend(other.wrong);
    }
}

fn round(seed: u64) -> Findings {
    let dice = &mut Dice(seed);
    let plan = Plan::drawn(dice);
    let clock = plan.fault_kinds.iter().find_map(|kind| match kind {
        FaultKind::ServerClock(seconds) => Some(*seconds),
        _ => None,
    });
    let buckets = vec![BUCKET.into()];
    let clock_offset_s = clock.unwrap_or(0);
    let server = Server::start(Options { buckets, clock_offset_s, seed, ..Options::default() });
    let mut uploads = create_uploads(&server, &plan, dice);
    let before = uploads.len();
    set_up(&server, &plan, dice);
    let client = plan.client(&server);
    let (flags, over) = (if plan.dry_run { DRY_RUN } else { 0 }, AtomicBool::new(false));
    let (results, born) = std::thread::scope(|scope| {
        let births = scope.spawn(|| births(&server, plan.births, &over));
        let sweeps: Vec<_> =
            plan.sweeps.iter().map(|plan| scope.spawn(|| sweep(&client, plan, flags))).collect();
        let results: Vec<SweepResult> = sweeps.into_iter().map(|sweep| sweep.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        (results, births.join().unwrap())
    });
    uploads.extend(born);
    let mut findings = Findings::default();
    let record = Record::of(&server);
    Audit { plan: &plan, uploads: &uploads, before, record: &record, findings: &mut findings }
        .round(&results);
    findings.faults = server.counts().faults;
    after_the_faults(&server, &uploads, &mut findings);
    findings.requests = server.counts().requests;
    let (gone, kept) = (server.aborted_count(), server.upload_count(BUCKET) as u64);
    let lost = uploads.len() as u64 - gone - kept;
    findings.check(lost == 0, || format!("{lost} uploads are neither aborted nor there"));
    (findings.uploads, findings.gone, findings.kept) = (uploads.len() as u64, gone, kept);
    for wrong in &mut findings.wrong {
        *wrong = format!("SOAK_SEED={seed}: {wrong:.2000}\n    {plan:?}");
    }
    findings
}

fn births(server: &Server, wanted: bool, over: &AtomicBool) -> Vec<Upload> {
    let mut born = Vec::new();
    while wanted && born.len() < 300 && !over.load(Ordering::Relaxed) {
        let key = format!("{}born{}", PREFIXES[born.len() % PREFIXES.len()], born.len());
        let id = server.create_upload(BUCKET, &key);
        born.push(Upload { key, id, age: Age::Young });
        std::thread::sleep(Duration::from_millis(3));
    }
    born
}

/// The next night: nothing old is left, and nothing young was touched.
fn after_the_faults(server: &Server, uploads: &[Upload], findings: &mut Findings) {
    server.clear_faults();
    server.set_list_quirks(&[]);
    server.set_list_lag(0);
    let left = server.uploads(BUCKET).len() as u64;
    // Patient, whatever the machine has to do beside.
    let client = Config::new(&server.endpoint()).max_connections(4).client();
    let result = sweep(&client, &Sweep { prefix: "", stop: Stop::Never }, 0);
    findings.count(&result);
    let report = result.ending.report.as_ref().expect("a report");
    let kept = uploads.iter().filter(|upload| upload.age != Age::Old).count() as u64;
    let remain: HashSet<String> = server.uploads(BUCKET).into_iter().map(|upload| upload.upload_id).collect();
    findings.check(
        result.ending.code == code::OK && report.failed == 0 && report.kept == kept && report.total <= left,
        || format!("after the faults, with {left} left and {kept} to keep: {:?}", result.ending),
    );
    let wrong = uploads.iter().find(|upload| remain.contains(&upload.id) == (upload.age == Age::Old));
    findings.check(wrong.is_none(), || format!("after the faults, wrongly there or gone: {wrong:?}"));
    findings.check(server.counts().objects_deleted == 0, || "an object was deleted".into());
}

/// The server's word on the sweeps of a round.
struct Record {
    left: HashSet<String>,
    /// How many aborts of each upload id arrived.
    aborts: HashMap<String, u64>,
    /// DELETE requests without an upload id.
    strange: Vec<String>,
}

impl Record {
    fn of(server: &Server) -> Record {
        let left = server.uploads(BUCKET).into_iter().map(|upload| upload.upload_id).collect();
        let (mut aborts, mut strange) = (HashMap::new(), Vec::new());
        for entry in server.journal().into_iter().filter(|entry| entry.method == "DELETE") {
            match entry.target.split_once("?uploadId=") {
                Some((_, id)) => *aborts.entry(id.to_owned()).or_default() += 1,
                None => strange.push(entry.target),
            }
        }
        Record { left, aborts, strange }
    }
}

struct Audit<'a> {
    plan: &'a Plan,
    uploads: &'a [Upload],
    /// So many of them were there before the sweeps.
    before: usize,
    record: &'a Record,
    findings: &'a mut Findings,
}

impl Audit<'_> {
    fn round(&mut self, results: &[SweepResult]) {
        let Audit { plan, uploads, record, .. } = *self;
        let findings = &mut *self.findings;
        let in_a_prefix = |key: &str| plan.sweeps.iter().any(|sweep| key.starts_with(sweep.prefix));
        for upload in uploads {
            let attempts: u64 = results
                .iter()
                .flat_map(|result| result.outcomes.get(&upload.id))
                .flatten()
                .map(|outcome| u64::from(outcome.attempts))
                .sum();
            let aborts = record.aborts.get(&upload.id).copied().unwrap_or(0);
            let is_left = record.left.contains(&upload.id);
            let may_be_aborted = !plan.dry_run && upload.age == Age::Old && in_a_prefix(&upload.key);
            findings.check(may_be_aborted || (is_left && aborts == 0), || {
                format!("{aborts} aborts of an upload to keep, left {is_left}: {upload:?}")
            });
            findings.check(aborts <= attempts, || {
                format!("{aborts} aborts arrived, {attempts} are reported: {upload:?}")
            });
            findings.check(is_left || aborts > 0, || format!("gone, and never aborted: {upload:?}"));
        }
        findings.check(record.strange.is_empty(), || format!("without an upload id: {:?}", record.strange));
        for (sweep, result) in plan.sweeps.iter().zip(results) {
            self.findings.count(result);
            self.sweep(sweep, result);
        }
    }

    fn sweep(&mut self, sweep: &Sweep, result: &SweepResult) {
        let plan = self.plan;
        let code = result.ending.code;
        let report = result.ending.report.as_ref().expect("a report");
        let mut wrong = Vec::new();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        check(plan.may_end_with(sweep, code), "a code that nothing explains");
        check(!result.progress_is_wrong, "progress goes down");
        check(
            (code == code::OK) == result.ending.error.is_none(),
            "an error string exactly if there is an error",
        );
        let ours: HashMap<&str, &Upload> = self
            .uploads
            .iter()
            .filter(|upload| upload.key.starts_with(sweep.prefix))
            .map(|upload| (upload.id.as_str(), upload))
            .collect();
        let is_old = |id: &str| ours.get(id).is_some_and(|upload| upload.age == Age::Old);
        let acted_on = report.aborted + report.missing + report.failed;
        check(result.outcomes.keys().all(|id| is_old(id)), "an outcome of an upload that is not to be taken");
        check(result.outcomes.len() as u64 == acted_on, "each upload that was acted on is counted once");
        if plan.has(|kind| matches!(kind, FaultKind::WrongDate(_))) {
            check(code != code::OK && code != code::PARTIAL, "a list with a wrong Date was acted on");
            check(report.total == 0 && result.outcomes.is_empty(), "a list with a wrong Date was counted");
        }
        self.failures(sweep, result, report, &mut check);
        self.counts(sweep, result, report, &ours, &mut check);
        for what in wrong {
            let text = format!("{what}: {sweep:?} {:?}", result.ending);
            self.findings.wrong.push(text);
        }
    }

    /// Each failure is still there, or says that it may be gone.
    fn failures(
        &self,
        sweep: &Sweep,
        result: &SweepResult,
        report: &Report,
        check: &mut dyn FnMut(bool, &str),
    ) {
        let Audit { plan, record, .. } = *self;
        let ids: HashSet<&str> = report.failures.iter().map(|failure| failure.upload_id.as_str()).collect();
        check(ids.len() == report.failures.len(), "a failure is recorded twice");
        check(report.failures.len() as u64 == report.failed, "a failure is not recorded");
        let contradicts = plan.has(|kind| matches!(kind, FaultKind::LaggingList(_) | FaultKind::FalseGone));
        for failure in &report.failures {
            let outcomes = result.outcomes.get(&failure.upload_id).map_or(&[][..], Vec::as_slice);
            let attempts: u32 = outcomes.iter().map(|outcome| outcome.attempts).sum();
            let may_be_gone = match failure.code {
                code::TIMEOUT | code::CANCELLED | code::IO | code::SERVER => attempts > 0,
                // The sweep ends with a listing that shows no fewer uploads than the one before, and the abort
                // succeeded after it: the response to the one before was lost, or a refusal.
                code::STILL_LISTED => contradicts || outcomes.iter().any(|outcome| outcome.code != code::OK),
                // Not the first attempt, and the response to an earlier one was lost; or the abort is not confirmed.
                _ => attempts > 1 || plan.confirm,
            };
            let holds = record.left.contains(&failure.upload_id) || may_be_gone || plan.has_rival(sweep);
            check(holds, &format!("gone, and the failure does not say so ({failure:?})"));
        }
    }

    fn counts(
        &self,
        sweep: &Sweep,
        result: &SweepResult,
        report: &Report,
        ours: &HashMap<&str, &Upload>,
        check: &mut dyn FnMut(bool, &str),
    ) {
        let Audit { plan, uploads, before, record, .. } = *self;
        let is = |kind: FaultKind| plan.fault_kinds.contains(&kind);
        let (lies, echo) = (is(FaultKind::FalseGone), is(FaultKind::EchoedEncoding));
        let has_rival = plan.has_rival(sweep);
        let count = |age: Age| ours.values().filter(|upload| upload.age == age).count() as u64;
        let (old, young, unknown) = (count(Age::Old), count(Age::Young), count(Age::Unknown));
        let born =
            uploads[before..].iter().filter(|upload| ours.contains_key(upload.id.as_str())).count() as u64;
        let left: Vec<&str> = ours
            .values()
            .filter(|u| u.age == Age::Old && record.left.contains(&u.id))
            .map(|u| &*u.id)
            .collect();
        let gone = old - left.len() as u64;
        let Report { aborted, missing, failed, kept, unknown_age, .. } = *report;
        let acted_on = aborted + missing + failed;
        let is_complete = matches!(result.ending.code, code::OK | code::PARTIAL);

        check(acted_on <= old && unknown_age <= unknown, "more than there are");
        check(acted_on + kept <= old + young + unknown, "more are kept than there are");
        if plan.dry_run {
            check(missing == 0 && (failed == 0 || echo), "a failure of a dry run");
        } else {
            check(
                aborted + missing <= gone || ((lies || echo) && !is_complete),
                "said to be gone, and still there",
            );
            check(gone <= acted_on || has_rival, "gone without being accounted for");
            check(missing == 0 || lies || echo || has_rival, "missing, and nobody else aborted it");
        }
        if !is_complete {
            return;
        }
        let pages_by_key = is(FaultKind::PageByKey);
        check(unknown_age == unknown, "unknown age");
        check((young + unknown - born..=young + unknown).contains(&kept), "kept");
        check((result.ending.code == code::PARTIAL) == (failed > 0), "PARTIAL exactly if there are failures");
        if result.ending.code == code::OK && !plan.dry_run {
            check(left.is_empty(), "OK, and something old is left");
        }
        let hides = pages_by_key && (failed > 0 || plan.dry_run);
        check(acted_on == old || has_rival || hides, "an old upload is not accounted for");
        if !plan.dry_run && !hides {
            let failures: HashSet<&str> = report.failures.iter().map(|f| f.upload_id.as_str()).collect();
            check(left.iter().all(|id| failures.contains(id)), "still there, and no failure");
        }
    }
}

#[test]
fn every_upload_of_a_sweep_is_accounted_for() {
    let _alone = super::alone();
    let (wanted, at_once) = (number("SOAK_SWEEPS", 100), ROUNDS_AT_ONCE);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number("SOAK_SEED", now.as_secs());
    println!("SOAK_SEED={seed} SOAK_SWEEPS={wanted}");
    let (rounds, all, began) = (AtomicU64::new(0), Mutex::new(Findings::default()), Instant::now());
    let descriptors_before = descriptors();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while all.lock().unwrap().sweeps < wanted {
                    let findings = round(seed + rounds.fetch_add(1, Ordering::Relaxed));
                    all.lock().unwrap().add(findings);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let codes: Vec<String> = all.codes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("| sweeps, {at_once} servers at once | {} in {seconds:.0} s |", all.sweeps);
    println!("| requests, and those of them disturbed | {}, {} |", all.requests, all.faults);
    println!("| uploads: old and gone, young or of unknown age and kept | {}, {} |", all.gone, all.kept);
    println!("| sweeps by code | {} |", codes.join(", "));
    println!("| wrong reports | {} |", all.wrong.len());
    for wrong in all.wrong.iter().take(20) {
        println!("{wrong}");
    }
    assert!(all.wrong.is_empty(), "{} wrong reports", all.wrong.len());
    assert_eq!(all.uploads, all.gone + all.kept);
    assert!(descriptors() <= descriptors_before, "{descriptors_before}, {}", descriptors());
}
