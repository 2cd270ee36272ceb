//! Many uploads at once: a pool of workers for the time of one call, one report, callbacks on the caller's thread.
//!
//! The outcomes are counted by the workers, or by the caller's thread if it looks at each.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::base::deadline::{CHECK_INTERVAL, CancelFlag, Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::base::sys::thread;
use crate::obs::bucket::Bucket;
use crate::obs::operation::Operation;
use crate::operation::abort::{CheckedUpload, Inspect, Outcome, Upload, abort_upload, log_outcome};
use crate::operation::call::CallOptions;
use crate::operation::client::Client;
use crate::operation::invocation::Invocation;
use crate::operation::log::{Level, Logger};
use crate::operation::rate_limit::RateLimiter;
use crate::operation::retry::Attempts;

/// Failures beyond these are counted, and not kept.
///
/// cbindgen:ignore
pub const MAX_RECORDED_FAILURES: usize = 1000;

/// The pause of the caller's thread after a message that woke it, before it takes what has come meanwhile. Without it,
/// nearly every outcome that it observes would wake it: 4.6 futex calls an upload, and 1.4 times the processor time of
/// callers' own threads instead of 1.15.
const PAUSE: Duration = Duration::from_millis(2);

/// Messages for each worker that may wait for the caller's thread: more than come in a pause. Workers wait if the channel
/// is full: a slow callback costs time, and not memory.
const MESSAGES_PER_WORKER: usize = 16;
/// The least capacity of the channel.
const MIN_CHANNEL_CAPACITY: usize = 64;

/// Counts of uploads. `total` is always the sum of the four that follow.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Uploads that are gone because of this call.
    pub aborted: u64,
    /// Uploads that were gone before this call.
    pub missing: u64,
    /// Uploads whose abort failed.
    pub failed: u64,
    /// Uploads that were left alone, or not reached.
    pub kept: u64,
    /// Kept uploads that were initiated too late.
    pub younger: u64,
    /// Kept uploads that may still be written to.
    pub active: u64,
    /// Responses that asked to slow down, to abort and to list requests alike.
    pub throttled: u64,
    /// Kept uploads whose age the server does not tell.
    pub unknown_age: u64,
    /// The size of the aborted uploads, as far as it was measured.
    pub bytes: u64,
    /// Whether a whole listing showed nothing left to do.
    pub complete: bool,
    /// The first failures.
    pub failures: Vec<Outcome>,
}

impl Report {
    /// Uploads looked at.
    pub fn total(&self) -> u64 {
        self.acted_on() + self.kept
    }

    /// Uploads that have an outcome.
    pub fn acted_on(&self) -> u64 {
        self.aborted + self.missing + self.failed
    }

    /// The counts in words.
    pub fn sums(&self, dry_run: bool) -> String {
        let Report { aborted, missing, failed, kept, .. } = self;
        let aborted =
            if dry_run { format!("{aborted} would be aborted") } else { format!("{aborted} aborted") };
        format!("{aborted}, {missing} were gone already, {failed} failed, {kept} kept")
    }

    fn add(&mut self, outcome: &Outcome) {
        match outcome.code {
            Code::Ok => self.aborted += 1,
            Code::NoSuchUpload => self.missing += 1,
            _ => {
                self.failed += 1;
                if self.failures.len() < MAX_RECORDED_FAILURES {
                    self.failures.push(outcome.clone());
                }
            }
        }
    }
}

/// The result of a call over many uploads. There is a report in any case.
pub struct BatchResult {
    pub report: Report,
    pub result: Result<(), Error>,
}

impl BatchResult {
    /// The result of a call that began nothing.
    pub fn refused(kept: u64, error: Error) -> BatchResult {
        BatchResult { report: Report { kept, ..Report::default() }, result: Err(error) }
    }
}

/// Called with each outcome, and without one at least every [`CHECK_INTERVAL`]: the outcome, uploads done, uploads
/// known so far.
pub type ProgressCallback<'a> = &'a mut dyn FnMut(Option<Outcome>, u64, u64) -> ControlFlow<()>;

