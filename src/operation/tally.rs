//! The uploads of a sweep, each counted once, however often it is listed and tried.
//!
//! Listings and aborts of real servers disagree: an abort says "gone" of an upload that the next listing shows again,
//! and a listing hides uploads that the next one shows. So a sweep consists of passes, each a listing from the start
//! and one abort for each upload on it. What counts is the last that is known of an upload, and the last listing has
//! the last word.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::base::error::{Code, Error};
use crate::obs::listing::ListedUpload;
use crate::operation::abort::{Outcome, Upload};
use crate::operation::batch::{MAX_RECORDED_FAILURES, Report};

/// The most uploads that are remembered: half a megabyte, since a map fills its memory up to seven eighths. Of those
/// beyond, only numbers are.
const MAX_ENTRIES: usize = MAPS * 7 * (1 << 11);
/// The entries are spread over so many maps, since a map that grows needs its old and its new memory at once.
const MAPS: usize = 4;
/// The most passes that show no fewer uploads than the pass before. Without a bound, a server that makes uploads up
/// would keep a sweep busy for ever.
const MAX_STALLED_PASSES: u32 = 100;

/// A hash of key and upload id, keyed at random, of which a seventh byte chooses the map. Any two of 100 000 uploads
/// agree with a probability of one in 200 000. One of them is then not tried by this sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Fingerprint([u8; 6]);

/// The last that is known of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Last {
    /// Listed, and not tried yet.
    Waiting,
    Aborted,
    Missing,
    /// Its abort failed, and can't have been carried out.
    Refused,
    /// Its abort failed, and may have been carried out: the response was lost.
    Uncertain,
    /// It may still be written to, and is kept.
    Active,
    /// The caller's filter keeps it.
    Filtered,
}

/// All of them.
const ANY: [Last; 7] = [
    Last::Waiting,
    Last::Aborted,
    Last::Missing,
    Last::Refused,
    Last::Uncertain,
    Last::Active,
    Last::Filtered,
];

impl Last {
    fn of(outcome: &Outcome) -> Last {
        match outcome.code {
            Code::Ok => Last::Aborted,
            Code::NoSuchUpload => Last::Missing,
            _ if outcome.may_have_succeeded => Last::Uncertain,
            _ => Last::Refused,
        }
    }

    /// Whether an abort of this sweep may be the reason if the upload is gone.
    fn may_be_aborted(self) -> bool {
        matches!(self, Last::Aborted | Last::Uncertain)
    }

    fn has_failed(self) -> bool {
        matches!(self, Last::Refused | Last::Uncertain)
    }

    /// The same, after a listing that does not show the upload.
    fn not_listed(self) -> Last {
        match self {
            Last::Uncertain => Last::Aborted,
            Last::Refused => Last::Missing,
            other => other,
        }
    }
}

/// In one byte, since there may be many: the last that is known, and whether the listing of this pass shows the upload.
#[derive(Clone, Copy, Debug)]
struct Entry(u8);

impl Entry {
    const LISTED: u8 = 0x80;

    fn new(last: Last, listed: bool) -> Entry {
        Entry(last as u8 | if listed { Entry::LISTED } else { 0 })
    }

    fn is_listed(self) -> bool {
        self.0 & Entry::LISTED != 0
    }

    fn last(self) -> Last {
        match self.0 & !Entry::LISTED {
            1 => Last::Aborted,
            2 => Last::Missing,
            3 => Last::Refused,
            4 => Last::Uncertain,
            5 => Last::Active,
            6 => Last::Filtered,
            _ => Last::Waiting,
        }
    }
}

/// Counts of uploads, by the last that is known of them.
#[derive(Clone, Copy, Debug, Default)]
struct Counts([u64; ANY.len()]);

impl Counts {
    fn add(&mut self, last: Last, count: u64) {
        self.0[last as usize] += count;
    }

    fn of(&self, last: Last) -> u64 {
        self.0[last as usize]
    }

    /// Takes out one upload that is listed again, and supposes the least: that it was not said to be gone, or that it was
    /// not found.
    fn take(&mut self) -> Option<Last> {
        let order =
            [Last::Active, Last::Filtered, Last::Refused, Last::Uncertain, Last::Missing, Last::Aborted];
        let last = order.into_iter().find(|last| self.of(*last) > 0);
        if let Some(last) = last {
            self.0[last as usize] -= 1;
        }
        last
    }

