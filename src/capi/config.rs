//! The config handle.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::credentials::{Credentials, ProviderChoice};
use crate::base::error::Error;
use crate::http::proxy::Proxy;
use crate::http::tls;
use crate::obs::bucket::{Addressing, parse_endpoint};
use crate::obs::sign::SignatureScheme;
use crate::operation::config::{self, Config, ProxySetting, Settings, check_nonzero};
use crate::operation::log::{Level, Log};

use super::ffi::{Userdata, c_string, code_of, guarded, handle_mut, optional_text, switch, take, text};

/// Credential source: OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and, for temporary credentials, OBS_SECURITY_TOKEN in
/// the environment. They are read once, in obs_abort_client_new().
pub const OBS_ABORT_CREDENTIALS_ENV: i32 = 1;
/// Credential source: the agency of the Elastic Cloud Server (ECS) on which the program runs. The credentials come from
/// the metadata service of the ECS (169.254.169.254) and are renewed before they expire, or when the service refuses them.
pub const OBS_ABORT_CREDENTIALS_ECS: i32 = 2;
/// Credential source: the environment if any of its three variables is set and not empty, otherwise the agency of the ECS.
/// Half a pair of keys is OBS_ABORT_NO_CREDENTIALS, not a reason to use another identity.
pub const OBS_ABORT_CREDENTIALS_CHAIN: i32 = 3;

/// Addressing: PATH if the endpoint is an IP address, or if it is https and the bucket's name contains a dot.
/// VIRTUAL_HOST otherwise.
pub const OBS_ABORT_ADDRESSING_AUTO: i32 = 0;
/// Addressing: the bucket is part of the host name, as in https://bucket.endpoint/key.
pub const OBS_ABORT_ADDRESSING_VIRTUAL_HOST: i32 = 1;
/// Addressing: the bucket is part of the path, as in https://endpoint/bucket/key.
pub const OBS_ABORT_ADDRESSING_PATH: i32 = 2;
/// Addressing: the endpoint is a domain that is bound to the bucket, as in https://endpoint/key.
pub const OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN: i32 = 3;

/// Signature scheme: AWS_V2 with path addressing, as in the official SDKs. OBS otherwise.
pub const OBS_ABORT_SIGNATURE_AUTO: i32 = 0;
/// Signature scheme: "Authorization: OBS ..." and headers that begin with x-obs-.
pub const OBS_ABORT_SIGNATURE_OBS: i32 = 1;
/// Signature scheme: "Authorization: AWS ..." and headers that begin with x-amz-. The algorithm is that of OBS. Older
/// S3-compatible servers understand this scheme only.
pub const OBS_ABORT_SIGNATURE_AWS_V2: i32 = 2;

/// Log level: uploads that could not be aborted, and listings that failed.
pub const OBS_ABORT_LOG_ERROR: i32 = 1;
/// Log level: also attempts that failed and are retried, redirects and clock corrections.
pub const OBS_ABORT_LOG_WARN: i32 = 2;
/// Log level: also uploads that were aborted.
pub const OBS_ABORT_LOG_INFO: i32 = 3;
/// Log level: also every request with its response.
pub const OBS_ABORT_LOG_DEBUG: i32 = 4;

/// A log callback.
///
/// It is called only on a thread that is inside a call of this library, and only for that call. Within one call it
/// gets one line at a time, never while another callback of the call runs. If several threads make calls, it runs on
/// each of them, possibly at the same time. obs_abort_many(), obs_abort_sweep() and obs_abort_stale() pass the lines
/// of their own threads to the thread that made the call. The lines about one upload arrive in order, before the
/// progress callback for that upload.
///
/// The callback must return: it must not throw, call longjmp() or end the thread. It may call this library, but it must
/// not free a client that is in use. A slow callback slows its call down. obs_abort_many(), obs_abort_sweep() and
/// obs_abort_stale() queue only a few lines for each of their threads before they wait for the callback. Lines in the
/// queue are delivered even if the call is cancelled. No callback is running, and none starts, after
/// obs_abort_client_free() has returned.
///
/// \param level     OBS_ABORT_LOG_ERROR, OBS_ABORT_LOG_WARN, OBS_ABORT_LOG_INFO or OBS_ABORT_LOG_DEBUG.
/// \param message   One line of UTF-8 that contains no secret. Valid until the callback returns.
/// \param userdata  The pointer that was passed to obs_abort_config_set_log().
///
/// Since 0.1.0.
pub type obs_abort_log_fn =
    Option<unsafe extern "C" fn(level: i32, message: *const c_char, userdata: *mut c_void)>;

