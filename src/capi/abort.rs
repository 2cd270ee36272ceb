//! The three verbs.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;

use crate::base::error::{Code, Error};
use crate::obs::bucket::{check_bucket, check_key, check_upload_id};
use crate::operation::abort::{Entry, Outcome, Upload, abort};
use crate::operation::batch::{BatchResult, abort_many};
use crate::operation::stale::{Selection, abort_stale};

use super::call::{begin, obs_abort_call};
use super::client::obs_abort_client;
use super::ffi::{fallible, give, give_error, guarded, handle, lossy, optional_text, put, text};
use super::outcome::obs_abort_outcome;
use super::report::obs_abort_report;

/// One upload in a list for obs_abort_many(). Its members and its size never change within libobsabort.so.0.
#[repr(C)]
#[must_use] // For cbindgen alone, which writes the struct's tag in place of a C attribute: see cbindgen.toml.
pub struct obs_abort_upload {
    /// The key of the object that the upload was for: 1 to 1024 bytes of UTF-8. A key that holds U+0000 can't be given.
    pub key: *const c_char,
    /// The upload id: 1 to 1024 bytes of UTF-8, not all white space, no control characters.
    pub upload_id: *const c_char,
}

/// In obs_abort_stale(): list, and delete nothing.
pub const OBS_ABORT_DRY_RUN: u32 = 1;
/// In obs_abort_stale(): an age of 0 is meant, and takes uploads that are in progress.
pub const OBS_ABORT_INCLUDE_LIVE: u32 = 2;

/// Told what obs_abort_many() and obs_abort_stale() do: with an outcome, for each upload acted on (not for those
/// that are kept); with NULL, at least every 250 ms as long as callbacks return at once, whether there are outcomes or
/// not. It is called only on the thread that called the verb, one call at a time, and never while the log callback runs
/// there.
///
/// It must return: it must not throw, leave by longjmp(), or end the thread. It may call the library, except to free the
/// client. None is running, and none starts, after the verb has returned.
///
/// outcome:       borrowed for the time of the call, or NULL. In obs_abort_many(), obs_abort_outcome_index() says which
///                entry of the list it is about: outcomes come as the uploads finish, not in the order of the list.
/// done:          how many uploads are settled so far, those that are kept included.
/// total_so_far:  how many are known of so far: the whole list, or what the pages so far had; never less than done.
/// userdata:      what was given to the verb.
/// Returns 0 to go on. Anything else stops: nothing new is begun, what is in flight finishes, the verb returns
/// OBS_ABORT_CANCELLED.
pub type obs_abort_progress_fn = Option<
    unsafe extern "C" fn(
        outcome: *const obs_abort_outcome,
        done: u64,
        total_so_far: u64,
        userdata: *mut c_void,
    ) -> i32,
>;

/// Aborts one upload: DELETE /key?uploadId=..., signed, retried where that is safe, until the service says that the
/// upload is gone or why it is not. It blocks, at most as long as obs_abort_config_set_timeout_ms() says.
///
/// \param client       The client.
/// \param bucket       3 to 63 of a-z 0-9 - . , starting and ending with a letter or a digit.
/// \param key          1 to 1024 bytes of UTF-8, any characters but U+0000, as they are: encoding is done here.
/// \param upload_id    1 to 1024 bytes of UTF-8, not all white space, no control characters. An empty one never leaves
///                     the library: some servers would delete the object itself.
/// \param http_status  Receives the HTTP status of the response that decided the code; 0 where none did. May be NULL.
/// \param error        Receives NULL on success, otherwise one line that says what happened, to be freed with
///                     obs_abort_string_free(). May be NULL.
/// \return OBS_ABORT_OK where the upload is gone: 204, or 404 NoSuchUpload after an earlier attempt of this call that
///         may have been carried out. OBS_ABORT_NO_SUCH_UPLOAD where it was gone before. Any other code: it may still
///         be there.
///
/// Threads: any number at once with one client. Since 0.1.0.
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
        // SAFETY: NULL or valid for a write, as the header demands.
        unsafe {
            put(http_status, 0);
            put(error, std::ptr::null_mut());
        }
        // SAFETY: handles of ours and NUL-terminated strings, as the header demands.
        let outcome = unsafe { one(client, std::ptr::null(), bucket, key, upload_id) };
        // SAFETY: NULL or valid for a write, as the header demands.
        unsafe {
            put(http_status, outcome.http_status.into());
            if let Some(message) = &outcome.message {
                give_error(error, message);
            }
        }
        outcome.code as i32
    })
}

