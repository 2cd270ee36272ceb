//! Many uploads at once: workers for the time of one call, one report, progress on the caller's thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::base::deadline::{CancelFlag, Deadline, Interrupted, SLICE};
use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::base::process;
use crate::obs::bucket::Bucket;
use crate::operation::abort::{self, Outcome, abort_at, deadline_of_one};
use crate::operation::call::Call;
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::rate_limit::RateLimiter;
use crate::operation::send::Invocation;

/// Failures beyond these are counted, and not kept.
const MAX_FAILURES: usize = 1000;

/// What became of many uploads; `total` is always the sum of the other four.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Gone by this call.
    pub aborted: u64,
    /// Were gone already.
    pub missing: u64,
    /// Neither.
    pub failed: u64,
    /// Not to be touched, or not reached.
    pub kept: u64,
    /// The first of those that failed.
    pub failures: Vec<Outcome>,
}

impl Report {
    /// Uploads looked at.
    pub fn total(&self) -> u64 {
        self.aborted + self.missing + self.failed + self.kept
    }

    /// Uploads acted on.
    fn acted_on(&self) -> u64 {
        self.aborted + self.missing + self.failed
    }

    fn add(&mut self, outcome: Outcome) {
        match outcome.code {
            Code::Ok => self.aborted += 1,
            Code::NoSuchUpload => self.missing += 1,
            _ => {
                self.failed += 1;
                if self.failures.len() < MAX_FAILURES {
                    self.failures.push(outcome);
                }
            }
        }
    }
}

/// What a verb over many uploads comes to: its failure, if it has one, and the report in any case.
pub type Ending = (Option<Error>, Report);

/// Told of each upload acted on, and without one while nothing happens: done, total so far. `true` stops.
pub type Progress<'a> = &'a mut dyn FnMut(Option<&Outcome>, u64, u64) -> bool;

/// What a worker does next.
pub enum Job {
    /// Abort this.
    Abort(Upload),
    /// Nothing: this is settled already.
    Settled(Box<Outcome>),
}

/// Gives a worker its next job, or none; the log is for what it does itself.
pub type Next<'a> = &'a (dyn Fn(&WorkerPool<'_>, Logger<'_>) -> Option<Job> + Sync);

/// What a worker hands to the thread that made the call.
enum Message {
    /// A line for the log.
    Line(Level, String),
    /// What became of an upload, after the lines about it.
    Outcome(Outcome),
}

/// One upload to abort.
pub struct Upload {
    /// The key of its object.
    pub key: String,
    /// Its id.
    pub upload_id: String,
    /// When it was initiated, in Unix seconds, if a listing says so.
    pub initiated: Option<i64>,
    /// Which entry of a list it is, if there is a list.
    pub index: Option<usize>,
}

/// One entry of a list: key and upload id, or why it is none.
pub type Entry<'a> = Result<(&'a str, &'a str), (String, String, Error)>;

/// Aborts every upload of a list.
pub fn abort_many<'a>(
    client: &Client,
    call: &Call,
    bucket: &str,
    count: usize,
    entry: &(dyn Fn(usize) -> Option<Entry<'a>> + Sync),
    progress: Progress<'_>,
) -> Ending {
    let total = count as u64;
    let place = match client.bucket(bucket) {
        Ok(place) => place,
        Err(error) => return (Some(error), Report { kept: total, ..Report::default() }),
    };
    let pool = WorkerPool::new(client, call, &place);
    let taken = AtomicUsize::new(0);
    let next = |_: &WorkerPool<'_>, _: Logger<'_>| {
        let i = taken.fetch_add(1, Ordering::Relaxed);
        let index = Some(i);
        Some(match entry(i)? {
            Ok((key, upload_id)) => {
                Job::Abort(Upload { key: key.into(), upload_id: upload_id.into(), initiated: None, index })
            }
            Err((key, upload_id, error)) => {
                Job::Settled(Box::new(Outcome { key, upload_id, index, ..Outcome::unsent(error) }))
            }
        })
    };
    let mut report =
        pool.work(count, &next, &mut |outcome, report| progress(outcome, report.acted_on(), total));
    report.kept = total - report.acted_on();
    (pool.verdict(&report, report.kept > 0, None), report)
}

