//! A test in a process of its own, with an environment of its own, whose output the test can read.

#![allow(dead_code, missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::process::again;

/// What the library reads of the environment: not inherited, so that a developer's own settings change no test.
const READ_BY_THE_LIBRARY: [&str; 15] = [
    "OBS_ACCESS_KEY_ID",
    "OBS_SECRET_ACCESS_KEY",
    "OBS_SECURITY_TOKEN",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUEST_METHOD",
    "LC_ALL",
];

/// Runs the test of this name again, in a new process with these variables; panics where it fails there.
pub fn run(test: &str, env: &[(&str, &str)]) -> Output {
    let mut command = again(test);
    for name in READ_BY_THE_LIBRARY {
        command.env_remove(name);
    }
    command.envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("this program starts again");
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(Duration::from_secs(120)) else {
        // Safe: it has not been waited for, so that the id is still the child's.
        unsafe { libc::kill(id as i32, libc::SIGKILL) };
        panic!("{test} does not end in a process of its own");
    };
    let output = output.unwrap();
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{test} {env:?}: {}{}", shown(&output.stdout), shown(&output.stderr));
    assert!(shown(&output.stdout).contains("1 passed"), "{test} is the name of no test");
    output
}