    fn after_listing_without_them(self) -> Counts {
        let mut after = Counts::default();
        for last in ANY.into_iter().filter(|last| *last != Last::Waiting) {
            after.add(last.not_listed(), self.of(last));
        }
        after
    }
}

/// So many uploads, and their size together.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    uploads: u64,
    bytes: u64,
}

impl Size {
    fn add(&mut self, other: Size) {
        self.uploads += other.uploads;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn take(&mut self, other: Size) {
        self.uploads = self.uploads.saturating_sub(other.uploads);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// The size of so many of them. An estimate if that is not all: a service that contradicts itself may show an upload
    /// again whose parts it does not show, and single sizes are not remembered.
    fn of(&self, uploads: u64) -> u64 {
        if uploads >= self.uploads {
            return self.bytes;
        }
        let share = u128::from(self.bytes) * u128::from(uploads) / u128::from(self.uploads);
        u64::try_from(share).unwrap_or(self.bytes)
    }
}

/// Uploads that a listing shows and that are left alone.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    total: u64,
    younger: u64,
    unknown_age: u64,
}

/// Why an upload that a listing shows is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepReason {
    /// It was initiated too late.
    Younger,
    UnknownAge,
}

/// What follows from an upload that a listing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It is to be aborted. An earlier pass may have done so already.
    Try { may_be_aborted: bool },
    /// This pass has tried it, or an earlier one has found it active.
    Settled,
}

/// What a sweep knows of its uploads.
#[derive(Debug)]
pub struct Tally {
    hasher: RandomState,
    entries: [HashMap<Fingerprint, Entry>; MAPS],
    /// Uploads beyond [`MAX_ENTRIES`]: of earlier passes, and of this one.
    untracked_before: Counts,
    untracked: Counts,
    pass: Pass,
    /// The pass before.
    before: Pass,
    stalled_passes: u32,
    failures: Failures,
    /// The most of any pass, since other clients' uploads come and go.
    kept: Kept,
    /// The uploads kept from the page before and from this one. Pages overlap if a server takes a marker for another
    /// one than it gave. By more than a page they can't: the markers would come back.
    kept_of_pages: [HashSet<Fingerprint>; 2],
    /// Different uploads that were listed to be tried, and those of them that are settled.
    known: u64,
    tried: u64,
    /// Those that may be gone by this sweep.
    size: Size,
    /// Whether the parts of one could not be read, so that there may be something left to do.
    unread: bool,
}

/// What one listing showed, and what became of it.
#[derive(Debug, Default)]
struct Pass {
    number: u32,
    /// Uploads to be tried, and those of them that no earlier pass has shown.
    listed: u64,
    new: u64,
    /// Uploads that were tried.
    tried: u64,
    kept: Kept,
    /// Whether one of them may be gone now.
    anything_gone: bool,
    /// Those that may be gone by this sweep and have a size, and those among them whose response was lost.
    size: Size,
    uncertain: Size,
    /// The first that are said to be gone, from the second pass on: should this listing be the last one, it contradicts.
    gone: Vec<Outcome>,
}

/// The outcomes of the first uploads that failed.
#[derive(Debug, Default)]
struct Failures {
    outcomes: Vec<(Fingerprint, Outcome)>,
    /// So many of them are of this pass. Those of earlier ones follow, and give way.
    fresh: usize,
}

impl Failures {
    fn add(&mut self, fingerprint: Fingerprint, outcome: &Outcome) {
        let last = self.outcomes.len();
        if self.fresh == MAX_RECORDED_FAILURES {
            return;
        }
        if last == 0 {
            // At once: growing would need the old and the new memory. What is not used is not resident.
            self.outcomes.reserve_exact(MAX_RECORDED_FAILURES);
        }
        if last == MAX_RECORDED_FAILURES {
            self.outcomes[self.fresh] = (fingerprint, outcome.clone());
        } else {
            self.outcomes.push((fingerprint, outcome.clone()));
            self.outcomes.swap(self.fresh, last);
        }
        self.fresh += 1;
    }

    /// Forgets what an earlier pass has said of an upload.
    fn forget(&mut self, fingerprint: Fingerprint) {
        let earlier = &self.outcomes[self.fresh..];
        if let Some(position) = earlier.iter().position(|(other, _)| *other == fingerprint) {
            self.outcomes.swap_remove(self.fresh + position);
        }
    }

    /// Begins a pass. What was listed before, and not by the pass that ends, has not failed after all.
    fn begin_pass(&mut self) {
        self.outcomes.truncate(self.fresh);
        self.fresh = 0;
    }

