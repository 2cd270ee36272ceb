//! The functions that find uploads and abort them.

use std::ffi::{c_char, c_void};

use crate::obs::bucket::check_bucket;
use crate::operation::batch::ProgressCallback;
use crate::operation::sweep::{KeepFilter, sweep};

use super::abort::{obs_abort_progress_fn, progress_callback, with_report};
use super::call::{call_options, obs_abort_call};
use super::client::obs_abort_client;
use super::ffi::{handle, optional_text, text};
use super::report::obs_abort_report;
use super::selection::{SelectionFields, obs_abort_selection};

/// Finds and aborts uploads of a bucket that crashed programs left unfinished.
///
/// The function lists the uploads page by page and aborts those that are selected. It uses as many connections and
/// threads as obs_abort_many(). Its memory use does not depend on the number of uploads. The permissions needed are
/// obs:bucket:ListBucketMultipartUploads and obs:object:AbortMultipartUpload.
///
/// Age is measured by the clock of the service. The first page of the listing fixes the cutoffs: an upload that was
/// initiated at the cutoff or later is never touched, however long the function runs. If the selection depends on age, an
/// upload whose age is unknown is kept. An upload whose key or upload id contains U+0000 fails with
/// OBS_ABORT_INVALID_ARGUMENT, in a dry run too, because no C string can hold it. One whose key cannot be decoded fails
/// with OBS_ABORT_PROTOCOL.
///
/// With obs_abort_selection_set_idle_seconds() or obs_abort_selection_set_measure(), the parts of each selected upload
/// are listed immediately before its abort. If an idle time is set and the service then says that the upload does not
/// exist, no abort is sent: the outcome has the code and the HTTP status of that response, and 0 attempts.
///
/// Uploads whose parts could not be listed are kept, whatever the reason, and do not change the code that the function
/// returns: obs_abort_report_complete() tells.
///
/// Services have said that an upload is gone and gone on to list it. So if anything was aborted, the function lists
/// again, with the same cutoff, until a listing shows nothing left to abort, or no fewer uploads than the one before. It
/// tries each upload that is listed again once more. An upload that the last listing still shows has failed: with the
/// code of its own refusal, or with OBS_ABORT_STILL_LISTED if the service said that it is gone. The report counts each
/// upload once, by the last that is known of it; the progress callback is called for each try.
///
/// The function stops with OBS_ABORT_PROTOCOL, and aborts nothing of the page, if a page of the listing cannot be
/// relied on: for example if it is incomplete, names another bucket or has a key outside the prefix. If age matters, this
/// includes a Date header that is missing, that occurs twice with different values, or that is more than 15 minutes from
/// the clock that the service accepted in the signature.
///
/// \param client     The client.
/// \param call       A call handle, for cancellation or for a time budget of the whole call, or NULL.
/// \param bucket     As for obs_abort_multipart().
/// \param selection  The selection, which is copied: it may be changed or freed during the call.
/// \param flags      0, OBS_ABORT_DRY_RUN, OBS_ABORT_INCLUDE_LIVE, or both combined with |. Other values are refused. In
///                   a dry run nothing is aborted, and the outcome of each upload that would be has code 0, HTTP status
///                   0 and 0 attempts. Without a flag, a selection that sets no age, or that sets
///                   obs_abort_selection_set_initiated_before() to a time that has not come yet, is refused with
///                   OBS_ABORT_INVALID_ARGUMENT, so that an atoi() that failed does not destroy a running backup.
/// \param progress   A progress callback, or NULL.
/// \param userdata   A pointer that is passed to `progress`. May be NULL.
/// \param report     Receives the report, to be freed with obs_abort_report_free(). If the arguments are valid, there is
///                   a report whatever the function returns, even if a listing fails half-way. May be NULL.
/// \param error      Receives NULL on success, otherwise an error string to be freed with obs_abort_string_free(). May
///                   be NULL.
/// \return OBS_ABORT_OK if the last listing was read to its end and shows nothing left to abort.
///         OBS_ABORT_INVALID_ARGUMENT if an argument is invalid. Otherwise the first that applies:
///         OBS_ABORT_CANCELLED; OBS_ABORT_TIMEOUT if the time budget of the whole call ran out, or if a Retry-After
///         goes beyond it; the code with which the listing failed; OBS_ABORT_THROTTLED if a Retry-After is longer
///         than ten minutes; OBS_ABORT_PARTIAL if some uploads failed.
///
///         After OBS_ABORT_CANCELLED, OBS_ABORT_TIMEOUT or OBS_ABORT_THROTTLED, uploads that were cut off in progress
///         count as failed, and uploads that were listed but not begun count as kept.
///
/// Threads: any. Since 0.1.0.
/// Source: "Listing Initiated Multipart Uploads in a Bucket" and "Listing Uploaded Parts" in Huawei's OBS API reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_sweep(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: *const c_char,
    selection: *const obs_abort_selection,
    flags: u32,
    progress: obs_abort_progress_fn,
    userdata: *mut c_void,
    report: *mut *mut obs_abort_report,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: handles of ours and NUL-terminated strings, as the header requires.
        let (client, call, bucket, selection) = unsafe {
            (
                handle(client, "client")?,
                call_options(call),
                text(bucket, "bucket")?,
                handle(selection, "selection")?.checked()?,
            )
        };
        let bounds = selection.bounds(flags)?;
        bounds.check_initiated_before(client.0.now())?;
        check_bucket(bucket)?;
        // SAFETY: functions that may be called, as the header requires.
        let mut progress = unsafe { progress_callback(progress, userdata) };
        // SAFETY: as above.
        let mut filter = unsafe { selection.filter() };
        let filter = filter.as_mut().map(|filter| filter as KeepFilter<'_>);
        let progress = progress.as_mut().map(|progress| progress as ProgressCallback<'_>);
        Ok(sweep(&client.0, &call, bucket, bounds, filter, progress))
    };
    // SAFETY: NULL or valid for a write, as the header requires.
    unsafe { with_report(report, error, run) }
}

