//! Many uploads at once: workers for the time of one call, one report, progress on the caller's thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::base::deadline::{Flag, SLICE, Stop, Watch};
use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::base::process;
use crate::obs::bucket::Place;
use crate::operation::abort::{Outcome, abort_at, watch_of_one};
use crate::operation::call::Call;
use crate::operation::client::Client;
use crate::operation::rate_limit::Pace;

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
    let place = match client.place(bucket) {
        Ok(place) => place,
        Err(error) => return (Some(error), Report { kept: total, ..Report::default() }),
    };
    let crew = Crew::new(client, call, &place);
    let taken = AtomicUsize::new(0);
    let next = |_: &Crew<'_>| {
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
        crew.work(count, &next, &mut |outcome, report| progress(outcome, report.acted_on(), total));
    report.kept = total - report.acted_on();
    (crew.verdict(&report, report.kept > 0, None), report)
}

/// The workers of one call and what they share.
pub struct Crew<'a> {
    /// Whose.
    pub client: &'a Client,
    /// The bucket of the uploads, and where it is.
    pub place: &'a Place,
    /// Bounds the whole call.
    pub watch: Watch,
    /// Common to all requests.
    pub pace: Pace,
    /// No new upload is begun: the caller's callback said so.
    pub stopped: Flag,
    started_cancelled: bool,
    /// An upload was cut off in flight: by cancellation, by the budget of the whole. Of the failures, only the first
    /// are kept, and one that ran out of its own budget is none of these.
    cancelled_in_flight: Flag,
    timed_out_in_flight: Flag,
    /// Uploads that were given back: the call ended while they waited for their turn.
    pub given_back: AtomicU64,
}

impl<'a> Crew<'a> {
    /// Nobody works yet.
    pub fn new(client: &'a Client, call: &Call, place: &'a Place) -> Crew<'a> {
        let watch = client.watch(call, call.timeout.unwrap_or(Duration::MAX));
        let started_cancelled = watch.is_cancelled();
        let stopped = Flag::default();
        Crew {
            client,
            place,
            watch,
            pace: Pace::new(stopped.clone()),
            stopped,
            started_cancelled,
            cancelled_in_flight: Flag::default(),
            timed_out_in_flight: Flag::default(),
            given_back: AtomicU64::new(0),
        }
    }

    /// Whether new work may begin.
    pub fn goes_on(&self) -> bool {
        !self.stopped.is_up() && !self.timed_out_in_flight.is_up() && self.watch.check().is_ok()
    }

    /// Has `next` asked for jobs by all workers until it has none, `at_most` being how many there can be. `tell`
    /// runs on this thread: with each outcome, and at least every slice; `true` stops.
    pub fn work(
        &self,
        at_most: usize,
        next: &(dyn Fn(&Crew<'_>) -> Option<Job> + Sync),
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) -> Report {
        let mut report = Report::default();
        let workers = (self.client.settings().max_connections as usize).min(at_most);
        std::thread::scope(|scope| {
            let (done, outcomes) = sync_channel(2 * workers + 1);
            let started: Vec<_> = process::with_signals_blocked(|| {
                // Fewer than asked for will do.
                let start = |_| {
                    let done = done.clone();
                    let thread =
                        std::thread::Builder::new().name("obsabort-worker".into()).stack_size(512 * 1024);
                    thread.spawn_scoped(scope, move || self.worker(next, &done)).ok()
                };
                (0..workers).map_while(start).collect()
            });
            if started.is_empty() && workers > 0 {
                // No thread to be had: the caller's does the work, one upload after the other.
                self.alone(next, &mut report, tell);
            }
            drop(done);
            self.listen(&outcomes, &mut report, tell);
            for worker in started {
                // The scope itself waits for the end of what they do, and not for that of the threads.
                let _ = worker.join();
            }
        });
        report
    }

    fn worker(&self, next: &dyn Fn(&Crew<'_>) -> Option<Job>, done: &SyncSender<Outcome>) {
        while self.goes_on() {
            let Some(job) = next(self) else { return };
            let Some(outcome) = self.settle(job) else { continue };
            if done.send(outcome).is_err() {
                return;
            }
        }
    }

    fn alone(
        &self,
        next: &dyn Fn(&Crew<'_>) -> Option<Job>,
        report: &mut Report,
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) {
        while self.goes_on() {
            let Some(job) = next(self) else { return };
            if let Some(outcome) = self.settle(job) {
                self.account(outcome, report, tell);
            }
        }
    }

    /// None: it was not begun, since the call ended first.
    fn settle(&self, job: Job) -> Option<Outcome> {
        match job {
            Job::Settled(outcome) => Some(*outcome),
            Job::Abort(Upload { key, upload_id, initiated, index }) => {
                let watch = watch_of_one(self.client, &self.watch);
                let aborted = caught(|| {
                    abort_at(self.client, &watch, self.place, &key, &upload_id, Some(&self.pace), true)
                });
                let mut outcome = aborted.unwrap_or_else(|panic| Outcome::unsent(internal(&panic)));
                (outcome.initiated, outcome.index) = (initiated, index);
                let cut_off = match (outcome.code, self.watch.check()) {
                    (Code::Cancelled, _) => Some(&self.cancelled_in_flight),
                    (Code::Timeout, Err(Stop::Deadline)) => Some(&self.timed_out_in_flight),
                    // All have to wait longer than the call may take: nothing more will be begun.
                    (Code::Throttled, _) if !outcome.begun && watch.deadline() == self.watch.deadline() => {
                        Some(&self.timed_out_in_flight)
                    }
                    _ => None,
                };
                if let Some(flag) = cut_off {
                    flag.raise();
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
        outcomes: &Receiver<Outcome>,
        report: &mut Report,
        tell: &mut dyn FnMut(Option<&Outcome>, &Report) -> bool,
    ) {
        let mut beat = Instant::now();
        loop {
            match outcomes.recv_timeout(SLICE) {
                Ok(outcome) => self.account(outcome, report, tell),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // However many outcomes there are: who draws a clock relies on a beat.
            if beat.elapsed() >= SLICE {
                if tell(None, report) {
                    self.stopped.raise();
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
            self.stopped.raise();
        }
    }

    /// The first that applies: cancelled, out of time, the listing's failure, some failed. `unreached`: not all that
    /// there was to do was begun.
    pub fn verdict(&self, report: &Report, unreached: bool, listing: Option<Error>) -> Option<Error> {
        let Report { aborted, missing, failed, kept, .. } = report;
        let sums = format!("{aborted} aborted, {missing} were gone already, {failed} failed, {kept} kept");
        let stop = self.watch.check().err().filter(|_| unreached || listing.is_some());
        if self.stopped.is_up()
            || self.started_cancelled
            || self.cancelled_in_flight.is_up()
            || stop == Some(Stop::Cancelled)
        {
            return Some(Error::new(Code::Cancelled, format!("the call was cancelled: {sums}")));
        }
        if self.timed_out_in_flight.is_up() || stop == Some(Stop::Deadline) {
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
