//! The handle of one call.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::base::deadline::CancelFlag;
use crate::operation::call::Call;
use crate::operation::config::nonzero;

use super::ffi::{code_of, guarded, handle, optional, take};

/// What belongs to one call, cancellation above all. One handle may serve several calls, one after the other or at
/// the same time. Go's context and C#'s CancellationToken map to it.
#[derive(Default)]
pub struct obs_abort_call {
    /// Shared with the calls that have begun.
    cancelled: CancelFlag,
    /// 0: not set.
    timeout_ms: AtomicU32,
}

/// Takes from a handle, or from NULL, what a call needs. Nothing else that runs a call reads the handle, so that it may be
/// freed while the call goes on.
///
/// # Safety
/// NULL, or a handle that is not freed before this returns.
pub(super) unsafe fn begin(call: *const obs_abort_call) -> Call {
    // SAFETY: as promised by the caller.
    let Some(call) = (unsafe { optional(call) }) else { return Call::default() };
    let timeout = match call.timeout_ms.load(Ordering::Relaxed) {
        0 => None,
        ms => Some(Duration::from_millis(ms.into())),
    };
    Call { cancelled: Some(call.cancelled.clone()), timeout }
}

/// Makes a call handle: not cancelled, no budget of its own.
///
/// \return The handle, to be freed with obs_abort_call_free(); NULL only where memory is exhausted.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_call_new() -> *mut obs_abort_call {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::<obs_abort_call>::default()))
}

/// Bounds every call that begins with this handle from now on.
///
/// \param call  The handle.
/// \param ms    Milliseconds for the whole call, its retries, waits, confirmation and credential fetch included; for
///              obs_abort_many() and obs_abort_stale(), for all uploads together, the client's budget going on to
///              bound each of them. Not 0. Where it is not set, the client's rules hold.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for NULL or 0.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_set_timeout_ms(call: *mut obs_abort_call, ms: u32) -> i32 {
    code_of(|| {
        // SAFETY: a handle of ours, as the header demands.
        let call = unsafe { handle(call, "call") }?;
        call.timeout_ms.store(nonzero("the timeout", ms)?, Ordering::Relaxed);
        Ok(())
    })
}

/// Cancels: calls that use the handle return OBS_ABORT_CANCELLED within 250 ms, wherever they stand, and later ones
/// at once. It can't be undone. An upload whose abort was under way may be gone or not.
///
/// \param call  The handle, or NULL, which is ignored.
///
/// Threads: any, at any time; but not from a signal handler. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_cancel(call: *const obs_abort_call) {
    guarded((), || {
        // SAFETY: NULL or a handle of ours, as the header demands.
        if let Ok(call) = unsafe { handle(call, "call") } {
            call.cancelled.set();
        }
    });
}

/// Frees a call handle, also while calls that use it are under way: a call reads its handle only as it begins, before it
/// sends, waits or calls back. What was set stays in force. A call that was cancelled before the handle was freed returns
/// OBS_ABORT_CANCELLED, and a call with a budget ends when its budget runs out. Once the handle is freed, only
/// obs_abort_client_shutdown() or the progress callback can end such a call early.
///
/// \param call  The handle, or NULL, which is ignored.
///
/// Threads: any. At that moment no other thread may be beginning a call with the handle, or be inside another function
/// that is given it. A call has begun for certain once its request has reached the server, once it has called back, or
/// once it has returned. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_free(call: *mut obs_abort_call) {
    // SAFETY: NULL or a handle of ours that no function is given any more, as the header demands.
    guarded((), || drop(unsafe { take(call) }));
}
