//! The config handle: an opaque builder.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::credentials::{Choice, Credentials};
use crate::base::error::Error;
use crate::http::proxy::Proxy;
use crate::http::tls;
use crate::obs::bucket::{Addressing, parse_endpoint};
use crate::obs::sign::Scheme;
use crate::operation::config::{self, Config, Level, Log, ProxySetting, Settings, nonzero};

use super::ffi::{c_string, code_of, guarded, handle_mut, optional_text, take, text};

/// From OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and OBS_SECURITY_TOKEN, read in obs_abort_client_new().
pub const OBS_ABORT_CREDENTIALS_ENV: i32 = 1;
/// From the agency of the ECS that this runs on, by its metadata service; renewed ahead of expiry.
pub const OBS_ABORT_CREDENTIALS_ECS: i32 = 2;
/// From the environment, or where it has none, from ECS.
pub const OBS_ABORT_CREDENTIALS_CHAIN: i32 = 3;

/// PATH for an endpoint that is an IP address and for a bucket with a dot over https; VIRTUAL_HOST otherwise.
pub const OBS_ABORT_ADDRESSING_AUTO: i32 = 0;
/// bucket.endpoint/key
pub const OBS_ABORT_ADDRESSING_VIRTUAL_HOST: i32 = 1;
/// endpoint/bucket/key
pub const OBS_ABORT_ADDRESSING_PATH: i32 = 2;
/// The endpoint is a domain of yours that stands for the bucket.
pub const OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN: i32 = 3;

/// AWS_V2 with path addressing, as every official SDK does; OBS otherwise.
pub const OBS_ABORT_SIGNATURE_AUTO: i32 = 0;
/// Authorization: OBS ..., headers x-obs-...
pub const OBS_ABORT_SIGNATURE_OBS: i32 = 1;
/// Authorization: AWS ..., headers x-amz-...: the same algorithm, as older S3-compatible servers know it.
pub const OBS_ABORT_SIGNATURE_AWS_V2: i32 = 2;

/// Calls that failed.
pub const OBS_ABORT_LOG_ERROR: i32 = 1;
/// And attempts that failed and are repeated.
pub const OBS_ABORT_LOG_WARN: i32 = 2;
/// And what each call came to.
pub const OBS_ABORT_LOG_INFO: i32 = 3;
/// And every request with its response.
pub const OBS_ABORT_LOG_DEBUG: i32 = 4;

/// A log callback. It is called only on a thread that is inside a call of this library, for what that call does. A call
/// calls it for one line at a time, and never while its progress callback runs; if several threads make calls, it is
/// called on each of them, at once. obs_abort_many() and obs_abort_stale() hand the lines of their own threads to the
/// thread that made the call: those about one upload arrive in order, and before that upload's progress callback.
///
/// It must return: it must not throw, leave by longjmp(), or end the thread. It may call the library, except to free a
/// client that is in use. A slow callback slows its call down: obs_abort_many() and obs_abort_stale() wait for it once a
/// few lines are queued for each of their threads, and queued lines are delivered also when the call is cancelled. None is
/// running, and none starts, after obs_abort_client_free() has returned.
///
/// level:     OBS_ABORT_LOG_ERROR to OBS_ABORT_LOG_DEBUG.
/// message:   one line of UTF-8 without secrets, borrowed for the time of the call.
/// userdata:  what was given to obs_abort_config_set_log().
pub type obs_abort_log_fn =
    Option<unsafe extern "C" fn(level: i32, message: *const c_char, userdata: *mut c_void)>;

/// What a client is to be made from. Fill it in one thread, make any number of clients from it, free it.
///
/// A setter checks what it can at once, and returns OBS_ABORT_OK, OBS_ABORT_INVALID_ARGUMENT or
/// OBS_ABORT_INVALID_CONFIG. A setting that was refused is remembered, so that a caller who ignored the code is not served
/// with less safety than asked for: obs_abort_client_new() then returns OBS_ABORT_INVALID_CONFIG and names it, unless
/// the same setting was set rightly later. All strings are copied.
pub struct obs_abort_config(pub(super) Config);

/// Makes a config with the defaults that each setter tells.
///
/// \return The config, to be freed with obs_abort_config_free(); NULL only where memory is exhausted.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_config_new() -> *mut obs_abort_config {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::new(obs_abort_config(Config::default()))))
}

