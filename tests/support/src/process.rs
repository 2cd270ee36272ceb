//! A test in a process of its own, and what a process has: threads, descriptors, memory.

use std::io::BufRead;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const AGAIN: &str = "OBSABORT_TEST_AGAIN";

/// This program once more, for the test of this name alone.
pub fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(AGAIN, test);
    command
}

/// Whether this is the process that [`again`] started for the test of this name.
pub fn is_again(test: &str) -> bool {
    std::env::var(AGAIN).is_ok_and(|name| name == test)
}

/// Runs the test of this name again, alone in a new process, and says there `true`: counts of threads and descriptors
/// are those of the test and of nothing beside it. In the first process it waits for the other and says `false`.
pub fn in_own_process(test: &str) -> bool {
    if is_again(test) {
        return true;
    }
    let mut child = Ended(again(test).spawn().expect("this program starts again"));
    let patience = Instant::now() + Duration::from_secs(300);
    loop {
        match child.0.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "{test} in its own process: {status}");
                return false;
            }
            None => assert!(Instant::now() < patience, "{test} in its own process does not end"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that does not outlive the test.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The rest of the line that holds this; the test harness writes before it, on the same line.
pub fn rest_of_line(output: &mut impl BufRead, holds: &str) -> String {
    for line in output.lines() {
        let line = line.unwrap();
        if let Some(at) = line.find(holds) {
            return line[at + holds.len()..].trim().to_owned();
        }
    }
    panic!("no line with {holds:?}");
}

/// The names of this process's threads.
pub fn threads() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

/// How many descriptors are open.
pub fn descriptors() -> usize {
    // One of them is the folder's own.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// A line of /proc/self/status, in kB.
pub fn status_kb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until it holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < patience, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Fails rather than hangs if something deadlocks.
pub fn within_a_minute(what: &str, run: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        run();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: a deadlock"),
        _ => thread.join().unwrap(),
    }
}