/// A config: the settings for new clients. Create it, set its fields, create any number of clients from it, and free
/// it. The library copies every string.
///
/// A setter checks its value at once, as far as possible. If it fails, it leaves the setting as it was, and the config
/// remembers the failure: obs_abort_client_new() then returns OBS_ABORT_INVALID_CONFIG and names the setting, until the
/// setting is set successfully. A caller who ignores the code of a setter therefore never gets a client with other
/// settings than it asked for.
pub struct obs_abort_config(pub(super) Config);

/// Creates a config with default settings. The description of each setter gives its default.
///
/// \return The config, to be freed with obs_abort_config_free(). NULL after an internal error.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_config_new() -> *mut obs_abort_config {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::new(obs_abort_config(Config::default()))))
}

/// Frees a config. Clients that were created from it remain valid.
///
/// \param config  The config, or NULL, which is ignored.
///
/// Threads: any, after all other uses of the config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_free(config: *mut obs_abort_config) {
    // SAFETY: NULL or a handle of ours that is not used any more, as the header requires.
    guarded((), || drop(unsafe { take(config) }));
}

/// Sets one setting. If the value is refused, the config remembers the failure under `name`.
///
/// # Safety
/// `config` is NULL, or a config of ours that no other thread uses. The pointers that `set` reads are valid.
unsafe fn set(
    config: *mut obs_abort_config,
    name: &'static str,
    // Not generic: 18 copies of this function and of its unwinding tables would take 20 KB.
    set: &mut dyn FnMut(&mut Settings) -> Result<(), Error>,
) -> i32 {
    code_of(|| {
        // SAFETY: as promised by the caller.
        let config = unsafe { handle_mut(config, "config") }?;
        config.0.set(name, set)
    })
}

/// Sets the endpoint of the service. There is no default: a client needs an endpoint.
///
/// \param config    The config.
/// \param endpoint  "[http[s]://]host[:port][/]" and nothing more, for example "https://obs.eu-101.myhuaweicloud.com".
///                  Without a scheme it is https. `host` is a host name, an IPv4 address or an IPv6 address in
///                  brackets. `port` is 1 to 65535.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_endpoint(
    config: *mut obs_abort_config,
    endpoint: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "endpoint", &mut |settings| {
            settings.endpoint = Some(parse_endpoint(text(endpoint, "endpoint")?)?);
            Ok(())
        })
    }
}

/// Sets static credentials. If obs_abort_config_set_credential_source() is called, too, the later call wins.
/// Default: none. Without credentials, obs_abort_client_new() succeeds and calls return OBS_ABORT_NO_CREDENTIALS.
///
/// \param config          The config.
/// \param access_key      The access key: 1 to 1024 characters of visible ASCII, without white space.
/// \param secret_key      The secret key: likewise. The library overwrites its copy in memory when the config and the
///                        clients no longer need it.
/// \param security_token  The security token of temporary credentials: up to 8192 such characters. NULL or "" for
///                        permanent credentials.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_credentials(
    config: *mut obs_abort_config,
    access_key: *const c_char,
    secret_key: *const c_char,
    security_token: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "credentials", &mut |settings| {
            let (access_key, secret_key) = (text(access_key, "access key")?, text(secret_key, "secret key")?);
            let security_token = optional_text(security_token, "security token")?;
            let credentials = Credentials::new(access_key, secret_key, security_token)?;
            settings.credentials = Some(ProviderChoice::Static(Arc::new(credentials)));
            Ok(())
        })
    }
}

/// Sets the source of the credentials. If obs_abort_config_set_credentials() is called, too, the later call wins.
/// Default: none. If the source has no credentials, obs_abort_client_new() succeeds and calls return
/// OBS_ABORT_NO_CREDENTIALS.
///
/// \param config  The config.
/// \param source  OBS_ABORT_CREDENTIALS_ENV, OBS_ABORT_CREDENTIALS_ECS or OBS_ABORT_CREDENTIALS_CHAIN.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_credential_source(
    config: *mut obs_abort_config,
    source: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "credential_source", &mut |settings| {
            settings.credentials = Some(match source {
                OBS_ABORT_CREDENTIALS_ENV => ProviderChoice::Env,
                OBS_ABORT_CREDENTIALS_ECS => ProviderChoice::Ecs,
                OBS_ABORT_CREDENTIALS_CHAIN => ProviderChoice::Chain,
                other => return Err(Error::argument(format!("{other} is no credential source"))),
            });
            Ok(())
        })
    }
}

