//! The codes, as C sees them.

use std::ffi::c_char;

use crate::base::error::Code;

/// The upload is gone: 204; or 404 NoSuchUpload after an earlier attempt of the same call that may have been carried out.
pub const OBS_ABORT_OK: i32 = 0;
/// An argument is NULL, empty, not UTF-8, too long or outside its limits; nothing was sent.
pub const OBS_ABORT_INVALID_ARGUMENT: i32 = 10;
/// The endpoint, CA file, proxy URL or another setting can't be used; nothing was sent.
pub const OBS_ABORT_INVALID_CONFIG: i32 = 11;
/// None were configured, or their source failed; nothing was sent.
pub const OBS_ABORT_NO_CREDENTIALS: i32 = 12;
/// The host name did not resolve.
pub const OBS_ABORT_RESOLVE: i32 = 20;
/// No TCP connection, to the service or to the proxy.
pub const OBS_ABORT_CONNECT: i32 = 21;
/// The handshake or the verification of the certificate failed.
pub const OBS_ABORT_TLS: i32 = 22;
/// The call's time budget ran out.
pub const OBS_ABORT_TIMEOUT: i32 = 23;
/// The connection broke during the exchange.
pub const OBS_ABORT_IO: i32 = 24;
/// What answered does not speak this protocol: not HTTP, a 2xx other than 204, a listing that can't be acted on.
pub const OBS_ABORT_PROTOCOL: i32 = 25;
/// obs_abort_call_cancel(), obs_abort_client_shutdown() or a progress callback ended it.
pub const OBS_ABORT_CANCELLED: i32 = 26;
/// 403: key, signature, policy, or neither the upload's initiator nor the bucket's owner.
pub const OBS_ABORT_ACCESS_DENIED: i32 = 30;
/// 404 NoSuchUpload or NoSuchKey at the first attempt: aborted or completed earlier, or a wrong id.
pub const OBS_ABORT_NO_SUCH_UPLOAD: i32 = 31;
/// 404 NoSuchBucket.
pub const OBS_ABORT_NO_SUCH_BUCKET: i32 = 32;
/// 403 RequestTimeTooSkewed, also after the clock was corrected from the server's Date.
pub const OBS_ABORT_CLOCK_SKEW: i32 = 33;
/// 429 or 503 until the retries were used up, or a Retry-After beyond the budget.
pub const OBS_ABORT_THROTTLED: i32 = 34;
/// Another 5xx until the retries were used up.
pub const OBS_ABORT_SERVER: i32 = 35;
/// Every 3xx but a 307 or 308 that was safe to follow; the message names the target.
pub const OBS_ABORT_REDIRECT: i32 = 36;
/// Any other 4xx, among them a 404 without a known service code, and 408 or RequestTimeout after the retries.
pub const OBS_ABORT_REJECTED: i32 = 37;
/// Confirmation was asked for, and parts were still listed after the last attempt.
pub const OBS_ABORT_PARTS_REMAIN: i32 = 38;
/// Of many uploads, some could not be aborted; the report says which.
pub const OBS_ABORT_PARTIAL: i32 = 39;
/// A defect in the library; please report it.
pub const OBS_ABORT_INTERNAL: i32 = 90;

/// Says in a sentence what a code means.
///
/// \param code  Any number, also one that this version does not know.
/// \return A static English sentence, never NULL; not to be freed.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_strerror(code: i32) -> *const c_char {
    Code::from_number(code)
        .map_or(c"A code that this version of libobsabort does not know.", Code::sentence_c)
        .as_ptr()
}

/// The name of a code for logs and scripts: the constant's name in lower case without its prefix.
///
/// \param code  Any number, also one that this version does not know.
/// \return A static string such as "no_such_bucket"; "ok" for 0; "unknown" for what this version does not know. Never
///         NULL; not to be freed.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_code_name(code: i32) -> *const c_char {
    Code::from_number(code).map_or(c"unknown", Code::name_c).as_ptr()
}

/// The numbers above are Code's: this does not compile where they differ.
const _: () = {
    assert!(OBS_ABORT_OK == Code::Ok as i32);
    assert!(OBS_ABORT_INVALID_ARGUMENT == Code::InvalidArgument as i32);
    assert!(OBS_ABORT_INVALID_CONFIG == Code::InvalidConfig as i32);
    assert!(OBS_ABORT_NO_CREDENTIALS == Code::NoCredentials as i32);
    assert!(OBS_ABORT_RESOLVE == Code::Resolve as i32);
    assert!(OBS_ABORT_CONNECT == Code::Connect as i32);
    assert!(OBS_ABORT_TLS == Code::Tls as i32);
    assert!(OBS_ABORT_TIMEOUT == Code::Timeout as i32);
    assert!(OBS_ABORT_IO == Code::Io as i32);
    assert!(OBS_ABORT_PROTOCOL == Code::Protocol as i32);
    assert!(OBS_ABORT_CANCELLED == Code::Cancelled as i32);
    assert!(OBS_ABORT_ACCESS_DENIED == Code::AccessDenied as i32);
    assert!(OBS_ABORT_NO_SUCH_UPLOAD == Code::NoSuchUpload as i32);
    assert!(OBS_ABORT_NO_SUCH_BUCKET == Code::NoSuchBucket as i32);
    assert!(OBS_ABORT_CLOCK_SKEW == Code::ClockSkew as i32);
    assert!(OBS_ABORT_THROTTLED == Code::Throttled as i32);
    assert!(OBS_ABORT_SERVER == Code::Server as i32);
    assert!(OBS_ABORT_REDIRECT == Code::Redirect as i32);
    assert!(OBS_ABORT_REJECTED == Code::Rejected as i32);
    assert!(OBS_ABORT_PARTS_REMAIN == Code::PartsRemain as i32);
    assert!(OBS_ABORT_PARTIAL == Code::Partial as i32);
    assert!(OBS_ABORT_INTERNAL == Code::Internal as i32);
};
