//! A sweep: finds and aborts what crashed backups left.
//!
//! Pages of the listing go in, jobs for the [`WorkerPool`] come out. The workers fetch the pages, too, so that no
//! more connections are used than allowed, and no more than two pages are held. The [`Tally`] keeps count, and decides
//! whether to list again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

use crate::base::date;
use crate::base::deadline::Deadline;
use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::http::Headers;
use crate::obs::bucket::{check_key, check_upload_id};
use crate::obs::listing::{
    ListedUpload, Marker, Page, PageRequest, larger_than_memory, malformed, read_page,
};
use crate::obs::operation::Operation;
use crate::operation::abort::{Outcome, Upload, log_outcome};
use crate::operation::batch::{BatchResult, Job, Observer, ProgressCallback, WorkerPool};
use crate::operation::call::CallOptions;
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::retry::Attempts;
use crate::operation::send::{Failure, Invocation, Signed, send};
use crate::operation::tally::{Listed, Tally};

/// With fewer uploads waiting, the next page is fetched: at 20 ms a request and 32 workers, this is a page's time.
const LOW_WATER: usize = 500;

/// The most by which OBS lets the date of a signature differ from its own clock.
const MAX_SKEW_SECONDS: u64 = 15 * 60;

/// Which uploads a sweep takes.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Keys that begin with this.
    pub prefix: &'a str,
    /// At least this old, by the server's clock. 0: age does not matter.
    pub older_than_seconds: u64,
    /// Nothing is deleted.
    pub dry_run: bool,
}

/// Lists the uploads of a bucket, and aborts those that are selected, until a listing shows none of them.
pub fn sweep(
    client: &Client,
    call: &CallOptions,
    bucket: &str,
    selection: Selection<'_>,
    progress: ProgressCallback<'_>,
) -> BatchResult {
    let bucket = match client.bucket(bucket) {
        Ok(bucket) => bucket,
        Err(error) => return BatchResult::refused(0, error),
    };
    let pool = WorkerPool::new(client, call, &bucket);
    let sweep = Sweep::new(selection);
    let next_job = |pool: &WorkerPool<'_>, log: Logger<'_>| sweep.next_job(pool, log);
    let mut callback = |outcome: Option<Outcome>| {
        let mut state = sweep.lock();
        if let Some(outcome) = &outcome {
            state.tally.record(outcome);
        }
        let (done, known) = state.tally.progress();
        drop(state);
        progress(outcome, done, known)
    };
    let mut observer = Observer::new(&mut callback);
    let mut at_most = usize::MAX;
    loop {
        pool.run(at_most, &next_job, &mut observer);
        match sweep.begin_pass(&pool) {
            Some(left) => at_most = usize::try_from(left).unwrap_or(usize::MAX),
            None => break,
        }
    }
    let State { tally, failure, next_page, .. } =
        sweep.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A listing that did not end, or was not made again, is a reason for CANCELLED or TIMEOUT as good as an upload that
    // was kept.
    let unfinished = next_page.is_some() || (!selection.dry_run && tally.needs_another_pass());
    let incomplete = unfinished || tally.unreached() > 0;
    let mut report = tally.into_report(failure.is_none() && !incomplete);
    report.throttled = pool.throttled();
    // Until now the log says that they were aborted.
    let logged = |outcome: Outcome| match outcome.code {
        Code::StillListed => log_outcome(client.logger(), outcome),
        _ => outcome,
    };
    report.failures = std::mem::take(&mut report.failures).into_iter().map(logged).collect();
    let result = pool.result(&report, &report.sums(selection.dry_run), incomplete, failure);
    BatchResult { report, result }
}

struct Sweep<'a> {
    selection: Selection<'a>,
    /// What was initiated at this time or later is not touched, in Unix seconds. Fixed by the first page, however long
    /// the sweep takes. If age does not matter, it is that page's time, and holds from the second pass on.
    cutoff: OnceLock<i64>,
    /// Whether keys are asked for percent-encoded: until a server does so without saying so.
    encoded: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    tally: Tally,
    /// Uploads to be tried, and whether an earlier pass may have aborted each.
    waiting: VecDeque<(ListedUpload, bool)>,
    /// Where the next page begins; None after the last.
    next_page: Option<Marker>,
    circle: CircleDetector,
    /// A worker is fetching a page.
    is_listing: bool,
    /// The worker that fetched the last page. If each page were read by another one, it would leave its mark in the
    /// heap of each, since the system's allocator gives threads heaps of their own: megabytes with 32 workers.
    lister: Option<ThreadId>,
    failure: Option<Error>,
}

impl State {
    /// The page that this worker is to fetch here and now, if it is.
    fn page_to_fetch(&mut self) -> Option<Marker> {
        if self.failure.is_some() || self.is_listing || self.waiting.len() >= LOW_WATER {
            return None;
        }
        let marker = self.next_page.clone()?;
        let this = std::thread::current().id();
        // The one that did so before, unless an abort holds it up while there is nothing left to do.
        if !self.waiting.is_empty() && self.lister.is_some_and(|lister| lister != this) {
            return None;
        }
        self.lister = Some(this);
        self.is_listing = true;
        Some(marker)
    }
}

