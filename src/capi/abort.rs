//! The functions that abort uploads.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;

use crate::base::error::{Code, Error};
use crate::obs::bucket::{check_bucket, check_key, check_upload_id};
use crate::operation::abort::{CheckedUpload, Outcome, Upload, abort};
use crate::operation::batch::{BatchResult, ProgressCallback, abort_many};

use super::call::{call_options, obs_abort_call};
use super::client::obs_abort_client;
use super::ffi::{code_and_error, fallible, give, give_error, guarded, handle, lossy, put, text};
use super::outcome::obs_abort_outcome;
use super::report::obs_abort_report;

/// An upload in a list for obs_abort_many(). The members and the size of this struct never change within
/// libobsabort.so.0.
#[repr(C)]
#[must_use] // Only for cbindgen, which writes the tag of the struct instead of a C attribute: see cbindgen.toml.
pub struct obs_abort_upload {
    /// The key of the object: 1 to 1024 bytes of UTF-8, not percent-encoded.
    pub key: *const c_char,
    /// The upload id: 1 to 1024 bytes of UTF-8, without control characters, and without white space at either end.
    pub upload_id: *const c_char,
}

/// A progress callback of obs_abort_many(), obs_abort_sweep() and obs_abort_stale().
///
/// It is called with the outcome of each upload, except uploads that are kept. It is also called with NULL at least
/// every 250 ms, as long as callbacks return at once. It is called only on the thread that made the call, one call at a
/// time, never while the log callback runs for the same call. If the system allows no further thread, the function works
/// on the calling thread, and calls back only between uploads.
///
/// The callback must return: it must not throw, call longjmp() or end the thread. It may call this library, but it must
/// not free the client. No callback is running, and none starts, after the function that calls it has returned.
///
/// \param outcome       The outcome of an upload, or NULL. Valid until the callback returns. It must not be freed.
///                      Outcomes arrive as uploads are finished, not in the order of the list:
///                      obs_abort_outcome_index() tells which entry of the list an outcome belongs to.
/// \param done          The number of uploads that are settled so far, including those that are kept. It never
///                      decreases.
/// \param total_so_far  The number of uploads that are known so far: in obs_abort_many() the whole list, in a sweep
///                      those of the pages that have been read, as far as a filter has seen them. It never decreases,
///                      and is never less than `done`.
/// \param userdata      The pointer that was passed to obs_abort_many(), obs_abort_sweep() or obs_abort_stale().
/// \return 0 to continue. Any other value stops the call: no further upload is begun, uploads in progress are finished
///         and reported as usual, and the call returns OBS_ABORT_CANCELLED.
///
/// Since 0.1.0.
pub type obs_abort_progress_fn = Option<
    unsafe extern "C" fn(
        outcome: *const obs_abort_outcome,
        done: u64,
        total_so_far: u64,
        userdata: *mut c_void,
    ) -> i32,
>;

/// Aborts one upload.
///
/// The function sends DELETE /key?uploadId=..., signed, and retries it if that is safe. It blocks until the upload is
/// gone or the abort has failed, for no longer than obs_abort_config_set_timeout_ms() allows. The permission needed is
/// obs:object:AbortMultipartUpload. The caller must be the initiator of the upload or the owner of the bucket.
///
/// \param client       The client.
/// \param bucket       The name of the bucket: 3 to 63 characters of a-z, 0-9, "-" and ".", beginning and ending with a
///                     letter or a digit, without "..", and not shaped like an IPv4 address.
/// \param key          The key of the object: 1 to 1024 bytes of UTF-8, not percent-encoded.
/// \param upload_id    The upload id: 1 to 1024 bytes of UTF-8, without control characters, and without white space at
///                     either end. An empty upload id is never sent, because some servers would delete the object
///                     itself.
/// \param http_status  Receives the HTTP status of the response that decided the code, or 0 if no response did. May be
///                     NULL.
/// \param error        Receives NULL on success, otherwise an error string to be freed with obs_abort_string_free().
///                     May be NULL.
/// \return OBS_ABORT_OK if the upload is gone: the service responded 204, or it responded 404 NoSuchUpload or NoSuchKey
///         after an earlier attempt of this call that may have been carried out. An attempt may have been carried out
///         if its request was sent and it had no complete response, or if the response was 408, RequestTimeout, 500,
///         502 or 504. OBS_ABORT_NO_SUCH_UPLOAD if the upload did not exist. After any other code, the upload may still
///         exist.
///
/// Threads: any. Since 0.1.0.
/// Source: "Canceling a Multipart Upload Task" in Huawei's OBS API reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_multipart(
    client: *const obs_abort_client,
    bucket: *const c_char,
    key: *const c_char,
    upload_id: *const c_char,
    http_status: *mut i32,
    error: *mut *mut c_char,
) -> i32 {
    guarded(Code::Internal as i32, || {
        // SAFETY: NULL or valid for a write, as the header requires.
        unsafe {
            put(http_status, 0);
            put(error, std::ptr::null_mut());
        }
        // SAFETY: handles of ours and NUL-terminated strings, as the header requires.
        let outcome = unsafe { abort_one(client, std::ptr::null(), bucket, key, upload_id) };
        // SAFETY: NULL or valid for a write, as the header requires.
        unsafe {
            put(http_status, outcome.http_status.into());
            if let Some(message) = outcome.message {
                give_error(error, message);
            }
        }
        outcome.code as i32
    })
}

