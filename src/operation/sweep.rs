//! A sweep: finds and aborts what crashed backups left.
//!
//! Pages of the listing go in, jobs for the [`WorkerPool`] come out. The workers fetch the pages, too, so that no
//! more connections are used than allowed, and no more than two pages are held. The [`Tally`] keeps count, and decides
//! whether to list again.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::base::deadline::{CHECK_INTERVAL, Deadline};
use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::obs::bucket::{check_key, check_upload_id};
use crate::obs::clock::trusted_date;
use crate::obs::listing::{
    ListedUpload, Marker, Page, PageRequest, larger_than_memory, malformed, read_page,
};
use crate::obs::operation::Operation;
use crate::operation::abort::{Inspection, Kept, Outcome, Upload, log_outcome};
use crate::operation::batch::{BatchResult, Job, Outcomes, ProgressCallback, WorkerPool};
use crate::operation::call::CallOptions;
use crate::operation::client::Client;
use crate::operation::cycle::CycleDetector;
use crate::operation::invocation::{Failure, Invocation, Signed, Turn};
use crate::operation::log::{Level, Logger};
use crate::operation::parts::list_parts;
use crate::operation::retry::Attempts;
use crate::operation::selection::{Cutoffs, Selection};
use crate::operation::send::send;
use crate::operation::tally::{Listed, Tally};

/// With fewer uploads waiting, the next page is fetched: at 20 ms a request and 32 workers, this is a page's time.
const LOW_WATER: usize = 500;

/// Says whether the caller wants to keep an upload.
pub type KeepFilter<'a> = &'a mut dyn FnMut(&Upload) -> bool;

/// Lists the uploads of a bucket, and aborts those that are selected, until a listing shows none of them.
pub fn sweep(
    client: &Client,
    call: &CallOptions,
    bucket: &str,
    selection: Selection<'_>,
    mut filter: Option<KeepFilter<'_>>,
    mut progress: Option<ProgressCallback<'_>>,
) -> BatchResult {
    let bucket = match client.bucket(bucket) {
        Ok(bucket) => bucket,
        Err(error) => return BatchResult::refused(0, error),
    };
    let pool = WorkerPool::new(client, call, &bucket);
    let sweep = Sweep::new(selection, filter.is_some());
    let next_job = |pool: &WorkerPool<'_>, log: Logger<'_>| sweep.next_job(pool, log);
    let mut call_back = |outcome, (done, known)| {
        let next = match &mut progress {
            Some(progress) => progress(outcome, done, known),
            None => ControlFlow::Continue(()),
        };
        if next.is_break() {
            pool.stop(); // before a worker finds that the pass is over
        }
        sweep.resume();
        next
    };
    let mut observe = |outcome: Option<Outcome>| {
        if let Some(outcome) = outcome {
            let counts = sweep.record(&outcome);
            // What is kept has no outcome.
            return call_back(Some(outcome).filter(|outcome| outcome.kept.is_none()), counts);
        }
        loop {
            let is_left = filter.as_mut().is_some_and(|filter| sweep.filter(&pool, *filter));
            let counts = sweep.lock().tally.progress();
            let next = call_back(None, counts);
            if next.is_break() || !is_left {
                return next;
            }
        }
    };
    // Counted on one thread, since the memory of the tally would else be in the heaps of many: see `State::lister`.
    pool.run(usize::MAX, &next_job, Outcomes::Observed(&mut observe));
    sweep.into_result(&pool)
}

struct Sweep<'a> {
    selection: Selection<'a>,
    /// Whether the caller's thread looks at each upload before anything is sent for it.
    filtered: bool,
    cutoffs: OnceLock<Cutoffs>,
    /// Whether keys are asked for percent-encoded: until a server does so without saying so.
    encoded: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    tally: Tally,
    /// Selected uploads of the last page that the caller's thread is to look at.
    candidates: VecDeque<ListedUpload>,
    /// Uploads to be tried, and whether an earlier pass may have aborted each.
    waiting: VecDeque<(ListedUpload, bool)>,
    /// Where the next page begins; None after the last.
    next_page: Option<Marker>,
    cycle: CycleDetector<Marker>,
    /// A worker is fetching a page.
    is_listing: bool,
    /// The worker that fetched the last page, of this pass or of the one before. If each page were read by another one,
    /// it would leave its mark in the heap of each, since the system's allocator gives threads heaps of their own: half a
    /// megabyte each time.
    lister: Option<usize>,
    /// The caller's thread is in a callback about what it has counted last, which may end the call.
    in_callback: bool,
    failure: Option<Error>,
}

