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
use crate::operation::abort::{Kept, Outcome, Upload};
use crate::operation::batch::{MAX_RECORDED_FAILURES, Report};

/// The most uploads that are remembered: half a megabyte, since a map fills its memory up to seven eighths. Of those
/// beyond, only numbers are.
const MAX_ENTRIES: usize = MAPS * 7 * (1 << 11);
/// The entries are spread over so many maps, so that each need not hold all bits of the hash.
const MAPS: usize = 4;
/// With more entries, a map gets its final size. If it grew step by step, it would leave each smaller size behind in the
/// heap.
const FEW_ENTRIES: usize = 7 << 6;
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
enum Status {
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

impl Status {
    /// In the order of their numbers.
    const ALL: [Status; 7] = [
        Status::Waiting,
        Status::Aborted,
        Status::Missing,
        Status::Refused,
        Status::Uncertain,
        Status::Active,
        Status::Filtered,
    ];

    fn from_outcome(outcome: &Outcome) -> Status {
        match outcome.code {
            Code::Ok => Status::Aborted,
            Code::NoSuchUpload => Status::Missing,
            _ if outcome.may_have_succeeded => Status::Uncertain,
            _ => Status::Refused,
        }
    }

    /// Whether an abort of this sweep may be the reason if the upload is gone.
    fn may_be_aborted(self) -> bool {
        matches!(self, Status::Aborted | Status::Uncertain)
    }

    fn has_failed(self) -> bool {
        matches!(self, Status::Refused | Status::Uncertain)
    }

    /// The status after a listing that does not show the upload.
    fn after_unlisted(self) -> Status {
        match self {
            Status::Uncertain => Status::Aborted,
            Status::Refused => Status::Missing,
            other => other,
        }
    }
}

/// In one byte, since there may be many: the status, and whether the listing of this pass shows the upload.
#[derive(Clone, Copy, Debug)]
struct Entry(u8);

impl Entry {
    const LISTED: u8 = 0x80;

    fn new(status: Status, listed: bool) -> Entry {
        Entry(status as u8 | if listed { Entry::LISTED } else { 0 })
    }

    fn is_listed(self) -> bool {
        self.0 & Entry::LISTED != 0
    }

    fn status(self) -> Status {
        Status::ALL.get(usize::from(self.0 & !Entry::LISTED)).copied().unwrap_or(Status::Waiting)
    }
}

/// Counts of uploads, by status.
#[derive(Clone, Copy, Debug, Default)]
struct Counts([u64; Status::ALL.len()]);

impl Counts {
    fn add(&mut self, status: Status, count: u64) {
        self.0[status as usize] += count;
    }