/// Aborts one upload as obs_abort_multipart() does, and returns all that is known about it.
///
/// \param client     The client.
/// \param call       A call handle, for cancellation or for a time budget of this call, or NULL.
/// \param bucket     As for obs_abort_multipart().
/// \param key        As for obs_abort_multipart().
/// \param upload_id  As for obs_abort_multipart().
/// \param outcome    Receives the outcome, to be freed with obs_abort_outcome_free(). There is an outcome whatever the
///                   function returns, unless `client` is NULL. May be NULL.
/// \return As for obs_abort_multipart(). OBS_ABORT_CANCELLED if obs_abort_call_cancel() or obs_abort_client_shutdown()
///         ended the call.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_multipart_outcome(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: *const c_char,
    key: *const c_char,
    upload_id: *const c_char,
    outcome: *mut *mut obs_abort_outcome,
) -> i32 {
    guarded(Code::Internal as i32, || {
        // SAFETY: NULL or valid for a write, as the header requires.
        unsafe { put(outcome, std::ptr::null_mut()) };
        // SAFETY: handles of ours and NUL-terminated strings, as the header requires.
        let all = unsafe { abort_one(client, call, bucket, key, upload_id) };
        let code = all.code;
        if !client.is_null() {
            // SAFETY: NULL or valid for a write, as the header requires.
            unsafe { give(outcome, || obs_abort_outcome::from(all)) };
        }
        code as i32
    })
}

/// Aborts one upload. An invalid argument becomes an outcome, too.
///
/// # Safety
/// Each pointer is NULL, or a handle of ours or a NUL-terminated string.
unsafe fn abort_one(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: *const c_char,
    key: *const c_char,
    upload_id: *const c_char,
) -> Outcome {
    let outcome = fallible(|| {
        // SAFETY: as promised by the caller.
        let (client, call, bucket) =
            unsafe { (handle(client, "client")?, call_options(call), text(bucket, "bucket")?) };
        // SAFETY: as promised by the caller.
        let entry = unsafe { checked_upload(key, upload_id) };
        Ok(abort(&client.0, &call, bucket, entry))
    });
    // SAFETY: as promised by the caller.
    outcome.unwrap_or_else(|error| Outcome::unsent(unsafe { shown_upload(key, upload_id) }, error))
}

/// Checks a key and an upload id. If one is invalid, the result is what can be shown of them, and the reason.
///
/// # Safety
/// Each pointer is NULL or a NUL-terminated string.
unsafe fn checked_upload(key: *const c_char, upload_id: *const c_char) -> CheckedUpload {
    let checked = || {
        // SAFETY: as promised by the caller.
        let key = unsafe { text(key, "key") }?;
        // SAFETY: as promised by the caller.
        let upload_id = unsafe { text(upload_id, "upload id") }?;
        check_key(key)?;
        check_upload_id(upload_id)?;
        Ok(Upload { key: key.to_owned(), upload_id: upload_id.to_owned(), ..Upload::default() })
    };
    // SAFETY: as promised by the caller.
    checked().map_err(|error| (unsafe { shown_upload(key, upload_id) }, error))
}

/// Converts a key and an upload id for display, whether or not they are valid.
///
/// # Safety
/// Each pointer is NULL or a NUL-terminated string.
unsafe fn shown_upload(key: *const c_char, upload_id: *const c_char) -> Upload {
    // SAFETY: as promised by the caller.
    let (key, upload_id) = unsafe { (lossy(key), lossy(upload_id)) };
    Upload { key, upload_id, ..Upload::default() }
}

