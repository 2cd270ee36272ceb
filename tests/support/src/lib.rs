//! The library as a C program sees it: the freshly built `.so`, loaded by name, and thin wrappers that free what they
//! are given. Nothing here knows the Rust behind it.

#![allow(non_camel_case_types, unsafe_code, missing_docs, clippy::all, clippy::pedantic)]
#![allow(clippy::undocumented_unsafe_blocks, clippy::expect_used, clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

pub mod apart;
mod bindings;
pub mod obs;
pub mod peer;
pub mod pki;
pub mod process;
pub mod sweep;

pub use sweep::Selection;

pub use bindings::*;
pub use bindings::{
    obs_abort_call as call, obs_abort_client as client, obs_abort_config as config,
    obs_abort_log_fn as log_fn, obs_abort_outcome as outcome, obs_abort_progress_fn as progress_fn,
    obs_abort_report as report, obs_abort_upload as upload,
};

/// The codes, by their names without the prefix.
pub mod code {
    pub use crate::bindings::{
        OBS_ABORT_ACCESS_DENIED as ACCESS_DENIED, OBS_ABORT_CANCELLED as CANCELLED,
        OBS_ABORT_CLOCK_SKEW as CLOCK_SKEW, OBS_ABORT_CONNECT as CONNECT, OBS_ABORT_INTERNAL as INTERNAL,
        OBS_ABORT_INVALID_ARGUMENT as INVALID_ARGUMENT, OBS_ABORT_INVALID_CONFIG as INVALID_CONFIG,
        OBS_ABORT_IO as IO, OBS_ABORT_NO_CREDENTIALS as NO_CREDENTIALS,
        OBS_ABORT_NO_SUCH_BUCKET as NO_SUCH_BUCKET, OBS_ABORT_NO_SUCH_UPLOAD as NO_SUCH_UPLOAD,
        OBS_ABORT_OK as OK, OBS_ABORT_PARTIAL as PARTIAL, OBS_ABORT_PARTS_REMAIN as PARTS_REMAIN,
        OBS_ABORT_PROTOCOL as PROTOCOL, OBS_ABORT_REDIRECT as REDIRECT, OBS_ABORT_REJECTED as REJECTED,
        OBS_ABORT_RESOLVE as RESOLVE, OBS_ABORT_SERVER as SERVER, OBS_ABORT_STILL_LISTED as STILL_LISTED,
        OBS_ABORT_THROTTLED as THROTTLED, OBS_ABORT_TIMEOUT as TIMEOUT, OBS_ABORT_TLS as TLS,
    };
}

/// Held while a function of the library runs; build.rs puts it into every method of [`Lib`].
struct UnchangedErrno(&'static str);

impl UnchangedErrno {
    /// An errno that no system call sets.
    const UNLIKELY: i32 = 4711;

    fn during(function: &'static str) -> UnchangedErrno {
        // SAFETY: errno is the thread's own.
        unsafe { *libc::__errno_location() = Self::UNLIKELY };
        UnchangedErrno(function)
    }
}

impl Drop for UnchangedErrno {
    fn drop(&mut self) {
        // SAFETY: as above.
        let errno = unsafe { *libc::__errno_location() };
        assert_eq!(errno, Self::UNLIKELY, "obs_abort_{} changed errno", self.0);
    }
}

/// `cargo test` puts the fresh `.so` beside the test programs; the copy one folder up may be stale.
pub fn library_path() -> PathBuf {
    if let Some(path) = std::env::var_os("OBSABORT_TEST_SO") {
        return path.into();
    }
    let mut path = std::env::current_exe().expect("the test program's path");
    path.set_file_name("libobsabort.so");
    path
}

/// The library, loaded once.
pub fn lib() -> &'static Lib {
    static LIB: OnceLock<Lib> = OnceLock::new();
    LIB.get_or_init(|| {
        let path = library_path();
        // SAFETY: the library has no initialisation routine, and the types are those of its header.
        unsafe { Lib::new(&path) }.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    })
}

/// A string as C has it.
pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in a test's string")
}

/// Borrowed text; None for NULL.
///
/// # Safety
/// NULL or NUL-terminated.
pub unsafe fn borrowed(text: *const c_char) -> Option<String> {
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned())
}

/// Text that the library gave away, freed by it.
///
/// # Safety
/// NULL, or from an error out-pointer.
pub unsafe fn owned(text: *mut c_char) -> Option<String> {
    let copy = unsafe { borrowed(text) };
    unsafe { lib().obs_abort_string_free(text) };
    copy
}

/// A config that frees itself; setters assert success, `raw` is there for the others.
pub struct Config(pub *mut config);

impl Config {
    /// With obs-local's credentials, and no proxy whatever the environment says.
    pub fn new(endpoint: &str) -> Config {
        let config = Config::bare();
        config.endpoint(endpoint).proxy("").credentials(obs_local::ACCESS_KEY, obs_local::SECRET_KEY, None)
    }