/// Finds and aborts the uploads of a bucket that were left unfinished for longer than a given time: obs_abort_sweep()
/// with a prefix and an age, and nothing else. An upload whose age is unknown is kept, unless `older_than_seconds` is 0.
///
/// \param client              The client.
/// \param call                A call handle, for cancellation or for a time budget of the whole call, or NULL.
/// \param bucket              As for obs_abort_multipart().
/// \param prefix              Only uploads whose keys begin with this prefix are listed: up to 1024 bytes of UTF-8.
///                            NULL or "" for all uploads of the bucket.
/// \param older_than_seconds  The age in seconds that an upload must exceed. 0 selects all uploads, including those in
///                            progress. It is refused with OBS_ABORT_INVALID_ARGUMENT unless a flag is set, so that an
///                            atoi() that failed does not destroy a running backup.
/// \param flags               0, OBS_ABORT_DRY_RUN, OBS_ABORT_INCLUDE_LIVE, or both combined with |. Other values are
///                            refused. In a dry run nothing is aborted, and the outcome of each upload that would be
///                            has code 0, HTTP status 0 and 0 attempts.
/// \param progress            A progress callback, or NULL.
/// \param userdata            A pointer that is passed to `progress`. May be NULL.
/// \param report              Receives the report, to be freed with obs_abort_report_free(). If the arguments are
///                            valid, there is a report whatever the function returns, even if a listing fails half-way.
///                            May be NULL.
/// \param error               Receives NULL on success, otherwise an error string to be freed with
///                            obs_abort_string_free(). May be NULL.
/// \return OBS_ABORT_OK if the last listing was read to its end and shows no upload that is old enough.
///         OBS_ABORT_INVALID_ARGUMENT if an argument is invalid. Otherwise the first that applies:
///         OBS_ABORT_CANCELLED; OBS_ABORT_TIMEOUT if the time budget of the whole call ran out, or if a Retry-After
///         goes beyond it; the code with which the listing failed; OBS_ABORT_THROTTLED if a Retry-After is longer
///         than ten minutes; OBS_ABORT_PARTIAL if some uploads failed.
///
///         After OBS_ABORT_CANCELLED, OBS_ABORT_TIMEOUT or OBS_ABORT_THROTTLED, uploads that were cut off in progress
///         count as failed, and uploads that were listed but not begun count as kept.
///
/// Threads: any. Since 0.1.0.
/// Source: "Listing Initiated Multipart Uploads in a Bucket" in Huawei's OBS API reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_stale(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: *const c_char,
    prefix: *const c_char,
    older_than_seconds: u64,
    flags: u32,
    progress: obs_abort_progress_fn,
    userdata: *mut c_void,
    report: *mut *mut obs_abort_report,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: handles of ours and NUL-terminated strings, as the header requires.
        let (client, call, bucket, prefix) = unsafe {
            (
                handle(client, "client")?,
                call_options(call),
                text(bucket, "bucket")?,
                optional_text(prefix, "prefix")?.unwrap_or_default(),
            )
        };
        let mut selection = SelectionFields::with_prefix(prefix)?;
        selection.older_than_seconds = older_than_seconds;
        let bounds = selection.bounds(flags)?;
        check_bucket(bucket)?;
        // SAFETY: a function that may be called, as the header requires.
        let mut progress = unsafe { progress_callback(progress, userdata) };
        let progress = progress.as_mut().map(|progress| progress as ProgressCallback<'_>);
        Ok(sweep(&client.0, &call, bucket, bounds, None, progress))
    };
    // SAFETY: NULL or valid for a write, as the header requires.
    unsafe { with_report(report, error, run) }
}