/// The workers of one call and what they share.
pub struct WorkerPool<'a> {
    /// Whose.
    pub client: &'a Client,
    /// The bucket of the uploads, and where it is.
    pub place: &'a Bucket,
    /// Bounds the whole call.
    pub deadline: Deadline,
    /// Common to all requests.
    pub rate_limiter: RateLimiter,
    /// No new upload is begun: the caller's callback said so.
    pub stopped: CancelFlag,
    started_cancelled: bool,
    /// An upload was cut off in flight: by cancellation, by the budget of the whole. Of the failures, only the first
    /// are kept, and one that ran out of its own budget is none of these.
    cancelled_in_flight: CancelFlag,
    timed_out_in_flight: CancelFlag,
    /// Uploads that were given back: the call ended while they waited for their turn.
    pub given_back: AtomicU64,
}

impl<'a> WorkerPool<'a> {
    /// Nobody works yet.
    pub fn new(client: &'a Client, call: &Call, place: &'a Bucket) -> WorkerPool<'a> {
        let deadline = client.deadline(call, call.timeout.unwrap_or(Duration::MAX));
        let started_cancelled = deadline.is_cancelled();
        let stopped = CancelFlag::default();
        WorkerPool {
            client,
            place,
            deadline,
            rate_limiter: RateLimiter::new(stopped.clone()),
            stopped,
            started_cancelled,
            cancelled_in_flight: CancelFlag::default(),
            timed_out_in_flight: CancelFlag::default(),
            given_back: AtomicU64::new(0),
        }
    }

    /// Whether new work may begin.
    pub fn goes_on(&self) -> bool {
        !self.stopped.is_set() && !self.timed_out_in_flight.is_set() && self.deadline.check().is_ok()
    }

    /// Has `next` asked for jobs by all workers until it has none, `at_most` being how many there can be. `tell`
    /// runs on this thread: with each outcome, and at least every slice; `true` stops.
    pub fn work(
        &self,
        at_most: usize,
        next: Next<'_>,
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) -> Report {
        let mut report = Report::default();
        let workers = (self.client.settings().max_connections as usize).min(at_most);
        std::thread::scope(|scope| {
            // Workers wait when it is full: a slow callback costs time, and not memory.
            let (sender, messages) = sync_channel(2 * workers + 1);
            // Fewer than asked for will do.
            let started: Vec<_> = (0..workers)
                .map_while(|_| {
                    let sender = sender.clone();
                    process::spawn_scoped(scope, "obsabort-worker", move || self.worker(next, &sender)).ok()
                })
                .collect();
            if started.is_empty() && workers > 0 {
                // No thread to be had: the caller's does the work, one upload after the other.
                self.alone(next, &mut report, tell);
            }
            drop(sender);
            self.listen(&messages, &mut report, tell);
            for worker in started {
                // The scope itself waits for the end of what they do, and not for that of the threads.
                let _ = worker.join();
            }
        });
        report
    }

    fn worker(&self, next: Next<'_>, sender: &SyncSender<Message>) {
        // Sending fails only if the call has panicked, and then there is nobody to tell.
        let send_line = |level, line| drop(sender.send(Message::Line(level, line)));
        let log = self.client.logger().through(&send_line);
        while self.goes_on() {
            let Some(job) = next(self, log) else { return };
            let Some(outcome) = self.settle(job, log) else { continue };
            if sender.send(Message::Outcome(outcome)).is_err() {
                return;
            }
        }
    }

    fn alone(
        &self,
        next: Next<'_>,
        report: &mut Report,
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) {
        let log = self.client.logger();
        while self.goes_on() {
            let Some(job) = next(self, log) else { return };
            if let Some(outcome) = self.settle(job, log) {
                self.account(outcome, report, tell);
            }
        }
    }

    /// None: it was not begun, since the call ended first.
    fn settle(&self, job: Job, log: Logger<'_>) -> Option<Outcome> {
        match job {
            Job::Settled(outcome) => Some(*outcome),
            Job::Abort(Upload { key, upload_id, initiated, index }) => {
                let deadline = deadline_of_one(self.client, &self.deadline);
                let invocation = abort::invocation(self.client, log, self.place, &deadline);
                let invocation =
                    Invocation { rate_limiter: Some(&self.rate_limiter), ids: true, ..invocation };
                let aborted = caught(|| abort_at(&invocation, self.place, &key, &upload_id));
                let mut outcome = aborted.unwrap_or_else(|panic| Outcome::unsent(internal(&panic)));
                (outcome.initiated, outcome.index) = (initiated, index);
                let cut_off = match (outcome.code, self.deadline.check()) {
                    (Code::Cancelled, _) => Some(&self.cancelled_in_flight),
                    (Code::Timeout, Err(Interrupted::DeadlinePassed)) => Some(&self.timed_out_in_flight),
                    // All have to wait longer than the call may take: nothing more will be begun.
                    (Code::Throttled, _)
                        if !outcome.begun && deadline.instant() == self.deadline.instant() =>
                    {
                        Some(&self.timed_out_in_flight)
                    }
                    _ => None,
                };
                if let Some(flag) = cut_off {
                    flag.set();
                    if !outcome.begun {
                        self.given_back.fetch_add(1, Ordering::Relaxed);
                        return None;
                    }
                }
                Some(outcome.of(key, upload_id))
            }
        }
    }

    fn listen(
        &self,
        messages: &Receiver<Message>,
        report: &mut Report,
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) {
        let log = self.client.logger();
        let mut beat = Instant::now();
        loop {
            match messages.recv_timeout(SLICE) {
                Ok(Message::Line(level, line)) => log.log(level, || line),
                Ok(Message::Outcome(outcome)) => self.account(outcome, report, tell),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // However many outcomes there are: who draws a clock relies on a beat.
            if beat.elapsed() >= SLICE {
                if tell(None, report) {
                    self.stopped.set();
                }
                beat = Instant::now();
            }
        }
    }

    fn account(
        &self,
        outcome: Outcome,
        report: &mut Report,
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) {
        // Counted first: done includes the upload that is told of.
        let copy = outcome.clone();
        report.add(outcome);
        if tell(Some(&copy), report) {
            self.stopped.set();
        }
    }

    /// The first that applies: cancelled, out of time, the listing's failure, some failed. `unreached`: not all that
    /// there was to do was begun.
    pub fn verdict(&self, report: &Report, unreached: bool, listing: Option<Error>) -> Option<Error> {
        let Report { aborted, missing, failed, kept, .. } = report;
        let sums = format!("{aborted} aborted, {missing} were gone already, {failed} failed, {kept} kept");
        let stop = self.deadline.check().err().filter(|_| unreached || listing.is_some());
        if self.stopped.is_set()
            || self.started_cancelled
            || self.cancelled_in_flight.is_set()
            || stop == Some(Interrupted::Cancelled)
        {
            return Some(Error::new(Code::Cancelled, format!("the call was cancelled: {sums}")));
        }
        if self.timed_out_in_flight.is_set() || stop == Some(Interrupted::DeadlinePassed) {
            return Some(Error::new(Code::Timeout, format!("the time budget of the call ran out: {sums}")));
        }
        if let Some(error) = listing {
            return Some(Error::new(error.code, format!("{} ({sums})", error.detail)));
        }
        let first = report.failures.first().and_then(|first| first.message.as_deref());
        (*failed > 0).then(|| {
            Error::new(Code::Partial, format!("{sums}; the first failure: {}", first.unwrap_or("unknown")))
        })
    }
}