    pub fn bare() -> Config {
        Config(unsafe { lib().obs_abort_config_new() })
    }

    fn ok(self, code: i32) -> Config {
        assert_eq!(code, 0, "a setter");
        self
    }

    pub fn endpoint(self, endpoint: &str) -> Config {
        let code = unsafe { lib().obs_abort_config_set_endpoint(self.0, c(endpoint).as_ptr()) };
        self.ok(code)
    }

    pub fn credentials(self, access_key: &str, secret_key: &str, token: Option<&str>) -> Config {
        let token = token.map(c);
        let token = token.as_ref().map_or(null(), |token| token.as_ptr());
        let code = unsafe {
            lib().obs_abort_config_set_credentials(
                self.0,
                c(access_key).as_ptr(),
                c(secret_key).as_ptr(),
                token,
            )
        };
        self.ok(code)
    }

    pub fn proxy(self, url: &str) -> Config {
        let code = unsafe { lib().obs_abort_config_set_proxy(self.0, c(url).as_ptr()) };
        self.ok(code)
    }

    pub fn ca_file(self, path: &str) -> Config {
        let code = unsafe { lib().obs_abort_config_set_ca_file(self.0, c(path).as_ptr()) };
        self.ok(code)
    }

    pub fn user_agent(self, product: &str) -> Config {
        let code = unsafe { lib().obs_abort_config_set_user_agent(self.0, c(product).as_ptr()) };
        self.ok(code)
    }

    pub fn addressing(self, addressing: i32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_addressing(self.0, addressing) };
        self.ok(code)
    }

    pub fn signature(self, signature: i32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_signature(self.0, signature) };
        self.ok(code)
    }

    pub fn timeout_ms(self, ms: u32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_timeout_ms(self.0, ms) };
        self.ok(code)
    }

    pub fn connect_timeout_ms(self, ms: u32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_connect_timeout_ms(self.0, ms) };
        self.ok(code)
    }

    pub fn response_timeout_ms(self, ms: u32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_response_timeout_ms(self.0, ms) };
        self.ok(code)
    }

    pub fn max_attempts(self, attempts: u32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_max_attempts(self.0, attempts) };
        self.ok(code)
    }

    pub fn max_connections(self, n: u32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_max_connections(self.0, n) };
        self.ok(code)
    }

    pub fn confirm(self) -> Config {
        let code = unsafe { lib().obs_abort_config_set_confirm(self.0, 1) };
        self.ok(code)
    }

    pub fn request_payer(self) -> Config {
        let code = unsafe { lib().obs_abort_config_set_request_payer(self.0, 1) };
        self.ok(code)
    }

    pub fn log(self, log: log_fn, userdata: *mut c_void, level: i32) -> Config {
        let code = unsafe { lib().obs_abort_config_set_log(self.0, log, userdata, level) };
        self.ok(code)
    }

    pub fn client(&self) -> Client {
        self.try_client().unwrap_or_else(|(code, error)| panic!("client_new: {code} {error}"))
    }

    pub fn try_client(&self) -> Result<Client, (i32, String)> {
        let (mut client, mut error) = (null_mut(), null_mut());
        let code = unsafe { lib().obs_abort_client_new(self.0, &raw mut client, &raw mut error) };
        let error = unsafe { owned(error) };
        assert_eq!(code == 0, error.is_none(), "an error string exactly where there is an error");
        assert_eq!(code == 0, !client.is_null(), "a client exactly where there is no error");
        match error {
            None => Ok(Client(client)),
            Some(error) => Err((code, error)),
        }
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        unsafe { lib().obs_abort_config_free(self.0) };
    }
}

/// A client that frees itself, for any number of threads.
pub struct Client(pub *mut client);
unsafe impl Send for Client {}
unsafe impl Sync for Client {}

impl Drop for Client {
    fn drop(&mut self) {
        unsafe { lib().obs_abort_client_free(self.0) };
    }
}

/// A call handle that frees itself, for any number of threads.
pub struct Call(pub *mut call);
unsafe impl Send for Call {}
unsafe impl Sync for Call {}

impl Call {
    pub fn new() -> Call {
        Call(unsafe { lib().obs_abort_call_new() })
    }

    pub fn with_timeout_ms(ms: u32) -> Call {
        let call = Call::new();
        assert_eq!(unsafe { lib().obs_abort_call_set_timeout_ms(call.0, ms) }, 0);
        call
    }

    pub fn cancel(&self) {
        unsafe { lib().obs_abort_call_cancel(self.0) };
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        unsafe { lib().obs_abort_call_free(self.0) };
    }
}

