//! The library as a C program sees it: the freshly built `.so`, loaded by name, and thin wrappers that free what they
//! are given. Nothing here knows the Rust behind it.

#![allow(dead_code, non_camel_case_types, unsafe_code, missing_docs, clippy::pedantic)]
#![allow(clippy::undocumented_unsafe_blocks, clippy::expect_used, clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

pub mod pki;
pub mod process;

pub mod code {
    #![allow(missing_docs)]
    pub const OK: i32 = 0;
    pub const INVALID_ARGUMENT: i32 = 10;
    pub const INVALID_CONFIG: i32 = 11;
    pub const NO_CREDENTIALS: i32 = 12;
    pub const RESOLVE: i32 = 20;
    pub const CONNECT: i32 = 21;
    pub const TLS: i32 = 22;
    pub const TIMEOUT: i32 = 23;
    pub const IO: i32 = 24;
    pub const PROTOCOL: i32 = 25;
    pub const CANCELLED: i32 = 26;
    pub const ACCESS_DENIED: i32 = 30;
    pub const NO_SUCH_UPLOAD: i32 = 31;
    pub const NO_SUCH_BUCKET: i32 = 32;
    pub const CLOCK_SKEW: i32 = 33;
    pub const THROTTLED: i32 = 34;
    pub const SERVER: i32 = 35;
    pub const REDIRECT: i32 = 36;
    pub const REJECTED: i32 = 37;
    pub const PARTS_REMAIN: i32 = 38;
    pub const PARTIAL: i32 = 39;
}

pub enum config {}
pub enum client {}
pub enum call {}
pub enum outcome {}
pub enum report {}

#[repr(C)]
pub struct upload {
    pub key: *const c_char,
    pub upload_id: *const c_char,
}

pub type log_fn = Option<unsafe extern "C" fn(i32, *const c_char, *mut c_void)>;
pub type progress_fn = Option<unsafe extern "C" fn(*const outcome, u64, u64, *mut c_void) -> i32>;

