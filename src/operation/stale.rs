//! Find and abort what crashed backups left: pages of the listing on one side, aborts on the other, by the same
//! workers, so that no more connections are used than asked for, and no more than two pages are held.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

use crate::base::date;
use crate::base::deadline::Deadline;
use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::http::Headers;
use crate::obs::listing::{Asked, Found, Marker, Page, read_page};
use crate::obs::response::Said;
use crate::operation::abort::{Outcome, deadline_of_one};
use crate::operation::batch::{Ending, Job, Progress, Report, Upload, WorkerPool};
use crate::operation::call::Call;
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::send::{Attempts, Invocation, send};

/// With fewer uploads waiting, the next page is fetched: at 20 ms a request and 32 workers, this is a page's time.
const LOW_WATER: usize = 500;

/// The most by which OBS lets the date of a signature differ from its own clock.
const MAX_SKEW_SECONDS: u64 = 15 * 60;

/// What a sweep is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Keys that begin with this.
    pub prefix: &'a str,
    /// At least this old, by the server's clock.
    pub older_than_seconds: u64,
    /// Nothing is deleted.
    pub dry_run: bool,
}

/// Lists, and aborts what is old enough.
pub fn abort_stale(
    client: &Client,
    call: &Call,
    bucket: &str,
    wanted: Wanted<'_>,
    progress: Progress<'_>,
) -> Ending {
    let place = match client.bucket(bucket) {
        Ok(place) => place,
        Err(error) => return (Some(error), Report::default()),
    };
    let pool = WorkerPool::new(client, call, &place);
    let sweep = Sweep {
        wanted,
        cutoff: OnceLock::new(),
        looked_at: AtomicU64::new(0),
        kept: AtomicU64::new(0),
        encoded: AtomicBool::new(true),
        state: Mutex::new(State {
            waiting: VecDeque::new(),
            next: Some(Marker::default()),
            listing: false,
            lister: None,
            failure: None,
        }),
        changed: Condvar::new(),
    };
    let mut report = pool.work(usize::MAX, &|pool, log| sweep.next(pool, log), &mut |outcome, report| {
        let kept = sweep.kept.load(Ordering::Relaxed);
        let done = report.total() + kept;
        progress(outcome, done, sweep.looked_at.load(Ordering::Relaxed).max(done))
    });
    let state = sweep.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let unreached = state.waiting.len() as u64 + pool.given_back.load(Ordering::Relaxed);
    report.kept = sweep.kept.into_inner() + unreached;
    // A listing that was not finished is a reason for CANCELLED or TIMEOUT as good as an upload that was kept.
    let unfinished = state.next.is_some().then(|| internal("the list of uploads was not read to its end"));
    (pool.verdict(&report, unreached > 0, state.failure.or(unfinished)), report)
}

struct Sweep<'a> {
    wanted: Wanted<'a>,
    /// What was initiated at this time or later is not touched, in Unix seconds. Fixed by the first page, however long the
    /// sweep takes; never set if age does not matter.
    cutoff: OnceLock<i64>,
    /// Uploads of pages that were fit to act on.
    looked_at: AtomicU64,
    /// Of these, the ones that are too young, or of unknown age.
    kept: AtomicU64,
    /// Keys are asked for percent-encoded, until a server does so without saying so.
    encoded: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: VecDeque<Found>,
    /// Where the next page begins; None after the last.
    next: Option<Marker>,
    /// A worker is fetching a page.
    listing: bool,
    /// Who fetched the last one. A page read by another worker each time would leave its mark in the heap of each, since
    /// the system's allocator gives threads heaps of their own: megabytes with 32 workers.
    lister: Option<ThreadId>,
    failure: Option<Error>,
}

impl State {
    /// Whether this worker, here and now, is to fetch a page.
    fn is_to_list(&mut self) -> bool {
        if self.failure.is_some() || self.listing || self.waiting.len() >= LOW_WATER {
            return false;
        }
        let this = std::thread::current().id();
        // The one that did so before, unless it is held up by an abort while there is nothing left to do.
        if !self.waiting.is_empty() && self.lister.is_some_and(|lister| lister != this) {
            return false;
        }
        self.lister = Some(this);
        true
    }
}