    fn into_outcomes(mut self, only_fresh: bool) -> Vec<Outcome> {
        if only_fresh {
            self.outcomes.truncate(self.fresh);
        }
        self.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

impl Tally {
    /// The tally of a sweep that begins its first pass.
    pub fn new() -> Tally {
        Tally {
            hasher: RandomState::new(),
            entries: Default::default(),
            untracked_before: Counts::default(),
            untracked: Counts::default(),
            pass: Pass { number: 1, ..Pass::default() },
            before: Pass::default(),
            stalled_passes: 0,
            failures: Failures::default(),
            kept: Kept::default(),
            kept_of_pages: Default::default(),
            known: 0,
            tried: 0,
            size: Size::default(),
            unread: false,
        }
    }

    fn fingerprint(&self, key: &str, upload_id: &str) -> (usize, Fingerprint) {
        let [map, _, rest @ ..] = self.hasher.hash_one((key, upload_id)).to_le_bytes();
        (usize::from(map) % MAPS, Fingerprint(rest))
    }

    /// Takes note of an upload that the listing shows, and that is to be aborted.
    pub fn list(&mut self, upload: &ListedUpload) -> Listed {
        let (map, fingerprint) = self.fingerprint(&upload.key, &upload.upload_id);
        let listed = self.list_fingerprint(map, fingerprint);
        self.pass.listed += u64::from(listed != Listed::Settled);
        listed
    }

    fn list_fingerprint(&mut self, map: usize, fingerprint: Fingerprint) -> Listed {
        let map = &mut self.entries[map];
        if let Some(entry) = map.get_mut(&fingerprint) {
            if entry.is_listed() {
                return Listed::Settled;
            }
            *entry = Entry::new(entry.last(), true);
            if entry.last() == Last::Active {
                // The cutoff stays, and parts do not get older.
                return Listed::Settled;
            }
            return Listed::Try { may_be_aborted: entry.last().may_be_aborted() };
        }
        if map.len() < MAX_ENTRIES / MAPS {
            map.insert(fingerprint, Entry::new(Last::Waiting, true));
        } else {
            self.untracked.add(Last::Waiting, 1);
            if let Some(last) = self.untracked_before.take() {
                return Listed::Try { may_be_aborted: last.may_be_aborted() };
            }
        }
        self.pass.new += 1;
        self.known += 1;
        Listed::Try { may_be_aborted: false }
    }

    /// Whether no pass has shown this upload, and this one is not the first.
    pub fn is_new(&self, upload: &ListedUpload) -> bool {
        let (map, fingerprint) = self.fingerprint(&upload.key, &upload.upload_id);
        self.pass.number > 1 && !self.entries[map].contains_key(&fingerprint)
    }

    /// Begins a page of the listing.
    pub fn begin_page(&mut self) {
        self.kept_of_pages.swap(0, 1);
        self.kept_of_pages[1].clear();
    }

    /// Takes note of an upload that the listing shows, and that is left alone.
    pub fn keep(&mut self, upload: &ListedUpload, reason: KeepReason) {
        let (_, fingerprint) = self.fingerprint(&upload.key, &upload.upload_id);
        let [before, this] = &mut self.kept_of_pages;
        if !this.insert(fingerprint) || before.contains(&fingerprint) {
            return;
        }
        let pass = &mut self.pass.kept;
        pass.total += 1;
        pass.younger += u64::from(reason == KeepReason::Younger);
        pass.unknown_age += u64::from(reason == KeepReason::UnknownAge);
        if pass.total > self.kept.total {
            self.kept = *pass;
        }
    }

    /// Takes note of an upload that the listing shows, and that the caller's filter keeps.
    pub fn keep_filtered(&mut self, upload: &ListedUpload) {
        if self.list(upload) != Listed::Settled {
            self.settle(&upload.key, &upload.upload_id, Last::Filtered);
        }
    }

    /// Takes note of the outcome of an upload that was listed.
    pub fn record(&mut self, outcome: &Outcome) {
        let Upload { key, upload_id, parts, .. } = &outcome.upload;
        if let Some(kept) = outcome.kept {
            self.settle(key, upload_id, Last::Active);
            self.unread |= !kept.known;
            return;
        }
        let last = Last::of(outcome);
        let (fingerprint, before) = self.settle(key, upload_id, last);
        self.pass.anything_gone |= last != Last::Refused;
        self.measure(before, last, parts.map_or(0, |parts| parts.bytes));
        if last.has_failed() {
            self.failures.add(fingerprint, outcome);
        } else if self.pass.number > 1 && self.pass.gone.len() < MAX_RECORDED_FAILURES {
            self.pass.gone.reserve_exact(MAX_RECORDED_FAILURES - self.pass.gone.len());
            self.pass.gone.push(outcome.clone());
        }
    }

    /// Replaces the last that is known of an upload that was listed, and returns what that was.
    fn settle(&mut self, key: &str, upload_id: &str, last: Last) -> (Fingerprint, Last) {
        let (map, fingerprint) = self.fingerprint(key, upload_id);
        let before = if let Some(entry) = self.entries[map].get_mut(&fingerprint) {
            std::mem::replace(entry, Entry::new(last, true)).last()
        } else {
            self.untracked.0[Last::Waiting as usize] -= 1;
            self.untracked.add(last, 1);
            // A later pass has most of them from an earlier one.
            if self.pass.number == 1 { Last::Waiting } else { Last::Refused }
        };
        self.tried += u64::from(before == Last::Waiting);
        self.pass.tried += 1;
        if before.has_failed() {
            self.failures.forget(fingerprint);
        }
        (fingerprint, before)
    }

    /// Adds up the sizes of the uploads that may be gone. One that is listed again was measured again.
    fn measure(&mut self, before: Last, last: Last, bytes: u64) {
        let size = Size { uploads: 1, bytes };
        match (before.may_be_aborted(), last.may_be_aborted()) {
            (false, true) => self.size.add(size),
            (true, false) => self.size.take(size),
            _ => {}
        }
        if last.may_be_aborted() && bytes > 0 {
            self.pass.size.add(size);
        }
        if last == Last::Uncertain {
            self.pass.uncertain.add(size);
        }
    }

    /// Uploads that are done with, and uploads that are known. Neither number ever goes down.
    pub fn progress(&self) -> (u64, u64) {
        (self.tried + self.kept.total, self.known + self.kept.total)
    }

    /// Uploads that this pass has listed to be tried, and that were not.
    pub fn unreached(&self) -> u64 {
        self.pass.listed - self.pass.tried
    }

    /// Uploads that this pass has listed to be tried.
    pub fn listed(&self) -> u64 {
        self.pass.listed
    }

    /// Whether another listing can show what this one does not: something may be gone since, and uploads are getting
    /// fewer, or come to light.
    pub fn needs_another_pass(&self) -> bool {
        let stalled = self.pass.number > 1 && self.pass.listed >= self.before.listed;
        self.pass.anything_gone && (!stalled || self.pass.new > 0 && self.stalled_passes < MAX_STALLED_PASSES)
    }

    /// Ends a pass whose listing is complete, and begins the next.
    pub fn begin_pass(&mut self) {
        self.stalled_passes += u32::from(self.pass.listed >= self.before.listed);
        for entry in self.entries.iter_mut().flat_map(HashMap::values_mut) {
            let last = if entry.is_listed() { entry.last() } else { entry.last().not_listed() };
            *entry = Entry::new(last, false);
        }
        let mut untracked = self.untracked_before.after_listing_without_them();
        for last in ANY.into_iter().filter(|last| *last != Last::Waiting) {
            untracked.add(last, self.untracked.of(last));
        }
        self.untracked_before = untracked;
        self.untracked = Counts::default();
        self.failures.begin_pass();
        self.kept_of_pages = Default::default();
        let next = Pass { number: self.pass.number + 1, ..Pass::default() };
        self.before = std::mem::replace(&mut self.pass, next);
    }

    /// The report. If the listing of the last pass is `complete`, it has the last word: what it does not show is gone,
    /// and what a later pass than the first still shows is not.
    pub fn into_report(self, complete: bool) -> Report {
        let contradicts = complete && self.pass.number > 1;
        let mut counts = Counts::default();
        let mut still_listed = 0;
        for entry in self.entries.iter().flat_map(HashMap::values) {
            match entry.last() {
                last if complete && !entry.is_listed() => counts.add(last.not_listed(), 1),
                Last::Aborted | Last::Missing if contradicts => still_listed += 1,
                last => counts.add(last, 1),
            }
        }
        let before = self.untracked_before;
        let before = if complete { before.after_listing_without_them() } else { before };
        for last in ANY {
            counts.add(last, before.of(last));
            match last {
                Last::Aborted | Last::Missing if contradicts => still_listed += self.untracked.of(last),
                last => counts.add(last, self.untracked.of(last)),
            }
        }
        let mut failures = self.failures.into_outcomes(complete);
        if contradicts {
            failures.extend(self.pass.gone.into_iter().map(still_listed_outcome));
        }
        failures.truncate(MAX_RECORDED_FAILURES);
        // Those of this pass: they are listed after all, or it is not known.
        let mut size = self.size;
        match (contradicts, complete) {
            (true, _) => size.take(self.pass.size),
            (_, false) => size.take(self.pass.uncertain),
            _ => {}
        }
        let active = counts.of(Last::Active);
        Report {
            aborted: counts.of(Last::Aborted),
            missing: counts.of(Last::Missing),
            failed: counts.of(Last::Refused) + counts.of(Last::Uncertain) + still_listed,
            kept: self.kept.total + active + counts.of(Last::Filtered) + counts.of(Last::Waiting),
            younger: self.kept.younger,
            active,
            unknown_age: self.kept.unknown_age,
            bytes: size.of(counts.of(Last::Aborted)),
            complete: complete && !self.unread,
            failures,
            ..Report::default()
        }
    }
}

/// The outcome of an upload that is said to be gone, and is still listed.
fn still_listed_outcome(outcome: Outcome) -> Outcome {
    let said = match &outcome.service.code {
        Some(code) => format!("{} {code}", outcome.http_status),
        None => outcome.http_status.to_string(),
    };
    let detail = format!(
        "the service said {said}, and still lists the upload: its list lags, or it knows the key by another spelling; \
         sweep again later, or abort the upload by its exact key"
    );
    let error = Error::new(Code::StillListed, detail);
    Outcome { code: error.code, message: Some(error.to_string()), ..outcome }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obs::parts::Parts;
    use crate::obs::response::ServiceError;
    use crate::operation::abort::Kept;

    fn listed(n: u64) -> ListedUpload {
        ListedUpload { key: format!("k/{n}"), is_decoded: true, upload_id: format!("id{n}"), initiated: None }
    }

    fn outcome(n: u64, code: Code, may_have_succeeded: bool) -> Outcome {
        let ListedUpload { key, upload_id, .. } = listed(n);
        Outcome {
            upload: Upload { key, upload_id, ..Upload::default() },
            code,
            http_status: 204,
            message: None,
            service: ServiceError::default(),
            attempts: 1,
            begun: true,
            may_have_succeeded,
            kept: None,
        }
    }

    /// A pass that lists these uploads, each with the outcome of its abort.
    fn pass(tally: &mut Tally, uploads: impl IntoIterator<Item = (u64, Code)>) {
        for (n, code) in uploads {
            assert_ne!(tally.list(&listed(n)), Listed::Settled, "{n}");
            assert_eq!(tally.list(&listed(n)), Listed::Settled, "one abort for each upload and pass: {n}");
            tally.record(&outcome(n, code, code == Code::Io));
        }
    }

    fn counts(report: &Report) -> [u64; 4] {
        [report.aborted, report.missing, report.failed, report.kept]
    }

    /// The passes of a sweep until no other one is needed, and its report.
    fn sweep(passes: &[&[(u64, Code)]]) -> Report {
        let mut tally = Tally::new();
        for (n, uploads) in passes.iter().enumerate() {
            if n > 0 {
                assert!(tally.needs_another_pass(), "before pass {n}");
                tally.begin_pass();
            }
            pass(&mut tally, uploads.iter().copied());
        }
        assert!(!tally.needs_another_pass() && tally.unreached() == 0);
        tally.into_report(true)
    }

    const OK: Code = Code::Ok;
    const MISSING: Code = Code::NoSuchUpload;
    const DENIED: Code = Code::AccessDenied;
    const LOST: Code = Code::Io;

    #[test]
    fn the_last_that_is_known_counts() {
        for (passes, want) in [
            (&[&[][..]][..], [0, 0, 0, 0]),
            (&[&[(1, OK), (2, MISSING)], &[]], [1, 1, 0, 0]),
            // Refused, and nothing was aborted: another listing would show the same.
            (&[&[(1, DENIED), (2, DENIED)]], [0, 0, 2, 0]),
            (&[&[(1, OK), (2, DENIED)], &[(2, DENIED)]], [1, 0, 1, 0]),
            (&[&[(1, OK), (2, DENIED)], &[(2, OK)], &[]], [2, 0, 0, 0]),
            // Refused, and gone all the same: somebody else's work.
            (&[&[(1, OK), (2, DENIED)], &[]], [1, 1, 0, 0]),
            // The response was lost, and the listing tells.
            (&[&[(1, LOST)], &[]], [1, 0, 0, 0]),
            (&[&[(1, LOST)], &[(1, LOST)]], [0, 0, 1, 0]),
            (&[&[(1, LOST)], &[(1, OK)]], [0, 0, 1, 0]),
            // Said to be gone, and still listed.
            (&[&[(1, OK), (2, OK)], &[(1, OK), (2, OK)]], [0, 0, 2, 0]),
            (
                &[
                    &[(1, OK), (2, MISSING), (3, OK)],
                    &[(1, OK), (2, MISSING)],
                    &[(2, MISSING)],
                    &[(2, MISSING)],
                ],
                [2, 0, 1, 0],
            ),
            // A list that lags.
            (&[&[(1, OK), (2, OK)], &[(1, OK)], &[]], [2, 0, 0, 0]),
            // Uploads that only a later listing shows.
            (&[&[(1, OK), (2, OK)], &[(3, OK), (4, OK)], &[(5, OK)], &[]], [5, 0, 0, 0]),
            (&[&[(1, OK), (2, OK)], &[(3, OK), (4, OK)], &[(3, OK), (4, OK)]], [2, 0, 2, 0]),
        ] {
            let report = sweep(passes);
            assert_eq!(counts(&report), want, "{passes:?}");
            assert_eq!(report.failures.len() as u64, report.failed, "{passes:?}");
        }
    }

    #[test]
    fn a_failure_has_its_own_code() {
        let report =
            sweep(&[&[(1, OK), (2, DENIED), (3, OK)], &[(1, OK), (2, DENIED)], &[(1, MISSING), (2, DENIED)]]);
        let codes: Vec<_> =
            report.failures.iter().map(|failure| (failure.upload.key.as_str(), failure.code)).collect();
        assert_eq!(codes, [("k/2", DENIED), ("k/1", Code::StillListed)]);
        assert!(
            report.failures[1]
                .message
                .as_deref()
                .is_some_and(|message| message.starts_with("still_listed: "))
        );
    }

    #[test]
    fn a_sweep_that_is_cut_off() {
        let mut tally = Tally::new();
        pass(&mut tally, [(1, OK), (2, DENIED), (3, DENIED), (4, MISSING)]);
        tally.begin_pass();
        pass(&mut tally, [(2, OK)]);
        let _ = tally.list(&listed(5));
        assert_eq!((tally.unreached(), tally.progress()), (1, (4, 5)));
        tally.keep(&listed(6), KeepReason::UnknownAge);
        let report = tally.into_report(false);
        assert_eq!((counts(&report), report.unknown_age), ([2, 1, 1, 2], 1));
        assert_eq!(report.failures.len(), 1, "of the pass before: the listing did not come to it");
        assert_eq!(report.failures[0].upload.key, "k/3");
    }

    #[test]
    fn a_server_that_makes_uploads_up() {
        let mut tally = Tally::new();
        let mut next = 0;
        let mut passes = 0;
        loop {
            pass(&mut tally, (next..next + 10).map(|n| (n, OK)));
            next += 10;
            passes += 1;
            if !tally.needs_another_pass() {
                break;
            }
            tally.begin_pass();
        }
        assert_eq!(passes, u64::from(MAX_STALLED_PASSES) + 1);
        assert_eq!(counts(&tally.into_report(true)), [next - 10, 0, 10, 0]);
    }

    /// Beyond the bound there are only numbers, and they are right as well.
    #[test]
    fn more_uploads_than_are_remembered() {
        let all = MAX_ENTRIES as u64 * 3 / 2;
        let refused = |n: u64| n.is_multiple_of(3);
        let first = |n| (n, if refused(n) { DENIED } else { OK });
        for (again, want) in [(DENIED, [all - all / 3, 0, all / 3, 0]), (OK, [all, 0, 0, 0])] {
            let mut tally = Tally::new();
            for n in 0..all {
                let (_, code) = first(n);
                assert_ne!(tally.list(&listed(n)), Listed::Settled);
                tally.record(&outcome(n, code, false));
            }
            assert_eq!(tally.progress(), (all, all));
            for code in [again, again] {
                assert!(tally.needs_another_pass());
                let left = tally.pass.number == 1 || again == DENIED;
                tally.begin_pass();
                for n in (0..all).filter(|n| left && refused(*n)) {
                    assert_ne!(tally.list(&listed(n)), Listed::Settled);
                    tally.record(&outcome(n, code, false));
                }
                if !tally.needs_another_pass() {
                    break;
                }
            }
            assert_eq!(counts(&tally.into_report(true)), want, "{again:?}");
        }
    }
    #[test]
    fn what_an_earlier_pass_may_have_aborted() {
        let mut tally = Tally::new();
        pass(&mut tally, [(1, OK), (2, LOST), (3, MISSING), (4, DENIED)]);
        assert_eq!(tally.listed(), 4);
        tally.begin_pass();
        for (n, may_be_aborted) in [(1, true), (2, true), (3, false), (4, false), (5, false)] {
            assert_eq!(tally.list(&listed(n)), Listed::Try { may_be_aborted }, "{n}");
        }
    }

    #[test]
    fn failures_of_an_earlier_pass_are_forgotten_one_by_one() {
        let mut tally = Tally::new();
        pass(&mut tally, [(0, OK), (1, DENIED), (2, DENIED), (3, DENIED), (4, DENIED), (5, DENIED)]);
        tally.begin_pass();
        pass(&mut tally, [(1, DENIED), (2, DENIED), (5, OK), (4, OK)]);
        let report = tally.into_report(false);
        let mut keys: Vec<_> = report.failures.iter().map(|failure| failure.upload.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["k/1", "k/2", "k/3"]);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let all = MAX_ENTRIES as u64 + 1000;
        let mut tally = Tally::new();
        for n in 0..all {
            let _ = tally.list(&listed(n));
        }
        assert_eq!((tally.unreached(), tally.listed()), (all, all));
        assert!(tally.entries.iter().map(HashMap::len).sum::<usize>() <= MAX_ENTRIES);
        assert!((0..50_000).all(|n| tally.list(&listed(n)) == Listed::Settled));
    }

    fn kept(tally: &mut Tally, n: u64) {
        tally.record(&Outcome { kept: Some(Kept { known: true }), ..outcome(n, OK, false) });
    }

    /// What is active is neither tried again nor a reason to list again, however often it is listed.
    #[test]
    fn active_uploads_are_kept() {
        let mut tally = Tally::new();
        assert_ne!(tally.list(&listed(1)), Listed::Settled);
        kept(&mut tally, 1);
        assert!(!tally.needs_another_pass());
        pass(&mut tally, [(2, OK), (3, OK)]);
        assert_eq!((tally.progress(), tally.unreached()), ((3, 3), 0));
        assert!(tally.needs_another_pass());
        tally.begin_pass();
        assert_eq!(tally.list(&listed(1)), Listed::Settled);
        assert!(!tally.needs_another_pass() && tally.unreached() == 0);
        let report = tally.into_report(true);
        assert_eq!((counts(&report), report.active), ([2, 0, 0, 1], 1));
    }

    /// Completed by its writer while the sweep went on.
    #[test]
    fn an_active_upload_that_is_not_listed_again() {
        let mut tally = Tally::new();
        let _ = tally.list(&listed(1));
        kept(&mut tally, 1);
        pass(&mut tally, [(2, OK)]);
        tally.begin_pass();
        let report = tally.into_report(true);
        assert_eq!((counts(&report), report.active), ([1, 0, 0, 1], 1));
    }

    #[test]
    fn active_uploads_beyond_the_bound() {
        let all = MAX_ENTRIES as u64 + 1000;
        let mut tally = Tally::new();
        for n in 0..all {
            assert_ne!(tally.list(&listed(n)), Listed::Settled);
            kept(&mut tally, n);
        }
        let _ = tally.list(&listed(all));
        tally.record(&outcome(all, OK, false));
        tally.begin_pass();
        for n in 0..all {
            if tally.list(&listed(n)) != Listed::Settled {
                kept(&mut tally, n);
            }
        }
        assert_eq!(tally.unreached(), 0);
        let report = tally.into_report(true);
        assert_eq!((counts(&report), report.active), ([1, 0, 0, all], all));
    }

    /// Passes of uploads, each with the outcome of its abort and its size; and the size that is gone.
    #[test]
    fn sizes() {
        for (passes, complete, want) in [
            (&[&[(1, OK, 5), (2, OK, 7)][..], &[]][..], true, 12),
            (&[&[(1, OK, 5), (2, DENIED, 7)], &[(2, DENIED, 7)]], true, 5),
            (&[&[(1, MISSING, 0), (2, OK, 7)], &[]], true, 7),
            // The response was lost, and the listing tells.
            (&[&[(1, LOST, 5)], &[]], true, 5),
            (&[&[(1, LOST, 5)], &[(1, DENIED, 5)]], true, 0),
            (&[&[(1, LOST, 5), (2, OK, 1)]], false, 1),
            // A list that lags: the second time there is nothing left to measure.
            (&[&[(1, OK, 5)], &[(1, OK, 0)], &[]], true, 5),
            // Said to be gone, and still there.
            (&[&[(1, OK, 5), (2, OK, 3)], &[(1, OK, 5)], &[(1, OK, 5)]], true, 3),
            // The same, and its parts are not shown any more.
            (&[&[(1, OK, 5), (2, OK, 5)], &[(1, OK, 0)], &[(1, OK, 0)]], true, 5),
            (&[&[(1, OK, 5)], &[(1, OK, 0)]], true, 0),
            // Only a later listing shows it.
            (&[&[(1, OK, 5)], &[(2, OK, 3)], &[]], true, 8),
        ] {
            let mut tally = Tally::new();
            for (number, uploads) in passes.iter().enumerate() {
                if number > 0 {
                    tally.begin_pass();
                }
                for (n, code, bytes) in uploads.iter().copied() {
                    let _ = tally.list(&listed(n));
                    let mut outcome = outcome(n, code, code == LOST);
                    outcome.upload.parts = Some(Parts { count: 1, bytes, newest: None });
                    tally.record(&outcome);
                }
            }
            assert_eq!(tally.into_report(complete).bytes, want, "{passes:?}");
        }
    }

    /// The filter may change its mind from pass to pass, and each upload counts once.
    #[test]
    fn the_last_word_of_the_filter_counts() {
        const KEPT: Option<Code> = None;
        for (passes, want) in [
            (&[&[(1, Some(OK)), (2, KEPT)][..], &[(2, KEPT)]][..], [1, 0, 0, 1]),
            (&[&[(1, Some(OK)), (2, KEPT)], &[(2, Some(OK))], &[]], [2, 0, 0, 0]),
            // Refused, or cut off, and kept when it was listed again: not gone.
            (&[&[(1, Some(OK)), (2, Some(DENIED))], &[(2, KEPT)]], [1, 0, 0, 1]),
            (&[&[(1, Some(LOST))], &[(1, KEPT)]], [0, 0, 0, 1]),
        ] {
            let mut tally = Tally::new();
            for (number, uploads) in passes.iter().enumerate() {
                if number > 0 {
                    tally.begin_pass();
                }
                for (n, code) in uploads.iter().copied() {
                    match code {
                        Some(code) => pass(&mut tally, [(n, code)]),
                        None => tally.keep_filtered(&listed(n)),
                    }
                }
            }
            assert_eq!(counts(&tally.into_report(true)), want, "{passes:?}");
        }
    }

    #[test]
    fn parts_that_could_not_be_read_leave_something_to_do() {
        for known in [true, false] {
            let mut tally = Tally::new();
            let _ = tally.list(&listed(1));
            tally.record(&Outcome { kept: Some(Kept { known }), ..outcome(1, OK, false) });
            assert_eq!(tally.into_report(true).complete, known);
        }
    }

    #[test]
    fn why_uploads_are_kept() {
        let mut tally = Tally::new();
        for (n, reason) in [(1, KeepReason::Younger), (2, KeepReason::UnknownAge)] {
            tally.keep(&listed(n), reason);
            tally.keep(&listed(n), reason);
        }
        tally.keep_filtered(&listed(3));
        tally.keep_filtered(&listed(3));
        let report = tally.into_report(true);
        assert_eq!((report.kept, report.younger, report.unknown_age, report.active), (3, 1, 1, 0));
    }

    /// Uploads that are said to be gone, and are listed again: each one, remembered or not.
    #[test]
    fn beyond_the_bound_the_last_listing_has_the_last_word_too() {
        let all = MAX_ENTRIES as u64 + 1000;
        for (passes, want) in [(1, [all, 0, 0, 0]), (2, [0, 0, all, 0])] {
            let mut tally = Tally::new();
            for number in 0..passes {
                if number > 0 {
                    tally.begin_pass();
                }
                for n in 0..all {
                    assert_ne!(tally.list(&listed(n)), Listed::Settled);
                    tally.record(&outcome(n, OK, false));
                }
            }
            assert_eq!(counts(&tally.into_report(true)), want, "{passes}");
        }
    }
}
