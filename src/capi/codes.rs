//! The codes of the C ABI.

use std::ffi::c_char;

use crate::base::error::Code;

/// The upload is gone: the service responded 204, or 404 NoSuchUpload after an earlier attempt of the same call that
/// may have been carried out.
pub const OBS_ABORT_OK: i32 = 0;
/// An argument is NULL, empty, too long, not UTF-8 or outside its limits. Nothing was sent.
pub const OBS_ABORT_INVALID_ARGUMENT: i32 = 10;
/// The endpoint, the CA file, the proxy URL or another setting cannot be used. Nothing was sent, except when a redirect
/// from http to https finds no trusted roots.
pub const OBS_ABORT_INVALID_CONFIG: i32 = 11;
/// No credentials were set, or their source failed. Nothing was sent, unless credentials expired between two attempts.
pub const OBS_ABORT_NO_CREDENTIALS: i32 = 12;
/// The host name of the service or of the proxy did not resolve.
pub const OBS_ABORT_RESOLVE: i32 = 20;
/// No TCP connection to the service or to the proxy could be opened, or the proxy refused to open a tunnel.
pub const OBS_ABORT_CONNECT: i32 = 21;
/// The TLS handshake or the verification of the server's certificate failed.
pub const OBS_ABORT_TLS: i32 = 22;
/// The time budget ran out, or the last attempt got no response in time. If a request was sent, the upload may be gone.
pub const OBS_ABORT_TIMEOUT: i32 = 23;
/// The connection broke during the exchange. The upload may be gone.
pub const OBS_ABORT_IO: i32 = 24;
/// The response is not a valid OBS response: it is not HTTP, it has a 2xx status that does not belong to the request,
/// or it is a listing that cannot be relied on.
pub const OBS_ABORT_PROTOCOL: i32 = 25;
/// obs_abort_call_cancel(), obs_abort_client_shutdown() or a progress callback ended the call. If a request was sent,
/// the upload may be gone.
pub const OBS_ABORT_CANCELLED: i32 = 26;
/// 403: the access key, the signature or the policy was refused, or the caller is neither the initiator of the upload
/// nor the owner of the bucket.
pub const OBS_ABORT_ACCESS_DENIED: i32 = 30;
/// 404 NoSuchUpload or NoSuchKey: the upload was aborted or completed before the call, or the upload id is wrong.
pub const OBS_ABORT_NO_SUCH_UPLOAD: i32 = 31;
/// 404 NoSuchBucket.
pub const OBS_ABORT_NO_SUCH_BUCKET: i32 = 32;
/// 403 RequestTimeTooSkewed, even after the clock was corrected by the Date header of the response.
pub const OBS_ABORT_CLOCK_SKEW: i32 = 33;
/// 429 or 503 until the retries were used up, or a Retry-After that goes beyond the time budget.
pub const OBS_ABORT_THROTTLED: i32 = 34;
/// A 5xx status other than 503 until the retries were used up.
pub const OBS_ABORT_SERVER: i32 = 35;
/// A 3xx status other than a 307 or 308 that is safe to follow. The message names the target.
pub const OBS_ABORT_REDIRECT: i32 = 36;
/// Any other 4xx status, including a 404 without a known service code, and a 408 or RequestTimeout after the retries.
pub const OBS_ABORT_REJECTED: i32 = 37;
/// Confirmation is on, and parts were still listed after the last attempt: see obs_abort_config_set_confirm().
pub const OBS_ABORT_PARTS_REMAIN: i32 = 38;
/// Some of many uploads could not be aborted. The report has their number and the outcomes of the first 1000.
pub const OBS_ABORT_PARTIAL: i32 = 39;
/// Only in the report of a sweep: the service said that the upload is gone, and still lists it.
pub const OBS_ABORT_STILL_LISTED: i32 = 40;
/// A defect in the library. Please report it.
pub const OBS_ABORT_INTERNAL: i32 = 90;

/// Returns a sentence that describes a code.
///
/// \param code  Any number.
/// \return A static English sentence, never NULL. It must not be freed. An unknown code has a sentence, too.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_strerror(code: i32) -> *const c_char {
    Code::from_number(code)
        .map_or(c"A code that this version of libobsabort does not know.", Code::description_c)
        .as_ptr()
}

/// Returns the name of a code, for logs and scripts. It is the name of the constant in lower case, without OBS_ABORT_.
///
/// \param code  Any number.
/// \return A static string such as "ok" or "no_such_bucket", never NULL. It must not be freed. "unknown" if the library
///         does not know the code.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_code_name(code: i32) -> *const c_char {
    Code::from_number(code).map_or(c"unknown", Code::name_c).as_ptr()
}

/// The constants above repeat the numbers of `Code`. This does not compile if they differ.
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
    assert!(OBS_ABORT_STILL_LISTED == Code::StillListed as i32);
    assert!(OBS_ABORT_INTERNAL == Code::Internal as i32);
};