/// Sets how the bucket appears in the URL of a request. Default: OBS_ABORT_ADDRESSING_AUTO.
///
/// \param config      The config.
/// \param addressing  OBS_ABORT_ADDRESSING_AUTO, OBS_ABORT_ADDRESSING_VIRTUAL_HOST, OBS_ABORT_ADDRESSING_PATH or
///                    OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN. obs_abort_client_new() refuses VIRTUAL_HOST if the endpoint
///                    is an IP address.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_addressing(
    config: *mut obs_abort_config,
    addressing: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "addressing", &mut |settings| {
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

/// Sets the signature scheme. Default: OBS_ABORT_SIGNATURE_AUTO.
///
/// \param config     The config.
/// \param signature  OBS_ABORT_SIGNATURE_AUTO, OBS_ABORT_SIGNATURE_OBS or OBS_ABORT_SIGNATURE_AWS_V2.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_signature(
    config: *mut obs_abort_config,
    signature: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "signature", &mut |settings| {
            settings.scheme = match signature {
                OBS_ABORT_SIGNATURE_AUTO => None,
                OBS_ABORT_SIGNATURE_OBS => Some(SignatureScheme::Obs),
                OBS_ABORT_SIGNATURE_AWS_V2 => Some(SignatureScheme::AwsV2),
                other => return Err(Error::argument(format!("{other} is no signature scheme"))),
            };
            Ok(())
        })
    }
}

/// Sets the time limit of one attempt to connect, including name resolution and the TLS handshake. The default is
/// 10000 ms.
///
/// If the limit is reached, the attempt fails with OBS_ABORT_RESOLVE, OBS_ABORT_CONNECT or OBS_ABORT_TLS, depending on
/// the step that it had reached, and is retried. If the time budget runs out first, the call returns OBS_ABORT_TIMEOUT.
///
/// \param config  The config.
/// \param ms      The limit in milliseconds, not 0.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_connect_timeout_ms(
    config: *mut obs_abort_config,
    ms: u32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "connect_timeout_ms", &mut |settings| {
            settings.connect_timeout =
                Duration::from_millis(check_nonzero("the connect timeout", ms)?.into());
            Ok(())
        })
    }
}

/// Sets how long an attempt waits for the server to respond. The default is 20000 ms.
///
/// The limit bounds the time from the last byte of the request to the end of the response's head, however slowly the
/// head arrives, and the time between two reads of a page of a listing. If the limit is reached, the connection and the
/// idle connections to the same server are closed, and the attempt is retried on a new connection. As after a broken
/// connection, the request may have been carried out. If no attempt is left, the call returns OBS_ABORT_TIMEOUT. A
/// shorter time budget ends the call first: see obs_abort_config_set_timeout_ms().
///
/// \param config  The config.
/// \param ms      The limit in milliseconds, not 0.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_response_timeout_ms(
    config: *mut obs_abort_config,
    ms: u32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "response_timeout_ms", &mut |settings| {
            settings.response_timeout =
                Duration::from_millis(check_nonzero("the response timeout", ms)?.into());
            Ok(())
        })
    }
}

/// Sets the time budget of one abort, including its retries, waits, confirmation and the fetch of credentials. The
/// default is 60000 ms.
///
/// In obs_abort_many(), obs_abort_sweep() and obs_abort_stale(), it is the budget of each upload, of each list of its
/// parts, and of each page of the listing. In obs_abort_buckets(), it is that of each page. For a single abort, the
/// budget of a call handle replaces it: see obs_abort_call_set_timeout_ms().
///
/// \param config  The config.
/// \param ms      The budget in milliseconds, not 0.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_timeout_ms(config: *mut obs_abort_config, ms: u32) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "timeout_ms", &mut |settings| {
            settings.timeout = Duration::from_millis(check_nonzero("the timeout", ms)?.into());
            Ok(())
        })
    }
}

