//! Which uploads a sweep takes: by their age, and by the times of their parts.

use crate::base::error::Error;
use crate::obs::clock::MAX_SKEW;
use crate::obs::listing::ListedUpload;
use crate::obs::parts::Parts;
use crate::operation::abort::{Inspection, Kept, Upload};
use crate::operation::tally::{KeepReason, Tally};

/// Which uploads a sweep takes. All bounds hold together.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Keys that begin with this.
    pub prefix: &'a str,
    /// At least this old, by the server's clock. 0: no bound.
    pub older_than_seconds: u64,
    /// Initiated before this time, in Unix seconds.
    pub initiated_before: Option<i64>,
    /// Initiated, and last written to, at least this long ago, by the server's clock. 0: no bound.
    pub idle_seconds: u64,
    /// Whether sizes are wanted.
    pub measure: bool,
    /// Nothing is deleted.
    pub dry_run: bool,
    /// Uploads in progress may be taken.
    pub include_live: bool,
}

impl Selection<'_> {
    /// Whether it takes only uploads that were left for some time.
    pub fn depends_on_age(&self) -> bool {
        self.older_than_seconds > 0 || self.initiated_before.is_some() || self.idle_seconds > 0
    }

    /// Whether it takes only uploads whose parts were left for some time.
    pub fn depends_on_parts(&self) -> bool {
        self.idle_seconds > 0
    }

    /// The cutoffs of a sweep whose first page was made at the time `now`.
    pub fn cutoffs(&self, now: i64) -> Cutoffs {
        let before_now = |seconds: u64| now.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX));
        let written = before_now(self.idle_seconds);
        let initiated = before_now(self.older_than_seconds).min(written);
        Cutoffs {
            initiated: initiated.min(self.initiated_before.unwrap_or(i64::MAX)),
            written,
            first_page: now,
        }
    }

    /// Refuses a bound that would take uploads in progress, if they are not meant. `now`: the time, by the best clock that
    /// is known.
    pub fn check_initiated_before(&self, now: i64) -> Result<(), Error> {
        let is_meant = self.dry_run || self.include_live;
        if !is_meant && self.initiated_before.is_some_and(|bound| bound > now) {
            return Err(Error::argument(
                "initiated_before is a time that has not come yet, which would take uploads in progress: \
                 give Unix seconds, and set OBS_ABORT_INCLUDE_LIVE if that is meant",
            ));
        }
        Ok(())
    }

    /// Why an upload is kept, if its listing alone says so.
    pub fn keep_reason(&self, upload: &ListedUpload, cutoffs: &Cutoffs, tally: &Tally) -> Option<KeepReason> {
        if self.depends_on_age() {
            return match upload.initiated {
                // Unknown is not old.
                None => Some(KeepReason::UnknownAge),
                Some(initiated) => (initiated >= cutoffs.initiated).then_some(KeepReason::Younger),
            };
        }
        // Initiated after the first page. The first pass takes it, since it comes upon it. A later one does not: on a
        // bucket in use a sweep would not end.
        let is_later = upload.initiated.is_some_and(|initiated| initiated > cutoffs.initiated);
        (is_later && tally.is_new(upload)).then_some(KeepReason::Younger)
    }
}

/// What was initiated, or written to, at these times or later is not touched, in Unix seconds. Fixed by the first page,
/// however long the sweep takes. Without bounds, it is that page's time, and holds from the second pass on.
#[derive(Clone, Copy, Debug)]
pub struct Cutoffs {
    initiated: i64,
    written: i64,
    /// That page's time.
    pub first_page: i64,
}

impl Cutoffs {
    /// Decides on an upload with these parts, which may still be written to.
    pub fn judge(&self, upload: &Upload, parts: Parts) -> Inspection {
        let keep = |kept, why: String| Inspection::Keep(kept, why);
        if parts.count == 0 {
            // Then its initiation counts, which was before both cutoffs.
            return Inspection::Proceed(Some(parts));
        }
        let Some(newest) = parts.newest else {
            return keep(Kept::Unknown, "the time of a part is missing, or can't be right".to_owned());
        };
        if upload.initiated.is_some_and(|initiated| newest < initiated.saturating_sub_unsigned(MAX_SKEW)) {
            return keep(Kept::Unknown, "its last part is dated before its initiation".to_owned());
        }
        if newest >= self.written {
            let late = newest - self.written;
            return keep(Kept::Written, format!("its last part came {late} s after the cutoff"));
        }
        Inspection::Proceed(Some(parts))
    }
}
