//! What became of many uploads, for C.

use crate::operation::batch::Report;

use super::ffi::{guarded, optional, take};
use super::outcome::obs_abort_outcome;

/// What became of many uploads. Read by getters, each of which takes NULL and then returns 0 or NULL. Total is always
/// aborted + missing + failed + kept.
pub struct obs_abort_report {
    report: Report,
    failures: Vec<obs_abort_outcome>,
}

impl From<Report> for obs_abort_report {
    fn from(mut report: Report) -> obs_abort_report {
        let failures = std::mem::take(&mut report.failures).iter().map(obs_abort_outcome::from).collect();
        obs_abort_report { report, failures }
    }
}

/// Reads one number.
///
/// # Safety
/// NULL, or a report that has not been freed.
unsafe fn number(report: *const obs_abort_report, field: impl FnOnce(&Report) -> u64) -> u64 {
    // SAFETY: as promised by the caller.
    unsafe { optional(report) }.map_or(0, |report| field(&report.report))
}

/// How many uploads were looked at.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_total(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header demands.
    unsafe { number(report, Report::total) }
}

/// How many are gone by this call; in a dry run, how many would be aborted.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_aborted(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header demands.
    unsafe { number(report, |report| report.aborted) }
}

/// How many were gone already (OBS_ABORT_NO_SUCH_UPLOAD).
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_missing(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header demands.
    unsafe { number(report, |report| report.missing) }
}

/// How many could not be aborted.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_failed(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header demands.
    unsafe { number(report, |report| report.failed) }
}

/// How many were left alone: younger than asked for, of unknown age, or not reached when the call ended early.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_kept(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header demands.
    unsafe { number(report, |report| report.kept) }
}

/// How many failures the report holds in full: the first 1000.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_failure_count(report: *const obs_abort_report) -> usize {
    // SAFETY: NULL or a report of ours, as the header demands.
    unsafe { optional(report) }.map_or(0, |report| report.failures.len())
}

/// One failure.
///
/// \param report  The report.
/// \param i       From 0 to obs_abort_report_failure_count() - 1, in the order in which they happened.
/// \return The outcome, borrowed from the report; NULL past the end.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_failure(
    report: *const obs_abort_report,
    i: usize,
) -> *const obs_abort_outcome {
    // SAFETY: NULL or a report of ours, as the header demands.
    let failure = unsafe { optional(report) }.and_then(|report| report.failures.get(i));
    failure.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Frees a report and all that was borrowed from it.
///
/// \param report  The report, or NULL, which is ignored.
///
/// Threads: any, once no other uses it. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_free(report: *mut obs_abort_report) {
    // SAFETY: NULL or a report of ours that nobody uses any more, as the header demands.
    guarded((), || drop(unsafe { take(report) }));
}
