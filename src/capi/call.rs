//! The handle of one call.

use crate::operation::call::Call;
use crate::operation::config::nonzero;

use super::ffi::{code_of, fallible, guarded, handle, take};

/// What belongs to one call, cancellation above all. One handle may serve several calls, one after the other or at
/// the same time. Go's context and C#'s CancellationToken map to it.
pub struct obs_abort_call(pub(super) Call);

/// Makes a call handle: not cancelled, no budget of its own.
///
/// \return The handle, to be freed with obs_abort_call_free(); NULL only where memory is exhausted.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_call_new() -> *mut obs_abort_call {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::new(obs_abort_call(Call::default()))))
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
    code_of(fallible(|| {
        // SAFETY: a handle of ours, as the header demands.
        let call = unsafe { handle(call, "call") }?;
        call.0.set_timeout_ms(nonzero("the timeout", ms)?);
        Ok(())
    }))
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
            call.0.cancel();
        }
    });
}

/// Frees a call handle, after the last call that uses it has returned.
///
/// \param call  The handle, or NULL, which is ignored.
///
/// Threads: any, once no other uses the handle. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_call_free(call: *mut obs_abort_call) {
    // SAFETY: NULL or a handle of ours that nobody uses any more, as the header demands.
    guarded((), || drop(unsafe { take(call) }));
}