impl Sweep<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next upload; fetches a page where few are left, and waits for one where there are none.
    fn next(&self, pool: &WorkerPool<'_>, log: Logger<'_>) -> Option<Job> {
        let mut state = self.lock();
        loop {
            let to_list = state.next.is_some() && state.is_to_list();
            if let Some(marker) = state.next.clone().filter(|_| to_list) {
                state.listing = true;
                drop(state);
                self.fetch(pool, log, &marker);
                state = self.lock();
                state.listing = false;
                self.changed.notify_all();
                // Also the worker that lists stops when it is told to.
                if !pool.goes_on() {
                    return None;
                }
                continue;
            }
            if let Some(found) = state.waiting.pop_front() {
                return Some(self.job(found));
            }
            if !state.listing || !pool.goes_on() {
                return None;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, pool.deadline.slice())
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn job(&self, found: Found) -> Job {
        let Found { key, upload_id, initiated } = found;
        if !self.wanted.dry_run {
            return Job::Abort(Upload { key, upload_id, initiated, index: None });
        }
        Job::Settled(Box::new(Outcome {
            code: Code::Ok,
            http_status: 0,
            message: None,
            said: Said::default(),
            attempts: 0,
            begun: false,
            key,
            upload_id,
            initiated,
            index: None,
        }))
    }

    fn fetch(&self, pool: &WorkerPool<'_>, log: Logger<'_>, marker: &Marker) {
        let deadline = deadline_of_one(pool.client, &pool.deadline);
        let listed =
            caught(|| self.page(pool, log, &deadline, marker)).unwrap_or_else(|panic| Err(internal(&panic)));
        match listed {
            Ok(page) => {
                let looked_at = page.uploads.len() as u64;
                let old: VecDeque<Found> =
                    page.uploads.into_iter().filter(|found| self.is_old_enough(found)).collect();
                self.looked_at.fetch_add(looked_at, Ordering::Relaxed);
                self.kept.fetch_add(looked_at - old.len() as u64, Ordering::Relaxed);
                let mut state = self.lock();
                state.next = page.next;
                state.waiting.extend(old);
            }
            Err(error) => {
                log.log(Level::Error, || error.to_string());
                self.lock().failure = Some(error);
            }
        }
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
            match self.ask(
                pool,
                log,
                deadline,
                Asked { prefix: self.wanted.prefix, from: marker, encoded },
            )? {
                Some(page) => return Ok(page),
                None => self.encoded.store(false, Ordering::Relaxed),
            }
        }
    }

    fn ask(
        &self,
        pool: &WorkerPool<'_>,
        log: Logger<'_>,
        deadline: &Deadline,
        asked: Asked<'_>,
    ) -> Result<Option<Page>, Error> {
        let Asked { prefix, from, encoded } = asked;
        let mut target = pool.place.uploads(prefix, &from.key, &from.upload_id, encoded);
        let invocation = Invocation {
            client: pool.client,
            log,
            bucket: pool.place.bucket(),
            method: "GET",
            wanted: 200,
            deadline,
            rate_limiter: Some(&pool.rate_limiter),
            ids: true,
        };
        let mut page = None;
        let reply = send(
            &invocation,
            &mut target,
            &mut Attempts::default(),
            Some(&mut |response, dated, body| {
                let now = self.believed_date(&response.headers, dated)?;
                let read = read_page(body, asked)?;
                // The first page that can be acted on, and not one that is asked for again.
                if let (Some(now), Some(_)) = (now, &read) {
                    let age = i64::try_from(self.wanted.older_than_seconds).unwrap_or(i64::MAX);
                    self.cutoff.get_or_init(|| now.saturating_sub(age));
                }
                page = Some(read);
                Ok(())
            }),
        );
        match page {
            Some(page) if reply.code == Code::Ok => Ok(page),
            _ => Err(Error::new(
                reply.code,
                format!("listing the uploads of {}: {}", pool.place.bucket(), reply.detail),
            )),
        }
    }

    /// The earlier of a page's Date and the time by which its request was dated, if age matters. A service that has just
    /// accepted a signature of `dated` is at most 15 minutes from it: a Date further off comes from a gateway or a cache
    /// between, and would make live uploads look old.
    fn believed_date(&self, headers: &Headers, dated: i64) -> Result<Option<i64>, Error> {
        if self.wanted.older_than_seconds == 0 {
            return Ok(None);
        }
        let unfit =
            |why: String| Error::new(Code::Protocol, format!("the list of uploads can't be acted on: {why}"));
        let mut dates =
            headers.all("date").map(|text| std::str::from_utf8(text).ok().and_then(date::parse_http));
        let Some(first) = dates.next() else {
            return Err(unfit("it has no Date to measure their age by".into()));
        };
        let Some(now) = first else {
            return Err(unfit("its Date can't be read, so that their age is not known".into()));
        };
        if dates.any(|other| other != first) {
            return Err(unfit("it has two Dates that differ, so that their age is not known".into()));
        }
        if now.abs_diff(dated) > MAX_SKEW_SECONDS {
            return Err(unfit(format!(
                "its Date is {} s from the clock that the service accepted: something on the way writes Dates of its own",
                now.abs_diff(dated)
            )));
        }
        Ok(Some(now.min(dated)))
    }

    /// Unknown is not old.
    fn is_old_enough(&self, found: &Found) -> bool {
        if self.wanted.older_than_seconds == 0 {
            return true;
        }
        matches!((found.initiated, self.cutoff.get()), (Some(initiated), Some(cutoff)) if initiated < *cutoff)
    }
}