impl State {
    /// Takes up a selected upload, unless it was taken up before.
    fn enqueue(&mut self, upload: ListedUpload) {
        if let Listed::Try { may_be_aborted } = self.tally.list(&upload) {
            self.waiting.push_back((upload, may_be_aborted));
        }
    }

    /// The page that this worker is to fetch here and now, if it is.
    fn page_to_fetch(&mut self) -> Option<Marker> {
        let is_busy = self.is_listing || !self.candidates.is_empty();
        if self.failure.is_some() || is_busy || self.waiting.len() >= LOW_WATER {
            return None;
        }
        let marker = self.next_page.clone()?;
        let this = this_thread();
        // The one that did so before, unless an abort may hold it up while there is nothing left to do. None does before
        // the first upload of a pass.
        let lister_comes = !self.waiting.is_empty() || self.tally.listed() == 0;
        if lister_comes && self.lister.is_some_and(|lister| lister != this) {
            return None;
        }
        self.lister = Some(this);
        self.is_listing = true;
        Some(marker)
    }

    /// Whether this pass has done what it can: its listing has ended, and what became of each upload is known.
    fn pass_is_over(&self) -> bool {
        (self.next_page.is_none() || self.failure.is_some())
            && !self.is_listing
            && self.candidates.is_empty()
            && self.tally.unreached() == 0
            && !self.in_callback
    }

    /// Begins another pass, if this one is not the last.
    fn begin_pass(&mut self) -> bool {
        if self.failure.is_some() || !self.tally.needs_another_pass() {
            return false;
        }
        self.tally.begin_pass();
        self.next_page = Some(Marker::default());
        self.cycle = CycleDetector::default();
        true
    }
}