/// Frees a config. Clients that were made from it live on.
///
/// \param config  The config, or NULL, which is ignored.
///
/// Threads: any, once no other uses it. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_free(config: *mut obs_abort_config) {
    // SAFETY: NULL or a handle of ours that nobody uses any more, as the header demands.
    guarded((), || drop(unsafe { take(config) }));
}

/// Sets one thing, and remembers a refusal under its name.
///
/// # Safety
/// A config of ours that no other thread uses, or NULL; `set` upholds what it does with pointers.
unsafe fn set(
    config: *mut obs_abort_config,
    name: &'static str,
    set: impl FnOnce(&mut Settings) -> Result<(), Error>,
) -> i32 {
    code_of(|| {
        // SAFETY: as promised by the caller.
        let config = unsafe { handle_mut(config, "config") }?;
        config.0.set(name, set)
    })
}

fn switch(value: i32) -> Result<bool, Error> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::argument(format!("{other} is neither 0 nor 1"))),
    }
}

/// Where the service is. Needed: there is no default.
///
/// \param config    The config.
/// \param endpoint  "https://obs.eu-101.myhuaweicloud.com[:port]", http or https, a host name or an IP address (IPv6 in
///                  brackets), and nothing more than a slash at its end; without a scheme: https.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_endpoint(
    config: *mut obs_abort_config,
    endpoint: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "endpoint", |settings| {
            settings.endpoint = Some(parse_endpoint(text(endpoint, "endpoint")?)?);
            Ok(())
        })
    }
}

/// Static credentials. The last of this and obs_abort_config_set_credential_source() wins; with neither, calls return
/// OBS_ABORT_NO_CREDENTIALS.
///
/// \param config          The config.
/// \param access_key      1 to 1024 characters, visible ASCII without white space.
/// \param secret_key      Likewise. Wiped from memory when the last client that has it drops it.
/// \param security_token  Of temporary credentials, up to 8192 such characters; NULL or "" for permanent ones.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_credentials(
    config: *mut obs_abort_config,
    access_key: *const c_char,
    secret_key: *const c_char,
    security_token: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "credentials", |settings| {
            let (access_key, secret_key) = (text(access_key, "access key")?, text(secret_key, "secret key")?);
            let security_token = optional_text(security_token, "security token")?;
            let credentials = Credentials::new(access_key, secret_key, security_token)?;
            settings.credentials = Some(Choice::Static(Arc::new(credentials)));
            Ok(())
        })
    }
}

/// Where credentials come from instead of obs_abort_config_set_credentials(); the last of the two wins.
///
/// \param config  The config.
/// \param source  OBS_ABORT_CREDENTIALS_ENV, OBS_ABORT_CREDENTIALS_ECS or OBS_ABORT_CREDENTIALS_CHAIN.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for another value.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_credential_source(
    config: *mut obs_abort_config,
    source: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "credential_source", |settings| {
            settings.credentials = Some(match source {
                OBS_ABORT_CREDENTIALS_ENV => Choice::Env,
                OBS_ABORT_CREDENTIALS_ECS => Choice::Ecs,
                OBS_ABORT_CREDENTIALS_CHAIN => Choice::Chain,
                other => return Err(Error::argument(format!("{other} is no credential source"))),
            });
            Ok(())
        })
    }
}

/// How a bucket is addressed. Default: OBS_ABORT_ADDRESSING_AUTO.
///
/// \param config      The config.
/// \param addressing  An OBS_ABORT_ADDRESSING_... constant.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for another value. VIRTUAL_HOST with an endpoint that is an IP
///         address is refused by obs_abort_client_new().
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_addressing(
    config: *mut obs_abort_config,
    addressing: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "addressing", |settings| {
            settings.addressing = match addressing {
                OBS_ABORT_ADDRESSING_AUTO => Addressing::Auto,
                OBS_ABORT_ADDRESSING_VIRTUAL_HOST => Addressing::VirtualHost,
                OBS_ABORT_ADDRESSING_PATH => Addressing::Path,
                OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN => Addressing::CustomDomain,
                other => return Err(Error::argument(format!("{other} is no addressing"))),
            };
            Ok(())
        })
    }
}