/// What becomes of the outcomes of a call.
pub enum Outcomes<'a> {
    /// Each worker counts its own.
    Counted(&'a (dyn Fn(&Outcome) + Sync)),
    /// The thread that made the call takes them, and for a beat None at least every [`CHECK_INTERVAL`].
    Observed(&'a mut dyn FnMut(Option<Outcome>) -> ControlFlow<()>),
}

/// The thread that made the call.
struct Observer<'a> {
    outcomes: Outcomes<'a>,
    last_beat: Instant,
}

impl Observer<'_> {
    fn beat_is_due(&self) -> bool {
        self.last_beat.elapsed() >= CHECK_INTERVAL
    }
}

/// What a worker does next.
pub enum Job {
    /// One abort, after what earlier attempts of the call have come to.
    Abort(Upload, Attempts),
    /// Nothing: this is the outcome.
    Done(Box<Outcome>),
    /// Nothing, but to have the caller's thread called back at once.
    Beat,
}

/// The end of the call came first.
pub struct CutOff;

/// Gives a worker its next job, or none. The log is for what it does itself.
pub type NextJob<'a> = &'a (dyn Fn(&WorkerPool<'_>, Logger<'_>) -> Option<Job> + Sync);

/// What a worker sends to the thread that made the call.
#[expect(clippy::large_enum_variant, reason = "nearly all are outcomes")]
enum Message {
    LogLine(Level, String),
    /// After the lines about its upload. None: a beat.
    Outcome(Option<Outcome>),
}

/// Aborts every upload of a list. `entry` gives each by its index, and None past the end.
pub fn abort_many(
    client: &Client,
    call: &CallOptions,
    bucket: &str,
    count: usize,
    entry: &(dyn Fn(usize) -> Option<CheckedUpload> + Sync),
    progress: Option<ProgressCallback<'_>>,
) -> BatchResult {
    let total = count as u64;
    let bucket = match client.bucket(bucket) {
        Ok(bucket) => bucket,
        Err(error) => return BatchResult::refused(total, error),
    };
    let pool = WorkerPool::new(client, call, &bucket);
    let taken = AtomicUsize::new(0);
    let next_job = |_: &WorkerPool<'_>, log: Logger<'_>| {
        let i = taken.fetch_add(1, Ordering::Relaxed);
        let index = Some(i);
        Some(match entry(i)? {
            Ok(upload) => Job::Abort(Upload { index, ..upload }, Attempts::default()),
            Err((upload, error)) => {
                let outcome = Outcome::unsent(Upload { index, ..upload }, error);
                Job::Done(Box::new(log_outcome(log, outcome)))
            }
        })
    };
    let report = Mutex::new(Report::default());
    let count_one = |outcome: &Outcome| lock(&report).add(outcome);
    match progress {
        None => pool.run(count, &next_job, Outcomes::Counted(&count_one)),
        Some(progress) => {
            let mut observe = |outcome: Option<Outcome>| {
                outcome.iter().for_each(count_one);
                let done = lock(&report).acted_on();
                progress(outcome, done, total)
            };
            pool.run(count, &next_job, Outcomes::Observed(&mut observe));
        }
    }
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.kept = total - report.acted_on();
    report.throttled = pool.throttled();
    let result = pool.result(&report, &report.sums(false), report.kept > 0, None);
    BatchResult { report, result }
}

fn lock(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The workers of one call, and what they share.
pub struct WorkerPool<'a> {
    pub client: &'a Client,
    pub bucket: &'a Bucket,
    /// Bounds the whole call.
    pub deadline: Deadline,
    /// Common to all requests.
    pub rate_limiter: RateLimiter,
    /// Set by the caller's callback, or by a panic: no new upload is begun.
    stopped: CancelFlag,
    began_cancelled: bool,
    /// Set if an upload was cut off in flight by cancellation, or by the deadline of the call. The report does not
    /// tell: it keeps only the first failures, and one that ran out of its own budget is neither.
    cancelled_in_flight: CancelFlag,
    timed_out_in_flight: CancelFlag,
    /// Set if the service asked all requests to wait longer than they may.
    held_off: CancelFlag,
    /// Set if a thread of the call panicked. It is stopped, too: the others may wait for what becomes of an upload.
    panic: OnceLock<String>,
}