impl<'a> Sweep<'a> {
    fn new(selection: Selection<'a>, filtered: bool) -> Sweep<'a> {
        let state = State {
            tally: Tally::new(),
            candidates: VecDeque::new(),
            waiting: VecDeque::new(),
            next_page: Some(Marker::default()),
            cycle: CycleDetector::default(),
            is_listing: false,
            lister: None,
            in_callback: false,
            failure: None,
        };
        Sweep {
            selection,
            filtered,
            cutoffs: OnceLock::new(),
            encoded: AtomicBool::new(true),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next upload. Fetches a page if few are left, and waits if there are none: for a page, or for the end of the
    /// pass.
    fn next_job(&self, pool: &WorkerPool<'_>, log: Logger<'_>) -> Option<Job> {
        let mut state = self.lock();
        // The worker that lists stops as the others do.
        while pool.is_running() {
            if let Some(marker) = state.page_to_fetch() {
                drop(state);
                self.fetch(pool, log, &marker);
                state = self.lock();
                state.is_listing = false;
                self.changed.notify_all();
                if !state.candidates.is_empty() {
                    return Some(Job::Beat);
                }
                continue;
            }
            if let Some((listed, may_be_aborted)) = state.waiting.pop_front() {
                // A line that is logged waits for the caller's thread, and that one may wait for the lock.
                drop(state);
                return self.job(pool, listed, may_be_aborted, log);
            }
            if state.pass_is_over() {
                if self.selection.dry_run || !state.begin_pass() {
                    return None;
                }
                self.changed.notify_all();
                continue;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, pool.deadline.next_wait())
                .unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// What is to be done about an upload. None: the call ends.
    fn job(
        &self,
        pool: &WorkerPool<'_>,
        listed: ListedUpload,
        may_be_aborted: bool,
        log: Logger<'_>,
    ) -> Option<Job> {
        let problem = problem(pool.client, &listed);
        let upload = upload_of(listed);
        if let Some(error) = problem {
            return Some(Job::Done(Box::new(log_outcome(log, Outcome::unsent(upload, error)))));
        }
        let attempts = Attempts::resuming_after(may_be_aborted);
        let inspects = self.selection.depends_on_parts() || self.selection.measure;
        match (self.selection.dry_run, inspects) {
            (true, true) => self.dry_run(pool, upload, &attempts, log),
            (true, false) => Some(Job::Done(Box::new(Outcome::dry_run(upload)))),
            (false, true) => {
                let inspect = |upload: &Upload, attempts: &Attempts| {
                    // Not that of the abort, which may have waited for its turn.
                    let deadline = pool.client.per_upload_deadline(&pool.deadline);
                    let list = pool.invocation(Operation::ListParts, &deadline, log);
                    // The list goes with the abort that has got its turn.
                    self.inspect(pool, &Invocation { turn: Turn::Taken, ..list }, upload, attempts)
                };
                let outcome = pool.abort(upload, attempts, Some(&inspect), log).ok()?;
                Some(Job::Done(Box::new(outcome)))
            }
            (false, false) => Some(Job::Abort(upload, attempts)),
        }
    }

    fn dry_run(
        &self,
        pool: &WorkerPool<'_>,
        mut upload: Upload,
        attempts: &Attempts,
        log: Logger<'_>,
    ) -> Option<Job> {
        let deadline = pool.client.per_upload_deadline(&pool.deadline);
        let invocation = pool.invocation(Operation::ListParts, &deadline, log);
        let inspection = caught(|| self.inspect(pool, &invocation, &upload, attempts));
        let outcome = match inspection.unwrap_or_else(|panic| Inspection::Failed(internal(&panic).into())) {
            Inspection::Proceed(parts) => {
                upload.parts = parts;
                Outcome::dry_run(upload)
            }
            Inspection::Keep(kept, why) => log_outcome(log, Outcome::kept(upload, attempts, kept, why)),
            Inspection::Failed(failure) => log_outcome(log, Outcome::not_aborted(upload, attempts, failure)),
            Inspection::CutOff(_) => return None,
        };
        Some(Job::Done(Box::new(outcome)))
    }

    /// Inspects the parts of an upload, immediately before a request that would abort it.
    fn inspect(
        &self,
        pool: &WorkerPool<'_>,
        list: &Invocation<'_>,
        upload: &Upload,
        attempts: &Attempts,
    ) -> Inspection {
        let matters = self.selection.depends_on_parts();
        if !matters && attempts.counted > 0 {
            return Inspection::Proceed(None); // it was measured before the first attempt
        }
        let Some(cutoffs) = self.cutoffs.get() else {
            return Inspection::Failed(internal("an upload without cutoffs").into());
        };
        let Failure { error, status, service } = match list_parts(list, upload, cutoffs.first_page) {
            Ok(parts) if matters => return cutoffs.judge(upload, parts),
            Ok(parts) => return Inspection::Proceed(Some(parts)),
            Err(failure) => failure,
        };
        // Throttled, and no other request will get its turn either.
        if pool.check_cut_off(error.code, status != 0 && !pool.is_held()).is_err() {
            return Inspection::CutOff(error);
        }
        // If the abort may have been carried out, the next listing tells.
        if matters && (error.code == Code::NoSuchUpload || attempts.may_have_succeeded) {
            return Inspection::Failed(Failure { error, status, service });
        }
        let why = format!("its parts can't be listed: {}", error.detail);
        if matters {
            return Inspection::Keep(Kept::Unknown, why);
        }
        list.log.log(Level::Warn, || {
            format!("upload {:?} of {:?}: not measured: {why}", upload.upload_id, upload.key)
        });
        Inspection::Proceed(None)
    }

    /// Counts an outcome. The pass is not over before [`Sweep::resume`]: a callback that is told of the last outcome may
    /// want no other listing. Returns the progress.
    fn record(&self, outcome: &Outcome) -> (u64, u64) {
        let mut state = self.lock();
        state.tally.record(outcome);
        state.in_callback = true;
        state.tally.progress()
    }

    /// Lets the pass end, once the callback has returned.
    fn resume(&self) {
        let mut state = self.lock();
        state.in_callback = false;
        if state.tally.unreached() == 0 {
            self.changed.notify_all();
        }
    }

    /// Shows the caller the candidates, one after the other, on the caller's thread. Returns whether some are left: a beat
    /// is due in between.
    fn filter(&self, pool: &WorkerPool<'_>, keep: KeepFilter<'_>) -> bool {
        let began = Instant::now();
        while pool.is_running() && began.elapsed() < CHECK_INTERVAL {
            // It stays in its place, so that the workers wait for what becomes of it.
            let Some(candidate) = self.lock().candidates.front().cloned() else { return false };
            let is_valid = problem(pool.client, &candidate).is_none();
            let is_kept = is_valid && keep(&upload_of(candidate.clone()));
            let state = &mut *self.lock();
            state.candidates.pop_front();
            state.in_callback = true;
            if is_kept {
                state.tally.keep_filtered(&candidate);
            } else {
                state.enqueue(candidate);
            }
            self.changed.notify_all();
        }
        pool.is_running()
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
        let cutoffs = self.cutoffs.get().ok_or_else(|| internal("a page without cutoffs"))?;
        // Before the service's clock was known, only this machine's could be asked.
        self.selection.check_initiated_before(cutoffs.first_page)?;
        let state = &mut *self.lock();
        if let Some(next) = &page.next
            && state.cycle.closes_cycle(next)
        {
            return Err(malformed("its markers come back to a page that was listed before"));
        }
        state.tally.begin_page();
        // Exactly: to double the memory of a large page is to run out of it.
        state.waiting.try_reserve_exact(page.uploads.len()).map_err(|_| larger_than_memory())?;
        if self.filtered {
            state.candidates.try_reserve_exact(page.uploads.len()).map_err(|_| larger_than_memory())?;
        }
        for upload in page.uploads {
            match self.selection.keep_reason(&upload, cutoffs, &state.tally) {
                Some(reason) => state.tally.keep(&upload, reason),
                None if self.filtered => state.candidates.push_back(upload),
                None => state.enqueue(upload),
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
            let bucket = pool.bucket.name();
            let request = PageRequest { bucket, prefix: self.selection.prefix, from: marker, encoded };
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
        let PageRequest { prefix, from, encoded, .. } = request;
        let mut target = pool.bucket.uploads_target(prefix, &from.key, &from.upload_id, encoded);
        let invocation = pool.invocation(Operation::ListMultipartUploads, deadline, log);
        let mut page = None;
        let mut read =
            |response: &crate::http::Response, signed: Signed<'_>, body: &mut dyn std::io::Read| {
                let now = match trusted_date(&response.headers, signed.dated) {
                    Err(_) if !self.selection.depends_on_age() => signed.dated,
                    now => now.map_err(malformed)?,
                };
                page = read_page(body, request)?;
                // Its keys would be shown in messages and in the log.
                if page.as_ref().is_some_and(|page| page.repeats(signed.signature)) {
                    return Err(malformed("it repeats the signature of its request"));
                }
                // The first page that can be acted on, and not one that is asked for again.
                if page.is_some() {
                    self.cutoffs.get_or_init(|| self.selection.cutoffs(now));
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

    /// What the sweep has come to.
    fn into_result(self, pool: &WorkerPool<'_>) -> BatchResult {
        let State { mut tally, candidates, failure, next_page, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let dry_run = self.selection.dry_run;
        // A listing that did not end, or was not made again, is a reason for CANCELLED or TIMEOUT as good as an upload
        // that was kept.
        let unfinished = next_page.is_some() || (!dry_run && tally.needs_another_pass());
        for candidate in &candidates {
            tally.list(candidate);
        }
        let incomplete = unfinished || tally.unreached() > 0;
        let mut report = tally.into_report(failure.is_none() && !incomplete);
        report.throttled = pool.throttled();
        // Until now the log says that they were aborted.
        let logged = |outcome: Outcome| match outcome.code {
            Code::StillListed => log_outcome(pool.client.logger(), outcome),
            _ => outcome,
        };
        report.failures = std::mem::take(&mut report.failures).into_iter().map(logged).collect();
        let result = pool.result(&report, &report.sums(dry_run), incomplete, failure);
        // A dry run does not list again: what is said to be gone may be listed all the same.
        report.complete &= result.is_ok() && !(dry_run && report.acted_on() > 0);
        BatchResult { report, result }
    }
}

/// A number that no other thread has now. Not `std::thread::current`, which panics if the thread is about to end.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

fn upload_of(listed: ListedUpload) -> Upload {
    let ListedUpload { key, upload_id, initiated, .. } = listed;
    Upload { key, upload_id, initiated, ..Upload::default() }
}

/// Why nothing can be sent for a listed upload, if nothing can. A dry run shows what a run would refuse.
fn problem(client: &Client, listed: &ListedUpload) -> Option<Error> {
    let ListedUpload { key, upload_id, is_decoded, .. } = listed;
    if !is_decoded {
        let shown = client.sanitize(key);
        return Some(Error::new(
            Code::Protocol,
            format!("the listed key {shown:?} can't be decoded to UTF-8"),
        ));
    }
    if key.contains('\0') || upload_id.contains('\0') {
        // C sees another key, shortened or altered, and may have that one aborted.
        let detail = "the key or the upload id contains U+0000, which no C string can hold (shown as ?)";
        return Some(Error::argument(detail));
    }
    check_key(key).and_then(|()| check_upload_id(upload_id)).err()
}
