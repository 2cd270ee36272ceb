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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn selection() -> Selection<'static> {
        Selection {
            prefix: "",
            older_than_seconds: 0,
            initiated_before: None,
            idle_seconds: 0,
            measure: false,
            dry_run: false,
            include_live: false,
        }
    }

    fn listed(key: &str, initiated: Option<i64>) -> ListedUpload {
        ListedUpload { key: key.to_owned(), is_decoded: true, upload_id: "id".to_owned(), initiated }
    }

    #[test]
    fn a_time_that_has_not_come_must_be_meant() {
        let before = |bound| Selection { initiated_before: Some(bound), ..selection() };
        assert!(before(NOW).check_initiated_before(NOW).is_ok());
        let later = before(NOW + 1);
        assert!(later.check_initiated_before(NOW).is_err());
        for meant in [Selection { dry_run: true, ..later }, Selection { include_live: true, ..later }] {
            assert!(meant.check_initiated_before(NOW).is_ok());
        }
    }

    #[test]
    fn what_is_not_older_than_its_age_is_younger() {
        let selection = Selection { older_than_seconds: 10, ..selection() };
        let (cutoffs, tally) = (selection.cutoffs(NOW), Tally::new());
        let reason = |initiated| selection.keep_reason(&listed("k", initiated), &cutoffs, &tally);
        assert_eq!(reason(Some(NOW - 11)), None);
        assert_eq!(reason(Some(NOW - 10)), Some(KeepReason::Younger));
        assert_eq!(reason(None), Some(KeepReason::UnknownAge));
    }

    #[test]
    fn without_an_age_a_later_pass_leaves_what_began_after_the_first_page() {
        let selection = selection();
        let (cutoffs, mut tally) = (selection.cutoffs(NOW), Tally::new());
        let _ = tally.list(&listed("before", Some(NOW + 1)));
        for (pass, want) in [(1, None), (2, Some(KeepReason::Younger))] {
            for (key, initiated, want) in [
                ("new", Some(NOW + 1), want),
                ("new", Some(NOW), None),
                ("new", None, None),
                ("before", Some(NOW + 1), None),
            ] {
                let upload = listed(key, initiated);
                assert_eq!(selection.keep_reason(&upload, &cutoffs, &tally), want, "{pass}: {upload:?}");
            }
            tally.begin_pass();
        }
    }

    #[test]
    fn parts_at_the_bounds() {
        let cutoffs = Selection { idle_seconds: 10, ..selection() }.cutoffs(NOW);
        let initiated = NOW - 10 + MAX_SKEW.cast_signed();
        let upload = Upload { initiated: Some(initiated), ..Upload::default() };
        let kept = |count, newest| match cutoffs.judge(&upload, Parts { count, bytes: 0, newest }) {
            Inspection::Keep(kept, why) => Some((kept, why)),
            _ => None,
        };
        assert_eq!(kept(0, None), None, "no parts");
        for (newest, want) in [
            (None, "the time of a part is missing, or can't be right"),
            (Some(NOW - 11), "its last part is dated before its initiation"),
            (Some(NOW - 10), "its last part came 0 s after the cutoff"),
            (Some(NOW - 8), "its last part came 2 s after the cutoff"),
        ] {
            assert_eq!(kept(1, newest).map(|(_, why)| why).as_deref(), Some(want));
        }
        let old = Upload { initiated: Some(NOW - 20), ..Upload::default() };
        assert!(matches!(
            cutoffs.judge(&old, Parts { count: 1, bytes: 0, newest: Some(NOW - 11) }),
            Inspection::Proceed(Some(_))
        ));
    }
}