/// All that an outcome's getters tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub code: i32,
    pub http_status: i32,
    pub message: Option<String>,
    pub service_code: Option<String>,
    pub request_id: Option<String>,
    pub host_id: Option<String>,
    pub attempts: u32,
    pub key: String,
    pub upload_id: String,
    pub initiated: i64,
    pub index: i64,
    pub parts: u64,
    pub bytes: u64,
    pub last_part: i64,
}

impl Outcome {
    /// # Safety
    /// An outcome of the library's.
    pub unsafe fn read(outcome: *const outcome) -> Outcome {
        let lib = lib();
        unsafe {
            Outcome {
                code: lib.obs_abort_outcome_code(outcome),
                http_status: lib.obs_abort_outcome_http_status(outcome),
                message: borrowed(lib.obs_abort_outcome_message(outcome)),
                service_code: borrowed(lib.obs_abort_outcome_service_code(outcome)),
                request_id: borrowed(lib.obs_abort_outcome_request_id(outcome)),
                host_id: borrowed(lib.obs_abort_outcome_host_id(outcome)),
                attempts: lib.obs_abort_outcome_attempts(outcome),
                key: borrowed(lib.obs_abort_outcome_key(outcome)).expect("a key, if an empty one"),
                upload_id: borrowed(lib.obs_abort_outcome_upload_id(outcome))
                    .expect("an upload id, if an empty one"),
                initiated: lib.obs_abort_outcome_initiated(outcome),
                index: lib.obs_abort_outcome_index(outcome),
                parts: lib.obs_abort_outcome_parts(outcome),
                bytes: lib.obs_abort_outcome_bytes(outcome),
                last_part: lib.obs_abort_outcome_last_part(outcome),
            }
        }
    }
}

/// All that a report's getters tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub total: u64,
    pub aborted: u64,
    pub missing: u64,
    pub failed: u64,
    pub kept: u64,
    pub throttled: u64,
    pub unknown_age: u64,
    pub younger: u64,
    pub active: u64,
    pub bytes: u64,
    pub complete: bool,
    pub failures: Vec<Outcome>,
}

impl Report {
    /// Reads and frees it.
    ///
    /// # Safety
    /// NULL, or a report that the library gave away.
    pub unsafe fn take(report: *mut report) -> Option<Report> {
        if report.is_null() {
            return None;
        }
        let lib = lib();
        unsafe {
            let count = lib.obs_abort_report_failure_count(report);
            assert!(lib.obs_abort_report_failure(report, count).is_null(), "NULL past the end");
            let all = Report {
                total: lib.obs_abort_report_total(report),
                aborted: lib.obs_abort_report_aborted(report),
                missing: lib.obs_abort_report_missing(report),
                failed: lib.obs_abort_report_failed(report),
                kept: lib.obs_abort_report_kept(report),
                throttled: lib.obs_abort_report_throttled(report),
                unknown_age: lib.obs_abort_report_unknown_age(report),
                younger: lib.obs_abort_report_younger(report),
                active: lib.obs_abort_report_active(report),
                bytes: lib.obs_abort_report_bytes(report),
                complete: match lib.obs_abort_report_complete(report) {
                    0 => false,
                    1 => true,
                    other => panic!("complete is {other}"),
                },
                failures: (0..count)
                    .map(|i| Outcome::read(lib.obs_abort_report_failure(report, i)))
                    .collect(),
            };
            lib.obs_abort_report_free(report);
            assert!(all.unknown_age + all.younger + all.active <= all.kept, "{all:?}");
            assert!(!(all.complete && all.failed > 0), "{all:?}");
            assert_eq!(all.total, all.aborted + all.missing + all.failed + all.kept, "{all:?}");
            Some(all)
        }
    }
}

/// What a verb over many uploads came to.
#[derive(Clone, Debug)]
pub struct Ending {
    pub code: i32,
    pub error: Option<String>,
    pub report: Option<Report>,
}

/// A progress callback in Rust: outcome, done, total so far; `true` stops.
pub type Progress<'a> = &'a mut dyn FnMut(Option<&Outcome>, u64, u64) -> bool;