/// Finds out whether markers come back to one that was seen before, without a list of them: one is remembered, and
/// replaced after twice as many steps each time (Brent's algorithm).
#[derive(Debug)]
struct CircleDetector {
    remembered: Marker,
    steps: u64,
    limit: u64,
}

impl CircleDetector {
    fn new() -> CircleDetector {
        CircleDetector { remembered: Marker::default(), steps: 0, limit: 1 }
    }

    fn closes(&mut self, next: &Marker) -> bool {
        if *next == self.remembered {
            return true;
        }
        self.steps += 1;
        if self.steps == self.limit {
            *self = CircleDetector { remembered: next.clone(), steps: 0, limit: self.limit * 2 };
        }
        false
    }
}

impl<'a> Sweep<'a> {
    fn new(selection: Selection<'a>) -> Sweep<'a> {
        let state = State {
            tally: Tally::new(),
            waiting: VecDeque::new(),
            next_page: Some(Marker::default()),
            circle: CircleDetector::new(),
            is_listing: false,
            lister: None,
            failure: None,
        };
        Sweep {
            selection,
            cutoff: OnceLock::new(),
            encoded: AtomicBool::new(true),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins another pass, and returns how many uploads the last one listed. None: there is none to begin.
    fn begin_pass(&self, pool: &WorkerPool<'_>) -> Option<u64> {
        let mut state = self.lock();
        if self.selection.dry_run
            || state.failure.is_some()
            || state.next_page.is_some()
            || !pool.is_running()
            || !state.tally.needs_another_pass()
        {
            return None;
        }
        let listed = state.tally.listed();
        state.tally.begin_pass();
        state.next_page = Some(Marker::default());
        state.circle = CircleDetector::new();
        // The threads of the last pass have ended.
        state.lister = None;
        Some(listed)
    }

    /// The next upload. Fetches a page if few are left, and waits for one if there are none.
    fn next_job(&self, pool: &WorkerPool<'_>, log: Logger<'_>) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(marker) = state.page_to_fetch() {
                drop(state);
                self.fetch(pool, log, &marker);
                state = self.lock();
                state.is_listing = false;
                self.changed.notify_all();
                // The worker that lists stops as the others do.
                if !pool.is_running() {
                    return None;
                }
                continue;
            }
            if let Some((listed, may_be_aborted)) = state.waiting.pop_front() {
                // A line that is logged waits for the caller's thread, and that one may wait for the lock.
                drop(state);
                return Some(self.job(pool, listed, may_be_aborted, log));
            }
            if !state.is_listing || !pool.is_running() {
                return None;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, pool.deadline.interval())
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn job(&self, pool: &WorkerPool<'_>, listed: ListedUpload, may_be_aborted: bool, log: Logger<'_>) -> Job {
        let ListedUpload { key, upload_id, initiated, .. } = listed;
        let upload = Upload { key, upload_id, initiated, index: None };
        let problem = if !listed.is_decoded {
            let shown = pool.client.sanitize(&upload.key);
            Some(Error::new(Code::Protocol, format!("the listed key {shown:?} can't be decoded to UTF-8")))
        } else if upload.key.contains('\0') || upload.upload_id.contains('\0') {
            // C sees another key, shortened or altered, and may have that one aborted.
            let detail = "the key or the upload id contains U+0000, which no C string can hold (shown as ?)";
            Some(Error::argument(detail))
        } else {
            // A dry run shows what a run would refuse.
            check_key(&upload.key).and_then(|()| check_upload_id(&upload.upload_id)).err()
        };
        if let Some(error) = problem {
            return Job::Done(Box::new(log_outcome(log, Outcome::unsent(upload, error))));
        }
        if self.selection.dry_run {
            return Job::Done(Box::new(Outcome::dry_run(upload)));
        }
        Job::Abort(upload, Attempts::after(may_be_aborted))
    }

    /// Fetches a page and takes its uploads over.
    fn fetch(&self, pool: &WorkerPool<'_>, log: Logger<'_>, marker: &Marker) {
        let deadline = pool.client.per_upload_deadline(&pool.deadline);
        let taken = caught(|| self.page(pool, log, &deadline, marker).and_then(|page| self.take_over(page)));
        if let Err(error) = taken.unwrap_or_else(|panic| Err(internal(&panic))) {
            log.log(Level::Error, || error.to_string());
            self.lock().failure = Some(error);
        }
    }

    fn take_over(&self, page: Page) -> Result<(), Error> {
        let state = &mut *self.lock();
        if let Some(next) = &page.next
            && state.circle.closes(next)
        {
            return Err(malformed("its markers come back to a page that was listed before"));
        }
        state.tally.begin_page();
        // Exactly: to double the memory of a large page is to run out of it.
        state.waiting.try_reserve_exact(page.uploads.len()).map_err(|_| larger_than_memory())?;
        for upload in page.uploads {
            if !self.is_old_enough(&upload)
                || self.is_later_than_sweep(&upload) && state.tally.is_new(&upload)
            {
                state.tally.keep(&upload);
            } else if let Listed::Try { may_be_aborted } = state.tally.list(&upload) {
                state.waiting.push_back((upload, may_be_aborted));
            }
        }
        state.next_page = page.next;
        Ok(())
    }

    fn page(
        &self,
        pool: &WorkerPool<'_>,
        log: Logger<'_>,
        deadline: &Deadline,
        marker: &Marker,
    ) -> Result<Page, Error> {
        loop {
            let encoded = self.encoded.load(Ordering::Relaxed);
            let request = PageRequest { prefix: self.selection.prefix, from: marker, encoded };
            match self.request_page(pool, log, deadline, request)? {
                Some(page) => return Ok(page),
                None => self.encoded.store(false, Ordering::Relaxed),
            }
        }
    }

    /// None: the page can be read in two ways, and is to be asked for without encoding.
    fn request_page(
        &self,
        pool: &WorkerPool<'_>,
        log: Logger<'_>,
        deadline: &Deadline,
        request: PageRequest<'_>,
    ) -> Result<Option<Page>, Error> {
        let PageRequest { prefix, from, encoded } = request;
        let mut target = pool.bucket.uploads(prefix, &from.key, &from.upload_id, encoded);
        let invocation = Invocation {
            client: pool.client,
            operation: Operation::ListMultipartUploads,
            bucket: pool.bucket,
            deadline,
            rate_limiter: Some(&pool.rate_limiter),
            log,
        };
        let mut page = None;
        let mut read =
            |response: &crate::http::Response, signed: Signed<'_>, body: &mut dyn std::io::Read| {
                let now = match trusted_date(&response.headers, signed.dated) {
                    Err(_) if self.selection.older_than_seconds == 0 => signed.dated,
                    now => now?,
                };
                page = read_page(body, request)?;
                // Its keys would be shown in messages and in the log.
                if page.as_ref().is_some_and(|page| page.repeats(signed.signature)) {
                    return Err(malformed("it repeats the signature of its request"));
                }
                // The first page that can be acted on, and not one that is asked for again.
                if page.is_some() {
                    let age = i64::try_from(self.selection.older_than_seconds).unwrap_or(i64::MAX);
                    self.cutoff.get_or_init(|| now.saturating_sub(age));
                }
                Ok(())
            };
        send(&invocation, &mut target, &mut Attempts::default(), Some(&mut read)).map_err(
            |Failure { error, .. }| {
                let detail = format!("listing the uploads of {}: {}", pool.bucket.name(), error.detail);
                Error::new(error.code, detail)
            },
        )?;
        Ok(page)
    }

    /// Whether an upload was initiated after the first page, and age does not matter. The first pass takes it, since it
    /// comes upon it. A later one does not: on a bucket in use a sweep would not end.
    fn is_later_than_sweep(&self, upload: &ListedUpload) -> bool {
        self.selection.older_than_seconds == 0
            && matches!((upload.initiated, self.cutoff.get()), (Some(initiated), Some(first)) if initiated > *first)
    }

    /// Unknown is not old.
    fn is_old_enough(&self, upload: &ListedUpload) -> bool {
        if self.selection.older_than_seconds == 0 {
            return true;
        }
        matches!((upload.initiated, self.cutoff.get()), (Some(initiated), Some(cutoff)) if initiated < *cutoff)
    }
}

/// The earlier of a page's Date and the time by which its request was dated. A service that has
/// just accepted a signature of `dated` is at most 15 minutes from it: a Date further off comes from a gateway or
/// a cache between, and would make live uploads look old.
fn trusted_date(headers: &Headers, dated: i64) -> Result<i64, Error> {
    let Some(text) = headers.get("date") else {
        return Err(malformed("it has no Date to measure their age by"));
    };
    let mut dates = headers.all("date").map(|text| std::str::from_utf8(text).ok().and_then(date::parse_http));
    let first = dates.next().flatten();
    let Some(now) = first else {
        let text = String::from_utf8_lossy(text);
        return Err(malformed(format_args!(
            "their age is not known, since its Date can't be read: {text:?}"
        )));
    };
    if dates.any(|other| other != first) {
        return Err(malformed("it has two Dates that differ, so that their age is not known"));
    }
    if now.abs_diff(dated) > MAX_SKEW_SECONDS {
        return Err(malformed(format_args!(
            "its Date is {} s from the clock that the service accepted: something on the way writes Dates of its own",
            now.abs_diff(dated)
        )));
    }
    Ok(now.min(dated))
}