/// Which signature scheme is used. Default: OBS_ABORT_SIGNATURE_AUTO.
///
/// \param config     The config.
/// \param signature  An OBS_ABORT_SIGNATURE_... constant.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for another value.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_signature(
    config: *mut obs_abort_config,
    signature: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "signature", |settings| {
            settings.scheme = match signature {
                OBS_ABORT_SIGNATURE_AUTO => None,
                OBS_ABORT_SIGNATURE_OBS => Some(Scheme::Obs),
                OBS_ABORT_SIGNATURE_AWS_V2 => Some(Scheme::AwsV2),
                other => return Err(Error::argument(format!("{other} is no signature scheme"))),
            };
            Ok(())
        })
    }
}

/// How long one attempt to connect may take, name resolution and TLS handshake included. Default: 10000. When it runs
/// out, the attempt has failed with OBS_ABORT_RESOLVE, OBS_ABORT_CONNECT or OBS_ABORT_TLS by where it stood, and is
/// repeated; when the budget of the call runs out first, the call ends with OBS_ABORT_TIMEOUT.
///
/// \param config  The config.
/// \param ms      Milliseconds, not 0.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_connect_timeout_ms(
    config: *mut obs_abort_config,
    ms: u32,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "connect_timeout_ms", |settings| {
            settings.connect_timeout = Duration::from_millis(nonzero("the connect timeout", ms)?.into());
            Ok(())
        })
    }
}

/// The budget of one abort, its retries, waits, confirmation and credential fetch included; in obs_abort_many() and
/// obs_abort_stale(), of each upload and of each page of the listing. Default: 60000. A call handle with a budget of its
/// own takes its place.
///
/// \param config  The config.
/// \param ms      Milliseconds, not 0.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_timeout_ms(config: *mut obs_abort_config, ms: u32) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "timeout_ms", |settings| {
            settings.timeout = Duration::from_millis(nonzero("the timeout", ms)?.into());
            Ok(())
        })
    }
}

/// How often an abort is attempted at most. Default: 4. Repeated are failures of the transport, 408, 429, 5xx and
/// RequestTimeout, after exponential backoff with full jitter (0 to 100 ms at first, doubling, up to 5 s), or after what
/// Retry-After asks for. A redirect that is followed, one correction of the clock and one replacement of a kept
/// connection that had died do not count.
///
/// \param config    The config.
/// \param attempts  Not 0; 1 = no retry.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_max_attempts(
    config: *mut obs_abort_config,
    attempts: u32,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "max_attempts", |settings| {
            settings.max_attempts = nonzero("max_attempts", attempts)?;
            Ok(())
        })
    }
}

/// How many connections are kept open, and how many obs_abort_many() and obs_abort_stale() use at once. Default: 32.
/// Callers' own threads are not limited by it.
///
/// \param config  The config.
/// \param n       1 to 1024.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_max_connections(config: *mut obs_abort_config, n: u32) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "max_connections", |settings| {
            settings.max_connections = config::max_connections(n)?;
            Ok(())
        })
    }
}

/// What is trusted instead of the system's roots. Default: the file that SSL_CERT_FILE in the environment names, else
/// the system's bundle. Give the CA that issued the server's certificate: a self-signed server certificate that is
/// marked CA:TRUE is refused, and the message says so. There is no switch that turns verification off.
///
/// \param config  The config.
/// \param path    A PEM file; it is read now.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for NULL or ""; OBS_ABORT_INVALID_CONFIG where the file can't be read
///         or holds no certificate.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_ca_file(
    config: *mut obs_abort_config,
    path: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "ca_file", |settings| {
            let path = config::path("path of the CA file", text(path, "path of the CA file")?)?;
            settings.ca_file = Some(Arc::new(tls::roots_from(&path)?));
            Ok(())
        })
    }
}

/// What the client shows to a server that asks for a certificate (mutual TLS). Default: nothing.
///
/// \param config     The config.
/// \param cert_path  A PEM file with the certificate and its chain; it is read now.
/// \param key_path   A PEM file with its key, not encrypted; it is read now, and may be the same file.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for NULL or ""; OBS_ABORT_INVALID_CONFIG where a file can't be used,
///         and where the key does not belong to the certificate.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_client_certificate(
    config: *mut obs_abort_config,
    cert_path: *const c_char,
    key_path: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "client_certificate", |settings| {
            let certificate =
                config::path("path of the certificate", text(cert_path, "path of the certificate")?)?;
            let key = config::path("path of the key", text(key_path, "path of the key")?)?;
            settings.identity = Some(Arc::new(tls::identity_from(&certificate, &key)?));
            Ok(())
        })
    }
}