unsafe extern "C" fn progress_thunk(
    outcome: *const outcome,
    done: u64,
    total: u64,
    userdata: *mut c_void,
) -> i32 {
    let progress = unsafe { &mut *userdata.cast::<Progress<'_>>() };
    let outcome = (!outcome.is_null()).then(|| unsafe { Outcome::read(outcome) });
    i32::from(progress(outcome.as_ref(), done, total))
}

impl Client {
    /// The plain verb: code, HTTP status, error string.
    pub fn abort(&self, bucket: &str, key: &str, upload_id: &str) -> (i32, i32, Option<String>) {
        let (mut status, mut error) = (-1, null_mut());
        let (bucket, key, upload_id) = (c(bucket), c(key), c(upload_id));
        let code = unsafe {
            lib().obs_abort_multipart(
                self.0,
                bucket.as_ptr(),
                key.as_ptr(),
                upload_id.as_ptr(),
                &raw mut status,
                &raw mut error,
            )
        };
        (code, status, unsafe { owned(error) })
    }

    /// The verb with an outcome.
    pub fn outcome(&self, call: Option<&Call>, bucket: &str, key: &str, upload_id: &str) -> Outcome {
        let (bucket, key, upload_id) = (c(bucket), c(key), c(upload_id));
        let call = call.map_or(null(), |call| call.0.cast_const());
        let mut outcome = null_mut();
        unsafe {
            let code = lib().obs_abort_multipart_outcome(
                self.0,
                call,
                bucket.as_ptr(),
                key.as_ptr(),
                upload_id.as_ptr(),
                &raw mut outcome,
            );
            let all = Outcome::read(outcome);
            lib().obs_abort_outcome_free(outcome);
            assert_eq!(all.code, code, "the verb and the outcome say the same");
            assert_eq!(
                all.message.is_none(),
                code == 0,
                "a message exactly where there is an error: {all:?}"
            );
            all
        }
    }

    pub fn many(
        &self,
        call: Option<&Call>,
        bucket: &str,
        uploads: &[(&str, &str)],
        progress: Progress<'_>,
    ) -> Ending {
        self.many_by(call, bucket, uploads, Some(progress))
    }

    /// Without a callback.
    pub fn many_unwatched(&self, call: Option<&Call>, bucket: &str, uploads: &[(&str, &str)]) -> Ending {
        self.many_by(call, bucket, uploads, None)
    }

    fn many_by(
        &self,
        call: Option<&Call>,
        bucket: &str,
        uploads: &[(&str, &str)],
        mut progress: Option<Progress<'_>>,
    ) -> Ending {
        let bucket = c(bucket);
        let strings: Vec<_> = uploads.iter().map(|(key, upload_id)| (c(key), c(upload_id))).collect();
        let list: Vec<_> =
            strings.iter().map(|(key, id)| upload { key: key.as_ptr(), upload_id: id.as_ptr() }).collect();
        let call = call.map_or(null(), |call| call.0.cast_const());
        let (mut report, mut error) = (null_mut(), null_mut());
        let code = unsafe {
            lib().obs_abort_many(
                self.0,
                call,
                bucket.as_ptr(),
                list.as_ptr(),
                list.len(),
                progress.as_ref().map(|_| progress_thunk as _),
                progress.as_mut().map_or(null_mut(), |progress| (&raw mut *progress).cast()),
                &raw mut report,
                &raw mut error,
            )
        };
        Ending { code, error: unsafe { owned(error) }, report: unsafe { Report::take(report) } }
    }

    pub fn stale(
        &self,
        call: Option<&Call>,
        bucket: &str,
        prefix: Option<&str>,
        older_than_seconds: u64,
        flags: u32,
        mut progress: Progress<'_>,
    ) -> Ending {
        let bucket = c(bucket);
        let prefix = prefix.map(c);
        let prefix = prefix.as_ref().map_or(null(), |prefix| prefix.as_ptr());
        let call = call.map_or(null(), |call| call.0.cast_const());
        let (mut report, mut error) = (null_mut(), null_mut());
        let code = unsafe {
            lib().obs_abort_stale(
                self.0,
                call,
                bucket.as_ptr(),
                prefix,
                older_than_seconds,
                flags,
                Some(progress_thunk),
                (&raw mut progress).cast(),
                &raw mut report,
                &raw mut error,
            )
        };
        Ending { code, error: unsafe { owned(error) }, report: unsafe { Report::take(report) } }
    }

    pub fn set_credentials(&self, access_key: &str, secret_key: &str, token: Option<&str>) -> i32 {
        self.set_credentials_or_error(access_key, secret_key, token).0
    }

    /// The code, and the error string.
    pub fn set_credentials_or_error(
        &self,
        access_key: &str,
        secret_key: &str,
        token: Option<&str>,
    ) -> (i32, Option<String>) {
        let token = token.map(c);
        let token = token.as_ref().map_or(null(), |token| token.as_ptr());
        let (access_key, secret_key) = (c(access_key), c(secret_key));
        let mut error = std::ptr::dangling_mut();
        let code = unsafe {
            let (access_key, secret_key) = (access_key.as_ptr(), secret_key.as_ptr());
            lib().obs_abort_client_set_credentials(self.0, access_key, secret_key, token, &raw mut error)
        };
        let error = unsafe { owned(error) };
        assert_eq!(code == 0, error.is_none(), "an error string exactly if there is an error");
        (code, error)
    }

    pub fn shutdown(&self) {
        unsafe { lib().obs_abort_client_shutdown(self.0) };
    }
}