/// Aborts one upload as obs_abort_multipart() does, and tells all that is known of it.
///
/// \param client     The client.
/// \param call       For cancellation and a budget of its own; NULL stands for nothing special.
/// \param bucket     As for obs_abort_multipart().
/// \param key        As for obs_abort_multipart().
/// \param upload_id  As for obs_abort_multipart().
/// \param outcome    Receives the outcome, to be freed with obs_abort_outcome_free(), whenever client is not NULL: also
///                   for bad input, also on success. May be NULL.
/// \return As obs_abort_multipart(); OBS_ABORT_CANCELLED where the call handle or the client ended it.
///
/// Threads: any number at once with one client. Since 0.1.0.
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
        // SAFETY: NULL or valid for a write, as the header demands.
        unsafe { put(outcome, std::ptr::null_mut()) };
        // SAFETY: handles of ours and NUL-terminated strings, as the header demands.
        let all = unsafe { one(client, call, bucket, key, upload_id) };
        if !client.is_null() {
            // SAFETY: NULL or valid for a write, as the header demands.
            unsafe { give(outcome, || obs_abort_outcome::from(&all)) };
        }
        all.code as i32
    })
}

/// # Safety
/// Handles of ours and NUL-terminated strings, or NULL.
unsafe fn one(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: *const c_char,
    key: *const c_char,
    upload_id: *const c_char,
) -> Outcome {
    let outcome = fallible(|| {
        // SAFETY: as promised by the caller.
        let (client, call, bucket) =
            unsafe { (handle(client, "client")?, begin(call), text(bucket, "bucket")?) };
        // SAFETY: as promised by the caller.
        let entry = unsafe { entry(key, upload_id) };
        Ok(abort(&client.0, &call, bucket, entry))
    });
    // SAFETY: as promised by the caller.
    outcome.unwrap_or_else(|error| Outcome::unsent(unsafe { shown(key, upload_id) }, error))
}

/// An upload, checked, or what can be shown of it and why it is none.
///
/// # Safety
/// NUL-terminated strings, or NULL.
unsafe fn entry(key: *const c_char, upload_id: *const c_char) -> Entry {
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
    checked().map_err(|error| (unsafe { shown(key, upload_id) }, error))
}

/// What can be shown of an upload that may be none.
///
/// # Safety
/// NUL-terminated strings, or NULL.
unsafe fn shown(key: *const c_char, upload_id: *const c_char) -> Upload {
    // SAFETY: as promised by the caller.
    let (key, upload_id) = unsafe { (lossy(key), lossy(upload_id)) };
    Upload { key, upload_id, ..Upload::default() }
}

