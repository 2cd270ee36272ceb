//! The client handle.

use std::ffi::c_char;

use crate::auth::credentials::Credentials;
use crate::base::error::Error;
use crate::operation::client::Client;

use super::config::obs_abort_config;
use super::ffi::{code_and_error, give, guarded, handle, optional_text, put, take, text};

/// A client: fixed settings, replaceable credentials and a pool of connections. Any number of threads may use one
/// client at once, and they share its connections.
///
/// After fork(), on systems that have it, the parent and the child may both continue to use the client. The child opens
/// connections of its own. It neither uses nor closes its parent's connections, nor writes to them. A lock that another
/// thread held during the fork cannot block the child. There are three limits:
///
/// - A call that another thread was making during the fork does not continue in the child.
/// - A child that was created by vfork(), or by a clone() that runs no fork handlers, must not use the client.
/// - A callback that forks during obs_abort_many(), obs_abort_sweep() or obs_abort_stale() must not return in the
///   child, because the threads of that call do not exist there.
pub struct obs_abort_client(pub(super) Client);

/// Creates a client from a config. The client gets a copy of the settings.
///
/// The function reads the environment (credentials, proxies, SSL_CERT_FILE, SSL_CERT_DIR) and the trusted certificate
/// authorities. It sends nothing. It does not check whether credentials exist: without them, calls return
/// OBS_ABORT_NO_CREDENTIALS.
///
/// \param config  The config.
/// \param client  Receives the client, to be freed with obs_abort_client_free(). Receives NULL on failure. Must not be
///                NULL.
/// \param error   Receives NULL on success, otherwise an error string to be freed with obs_abort_string_free(). May be
///                NULL.
/// \return OBS_ABORT_OK. OBS_ABORT_INVALID_ARGUMENT if `config` or `client` is NULL. OBS_ABORT_INVALID_CONFIG if no
///         endpoint was set, if a setter failed and was not called again successfully, if the settings contradict each
///         other, if a proxy variable in the environment cannot be used, or if the endpoint is https and no trusted
///         authorities are found.
///
/// Threads: any, while no other thread changes the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_new(
    config: *const obs_abort_config,
    client: *mut *mut obs_abort_client,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: NULL or valid for a write, as the header requires.
        unsafe { put(client, std::ptr::null_mut()) };
        // SAFETY: a handle of ours, as the header requires.
        let config = unsafe { handle(config, "config") }?;
        if client.is_null() {
            return Err(Error::argument("the out-pointer for the client is NULL"));
        }
        let made = Client::new(&config.0)?;
        // SAFETY: valid for a write, as the header requires.
        unsafe { give(client, || obs_abort_client(made)) };
        Ok(())
    };
    // SAFETY: NULL or valid for a write, as the header requires.
    unsafe { code_and_error(error, run) }
}

/// Replaces the credentials of a client, whatever their source was. Attempts that are signed from now on use the new
/// credentials, including the attempts of calls in progress.
///
/// \param client          The client.
/// \param access_key      The access key: 1 to 1024 characters of visible ASCII, without white space.
/// \param secret_key      The secret key: likewise. The library overwrites its copy in memory when it is no longer
///                        needed.
/// \param security_token  The security token of temporary credentials: up to 8192 such characters. NULL or "" for
///                        permanent credentials.
/// \param error           Receives NULL on success, otherwise an error string to be freed with obs_abort_string_free().
///                        May be NULL.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid. The client then keeps its old
///         credentials.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_set_credentials(
    client: *const obs_abort_client,
    access_key: *const c_char,
    secret_key: *const c_char,
    security_token: *const c_char,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: a handle of ours and NUL-terminated strings, as the header requires.
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
    };
    // SAFETY: NULL or valid for a write, as the header requires.
    unsafe { code_and_error(error, run) }
}

/// Cancels all calls of a client, present and future. A call in progress returns OBS_ABORT_CANCELLED within 250 ms,
/// plus the time that a callback takes. A later call returns it at once. This cannot be undone. The client must still
/// be freed.
///
/// \param client  The client, or NULL, which is ignored.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_shutdown(client: *const obs_abort_client) {
    guarded((), || {
        // SAFETY: NULL or a handle of ours, as the header requires.
        if let Ok(client) = unsafe { handle(client, "client") } {
            client.0.shutdown();
        }
    });
}

/// Frees a client and closes its connections. All calls that use the client must have returned. No callback is running,
/// and none starts, after this function has returned.
///
/// \param client  The client, or NULL, which is ignored.
///
/// Threads: any, after all other uses of the client. Not in a callback of a call that uses it. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_client_free(client: *mut obs_abort_client) {
    // SAFETY: NULL or a handle of ours that is not used any more, as the header requires.
    guarded((), || drop(unsafe { take(client) }));
}