macro_rules! library {
    ($($name:ident: fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// Every function of the C ABI, found in the `.so` by its name.
        pub struct Lib { $(pub $name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)* _so: libloading::Library }

        impl Lib {
            fn load() -> Lib {
                let path = library_path();
                // SAFETY: the library has no initialisation routine, and the types are those of the C header.
                unsafe {
                    let so = libloading::Library::new(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                    Lib { $($name: *so.get(concat!("obs_abort_", stringify!($name)).as_bytes())
                        .unwrap_or_else(|e| panic!("{}: {e}", stringify!($name))),)* _so: so }
                }
            }
        }
    };
}

library! {
    string_free: fn(*mut c_char);
    strerror: fn(i32) -> *const c_char;
    code_name: fn(i32) -> *const c_char;
    version: fn() -> *const c_char;
    version_number: fn() -> u32;
    config_new: fn() -> *mut config;
    config_free: fn(*mut config);
    config_set_endpoint: fn(*mut config, *const c_char) -> i32;
    config_set_credentials: fn(*mut config, *const c_char, *const c_char, *const c_char) -> i32;
    config_set_credential_source: fn(*mut config, i32) -> i32;
    config_set_addressing: fn(*mut config, i32) -> i32;
    config_set_signature: fn(*mut config, i32) -> i32;
    config_set_connect_timeout_ms: fn(*mut config, u32) -> i32;
    config_set_timeout_ms: fn(*mut config, u32) -> i32;
    config_set_max_attempts: fn(*mut config, u32) -> i32;
    config_set_max_connections: fn(*mut config, u32) -> i32;
    config_set_ca_file: fn(*mut config, *const c_char) -> i32;
    config_set_client_certificate: fn(*mut config, *const c_char, *const c_char) -> i32;
    config_set_proxy: fn(*mut config, *const c_char) -> i32;
    config_set_confirm: fn(*mut config, i32) -> i32;
    config_set_request_payer: fn(*mut config, i32) -> i32;
    config_set_user_agent: fn(*mut config, *const c_char) -> i32;
    config_set_log: fn(*mut config, log_fn, *mut c_void, i32) -> i32;
    client_new: fn(*const config, *mut *mut client, *mut *mut c_char) -> i32;
    client_set_credentials: fn(*const client, *const c_char, *const c_char, *const c_char, *mut *mut c_char) -> i32;
    client_shutdown: fn(*const client);
    client_free: fn(*mut client);
    call_new: fn() -> *mut call;
    call_set_timeout_ms: fn(*mut call, u32) -> i32;
    call_cancel: fn(*const call);
    call_free: fn(*mut call);
    multipart: fn(*const client, *const c_char, *const c_char, *const c_char, *mut i32, *mut *mut c_char) -> i32;
    multipart_outcome: fn(*const client, *const call, *const c_char, *const c_char, *const c_char, *mut *mut outcome) -> i32;
    many: fn(*const client, *const call, *const c_char, *const upload, usize, progress_fn, *mut c_void, *mut *mut report, *mut *mut c_char) -> i32;
    stale: fn(*const client, *const call, *const c_char, *const c_char, u64, u32, progress_fn, *mut c_void, *mut *mut report, *mut *mut c_char) -> i32;
    outcome_code: fn(*const outcome) -> i32;
    outcome_http_status: fn(*const outcome) -> i32;
    outcome_message: fn(*const outcome) -> *const c_char;
    outcome_service_code: fn(*const outcome) -> *const c_char;
    outcome_request_id: fn(*const outcome) -> *const c_char;
    outcome_host_id: fn(*const outcome) -> *const c_char;
    outcome_attempts: fn(*const outcome) -> u32;
    outcome_key: fn(*const outcome) -> *const c_char;
    outcome_upload_id: fn(*const outcome) -> *const c_char;
    outcome_initiated: fn(*const outcome) -> i64;
    outcome_index: fn(*const outcome) -> i64;
    outcome_free: fn(*mut outcome);
    report_total: fn(*const report) -> u64;
    report_aborted: fn(*const report) -> u64;
    report_missing: fn(*const report) -> u64;
    report_failed: fn(*const report) -> u64;
    report_kept: fn(*const report) -> u64;
    report_failure_count: fn(*const report) -> usize;
    report_failure: fn(*const report, usize) -> *const outcome;
    report_free: fn(*mut report);
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
    LIB.get_or_init(Lib::load)
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
    unsafe { (lib().string_free)(text) };
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
        Config(unsafe { (lib().config_new)() })
    }

    fn ok(self, code: i32) -> Config {
        assert_eq!(code, 0, "a setter");
        self
    }

    pub fn endpoint(self, endpoint: &str) -> Config {
        let code = unsafe { (lib().config_set_endpoint)(self.0, c(endpoint).as_ptr()) };
        self.ok(code)
    }

    pub fn credentials(self, access_key: &str, secret_key: &str, token: Option<&str>) -> Config {
        let token = token.map(c);
        let token = token.as_ref().map_or(null(), |token| token.as_ptr());
        let code = unsafe {
            (lib().config_set_credentials)(self.0, c(access_key).as_ptr(), c(secret_key).as_ptr(), token)
        };
        self.ok(code)
    }

    pub fn proxy(self, url: &str) -> Config {
        let code = unsafe { (lib().config_set_proxy)(self.0, c(url).as_ptr()) };
        self.ok(code)
    }

    pub fn ca_file(self, path: &str) -> Config {
        let code = unsafe { (lib().config_set_ca_file)(self.0, c(path).as_ptr()) };
        self.ok(code)
    }

    pub fn user_agent(self, product: &str) -> Config {
        let code = unsafe { (lib().config_set_user_agent)(self.0, c(product).as_ptr()) };
        self.ok(code)
    }

    pub fn addressing(self, addressing: i32) -> Config {
        let code = unsafe { (lib().config_set_addressing)(self.0, addressing) };
        self.ok(code)
    }

    pub fn signature(self, signature: i32) -> Config {
        let code = unsafe { (lib().config_set_signature)(self.0, signature) };
        self.ok(code)
    }

    pub fn timeout_ms(self, ms: u32) -> Config {
        let code = unsafe { (lib().config_set_timeout_ms)(self.0, ms) };
        self.ok(code)
    }

    pub fn connect_timeout_ms(self, ms: u32) -> Config {
        let code = unsafe { (lib().config_set_connect_timeout_ms)(self.0, ms) };
        self.ok(code)
    }

    pub fn max_attempts(self, attempts: u32) -> Config {
        let code = unsafe { (lib().config_set_max_attempts)(self.0, attempts) };
        self.ok(code)
    }

    pub fn max_connections(self, n: u32) -> Config {
        let code = unsafe { (lib().config_set_max_connections)(self.0, n) };
        self.ok(code)
    }

    pub fn confirm(self) -> Config {
        let code = unsafe { (lib().config_set_confirm)(self.0, 1) };
        self.ok(code)
    }

    pub fn request_payer(self) -> Config {
        let code = unsafe { (lib().config_set_request_payer)(self.0, 1) };
        self.ok(code)
    }

    pub fn log(self, log: log_fn, userdata: *mut c_void, level: i32) -> Config {
        let code = unsafe { (lib().config_set_log)(self.0, log, userdata, level) };
        self.ok(code)
    }

    pub fn client(&self) -> Client {
        self.try_client().unwrap_or_else(|(code, error)| panic!("client_new: {code} {error}"))
    }

    pub fn try_client(&self) -> Result<Client, (i32, String)> {
        let (mut client, mut error) = (null_mut(), null_mut());
        let code = unsafe { (lib().client_new)(self.0, &raw mut client, &raw mut error) };
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
        unsafe { (lib().config_free)(self.0) };
    }
}

/// A client that frees itself, for any number of threads.
pub struct Client(pub *mut client);
unsafe impl Send for Client {}
unsafe impl Sync for Client {}

impl Drop for Client {
    fn drop(&mut self) {
        unsafe { (lib().client_free)(self.0) };
    }
}

/// A call handle that frees itself, for any number of threads.
pub struct Call(pub *mut call);
unsafe impl Send for Call {}
unsafe impl Sync for Call {}

impl Call {
    pub fn new() -> Call {
        Call(unsafe { (lib().call_new)() })
    }

    pub fn with_timeout_ms(ms: u32) -> Call {
        let call = Call::new();
        assert_eq!(unsafe { (lib().call_set_timeout_ms)(call.0, ms) }, 0);
        call
    }

    pub fn cancel(&self) {
        unsafe { (lib().call_cancel)(self.0) };
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        unsafe { (lib().call_free)(self.0) };
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
}

impl Outcome {
    /// # Safety
    /// An outcome of the library's.
    pub unsafe fn read(outcome: *const outcome) -> Outcome {
        let lib = lib();
        unsafe {
            Outcome {
                code: (lib.outcome_code)(outcome),
                http_status: (lib.outcome_http_status)(outcome),
                message: borrowed((lib.outcome_message)(outcome)),
                service_code: borrowed((lib.outcome_service_code)(outcome)),
                request_id: borrowed((lib.outcome_request_id)(outcome)),
                host_id: borrowed((lib.outcome_host_id)(outcome)),
                attempts: (lib.outcome_attempts)(outcome),
                key: borrowed((lib.outcome_key)(outcome)).expect("a key, if an empty one"),
                upload_id: borrowed((lib.outcome_upload_id)(outcome)).expect("an upload id, if an empty one"),
                initiated: (lib.outcome_initiated)(outcome),
                index: (lib.outcome_index)(outcome),
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
            let count = (lib.report_failure_count)(report);
            assert!((lib.report_failure)(report, count).is_null(), "NULL past the end");
            let all = Report {
                total: (lib.report_total)(report),
                aborted: (lib.report_aborted)(report),
                missing: (lib.report_missing)(report),
                failed: (lib.report_failed)(report),
                kept: (lib.report_kept)(report),
                failures: (0..count).map(|i| Outcome::read((lib.report_failure)(report, i))).collect(),
            };
            (lib.report_free)(report);
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
            (lib().multipart)(
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
            let code = (lib().multipart_outcome)(
                self.0,
                call,
                bucket.as_ptr(),
                key.as_ptr(),
                upload_id.as_ptr(),
                &raw mut outcome,
            );
            let all = Outcome::read(outcome);
            (lib().outcome_free)(outcome);
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
        mut progress: Progress<'_>,
    ) -> Ending {
        let bucket = c(bucket);
        let strings: Vec<_> = uploads.iter().map(|(key, upload_id)| (c(key), c(upload_id))).collect();
        let list: Vec<_> =
            strings.iter().map(|(key, id)| upload { key: key.as_ptr(), upload_id: id.as_ptr() }).collect();
        let call = call.map_or(null(), |call| call.0.cast_const());
        let (mut report, mut error) = (null_mut(), null_mut());
        let code = unsafe {
            (lib().many)(
                self.0,
                call,
                bucket.as_ptr(),
                list.as_ptr(),
                list.len(),
                Some(progress_thunk),
                (&raw mut progress).cast(),
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
            (lib().stale)(
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
            (lib().client_set_credentials)(self.0, access_key, secret_key, token, &raw mut error)
        };
        let error = unsafe { owned(error) };
        assert_eq!(code == 0, error.is_none(), "an error string exactly if there is an error");
        (code, error)
    }

    pub fn shutdown(&self) {
        unsafe { (lib().client_shutdown)(self.0) };
    }
}