/// Aborts many uploads of one bucket, as many at a time as obs_abort_config_set_max_connections() says. Each has its
/// own retries, and its own budget; where the service asks to slow down, all do.
///
/// \param client    The client.
/// \param call      For cancellation and a budget of the whole call; NULL stands for nothing special.
/// \param bucket    As for obs_abort_multipart().
/// \param uploads   The uploads, borrowed for the time of the call; NULL only where count is 0. A bad entry fails
///                  alone, with OBS_ABORT_INVALID_ARGUMENT, and nothing is sent for it. Duplicates are sent too, and
///                  the later ones count as missing.
/// \param count     How many.
/// \param progress  Called as they finish, on the thread that called this; NULL for none.
/// \param userdata  Passed to progress.
/// \param report    Receives the report, to be freed with obs_abort_report_free(), whenever the arguments themselves
///                  are good: also where this returns OBS_ABORT_PARTIAL or OBS_ABORT_CANCELLED. May be NULL.
/// \param error     Receives NULL on success, otherwise one line, to be freed with obs_abort_string_free(). May be NULL.
/// \return OBS_ABORT_OK where all are gone, those that were gone before included; otherwise the first that applies:
///         OBS_ABORT_CANCELLED; OBS_ABORT_TIMEOUT where the budget of the whole call ran out; OBS_ABORT_PARTIAL.
///
/// Threads: any number at once with one client. It starts up to as many threads as obs_abort_config_set_max_connections()
/// says, which are gone when it returns; progress and the log callback run on the thread that called it. Since 0.1.0.
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
        // SAFETY: handles of ours and NUL-terminated strings, as the header demands.
        let (client, call, bucket) =
            unsafe { (handle(client, "client")?, begin(call), text(bucket, "bucket")?) };
        check_bucket(bucket)?;
        let uploads = if count == 0 {
            &[]
        } else if uploads.is_null() {
            return Err(Error::argument("the list of uploads is NULL, though its count is not 0"));
        } else if count > isize::MAX as usize / size_of::<obs_abort_upload>() {
            return Err(Error::argument("the count of uploads is beyond all memory"));
        } else {
            // SAFETY: not NULL, and `count` entries long, as the header demands.
            unsafe { std::slice::from_raw_parts(uploads, count) }
        };
        // SAFETY: NUL-terminated strings that outlive the call, as the header demands.
        let uploads = unsafe { Uploads::new(uploads) };
        // SAFETY: a function that may be called, as the header demands.
        let mut tell = unsafe { teller(progress, userdata) };
        Ok(abort_many(&client.0, &call, bucket, count, &|i| uploads.entry(i), &mut tell))
    };
    // SAFETY: NULL or valid for a write, as the header demands.
    unsafe { with_report(report, error, run) }
}

/// Finds and aborts what crashed backups left: every upload under a prefix that was initiated at least so long ago, by
/// the server's clock. The first page of the list fixes the cutoff: what is initiated at that time or later is never
/// touched, however long the sweep takes. A list whose Date can't be right (more than 15 minutes from the clock that the
/// service has just accepted, or two that differ) is not acted on. Aborts page by page while it lists; needs the same little memory however many uploads there
/// are.
///
/// \param client              The client.
/// \param call                For cancellation and a budget of the whole call; NULL stands for nothing special.
/// \param bucket              As for obs_abort_multipart().
/// \param prefix              Keys that begin with this; up to 1024 bytes of UTF-8. NULL or "": all.
/// \param older_than_seconds  The least age. 0 would take uploads that are in progress, and a failed atoi() must not
///                            destroy a running backup: OBS_ABORT_INVALID_ARGUMENT, unless a flag says that it is meant.
/// \param flags               0, or OBS_ABORT_DRY_RUN and OBS_ABORT_INCLUDE_LIVE, one or both. In a dry run nothing is
///                            deleted, and each outcome has code 0, HTTP status 0 and 0 attempts. With an age of 0, an
///                            upload whose age the server does not tell is taken, too.
/// \param progress            As for obs_abort_many().
/// \param userdata            Passed to progress.
/// \param report              Receives the report, to be freed with obs_abort_report_free(), whenever the arguments
///                            themselves are good: also where this is cancelled, and where a listing failed half-way.
///                            May be NULL.
/// \param error               As for obs_abort_many().
/// \return OBS_ABORT_OK where all that are old enough are gone; otherwise the first that applies: OBS_ABORT_CANCELLED;
///         OBS_ABORT_TIMEOUT where the budget of the whole call ran out; the code of a listing that failed, which is
///         OBS_ABORT_PROTOCOL where it was not fit to act on; OBS_ABORT_PARTIAL. If an age is asked for, an upload whose
///         age the server does not tell is kept.
///
/// Threads: as for obs_abort_many(). Since 0.1.0.
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
        // SAFETY: handles of ours and NUL-terminated strings, as the header demands.
        let (client, call, bucket, prefix) = unsafe {
            (
                handle(client, "client")?,
                begin(call),
                text(bucket, "bucket")?,
                optional_text(prefix, "prefix")?.unwrap_or_default(),
            )
        };
        check_bucket(bucket)?;
        if prefix.len() > 1024 {
            return Err(Error::argument("the prefix is too long: up to 1024 bytes of UTF-8 are allowed"));
        }
        if flags & !(OBS_ABORT_DRY_RUN | OBS_ABORT_INCLUDE_LIVE) != 0 {
            return Err(Error::argument(format!("the flags {flags:#x} are not all known")));
        }
        if older_than_seconds == 0 && flags == 0 {
            return Err(Error::argument(
                "older_than_seconds is 0, which would take uploads in progress: set OBS_ABORT_INCLUDE_LIVE if that is meant",
            ));
        }
        let selection = Selection { prefix, older_than_seconds, dry_run: flags & OBS_ABORT_DRY_RUN != 0 };
        // SAFETY: a function that may be called, as the header demands.
        let mut tell = unsafe { teller(progress, userdata) };
        Ok(abort_stale(&client.0, &call, bucket, selection, &mut tell))
    };
    // SAFETY: NULL or valid for a write, as the header demands.
    unsafe { with_report(report, error, run) }
}

