//! The report handle.

use crate::operation::batch::Report;

use super::ffi::{guarded, optional, take};
use super::outcome::obs_abort_outcome;

/// A report: the results of obs_abort_many(), obs_abort_sweep() or obs_abort_stale(). It never changes.
///
/// Each upload is counted once, so that total = aborted + missing + failed + kept.
pub struct obs_abort_report {
    report: Report,
    failures: Vec<obs_abort_outcome>,
}

impl From<Report> for obs_abort_report {
    fn from(mut report: Report) -> obs_abort_report {
        let failures =
            std::mem::take(&mut report.failures).into_iter().map(obs_abort_outcome::from).collect();
        obs_abort_report { report, failures }
    }
}

/// Reads one number.
///
/// # Safety
/// `report` is NULL, or a report that has not been freed.
unsafe fn number(report: *const obs_abort_report, field: impl FnOnce(&Report) -> u64) -> u64 {
    // SAFETY: as promised by the caller.
    unsafe { optional(report) }.map_or(0, |report| field(&report.report))
}

/// Returns the number of uploads: those in the list of obs_abort_many(), or those that a sweep has found.
///
/// \param report  The report.
/// \return The number of uploads. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_total(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, Report::total) }
}

/// Returns the number of uploads that are gone because of this call. In a dry run, it is the number of uploads that
/// would be aborted.
///
/// \param report  The report.
/// \return The number of uploads. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_aborted(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.aborted) }
}

/// Returns the number of uploads that did not exist when their abort was sent, or when their parts were listed just
/// before: their code is OBS_ABORT_NO_SUCH_UPLOAD.
///
/// \param report  The report.
/// \return The number of uploads. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_missing(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.missing) }
}

/// Returns the number of uploads whose abort failed.
///
/// \param report  The report.
/// \return The number of uploads. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_failed(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.failed) }
}

/// Returns the number of uploads that were left alone: because they are not old enough, because their age is unknown,
/// because they are active, because a filter keeps them, or because the call ended before their turn.
///
/// \param report  The report.
/// \return The number of uploads. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_kept(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.kept) }
}

/// Returns how often the service asked to slow down: the number of responses with status 429 or 503, to abort
/// requests and to requests for lists of uploads and parts. They are retried, at a lower rate; only an upload whose
/// attempts are used up fails.
///
/// \param report  The report.
/// \return The number of responses. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_throttled(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.throttled) }
}

/// Returns the number of kept uploads whose age is unknown: the listing gives no time of initiation, or one that cannot
/// be right. Such uploads cannot be cleaned up by age. obs_abort_stale() finds them with an age of 0 in a dry run, and
/// aborts them with OBS_ABORT_INCLUDE_LIVE.
///
/// \param report  The report.
/// \return The number of uploads, which obs_abort_report_kept() includes. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_unknown_age(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.unknown_age) }
}

/// Returns the number of kept uploads that were initiated too late for obs_abort_sweep() or obs_abort_stale().
///
/// \param report  The report.
/// \return The number of uploads, which obs_abort_report_kept() includes. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_younger(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.younger) }
}

/// Returns the number of uploads that obs_abort_sweep() kept as active: see obs_abort_selection_set_idle_seconds().
///
/// \param report  The report.
/// \return The number of uploads, which obs_abort_report_kept() includes. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_active(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.active) }
}

/// Returns the size of the uploads that obs_abort_sweep() aborted, or in a dry run of those that it would abort: the
/// sum of their parts just before the abort. An estimate if some of the uploads that were said to be gone are still
/// listed.
///
/// \param report  The report.
/// \return The size in bytes. 0 if it was not measured: see obs_abort_selection_set_measure(). 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_bytes(report: *const obs_abort_report) -> u64 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { number(report, |report| report.bytes) }
}

/// Returns whether the last listing of obs_abort_sweep() or obs_abort_stale() was read to its end and showed nothing
/// left to do.
///
/// \param report  The report.
/// \return 1 if so. 0 otherwise. 0 also after a dry run that found something, if uploads were kept because their parts
///         could not be read, for every report of obs_abort_many(), and if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_complete(report: *const obs_abort_report) -> i32 {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { optional(report) }.map_or(0, |report| report.report.complete.into())
}

/// Returns the number of failed uploads whose outcomes the report contains.
///
/// \param report  The report.
/// \return The number of outcomes: that of obs_abort_report_failed(), but at most 1000. 0 if `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_failure_count(report: *const obs_abort_report) -> usize {
    // SAFETY: NULL or a report of ours, as the header requires.
    unsafe { optional(report) }.map_or(0, |report| report.failures.len())
}

/// Returns the outcome of a failed upload. After a single pass, outcomes are in the order in which the failures
/// occurred.
///
/// \param report  The report.
/// \param i       The index, from 0 to obs_abort_report_failure_count() - 1.
/// \return The outcome, owned by the report and valid until the report is freed. NULL if `i` is too large, or if
///         `report` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_failure(
    report: *const obs_abort_report,
    i: usize,
) -> *const obs_abort_outcome {
    // SAFETY: NULL or a report of ours, as the header requires.
    let failure = unsafe { optional(report) }.and_then(|report| report.failures.get(i));
    failure.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Frees a report and its outcomes.
///
/// \param report  The report, or NULL, which is ignored.
///
/// Threads: any, after all other uses of the report and its outcomes. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_report_free(report: *mut obs_abort_report) {
    // SAFETY: NULL or a report of ours that is not used any more, as the header requires.
    guarded((), || drop(unsafe { take(report) }));
}
