//! The C functions with arbitrary bytes. Input: steps separated by NUL, each a letter and its argument; `~` is NULL.
//!
//! Nothing leaves the machine: a client has been shut down before a verb is called, unless all of its settings that
//! lead somewhere are the ones written here, and then it meets a port on loopback where nobody listens.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::Mutex;

use obsabort::capi::*;

/// What must not be told when it is a secret key or a token.
const SECRET: &str = "hushhush";
/// Refuses every connection at once.
const NOBODY: &CStr = c"http://127.0.0.1:1";

pub fn run(data: &[u8]) {
    let steps: Vec<&[u8]> = data.split(|byte| *byte == 0).filter(|step| !step.is_empty()).take(64).collect();
    // Only where the secret stands nowhere else can it be told from what a caller may see.
    let secret = steps.iter().all(|step| b"kK".contains(&step[0]) || !contains(step, SECRET));
    let mut state = State::new(secret);
    for step in steps {
        state.step(step[0], &step[1..]);
    }
    if let Some(wrong) = state.log.0.lock().expect("no panic while it is held").take() {
        panic!("the log: {wrong}");
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What a log line did wrong. A panic can't cross C.
struct Log(Mutex<Option<String>>, bool);

unsafe extern "C" fn log_line(_level: i32, message: *const c_char, userdata: *mut c_void) {
    let log = unsafe { &*userdata.cast::<Log>() };
    let wrong = wrong_with(unsafe { CStr::from_ptr(message) }, log.1);
    if let Some(wrong) = wrong {
        *log.0.lock().expect("no panic while it is held") = Some(wrong);
    }
}

unsafe extern "C" fn progress(
    outcome: *const obs_abort_outcome,
    done: u64,
    total: u64,
    stop: *mut c_void,
) -> i32 {
    unsafe { obs_abort_outcome_message(outcome) };
    i32::from(!stop.is_null() || done > total)
}

/// Every string is one line of UTF-8 without a secret.
fn wrong_with(text: &CStr, secret: bool) -> Option<String> {
    match text.to_str() {
        Err(_) => Some(format!("not UTF-8: {text:?}")),
        Ok(text) if text.chars().any(char::is_control) => Some(format!("not one line: {text:?}")),
        Ok(text) if secret && text.contains(SECRET) => Some(format!("it tells a secret: {text:?}")),
        Ok(_) => None,
    }
}

/// NULL, or a string that lives as long as this.
struct Arg(Option<CString>);

impl Arg {
    fn new(bytes: &[u8]) -> Arg {
        Arg((bytes != b"~").then(|| CString::new(bytes).expect("split at NUL")))
    }

    fn ptr(&self) -> *const c_char {
        self.0.as_ref().map_or(null(), |text| text.as_ptr())
    }
}

struct State {
    config: *mut obs_abort_config,
    client: *mut obs_abort_client,
    call: *mut obs_abort_call,
    log: Box<Log>,
    /// Bucket, key, upload id.
    names: BTreeMap<u8, Vec<u8>>,
    uploads: Vec<(Arg, Arg)>,
    secret: bool,
}

impl State {
    fn new(secret: bool) -> State {
        State {
            config: obs_abort_config_new(),
            client: null_mut(),
            call: null_mut(),
            log: Box::new(Log(Mutex::new(None), secret)),
            names: BTreeMap::new(),
            uploads: Vec::new(),
            secret,
        }
    }

    fn step(&mut self, letter: u8, bytes: &[u8]) {
        let arg = Arg::new(bytes);
        let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let (int, unsigned) = (number as i32, number as u32);
        let config = if bytes == b"~" { null_mut() } else { self.config };
        let code = unsafe {
            match letter {
                b'e' => obs_abort_config_set_endpoint(self.config, arg.ptr()),
                b'k' | b'K' => {
                    let mut parts = bytes.splitn(3, |byte| *byte == b'\t').map(Arg::new);
                    let [ak, sk, token] = std::array::from_fn(|_| parts.next().unwrap_or(Arg(None)));
                    if letter == b'k' {
                        obs_abort_config_set_credentials(self.config, ak.ptr(), sk.ptr(), token.ptr())
                    } else {
                        let (client, mut error) = (self.client, std::ptr::dangling_mut());
                        let (ak, sk, token) = (ak.ptr(), sk.ptr(), token.ptr());
                        let code = obs_abort_client_set_credentials(client, ak, sk, token, &raw mut error);
                        self.error(code, error)
                    }
                }
                b's' => obs_abort_config_set_credential_source(config, int),
                b'a' => obs_abort_config_set_addressing(config, int),
                b'g' => obs_abort_config_set_signature(config, int),
                b'c' => obs_abort_config_set_connect_timeout_ms(config, unsigned),
                b'R' => obs_abort_config_set_response_timeout_ms(config, unsigned),
                b't' => obs_abort_config_set_timeout_ms(config, unsigned),
                b'm' => obs_abort_config_set_max_attempts(config, unsigned),
                b'n' => obs_abort_config_set_max_connections(config, unsigned),
                b'f' => obs_abort_config_set_ca_file(self.config, file("ca", bytes).as_ptr()),
                b'F' => obs_abort_config_set_ca_file(self.config, Arg::new(&here(bytes)).ptr()),
                b'C' => {
                    let (cert, key) = (file("cert", bytes), file("key", bytes));
                    obs_abort_config_set_client_certificate(self.config, cert.as_ptr(), key.as_ptr())
                }
                b'D' => {
                    obs_abort_config_set_client_certificate(self.config, Arg::new(&here(bytes)).ptr(), null())
                }
                b'p' => obs_abort_config_set_proxy(self.config, arg.ptr()),
                b'o' => obs_abort_config_set_confirm(config, int),
                b'r' => obs_abort_config_set_request_payer(config, int),
                b'u' => obs_abort_config_set_user_agent(self.config, arg.ptr()),
                b'l' => {
                    let userdata = (&raw mut *self.log).cast();
                    obs_abort_config_set_log(config, Some(log_line), userdata, int)
                }
                b'N' => self.new_client(),
                b'L' => self.new_local_client(),
                b'b' | b'y' | b'i' => {
                    self.names.insert(letter, bytes.to_vec());
                    0
                }
                b'U' if self.uploads.len() < 8 => {
                    self.uploads.push((self.name(b'y'), self.name(b'i')));
                    0
                }
                b'A' => self.abort(),
                b'O' => self.outcome(),
                b'M' => self.many(bytes),
                b'S' => self.stale(&arg, number),
                b'T' => {
                    self.new_call();
                    obs_abort_call_set_timeout_ms(self.call, unsigned)
                }
                b'x' => {
                    self.new_call();
                    obs_abort_call_cancel(self.call);
                    0
                }
                b'X' => {
                    obs_abort_client_shutdown(self.client);
                    0
                }
                b'?' => {
                    self.text(obs_abort_strerror(int));
                    self.text(obs_abort_code_name(int));
                    0
                }
                _ => 0,
            }
        };
        self.judge(code);
    }

    /// A code that the header knows, and not the one that stands for a panic.
    fn judge(&self, code: i32) {
        let name = unsafe { CStr::from_ptr(obs_abort_code_name(code)) };
        assert!(name != c"unknown" && name != c"internal", "code {code}");
    }

    fn text(&self, text: *const c_char) {
        if !text.is_null() {
            let wrong = wrong_with(unsafe { CStr::from_ptr(text) }, self.secret);
            assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
        }
    }

    /// A message exactly where there is an error.
    fn error(&self, code: i32, error: *mut c_char) -> i32 {
        self.text(error);
        assert_eq!(code == 0, error.is_null(), "code {code}");
        unsafe { obs_abort_string_free(error) };
        code
    }

    fn name(&self, letter: u8) -> Arg {
        self.names.get(&letter).map_or(Arg(None), |bytes| Arg::new(bytes))
    }

    fn new_call(&mut self) {
        if self.call.is_null() {
            self.call = obs_abort_call_new();
        }
    }

    /// Replaces the client by one that is shut down, since nobody knows where its endpoint is.
    fn new_client(&mut self) -> i32 {
        unsafe {
            obs_abort_client_free(self.client);
            let mut error = null_mut();
            let code = obs_abort_client_new(self.config, &raw mut self.client, &raw mut error);
            assert_eq!(code == 0, !self.client.is_null(), "code {code}");
            obs_abort_client_shutdown(self.client);
            self.error(code, error)
        }
    }

    /// Replaces the client by one that meets nobody.
    fn new_local_client(&mut self) -> i32 {
        unsafe {
            obs_abort_config_set_endpoint(self.config, NOBODY.as_ptr());
            obs_abort_config_set_proxy(self.config, c"".as_ptr());
            obs_abort_config_set_addressing(self.config, OBS_ABORT_ADDRESSING_PATH);
            obs_abort_config_set_max_attempts(self.config, 1);
            obs_abort_config_set_timeout_ms(self.config, 2000);
            obs_abort_config_set_credentials(self.config, c"AK".as_ptr(), c"hushhush".as_ptr(), null());
            obs_abort_client_free(self.client);
            let mut error = null_mut();
            let code = obs_abort_client_new(self.config, &raw mut self.client, &raw mut error);
            self.error(code, error)
        }
    }

    fn abort(&self) -> i32 {
        let (bucket, key, id) = (self.name(b'b'), self.name(b'y'), self.name(b'i'));
        let (mut status, mut error) = (-1, null_mut());
        let code = unsafe {
            obs_abort_multipart(
                self.client,
                bucket.ptr(),
                key.ptr(),
                id.ptr(),
                &raw mut status,
                &raw mut error,
            )
        };
        assert!(code != 0 && status == 0, "nobody responses: {code} {status}");
        self.error(code, error)
    }

    fn outcome(&self) -> i32 {
        let (bucket, key, id) = (self.name(b'b'), self.name(b'y'), self.name(b'i'));
        let mut outcome = null_mut();
        unsafe {
            let code = obs_abort_multipart_outcome(
                self.client,
                self.call,
                bucket.ptr(),
                key.ptr(),
                id.ptr(),
                &raw mut outcome,
            );
            assert_eq!(outcome.is_null(), self.client.is_null());
            if !outcome.is_null() {
                assert_eq!(obs_abort_outcome_code(outcome), code);
                assert_eq!(
                    (obs_abort_outcome_http_status(outcome), obs_abort_outcome_initiated(outcome)),
                    (0, -1)
                );
                assert_eq!(obs_abort_outcome_index(outcome), -1);
                assert!(
                    obs_abort_outcome_attempts(outcome) == 0 && !obs_abort_outcome_message(outcome).is_null()
                );
                self.text(obs_abort_outcome_message(outcome));
                assert!(obs_abort_outcome_service_code(outcome).is_null());
                // What the caller gave is given back as it is, as far as it is UTF-8, and no longer than a good one.
                for (given, kept) in
                    [(&key, obs_abort_outcome_key(outcome)), (&id, obs_abort_outcome_upload_id(outcome))]
                {
                    let kept = CStr::from_ptr(kept);
                    let given = given.0.as_deref().unwrap_or_default();
                    let shown = &given.to_bytes()[..given.to_bytes().len().min(1024)];
                    let whole = std::str::from_utf8(shown).is_ok();
                    assert!(kept.to_str().is_ok() && (!whole || kept.to_bytes() == shown), "{kept:?}");
                }
            }
            obs_abort_outcome_free(outcome);
            code
        }
    }

    fn many(&self, bytes: &[u8]) -> i32 {
        let list: Vec<obs_abort_upload> = self
            .uploads
            .iter()
            .map(|(key, id)| obs_abort_upload { key: key.ptr(), upload_id: id.ptr() })
            .collect();
        let stop = if bytes == b"stop" { (&raw const *self).cast_mut().cast() } else { null_mut() };
        let (mut report, mut error) = (null_mut(), null_mut());
        let bucket = self.name(b'b');
        let code = unsafe {
            obs_abort_many(
                self.client,
                self.call,
                bucket.ptr(),
                list.as_ptr(),
                list.len(),
                Some(progress),
                stop,
                &raw mut report,
                &raw mut error,
            )
        };
        self.report(report);
        self.error(code, error)
    }

    fn stale(&self, prefix: &Arg, number: i64) -> i32 {
        let (mut report, mut error) = (null_mut(), null_mut());
        let bucket = self.name(b'b');
        let code = unsafe {
            obs_abort_stale(
                self.client,
                self.call,
                bucket.ptr(),
                prefix.ptr(),
                number as u64,
                (number >> 8) as u32 % 5,
                Some(progress),
                null_mut(),
                &raw mut report,
                &raw mut error,
            )
        };
        self.report(report);
        self.error(code, error)
    }

    fn report(&self, report: *mut obs_abort_report) {
        unsafe {
            let [aborted, missing, failed, kept, total] = [
                obs_abort_report_aborted,
                obs_abort_report_missing,
                obs_abort_report_failed,
                obs_abort_report_kept,
                obs_abort_report_total,
            ]
            .map(|number| number(report));
            assert_eq!((aborted, missing), (0, 0), "nobody responses");
            assert_eq!(failed + kept, total);
            for i in 0..=obs_abort_report_failure_count(report) {
                self.text(obs_abort_outcome_message(obs_abort_report_failure(report, i)));
            }
            obs_abort_report_free(report);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        unsafe {
            obs_abort_client_free(self.client);
            obs_abort_call_free(self.call);
            obs_abort_config_free(self.config);
        }
        for name in FILES {
            let _ = std::fs::remove_file(path_of(name));
        }
    }
}

/// A name in this directory: no other place is looked at.
fn here(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| if *byte == b'/' { b'_' } else { *byte }).collect()
}

const FILES: [&str; 3] = ["ca", "cert", "key"];

fn path_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("obsabort-fuzz-{}-{name}", std::process::id()))
}

/// A file that holds this.
fn file(name: &str, bytes: &[u8]) -> CString {
    let path = path_of(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
}