/// An HTTP proxy for everything but the ECS metadata service. Where this is not called, the environment decides, as it is
/// in obs_abort_client_new(): https_proxy or http_proxy by the endpoint's scheme, all_proxy, no_proxy (names with all
/// below them, addresses, networks, *), lower case before upper; HTTP_PROXY in upper case not where REQUEST_METHOD is set.
///
/// \param config  The config.
/// \param url     "http://[user:password@]host:port", special characters percent-encoded; "" for no proxy at all,
///                whatever the environment says.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for NULL; OBS_ABORT_INVALID_CONFIG where the URL can't be used.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_proxy(
    config: *mut obs_abort_config,
    url: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "proxy", |settings| {
            let url = text(url, "proxy URL")?;
            settings.proxy =
                if url.is_empty() { ProxySetting::Direct } else { ProxySetting::Proxy(Proxy::parse(url)?) };
            Ok(())
        })
    }
}

/// Whether an abort is confirmed: parts that are being uploaded while it runs may survive it, so the parts are listed
/// afterwards, and the upload is aborted again, within max_attempts and budget, until none is left. Default: 0. Needs the
/// permission obs:object:ListMultipartUploadParts. Where parts remain: OBS_ABORT_PARTS_REMAIN; where the listing fails,
/// its code, with a message that begins "aborted, not confirmed" after the code's name.
///
/// \param config  The config.
/// \param on      1 or 0.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for another value.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_confirm(config: *mut obs_abort_config, on: i32) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "confirm", |settings| {
            settings.confirm = switch(on)?;
            Ok(())
        })
    }
}

/// Whether the requester pays: sends x-obs-request-payer: requester (x-amz-... in the AWS_V2 scheme). Default: 0.
///
/// \param config  The config.
/// \param on      1 or 0.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for another value.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_request_payer(config: *mut obs_abort_config, on: i32) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "request_payer", |settings| {
            settings.request_payer = switch(on)?;
            Ok(())
        })
    }
}

/// Your program's name in the User-Agent header, before "libobsabort/VERSION". Default: none.
///
/// \param config   The config.
/// \param product  Such as "backupd/2.1"; 1 to 256 characters, visible ASCII with spaces within.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_user_agent(
    config: *mut obs_abort_config,
    product: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "user_agent", |settings| {
            settings.user_agent = Some(config::user_agent(text(product, "user agent")?)?);
            Ok(())
        })
    }
}

/// Sets the log callback. Lines name the method, host, target, status, request id, attempt and delay, and never a secret.
/// Default: none.
///
/// \param config    The config.
/// \param log       The callback, called only on threads that are inside a call of this library; NULL for none.
/// \param userdata  Passed to the callback; must live as long as the clients made from this config.
/// \param level     The most that is told: an OBS_ABORT_LOG_... constant.
/// \return OBS_ABORT_OK; OBS_ABORT_INVALID_ARGUMENT for another level.
///
/// Threads: the one that fills the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_log(
    config: *mut obs_abort_config,
    log: obs_abort_log_fn,
    userdata: *mut c_void,
    level: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header demands.
    unsafe {
        set(config, "log", |settings| {
            let level = match level {
                OBS_ABORT_LOG_ERROR => Level::Error,
                OBS_ABORT_LOG_WARN => Level::Warn,
                OBS_ABORT_LOG_INFO => Level::Info,
                OBS_ABORT_LOG_DEBUG => Level::Debug,
                other => return Err(Error::argument(format!("{other} is no log level"))),
            };
            let userdata = Userdata(userdata);
            settings.log = log.map(|log| Log {
                level,
                sink: Arc::new(move |level, line: String| {
                    let line: CString = c_string(&line);
                    // SAFETY: the caller of the setter promised a function that may be called on any thread that makes
                    // a call, and a userdata that lives as long as the client.
                    log(level as i32, line.as_ptr(), userdata.get());
                }),
            });
            Ok(())
        })
    }
}

/// What belongs to the caller, and is only handed on.
struct Userdata(*mut c_void);

impl Userdata {
    fn get(&self) -> *mut c_void {
        self.0
    }
}

// SAFETY: never read or written here; the header says that the callback runs on every thread that makes a call.
unsafe impl Send for Userdata {}
// SAFETY: as above.
unsafe impl Sync for Userdata {}