impl<'a> WorkerPool<'a> {
    /// A pool without workers, until it runs.
    pub fn new(client: &'a Client, call: &CallOptions, bucket: &'a Bucket) -> WorkerPool<'a> {
        let deadline = client.deadline(call, call.timeout.unwrap_or(Duration::MAX));
        let began_cancelled = deadline.is_cancelled();
        let stopped = CancelFlag::default();
        WorkerPool {
            client,
            bucket,
            deadline,
            rate_limiter: RateLimiter::new(stopped.clone()),
            stopped,
            began_cancelled,
            cancelled_in_flight: CancelFlag::default(),
            timed_out_in_flight: CancelFlag::default(),
            held_off: CancelFlag::default(),
            panic: OnceLock::new(),
        }
    }

    /// A request of this call.
    pub fn invocation<'i>(
        &'i self,
        operation: Operation,
        deadline: &'i Deadline,
        log: Logger<'i>,
    ) -> Invocation<'i> {
        let rate_limiter = Some(&self.rate_limiter);
        Invocation { rate_limiter, ..Invocation::new(self.client, operation, self.bucket, deadline, log) }
    }

    /// Whether new work may begin.
    pub fn is_running(&self) -> bool {
        let is_ended =
            [&self.stopped, &self.timed_out_in_flight, &self.held_off].iter().any(|flag| flag.is_set());
        !is_ended && self.deadline.check().is_ok()
    }

    /// Runs jobs until there are none, `at_most` being how many can run at once.
    pub fn run(&self, at_most: usize, next_job: NextJob<'_>, outcomes: Outcomes<'_>) {
        let count = match outcomes {
            Outcomes::Counted(count) => Some(count),
            Outcomes::Observed(_) => None,
        };
        let observer = &mut Observer { outcomes, last_beat: Instant::now() };
        let workers = (self.client.settings().max_connections as usize).min(at_most);
        std::thread::scope(|scope| {
            let (sender, messages) = sync_channel((MESSAGES_PER_WORKER * workers).max(MIN_CHANNEL_CAPACITY));
            // Disconnected once the last worker has ended. Not by parking: `std::thread::current` panics if the caller's
            // thread is about to end, in the destructor of a key.
            let (working, ended) = channel::<()>();
            // Fewer than asked for will do.
            let started: Vec<_> = (0..workers)
                .map_while(|_| {
                    if !thread::has_headroom() {
                        return None;
                    }
                    let (sender, working) = (sender.clone(), working.clone());
                    let work = move || {
                        self.contain(|| self.work(next_job, &sender, count));
                        drop(sender);
                        drop(working); // ends the caller's pause, if this was the last
                    };
                    thread::spawn_scoped(scope, "obsabort-worker", work).ok()
                })
                .collect();
            let works_alone = started.is_empty() && workers > 0;
            // All ends of the channels go with it: a worker must not wait for a caller's thread that has panicked.
            self.contain(move || {
                if works_alone {
                    self.work_on_this_thread(next_job, observer);
                }
                drop((sender, working));
                self.receive(&messages, &ended, observer);
            });
            for worker in started {
                // The scope itself waits for the end of what they do, and not for that of the threads.
                let _ = worker.join();
            }
        });
    }

    /// Runs what a thread of the call does. If it panics, the call ends.
    fn contain(&self, run: impl FnOnce()) {
        if let Err(panic) = caught(run) {
            let _ = self.panic.set(panic); // the first says enough
            self.stop();
        }
    }

    /// Returns whether the service asked all requests to wait longer than they may.
    pub fn is_held(&self) -> bool {
        self.rate_limiter.held_too_long().is_some()
            || self.rate_limiter.is_held_until(self.deadline.instant())
    }

    /// How often the service asked to slow down.
    pub fn throttled(&self) -> u64 {
        self.rate_limiter.throttled()
    }

    /// Outcomes that are not counted here are sent to the thread that made the call.
    fn work(
        &self,
        next_job: NextJob<'_>,
        sender: &SyncSender<Message>,
        count: Option<&(dyn Fn(&Outcome) + Sync)>,
    ) {
        // Sending fails only if the call has panicked, and then there is nobody to receive.
        let send_line = |level, line| drop(sender.send(Message::LogLine(level, line)));
        let log = self.client.logger().through(&send_line);
        while self.is_running() {
            let Some(job) = next_job(self, log) else { return };
            let Ok(outcome) = self.perform(job, log) else { continue };
            if let Some(count) = count {
                outcome.iter().for_each(count);
            } else if sender.send(Message::Outcome(outcome)).is_err() {
                return;
            }
        }
    }

    /// For a process that can't have another thread: one upload after the other.
    fn work_on_this_thread(&self, next_job: NextJob<'_>, observer: &mut Observer<'_>) {
        let log = self.client.logger();
        while self.is_running() {
            let Some(job) = next_job(self, log) else { return };
            if let Ok(outcome) = self.perform(job, log) {
                self.observe(observer, outcome);
            }
            if observer.beat_is_due() {
                self.beat(observer);
            }
        }
    }

    /// Performs a job. Returns its outcome, or None for a beat. An error: the job was not begun, since the call ended first.
    fn perform(&self, job: Job, log: Logger<'_>) -> Result<Option<Outcome>, CutOff> {
        let (upload, earlier) = match job {
            Job::Done(outcome) => return Ok(Some(*outcome)),
            Job::Beat => return Ok(None),
            Job::Abort(upload, earlier) => (upload, earlier),
        };
        self.abort(upload, earlier, None, log).map(Some)
    }

    /// Aborts an upload, unless `inspect` decides otherwise.
    pub fn abort(
        &self,
        upload: Upload,
        earlier: Attempts,
        inspect: Option<Inspect<'_>>,
        log: Logger<'_>,
    ) -> Result<Outcome, CutOff> {
        let deadline = self.client.per_upload_deadline(&self.deadline);
        let invocation = self.invocation(Operation::AbortMultipartUpload, &deadline, log);
        let outcome = abort_upload(&invocation, upload, earlier, inspect);
        match self.check_cut_off(outcome.code, outcome.begun) {
            Err(cut_off) if !outcome.begun => Err(cut_off),
            _ => Ok(outcome),
        }
    }

    /// Finds out whether a request failed so because the call ends, and takes note of that.
    pub fn check_cut_off(&self, code: Code, begun: bool) -> Result<(), CutOff> {
        let reason = match (code, self.deadline.check()) {
            (Code::Cancelled, _) => &self.cancelled_in_flight,
            (Code::Timeout, Err(Interrupted::DeadlinePassed)) => &self.timed_out_in_flight,
            // It got no turn, and neither will the others.
            (Code::Throttled, _) if !begun => &self.held_off,
            _ => return Ok(()),
        };
        reason.set();
        Err(CutOff)
    }

    fn receive(&self, messages: &Receiver<Message>, ended: &Receiver<()>, observer: &mut Observer<'_>) {
        loop {
            match messages.recv_timeout(CHECK_INTERVAL) {
                Ok(message) => {
                    self.take(message, observer);
                    // Now, and not after the rest: then it would be woken twice for a burst.
                    let _ = ended.recv_timeout(PAUSE);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // A beat comes also if messages never end.
            while !observer.beat_is_due()
                && let Ok(message) = messages.try_recv()
            {
                self.take(message, observer);
            }
            // However many outcomes there are: a caller that draws a clock relies on it.
            if observer.beat_is_due() {
                self.beat(observer);
            }
        }
    }

    fn take(&self, message: Message, observer: &mut Observer<'_>) {
        match message {
            Message::LogLine(level, line) => self.client.logger().log(level, || line),
            Message::Outcome(outcome) => self.observe(observer, outcome),
        }
    }

    fn beat(&self, observer: &mut Observer<'_>) {
        self.observe(observer, None);
        observer.last_beat = Instant::now();
    }

    fn observe(&self, observer: &mut Observer<'_>, outcome: Option<Outcome>) {
        let next = match &mut observer.outcomes {
            Outcomes::Counted(count) => {
                outcome.iter().for_each(count);
                return;
            }
            Outcomes::Observed(observe) => observe(outcome),
        };
        if next.is_break() {
            self.stop();
        }
    }

    /// No new upload is begun.
    pub fn stop(&self) {
        self.stopped.set();
    }

    /// The result of the call, the first that applies: a panic, cancelled, out of time, the listing's failure, some failed.
    /// `incomplete`: not all that there was to do was done.
    pub fn result(
        &self,
        report: &Report,
        sums: &str,
        incomplete: bool,
        listing_failure: Option<Error>,
    ) -> Result<(), Error> {
        if let Some(panic) = self.panic.get() {
            return Err(internal(panic));
        }
        let is_incomplete = incomplete || listing_failure.is_some();
        let interrupted = self.deadline.check().err().filter(|_| is_incomplete);
        let is_held = is_incomplete && self.rate_limiter.is_held_until(self.deadline.instant());
        if self.stopped.is_set()
            || self.began_cancelled
            || self.cancelled_in_flight.is_set()
            || interrupted == Some(Interrupted::Cancelled)
        {
            return Err(Error::new(Code::Cancelled, format!("the call was cancelled: {sums}")));
        }
        if self.timed_out_in_flight.is_set() || interrupted == Some(Interrupted::DeadlinePassed) {
            return Err(Error::new(Code::Timeout, format!("the time budget of the call ran out: {sums}")));
        }
        if is_held {
            let detail = format!("the service asked to wait beyond the time budget of the call: {sums}");
            return Err(Error::new(Code::Timeout, detail));
        }
        if let Some(error) = listing_failure {
            if report.total() == 0 {
                return Err(error); // "0 aborted" would look like a clean bucket
            }
            return Err(Error::new(error.code, format!("{} ({sums})", error.detail)));
        }
        if let Some(wait) = self.rate_limiter.held_too_long().filter(|_| incomplete || report.failed > 0) {
            let detail =
                format!("the service asked to wait {} s: try again after that: {sums}", wait.as_secs());
            return Err(Error::new(Code::Throttled, detail));
        }
        if incomplete {
            return Err(internal("the call ended before its work was done"));
        }
        if report.failed > 0 {
            let first = report.failures.first().and_then(|first| first.message.as_deref());
            let detail = format!("{sums}; the first failure: {}", first.unwrap_or("unknown"));
            return Err(Error::new(Code::Partial, detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obs::bucket::parse_endpoint;
    use crate::operation::config::Config;

    fn client() -> Client {
        let mut config = Config::default();
        config.settings.endpoint = Some(parse_endpoint("http://127.0.0.1:1").unwrap());
        config.settings.max_connections = 4;
        Client::new(&config).unwrap()
    }

    fn assert_internal(result: Result<(), Error>) {
        let error = result.expect_err("a panic is no success");
        assert_eq!(error.code, Code::Internal, "{error}");
        assert!(error.detail.contains("batch.rs:"), "where it was: {error}");
    }

    #[test]
    fn a_panic_of_a_worker_ends_the_call_of_all() {
        let client = client();
        let bucket = client.bucket("bucket").unwrap();
        let pool = WorkerPool::new(&client, &CallOptions::default(), &bucket);
        let began = Instant::now();
        let one_panics = AtomicUsize::new(0);
        let next_job = |pool: &WorkerPool<'_>, _: Logger<'_>| {
            assert_ne!(one_panics.fetch_add(1, Ordering::Relaxed), 2, "on purpose");
            while pool.is_running() && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            None
        };
        pool.run(4, &next_job, Outcomes::Counted(&|_| ()));
        assert!(!pool.is_running(), "the others waited for it");
        assert_internal(pool.result(&Report::default(), "", true, None));
    }

    #[test]
    fn a_panic_of_the_callers_thread_ends_the_workers() {
        let client = client();
        let mut progress = |_, _, _| panic!("on purpose");
        let named = |_| Some(Err((Upload::default(), Error::argument("invalid"))));
        let ended =
            abort_many(&client, &CallOptions::default(), "bucket", 1_000_000, &named, Some(&mut progress));
        assert_internal(ended.result);
        assert!(ended.report.acted_on() < 1_000_000, "{:?}", ended.report.acted_on());
    }
}