/// Sets the largest number of attempts for one abort, and for each request that lists uploads or parts. Default: 4.
///
/// Failures to connect, broken connections and the responses 408, 429, 5xx and RequestTimeout are retried. Failures
/// that would recur, such as a certificate that is not trusted, are not. The wait before a retry is random: up to
/// 100 ms the first time, then up to twice as long each time, and never more than 5 s. It is at least as long as
/// Retry-After demands. If the wait would pass the time budget, the call returns the code of the last attempt at once.
///
/// Some attempts are made immediately and do not count: up to three after a redirect, one after a clock correction, and
/// one on a new connection if a kept connection proved to be closed.
///
/// \param config    The config.
/// \param attempts  The number of attempts, not 0. 1 means no retry.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_max_attempts(
    config: *mut obs_abort_config,
    attempts: u32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "max_attempts", &mut |settings| {
            settings.max_attempts = check_nonzero("max_attempts", attempts)?;
            Ok(())
        })
    }
}

/// Sets the largest number of connections that a client keeps open between calls, and that obs_abort_many(),
/// obs_abort_sweep() and obs_abort_stale() each use at once. Default: 32. It does not limit calls that the program
/// makes on threads of its own.
///
/// \param config  The config.
/// \param n       The number of connections: 1 to 1024.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_max_connections(config: *mut obs_abort_config, n: u32) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "max_connections", &mut |settings| {
            settings.max_connections = config::check_max_connections(n)?;
            Ok(())
        })
    }
}

/// Sets the file with the certificate authorities to trust instead of the system's.
///
/// Default: what the environment variables SSL_CERT_FILE and SSL_CERT_DIR name, when obs_abort_client_new() is called:
/// a PEM file, and a list of directories whose PEM files have a hash as their name (openssl rehash). Either or both take
/// the place of the system's store, which decides otherwise. The default is kept for the process as long as its files are
/// the same: a client that is made after they were replaced trusts the new ones. If an https endpoint has no authority to
/// trust, obs_abort_client_new() returns OBS_ABORT_INVALID_CONFIG.
///
/// On Windows, the system's store is the certificate store of the user that the process runs as, which includes that of
/// the machine. Windows adds some well-known authorities to it only when one of its own programs first needs them. The
/// library does not ask for them, and refuses their certificates until then. On macOS, the system's store is
/// /etc/ssl/cert.pem; the keychain is not read.
///
/// The file must contain the authority that issued the server's certificate. A self-signed server certificate that is
/// marked CA:TRUE is refused even if the file contains it. Certificates are always verified: no setting turns this off.
///
/// \param config  The config.
/// \param path    The path of a PEM file of up to 16 MB. The function reads the file before it returns.
/// \return OBS_ABORT_OK. OBS_ABORT_INVALID_ARGUMENT if `path` is NULL or "". OBS_ABORT_INVALID_CONFIG if the file
///         cannot be read or contains no usable certificate.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_ca_file(
    config: *mut obs_abort_config,
    path: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "ca_file", &mut |settings| {
            let path = config::check_path("path of the CA file", text(path, "path of the CA file")?)?;
            settings.ca_file = Some(Arc::new(tls::roots_from(&path)?));
            Ok(())
        })
    }
}

/// Sets the certificate that the client presents to a server that asks for one (mutual TLS). Default: none.
///
/// \param config     The config.
/// \param cert_path  The path of a PEM file of up to 16 MB with the certificate and its chain. The function reads the
///                   file before it returns.
/// \param key_path   The path of a PEM file with the private key, not encrypted. It may be the same file, and has the
///                   same limit. The function reads the file before it returns.
/// \return OBS_ABORT_OK. OBS_ABORT_INVALID_ARGUMENT if a path is NULL or "". OBS_ABORT_INVALID_CONFIG if a file cannot
///         be used, or if the key does not belong to the certificate.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_client_certificate(
    config: *mut obs_abort_config,
    cert_path: *const c_char,
    key_path: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "client_certificate", &mut |settings| {
            let certificate =
                config::check_path("path of the certificate", text(cert_path, "path of the certificate")?)?;
            let key = config::check_path("path of the key", text(key_path, "path of the key")?)?;
            settings.identity = Some(Arc::new(tls::identity_from(&certificate, &key)?));
            Ok(())
        })
    }
}