    fn get(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// Takes out one upload that is listed again, and supposes the least: that it was not said to be gone, or that it was
    /// not found.
    fn take(&mut self) -> Option<Status> {
        let order = [
            Status::Active,
            Status::Filtered,
            Status::Refused,
            Status::Uncertain,
            Status::Missing,
            Status::Aborted,
        ];
        let status = order.into_iter().find(|status| self.get(*status) > 0);
        if let Some(status) = status {
            self.0[status as usize] -= 1;
        }
        status
    }

    fn after_listing_without_them(self) -> Counts {
        let mut after = Counts::default();
        for status in Status::ALL.into_iter().filter(|status| *status != Status::Waiting) {
            after.add(status.after_unlisted(), self.get(status));
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
    fn share(&self, uploads: u64) -> u64 {
        if uploads >= self.uploads {
            return self.bytes;
        }
        let bytes = u128::from(self.bytes) * u128::from(uploads) / u128::from(self.uploads);
        u64::try_from(bytes).unwrap_or(self.bytes)
    }
}

/// Uploads that a listing shows and that are left alone.
#[derive(Clone, Copy, Debug, Default)]
struct KeptCounts {
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
    /// Uploads that the pass before has listed.
    listed_before: u64,
    stalled_passes: u32,
    failures: Failures,
    /// The most of any pass, since other clients' uploads come and go.
    kept: KeptCounts,
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
    kept: KeptCounts,
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
        let count = self.outcomes.len();
        if self.fresh == MAX_RECORDED_FAILURES {
            return;
        }
        if count == 0 {
            // At once: growing would need the old and the new memory. What is not used is not resident.
            self.outcomes.reserve_exact(MAX_RECORDED_FAILURES);
        }
        if count == MAX_RECORDED_FAILURES {
            self.outcomes[self.fresh] = (fingerprint, outcome.clone());
        } else {
            self.outcomes.push((fingerprint, outcome.clone()));
            self.outcomes.swap(self.fresh, count);
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
            listed_before: 0,
            stalled_passes: 0,
            failures: Failures::default(),
            kept: KeptCounts::default(),
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
            *entry = Entry::new(entry.status(), true);
            if entry.status() == Status::Active {
                // The cutoff stays, and parts do not get older.
                return Listed::Settled;
            }
            return Listed::Try { may_be_aborted: entry.status().may_be_aborted() };
        }
        if map.len() < MAX_ENTRIES / MAPS {
            if map.len() == FEW_ENTRIES {
                map.reserve(MAX_ENTRIES / MAPS - FEW_ENTRIES);
            }
            map.insert(fingerprint, Entry::new(Status::Waiting, true));
        } else {
            self.untracked.add(Status::Waiting, 1);
            if let Some(status) = self.untracked_before.take() {
                return Listed::Try { may_be_aborted: status.may_be_aborted() };
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
            self.settle(&upload.key, &upload.upload_id, Status::Filtered);
        }
    }

    /// Takes note of the outcome of an upload that was listed.
    pub fn record(&mut self, outcome: &Outcome) {
        let Upload { key, upload_id, parts, .. } = &outcome.upload;
        if let Some(kept) = outcome.kept {
            self.settle(key, upload_id, Status::Active);
            self.unread |= kept == Kept::Unknown;
            return;
        }
        let status = Status::from_outcome(outcome);
        let (fingerprint, before) = self.settle(key, upload_id, status);
        self.pass.anything_gone |= status != Status::Refused;
        self.measure(before, status, parts.map_or(0, |parts| parts.bytes));
        if status.has_failed() {
            self.failures.add(fingerprint, outcome);
        } else if self.pass.number > 1 && self.pass.gone.len() < MAX_RECORDED_FAILURES {
            self.pass.gone.reserve_exact(MAX_RECORDED_FAILURES - self.pass.gone.len());
            self.pass.gone.push(outcome.clone());
        }
    }

    /// Replaces the status of an upload that was listed, and returns the one before.
    fn settle(&mut self, key: &str, upload_id: &str, status: Status) -> (Fingerprint, Status) {
        let (map, fingerprint) = self.fingerprint(key, upload_id);
        let before = if let Some(entry) = self.entries[map].get_mut(&fingerprint) {
            std::mem::replace(entry, Entry::new(status, true)).status()
        } else {
            self.untracked.0[Status::Waiting as usize] -= 1;
            self.untracked.add(status, 1);
            // A later pass has most of them from an earlier one.
            if self.pass.number == 1 { Status::Waiting } else { Status::Refused }
        };
        self.tried += u64::from(before == Status::Waiting);
        self.pass.tried += 1;
        if before.has_failed() {
            self.failures.forget(fingerprint);
        }
        (fingerprint, before)
    }

    /// Adds up the sizes of the uploads that may be gone. One that is listed again was measured again.
    fn measure(&mut self, before: Status, status: Status, bytes: u64) {
        let size = Size { uploads: 1, bytes };
        match (before.may_be_aborted(), status.may_be_aborted()) {
            (false, true) => self.size.add(size),
            (true, false) => self.size.take(size),
            _ => {}
        }
        if status.may_be_aborted() && bytes > 0 {
            self.pass.size.add(size);
        }
        if status == Status::Uncertain {
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
        let stalled = self.pass.number > 1 && self.pass.listed >= self.listed_before;
        self.pass.anything_gone && (!stalled || self.pass.new > 0 && self.stalled_passes < MAX_STALLED_PASSES)
    }

    /// Ends a pass whose listing is complete, and begins the next.
    pub fn begin_pass(&mut self) {
        self.stalled_passes += u32::from(self.pass.listed >= self.listed_before);
        for entry in self.entries.iter_mut().flat_map(HashMap::values_mut) {
            let status = if entry.is_listed() { entry.status() } else { entry.status().after_unlisted() };
            *entry = Entry::new(status, false);
        }
        let mut untracked = self.untracked_before.after_listing_without_them();
        for status in Status::ALL.into_iter().filter(|status| *status != Status::Waiting) {
            untracked.add(status, self.untracked.get(status));
        }
        self.untracked_before = untracked;
        self.untracked = Counts::default();
        self.failures.begin_pass();
        self.kept_of_pages = Default::default();
        self.listed_before = self.pass.listed;
        self.pass = Pass { number: self.pass.number + 1, ..Pass::default() };
    }

    /// The report. If the listing of the last pass is `complete`, it has the last word: what it does not show is gone,
    /// and what a later pass than the first still shows is not.
    pub fn into_report(self, complete: bool) -> Report {
        let contradicts = complete && self.pass.number > 1;
        let mut counts = Counts::default();
        let mut still_listed = 0;
        // Map by map, each of which goes before there are more outcomes.
        for entry in self.entries.into_iter().flat_map(HashMap::into_values) {
            match entry.status() {
                status if complete && !entry.is_listed() => counts.add(status.after_unlisted(), 1),
                Status::Aborted | Status::Missing if contradicts => still_listed += 1,
                status => counts.add(status, 1),
            }
        }
        let before = self.untracked_before;
        let before = if complete { before.after_listing_without_them() } else { before };
        for status in Status::ALL {
            counts.add(status, before.get(status));
            match status {
                Status::Aborted | Status::Missing if contradicts => {
                    still_listed += self.untracked.get(status);
                }
                status => counts.add(status, self.untracked.get(status)),
            }
        }
        let mut failures = self.failures.into_outcomes(complete);
        if contradicts {
            let room = MAX_RECORDED_FAILURES - failures.len();
            let gone = self.pass.gone.into_iter().take(room).map(still_listed_outcome);
            if failures.is_empty() {
                failures = gone.collect(); // in the memory of the old ones
            } else {
                failures.extend(gone);
            }
        }
        // Those of this pass: they are listed after all, or it is not known.
        let mut size = self.size;
        match (contradicts, complete) {
            (true, _) => size.take(self.pass.size),
            (_, false) => size.take(self.pass.uncertain),
            _ => {}
        }
        let active = counts.get(Status::Active);
        Report {
            aborted: counts.get(Status::Aborted),
            missing: counts.get(Status::Missing),
            failed: counts.get(Status::Refused) + counts.get(Status::Uncertain) + still_listed,
            kept: self.kept.total + active + counts.get(Status::Filtered) + counts.get(Status::Waiting),
            younger: self.kept.younger,
            active,
            unknown_age: self.kept.unknown_age,
            bytes: size.share(counts.get(Status::Aborted)),
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
mod tests;
