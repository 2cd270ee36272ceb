//! All that is known of one abort, for C.

use std::ffi::{CString, c_char};

use crate::base::error::Code;
use crate::operation::abort::Outcome;

use super::ffi::{c_string, guarded, optional, take};

/// All that is known of one abort. Read by getters, each of which takes NULL and then returns NULL, 0, or what stands
/// with it for what is not known; the strings
/// belong to the outcome and live as long as it does.
pub struct obs_abort_outcome {
    code: i32,
    http_status: i32,
    message: Option<CString>,
    service_code: Option<CString>,
    request_id: Option<CString>,
    host_id: Option<CString>,
    attempts: u32,
    key: CString,
    upload_id: CString,
    initiated: i64,
    index: i64,
}

impl From<&Outcome> for obs_abort_outcome {
    fn from(outcome: &Outcome) -> obs_abort_outcome {
        let optional = |text: &Option<String>| text.as_deref().map(c_string);
        let upload = &outcome.upload;
        obs_abort_outcome {
            code: outcome.code as i32,
            http_status: outcome.http_status.into(),
            message: optional(&outcome.message),
            service_code: optional(&outcome.service.code),
            request_id: optional(&outcome.service.ids.request_id),
            host_id: optional(&outcome.service.ids.host_id),
            attempts: outcome.attempts,
            key: c_string(&upload.key),
            upload_id: c_string(&upload.upload_id),
            initiated: upload.initiated.unwrap_or(-1),
            index: upload.index.and_then(|index| index.try_into().ok()).unwrap_or(-1),
        }
    }
}

/// Reads one field; nothing in here can panic, so that there is nothing to catch.
///
/// # Safety
/// NULL, or an outcome that has not been freed.
unsafe fn read<R>(
    outcome: *const obs_abort_outcome,
    otherwise: R,
    field: impl FnOnce(&'static obs_abort_outcome) -> R,
) -> R {
    // SAFETY: as promised by the caller; what is borrowed leaves as a pointer, whose life the header states.
    unsafe { optional(outcome) }.map_or(otherwise, field)
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// The code of the abort: what the verb returns for one upload. OBS_ABORT_INVALID_ARGUMENT for NULL, which is no success.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_code(outcome: *const obs_abort_outcome) -> i32 {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, Code::InvalidArgument as i32, |outcome| outcome.code) }
}

/// The HTTP status of the response to the abort request that decided the code; 0 where none did.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_http_status(outcome: *const obs_abort_outcome) -> i32 {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, 0, |outcome| outcome.http_status) }
}

/// What obs_abort_multipart() gives as its error string; NULL on success. Borrowed from the outcome.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_message(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.message.as_ref())) }
}

/// The service's own code, such as "NoSuchUpload"; NULL where it gave none. Borrowed from the outcome.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_service_code(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.service_code.as_ref())) }
}

/// The request id (x-obs-request-id), which Huawei's support asks for; NULL where there is none. Borrowed from the
/// outcome.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_request_id(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.request_id.as_ref())) }
}

/// The second id (x-obs-id-2) that support asks for; NULL where there is none. Borrowed from the outcome.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_host_id(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.host_id.as_ref())) }
}

/// How many abort requests were put on the stream, those that do not count towards max_attempts included: after a
/// redirect, after a correction of the clock, and after a kept connection had proved dead.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_attempts(outcome: *const obs_abort_outcome) -> u32 {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, 0, |outcome| outcome.attempts) }
}

/// The key of the upload; "" where none was given. Borrowed from the outcome.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_key(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, std::ptr::null(), |outcome| outcome.key.as_ptr()) }
}

/// The upload id; "" where none was given. Borrowed from the outcome.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_upload_id(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, std::ptr::null(), |outcome| outcome.upload_id.as_ptr()) }
}

/// When the upload was initiated, in Unix seconds by the server's clock; -1 where that is not known, as always but in
/// obs_abort_stale().
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_initiated(outcome: *const obs_abort_outcome) -> i64 {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, -1, |outcome| outcome.initiated) }
}

/// Which entry of the list of obs_abort_many() this is about, from 0 on: what tells entries apart that have the same key
/// and upload id, or none that can be used. -1 if there is no list: for an outcome of obs_abort_multipart_outcome() or
/// obs_abort_stale(), and for NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_index(outcome: *const obs_abort_outcome) -> i64 {
    // SAFETY: NULL or an outcome of ours, as the header demands.
    unsafe { read(outcome, -1, |outcome| outcome.index) }
}

/// Frees an outcome that obs_abort_multipart_outcome() gave; never one that was borrowed from a report or a callback.
///
/// \param outcome  The outcome, or NULL, which is ignored.
///
/// Threads: any, once no other uses it. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_free(outcome: *mut obs_abort_outcome) {
    // SAFETY: NULL or an outcome of ours that nobody uses any more, as the header demands.
    guarded((), || drop(unsafe { take(outcome) }));
}