/// Sets the HTTP proxy. Requests to the metadata service of an ECS never use a proxy.
///
/// Default: the environment decides, when obs_abort_client_new() is called. An https endpoint uses https_proxy, an http
/// endpoint http_proxy; if that variable is not set, all_proxy. no_proxy lists exceptions: host names, which include
/// all names below them, addresses, networks, or "*" for all. The lower-case name of each variable comes before the
/// upper-case name. HTTP_PROXY is ignored if REQUEST_METHOD is set, because a CGI server sets it from a header of the
/// request; so is http_proxy on Windows, which does not tell the two apart. A variable that cannot be used is an error
/// only if it decides.
///
/// \param config  The config.
/// \param url     "http://[user:password@]host[:port]", with special characters percent-encoded. The default port is
///                80. "" for no proxy, whatever the environment says.
/// \return OBS_ABORT_OK. OBS_ABORT_INVALID_ARGUMENT if `url` is NULL. OBS_ABORT_INVALID_CONFIG if the URL cannot be
///         used.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_proxy(
    config: *mut obs_abort_config,
    url: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "proxy", &mut |settings| {
            let url = text(url, "proxy URL")?;
            settings.proxy =
                if url.is_empty() { ProxySetting::Direct } else { ProxySetting::Proxy(Proxy::parse(url)?) };
            Ok(())
        })
    }
}

/// Turns the confirmation of aborts on or off. Default: 0.
///
/// Parts that are being uploaded during an abort may survive it. With confirmation, the library lists the parts after
/// each abort and aborts the upload again until no part is left. The abort requests count towards the maximum number of
/// attempts, and the time budget covers them. This needs the permission obs:object:ListMultipartUploadParts. If parts
/// remain, the abort returns OBS_ABORT_PARTS_REMAIN. If the listing fails, it returns the code of that failure, and the
/// text after the code's name begins with "aborted, not confirmed".
///
/// \param config  The config.
/// \param on      1 to confirm, 0 not to.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
/// Source: "Canceling a Multipart Upload Task" and "Listing Uploaded Parts" in Huawei's OBS API reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_confirm(config: *mut obs_abort_config, on: i32) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "confirm", &mut |settings| {
            settings.confirm = switch(on)?;
            Ok(())
        })
    }
}

/// Turns "requester pays" on or off. If it is on, requests contain x-obs-request-payer: requester, or
/// x-amz-request-payer: requester in the AWS_V2 scheme. Default: 0.
///
/// \param config  The config.
/// \param on      1 to send the header, 0 not to.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_request_payer(config: *mut obs_abort_config, on: i32) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "request_payer", &mut |settings| {
            settings.request_payer = switch(on)?;
            Ok(())
        })
    }
}

/// Sets the name of the program for the User-Agent header. It precedes "libobsabort/VERSION". Default: none.
///
/// \param config   The config.
/// \param product  A name such as "backupd/2.1": 1 to 256 characters of visible ASCII. Spaces are allowed except at the
///                 beginning and the end.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_user_agent(
    config: *mut obs_abort_config,
    product: *const c_char,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "user_agent", &mut |settings| {
            settings.user_agent = Some(config::check_user_agent(text(product, "user agent")?)?);
            Ok(())
        })
    }
}

/// Sets the log callback. Default: none.
///
/// Log lines contain the method, host, request target (with the key and the upload id), status, request id, attempt and
/// delay. They never contain a secret.
///
/// \param config    The config.
/// \param log       The callback, or NULL for none.
/// \param userdata  A pointer that is passed to the callback. It must be valid as long as a client that was created
///                  from this config exists. May be NULL.
/// \param level     The most detailed level that is logged: OBS_ABORT_LOG_ERROR, OBS_ABORT_LOG_WARN, OBS_ABORT_LOG_INFO
///                  or OBS_ABORT_LOG_DEBUG. Each level includes those before it. It must be valid even if `log` is
///                  NULL.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each config. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_config_set_log(
    config: *mut obs_abort_config,
    log: obs_abort_log_fn,
    userdata: *mut c_void,
    level: i32,
) -> i32 {
    // SAFETY: a config of ours, as the header requires.
    unsafe {
        set(config, "log", &mut |settings| {
            let level = match level {
                OBS_ABORT_LOG_ERROR => Level::Error,
                OBS_ABORT_LOG_WARN => Level::Warn,
                OBS_ABORT_LOG_INFO => Level::Info,
                OBS_ABORT_LOG_DEBUG => Level::Debug,
                other => return Err(Error::argument(format!("{other} is no log level"))),
            };
            let userdata = Userdata::new(userdata);
            settings.log = log.map(|log| Log {
                level,
                sink: Arc::new(move |level, line: String| {
                    let line: CString = c_string(line);
                    // SAFETY: as the header requires, the callback may run on any thread that makes a call, and
                    // userdata is valid as long as the client.
                    log(level as i32, line.as_ptr(), userdata.get());
                }),
            });
            Ok(())
        })
    }
}