/// Aborts many uploads of one bucket, several at once.
///
/// The function uses up to as many connections and threads as obs_abort_config_set_max_connections() allows. Each
/// upload has its own attempts and its own time budget. If the service refuses many requests with 429 or 503, the function
/// sends all requests more slowly. A Retry-After holds all of them, for up to ten minutes. These waits take nothing from
/// the time budget of an upload. The threads of the function have ended when it returns.
///
/// \param client    The client.
/// \param call      A call handle, for cancellation or for a time budget of the whole call, or NULL.
/// \param bucket    As for obs_abort_multipart().
/// \param uploads   An array of uploads. The array and its strings must not change during the call. May be NULL if
///                  `count` is 0. An invalid entry fails alone, with OBS_ABORT_INVALID_ARGUMENT, and nothing is sent
///                  for it. If an upload is in the array twice, its abort is sent twice, and the later one counts as
///                  missing.
/// \param count     The number of uploads.
/// \param progress  A progress callback, or NULL.
/// \param userdata  A pointer that is passed to `progress`. May be NULL.
/// \param report    Receives the report, to be freed with obs_abort_report_free(). If the arguments are valid, there is
///                  a report whatever the function returns. May be NULL.
/// \param error     Receives NULL on success, otherwise an error string to be freed with obs_abort_string_free(). May
///                  be NULL.
/// \return OBS_ABORT_OK if all uploads are gone, including those that did not exist. OBS_ABORT_INVALID_ARGUMENT if an
///         argument is invalid. Otherwise the first that applies: OBS_ABORT_CANCELLED; OBS_ABORT_TIMEOUT if the time
///         budget of the whole call ran out, or if a Retry-After goes beyond it; OBS_ABORT_THROTTLED if a Retry-After
///         is longer than ten minutes; OBS_ABORT_PARTIAL if some uploads failed.
///
///         After OBS_ABORT_CANCELLED, OBS_ABORT_TIMEOUT or OBS_ABORT_THROTTLED, uploads that were cut off in progress
///         count as failed, and uploads that were not begun count as kept.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_many(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: *const c_char,
    uploads: *const obs_abort_upload,
    count: usize,
    progress: obs_abort_progress_fn,
    userdata: *mut c_void,
    report: *mut *mut obs_abort_report,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: handles of ours and NUL-terminated strings, as the header requires.
        let (client, call, bucket) =
            unsafe { (handle(client, "client")?, call_options(call), text(bucket, "bucket")?) };
        check_bucket(bucket)?;
        let uploads = if count == 0 {
            &[]
        } else if uploads.is_null() {
            return Err(Error::argument("the list of uploads is NULL, though its count is not 0"));
        } else if count > isize::MAX as usize / size_of::<obs_abort_upload>() {
            return Err(Error::argument("the count of uploads is beyond all memory"));
        } else {
            // SAFETY: not NULL, and `count` entries long, as the header requires.
            unsafe { std::slice::from_raw_parts(uploads, count) }
        };
        // SAFETY: NUL-terminated strings that outlive the call, as the header requires.
        let uploads = unsafe { Uploads::new(uploads) };
        // SAFETY: a function that may be called, as the header requires.
        let mut progress = unsafe { progress_callback(progress, userdata) };
        let progress = progress.as_mut().map(|progress| progress as ProgressCallback<'_>);
        Ok(abort_many(&client.0, &call, bucket, count, &|i| uploads.entry(i), progress))
    };
    // SAFETY: NULL or valid for a write, as the header requires.
    unsafe { with_report(report, error, run) }
}

/// The list of uploads of the caller. Workers read its entries when they need them: a copy could be of any size.
struct Uploads<'a>(&'a [obs_abort_upload]);

// SAFETY: the strings are only read, and the header forbids the caller to change them during the call.
unsafe impl Sync for Uploads<'_> {}

impl<'a> Uploads<'a> {
    /// # Safety
    /// Each string is NULL, or NUL-terminated and valid during `'a`.
    unsafe fn new(uploads: &'a [obs_abort_upload]) -> Uploads<'a> {
        Uploads(uploads)
    }

    /// Returns the entry with index `i`, or None after the last one.
    fn entry(&self, i: usize) -> Option<CheckedUpload> {
        let upload = self.0.get(i)?;
        // SAFETY: as promised to `new`.
        Some(unsafe { checked_upload(upload.key, upload.upload_id) })
    }
}

/// Wraps the progress callback of the caller, if there is one.
///
/// # Safety
/// `progress` may be called with `userdata`.
pub(super) unsafe fn progress_callback(
    progress: obs_abort_progress_fn,
    userdata: *mut c_void,
) -> Option<impl FnMut(Option<Outcome>, u64, u64) -> ControlFlow<()>> {
    let progress = progress?;
    Some(move |outcome: Option<Outcome>, done, total| {
        let outcome = outcome.map(obs_abort_outcome::from);
        let pointer = outcome.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: as promised by the caller. The outcome lives until the callback has returned.
        match unsafe { progress(pointer, done, total, userdata) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })
}

/// Runs the body of a function that returns a report.
///
/// # Safety
/// `report` and `error` are NULL or valid for a write.
pub(super) unsafe fn with_report(
    report: *mut *mut obs_abort_report,
    error: *mut *mut c_char,
    run: impl FnOnce() -> Result<BatchResult, Error>,
) -> i32 {
    let body = || {
        // SAFETY: as promised by the caller.
        unsafe { put(report, std::ptr::null_mut()) };
        let batch = run()?;
        // SAFETY: as promised by the caller.
        unsafe { give(report, || obs_abort_report::from(batch.report)) };
        batch.result
    };
    // SAFETY: as promised by the caller.
    unsafe { code_and_error(error, body) }
}
