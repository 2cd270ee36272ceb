//! The function that lists buckets.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;

use crate::base::error::Error;
use crate::obs::buckets::ListedBucket;
use crate::operation::buckets::list_buckets;

use super::call::{call_options, obs_abort_call};
use super::client::obs_abort_client;
use super::ffi::{c_string, code_and_error, handle};

/// A bucket callback of obs_abort_buckets().
///
/// It is called only on the thread that made the call. It must return: it must not throw, call longjmp() or end the
/// thread. It may call this library, but it must not free the client.
///
/// \param name      The name of the bucket. Valid until the callback returns.
/// \param location  The region of the bucket, such as "eu-west-101". NULL if the service does not say. Valid until the
///                  callback returns.
/// \param userdata  The pointer that was passed to obs_abort_buckets().
/// \return 0 to continue. Any other value ends the call, which returns OBS_ABORT_CANCELLED.
///
/// Since 0.1.0.
pub type obs_abort_bucket_fn =
    Option<unsafe extern "C" fn(name: *const c_char, location: *const c_char, userdata: *mut c_void) -> i32>;

/// Lists the buckets of the account to which the credentials belong, in all regions.
///
/// A bucket of another region than that of the endpoint needs a client with the endpoint of its region. The permission
/// needed is obs:bucket:ListAllMyBuckets. If the service divides the list into pages, the function reads all of them.
///
/// \param client    The client. Its addressing must not be OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN.
/// \param call      A call handle, for cancellation or for a time budget of the whole call, or NULL.
/// \param bucket    A bucket callback. It is called with each bucket, in the order of the service.
/// \param userdata  A pointer that is passed to `bucket`. May be NULL.
/// \param error     Receives NULL on success, otherwise an error string to be freed with obs_abort_string_free(). May be
///                  NULL.
/// \return OBS_ABORT_OK if the list was read to its end. OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///         OBS_ABORT_CANCELLED if the callback, obs_abort_call_cancel() or obs_abort_client_shutdown() ended the call.
///         OBS_ABORT_PROTOCOL if a page of the list cannot be relied on. Otherwise the code with which a request failed.
///         After a failure, buckets may be missing.
///
/// Threads: any. Since 0.1.0.
/// Source: "Listing Buckets" in Huawei's OBS API reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_buckets(
    client: *const obs_abort_client,
    call: *const obs_abort_call,
    bucket: obs_abort_bucket_fn,
    userdata: *mut c_void,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: handles of ours, as the header requires.
        let (client, call) = unsafe { (handle(client, "client")?, call_options(call)) };
        let Some(bucket) = bucket else { return Err(Error::argument("the bucket callback is NULL")) };
        list_buckets(&client.0, &call, &mut |listed: ListedBucket| {
            let (name, location) = (c_string(listed.name), listed.location.map(c_string));
            let location = location.as_ref().map_or(std::ptr::null(), |location| location.as_ptr());
            // SAFETY: a function that may be called, as the header requires. The strings live until it has returned.
            match unsafe { bucket(name.as_ptr(), location, userdata) } {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })
    };
    // SAFETY: NULL or valid for a write, as the header requires.
    unsafe { code_and_error(error, run) }
}