/// A list of uploads, read as the workers come to it: no copy of it is made, however long it is.
struct Uploads<'a>(&'a [obs_abort_upload]);

// SAFETY: the strings are only read, and the caller of the verb may not change them meanwhile.
unsafe impl Sync for Uploads<'_> {}

impl<'a> Uploads<'a> {
    /// # Safety
    /// The strings are NULL or NUL-terminated, and outlive `'a`.
    unsafe fn new(uploads: &'a [obs_abort_upload]) -> Uploads<'a> {
        Uploads(uploads)
    }

    /// The entry at `i`; None past the end.
    fn entry(&self, i: usize) -> Option<Entry> {
        let upload = self.0.get(i)?;
        // SAFETY: as promised to `new`.
        Some(unsafe { entry(upload.key, upload.upload_id) })
    }
}

/// # Safety
/// `progress` may be called with `userdata`.
unsafe fn teller(
    progress: obs_abort_progress_fn,
    userdata: *mut c_void,
) -> impl FnMut(Option<&Outcome>, u64, u64) -> ControlFlow<()> {
    move |outcome, done, total| {
        let Some(progress) = progress else { return ControlFlow::Continue(()) };
        let outcome = outcome.map(obs_abort_outcome::from);
        let pointer = outcome.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: as promised by the caller; the outcome lives until the callback has returned.
        match unsafe { progress(pointer, done, total, userdata) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

/// Runs the body of a function that gives a report.
///
/// # Safety
/// `report` and `error` are each NULL or valid for a write.
unsafe fn with_report(
    report: *mut *mut obs_abort_report,
    error: *mut *mut c_char,
    run: impl FnOnce() -> Result<BatchResult, Error>,
) -> i32 {
    guarded(Code::Internal as i32, || {
        // SAFETY: as promised by the caller.
        unsafe {
            put(report, std::ptr::null_mut());
            put(error, std::ptr::null_mut());
        }
        let result = fallible(run).and_then(|batch| {
            // SAFETY: as promised by the caller.
            let given = fallible(|| unsafe {
                give(report, || obs_abort_report::from(batch.report));
                Ok(())
            });
            batch.result.and(given)
        });
        let Err(failure) = result else { return Code::Ok as i32 };
        // SAFETY: as promised by the caller.
        unsafe { give_error(error, &failure.to_string()) };
        failure.code as i32
    })
}
