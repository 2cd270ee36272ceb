//! The outcome handle.

use std::ffi::{CString, c_char};

use crate::base::error::Code;
use crate::obs::parts::Parts;
use crate::operation::abort::Outcome;

use super::ffi::{c_string, guarded, optional, take};

/// An outcome: all that is known about the abort of one upload. It never changes. Its strings are valid until it is
/// freed.
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
    parts: Parts,
}

impl From<Outcome> for obs_abort_outcome {
    fn from(outcome: Outcome) -> obs_abort_outcome {
        let Outcome { upload, service, .. } = outcome;
        obs_abort_outcome {
            code: outcome.code as i32,
            http_status: outcome.http_status.into(),
            message: outcome.message.map(c_string),
            service_code: service.code.map(c_string),
            request_id: service.ids.request_id.map(c_string),
            host_id: service.ids.host_id.map(c_string),
            attempts: outcome.attempts,
            key: c_string(upload.key),
            upload_id: c_string(upload.upload_id),
            initiated: upload.initiated.unwrap_or(-1),
            parts: upload.parts.unwrap_or_default(),
            index: upload.index.and_then(|index| index.try_into().ok()).unwrap_or(-1),
        }
    }
}

/// Reads one field. There is no [`guarded`], because nothing here can panic or change errno.
///
/// # Safety
/// `outcome` is NULL, or an outcome that has not been freed.
unsafe fn read<R>(
    outcome: *const obs_abort_outcome,
    otherwise: R,
    field: impl FnOnce(&'static obs_abort_outcome) -> R,
) -> R {
    // SAFETY: as promised by the caller. 'static is too long, but only raw pointers leave the functions of this file,
    // and the header states how long they are valid.
    unsafe { optional(outcome) }.map_or(otherwise, field)
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// Returns the code of an outcome.
///
/// \param outcome  The outcome.
/// \return What obs_abort_multipart() returns for this upload. OBS_ABORT_INVALID_ARGUMENT if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_code(outcome: *const obs_abort_outcome) -> i32 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, Code::InvalidArgument as i32, |outcome| outcome.code) }
}

/// Returns the HTTP status of the response to the abort request that decided the code.
///
/// \param outcome  The outcome.
/// \return The status. 0 if no response decided the code, or if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_http_status(outcome: *const obs_abort_outcome) -> i32 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, 0, |outcome| outcome.http_status) }
}

/// Returns the error string of an outcome.
///
/// \param outcome  The outcome.
/// \return The string, owned by the outcome. NULL on success, or if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_message(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.message.as_ref())) }
}

/// Returns the error code of the service, such as "NoSuchUpload".
///
/// \param outcome  The outcome.
/// \return The code, owned by the outcome. NULL on success, if the service gave none, or if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_service_code(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.service_code.as_ref())) }
}

/// Returns the request id (x-obs-request-id) of the response that decided the code. Huawei's support asks for it.
///
/// \param outcome  The outcome.
/// \return The request id, owned by the outcome. NULL if there is none, or if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_request_id(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.request_id.as_ref())) }
}

/// Returns the host id (x-obs-id-2) of the response that decided the code. Huawei's support asks for it, too.
///
/// \param outcome  The outcome.
/// \return The host id, owned by the outcome. NULL if there is none, or if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_host_id(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, std::ptr::null(), |outcome| pointer(outcome.host_id.as_ref())) }
}

/// Returns the number of abort requests that were sent. It includes those that do not count towards the maximum number
/// of attempts: see obs_abort_config_set_max_attempts().
///
/// \param outcome  The outcome.
/// \return The number of requests. 0 if none was sent completely, or if `outcome` is NULL. If the code is
///         OBS_ABORT_CANCELLED or OBS_ABORT_TIMEOUT and the number is not 0, the upload may be gone.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_attempts(outcome: *const obs_abort_outcome) -> u32 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, 0, |outcome| outcome.attempts) }
}

/// Returns the key of the upload.
///
/// \param outcome  The outcome.
/// \return The key, owned by the outcome. "" if the caller passed NULL. NULL if `outcome` is NULL. If the key was
///         refused, the string is at most its first 1024 bytes, with invalid UTF-8 replaced.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_key(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, std::ptr::null(), |outcome| outcome.key.as_ptr()) }
}

/// Returns the upload id.
///
/// \param outcome  The outcome.
/// \return The upload id, owned by the outcome. "" if the caller passed NULL. NULL if `outcome` is NULL. If the upload
///         id was refused, the string is at most its first 1024 bytes, with invalid UTF-8 replaced.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_upload_id(outcome: *const obs_abort_outcome) -> *const c_char {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, std::ptr::null(), |outcome| outcome.upload_id.as_ptr()) }
}

/// Returns the time at which the upload was initiated, by the clock of the service.
///
/// \param outcome  The outcome.
/// \return The time in seconds since 1970-01-01 00:00:00 UTC. -1 if it is not known, or if `outcome` is NULL. Only
///         outcomes of obs_abort_sweep() and obs_abort_stale() have it.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_initiated(outcome: *const obs_abort_outcome) -> i64 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, -1, |outcome| outcome.initiated) }
}

/// Returns the index of the entry of `uploads` in obs_abort_many() to which an outcome belongs. The index tells apart
/// entries that have the same key and upload id.
///
/// \param outcome  The outcome.
/// \return The index, from 0. -1 if the outcome is not from obs_abort_many(), or if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_index(outcome: *const obs_abort_outcome) -> i64 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, -1, |outcome| outcome.index) }
}

/// Returns the number of the parts of the upload, as they were listed just before its abort.
///
/// \param outcome  The outcome.
/// \return The number of parts. 0 if it is not known: only outcomes of obs_abort_sweep() have it, and only if the
///         selection asks for it. 0 if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_parts(outcome: *const obs_abort_outcome) -> u64 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, 0, |outcome| outcome.parts.count) }
}

/// Returns the size of the upload: the sum of its parts, as they were listed just before its abort.
///
/// \param outcome  The outcome.
/// \return The size in bytes. 0 if it is not known: see obs_abort_outcome_parts(). 0 if `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_bytes(outcome: *const obs_abort_outcome) -> u64 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, 0, |outcome| outcome.parts.bytes) }
}

/// Returns the time at which the newest part of the upload was written, by the clock of the service.
///
/// \param outcome  The outcome.
/// \return The time in seconds since 1970-01-01 00:00:00 UTC. -1 if there is no part, if the time is not known, or if
///         `outcome` is NULL.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_last_part(outcome: *const obs_abort_outcome) -> i64 {
    // SAFETY: NULL or an outcome of ours, as the header requires.
    unsafe { read(outcome, -1, |outcome| outcome.parts.newest.unwrap_or(-1)) }
}

/// Frees an outcome that was received from obs_abort_multipart_outcome(). Outcomes of a report or of a progress
/// callback must not be freed.
///
/// \param outcome  The outcome, or NULL, which is ignored.
///
/// Threads: any, after all other uses of the outcome. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_outcome_free(outcome: *mut obs_abort_outcome) {
    // SAFETY: NULL or an outcome of ours that is not used any more, as the header requires.
    guarded((), || drop(unsafe { take(outcome) }));
}
