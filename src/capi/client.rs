//! The client handle.

use std::ffi::c_char;

use crate::auth::credentials::Credentials;
use crate::base::error::{Code, Error};
use crate::operation::client::Client;

use super::config::obs_abort_config;
use super::ffi::{fallible, give, give_error, guarded, handle, optional_text, put, take, text};

/// Settings that no longer change, credentials that may, and the connections that are kept. Any number of threads may
/// use one client at once, and should: they share its connections.
///
/// After fork(), parent and child may both go on using the client: the child opens connections of its own, and
/// neither uses, closes nor writes to its parent's; no lock that another thread held at the fork can hang it. What is
/// not promised: a call that was under way in another thread does not go on in the child; a child made by vfork(), or by
/// a clone() that bypasses fork handlers, must not use the client; and a callback that forks during
/// obs_abort_many() or obs_abort_stale() must not return in the child, where the threads of that call do not exist.
pub struct obs_abort_client(pub(super) Client);

/// Makes a client from a config, which is copied. Reads the environment (credentials, proxies, SSL_CERT_FILE) and the
/// trusted roots, once; opens no connection.
///
/// \param config  The config.
/// \param client  Receives the client, to be freed with obs_abort_client_free(); NULL where this fails. May not be
///                NULL.
/// \param error   Receives NULL, or the reason, to be freed with obs_abort_string_free(). May be NULL.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT where config or client is NULL; OBS_ABORT_INVALID_CONFIG where no
///         endpoint was set, where a setter had failed and its failure was ignored, where settings do not go together,
///         where a proxy variable can't be used, and where an https endpoint finds no trusted roots. Missing credentials are no
///         error here: calls return OBS_ABORT_NO_CREDENTIALS.
///
/// Threads: any; no other may change the config meanwhile. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_new(
    config: *const obs_abort_config,
    client: *mut *mut obs_abort_client,
    error: *mut *mut c_char,
) -> i32 {
    guarded(Code::Internal as i32, || {
        // SAFETY: NULL or valid for a write, as the header demands.
        unsafe {
            put(client, std::ptr::null_mut());
            put(error, std::ptr::null_mut());
        }
        let made = fallible(|| {
            // SAFETY: a handle of ours, as the header demands.
            let config = unsafe { handle(config, "config") }?;
            if client.is_null() {
                return Err(Error::argument("the out-pointer for the client is NULL"));
            }
            Client::new(&config.0)
        });
        match made {
            Ok(made) => {
                // SAFETY: valid for a write, as the header demands.
                unsafe { give(client, || obs_abort_client(made)) };
                Code::Ok as i32
            }
            Err(failure) => {
                // SAFETY: NULL or valid for a write, as the header demands.
                unsafe { give_error(error, &failure.to_string()) };
                failure.code as i32
            }
        }
    })
}

/// Replaces the client's credentials, whatever their source was: rotation. Attempts that are signed from now on use
/// the new ones, also within calls under way.
///
/// \param client          The client.
/// \param access_key      1 to 1024 characters, visible ASCII without white space.
/// \param secret_key      Likewise.
/// \param security_token  Up to 8192 such characters; NULL or "" for permanent credentials.
/// \param error           Receives NULL on success, otherwise one line that says what is wrong, without the secret, to be
///                        freed with obs_abort_string_free(). May be NULL.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT, the old credentials then staying in force.
///
/// Threads: any, at any time. The strings are copied, and wiped when the last request that uses them is over.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_set_credentials(
    client: *const obs_abort_client,
    access_key: *const c_char,
    secret_key: *const c_char,
    security_token: *const c_char,
    error: *mut *mut c_char,
) -> i32 {
    guarded(Code::Internal as i32, || {
        // SAFETY: NULL or valid for a write, as the header demands.
        unsafe { put(error, std::ptr::null_mut()) };
        let replaced = fallible(|| {
            // SAFETY: a handle of ours and NUL-terminated strings, as the header demands.
            let (client, access_key, secret_key, security_token) = unsafe {
                (
                    handle(client, "client")?,
                    text(access_key, "access key")?,
                    text(secret_key, "secret key")?,
                    optional_text(security_token, "security token")?,
                )
            };
            client.0.set_credentials(Credentials::new(access_key, secret_key, security_token)?);
            Ok(())
        });
        match replaced {
            Ok(()) => Code::Ok as i32,
            Err(failure) => {
                // SAFETY: NULL or valid for a write, as the header demands.
                unsafe { give_error(error, &failure.to_string()) };
                failure.code as i32
            }
        }
    })
}

/// Ends everything: every call in flight returns OBS_ABORT_CANCELLED within 250 ms, every later one at once. The client
/// is still to be freed, after the last call has returned.
///
/// \param client  The client, or NULL, which is ignored.
///
/// Threads: any, at any time; but not from a signal handler. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_shutdown(client: *const obs_abort_client) {
    guarded((), || {
        // SAFETY: NULL or a handle of ours, as the header demands.
        if let Ok(client) = unsafe { handle(client, "client") } {
            client.0.shutdown();
        }
    });
}

/// Frees a client and closes its connections, after its last call has returned. No callback is running, and none
/// starts, after this has returned.
///
/// \param client  The client, or NULL, which is ignored.
///
/// Threads: any, once no other uses the client; not from within one of its own callbacks. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_free(client: *mut obs_abort_client) {
    // SAFETY: NULL or a handle of ours that nobody uses any more, as the header demands.
    guarded((), || drop(unsafe { take(client) }));
}
