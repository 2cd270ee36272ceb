//! The call handle.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::base::deadline::CancelFlag;
use crate::operation::call::CallOptions;
use crate::operation::config::check_nonzero;

use super::ffi::{code_of, guarded, handle, optional, take};

/// A call handle: cancels a call from another thread, and limits the time that a call may take. One handle may serve
/// several calls, one after the other or at the same time. It corresponds to a context in Go and to a CancellationToken
/// in C#.
#[derive(Default)]
pub struct obs_abort_call {
    /// Shared with the calls that have begun, which may outlive the handle.
    cancelled: CancelFlag,
    /// 0: not set.
    timeout_ms: AtomicU32,
}

/// Copies the settings of a call from a handle, which may be NULL. Nothing else in a call reads the handle, so that it
/// may be freed while the call is in progress.
///
/// # Safety
/// `call` is NULL, or a handle that is not freed before this returns.
pub(super) unsafe fn call_options(call: *const obs_abort_call) -> CallOptions {
    // SAFETY: as promised by the caller.
    let Some(call) = (unsafe { optional(call) }) else { return CallOptions::default() };
    let timeout = match call.timeout_ms.load(Ordering::Relaxed) {
        0 => None,
        ms => Some(Duration::from_millis(ms.into())),
    };
    CallOptions { cancelled: Some(call.cancelled.clone()), timeout }
}

/// Creates a call handle that is not cancelled and has no time budget.
///
/// \return The handle, to be freed with obs_abort_call_free(). NULL after an internal error.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_call_new() -> *mut obs_abort_call {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::<obs_abort_call>::default()))
}

/// Sets the time budget of calls that begin with this handle from now on. Default: none, so that
/// obs_abort_config_set_timeout_ms() alone applies.
///
/// For obs_abort_multipart_outcome(), the budget replaces that of the client. It includes retries, waits,
/// confirmation and the fetch of credentials. For obs_abort_many(), obs_abort_sweep(), obs_abort_stale() and
/// obs_abort_buckets(), it is the budget of the whole call, and that of the client still applies to each upload and
/// each page of a listing.
///
/// \param call  The handle.
/// \param ms    The budget in milliseconds, not 0.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_set_timeout_ms(call: *mut obs_abort_call, ms: u32) -> i32 {
    code_of(|| {
        // SAFETY: a handle of ours, as the header requires.
        let call = unsafe { handle(call, "call") }?;
        call.timeout_ms.store(check_nonzero("the timeout", ms)?, Ordering::Relaxed);
        Ok(())
    })
}

/// Cancels all calls that use a handle, present and future. A call in progress returns OBS_ABORT_CANCELLED within
/// 250 ms, plus the time that a callback takes. A later call returns it at once. This cannot be undone. An upload whose
/// abort was in progress may be gone or not.
///
/// \param call  The handle, or NULL, which is ignored.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_cancel(call: *const obs_abort_call) {
    guarded((), || {
        // SAFETY: NULL or a handle of ours, as the header requires.
        if let Ok(call) = unsafe { handle(call, "call") } {
            call.cancelled.set();
        }
    });
}

/// Frees a call handle. Calls that have begun with the handle may still be in progress: a call reads its handle only
/// when it begins, before it sends a request, waits or calls back. Such a call keeps the time budget that was set. If
/// it was cancelled before, it still returns OBS_ABORT_CANCELLED. Afterwards only obs_abort_client_shutdown() or a
/// callback can end it early.
///
/// \param call  The handle, or NULL, which is ignored.
///
/// Threads: any, while no other thread passes the handle to another obs_abort_call_...() function or begins a call with
/// it. A call has certainly begun once its request has reached the server, once it has called back, or once it has
/// returned. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_free(call: *mut obs_abort_call) {
    // SAFETY: NULL or a handle of ours that no function uses any more, as the header requires.
    guarded((), || drop(unsafe { take(call) }));
}
