//! Forks: a process and its children are told apart without a system call.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Counts every later `fork()`. Two threads that call this at once register the handler twice, which does no harm. A
/// lock would: another thread could hold it at the moment of a fork.
pub fn watch() {
    if !WATCHED.load(Ordering::Acquire) {
        // SAFETY: the handler is a plain function that lives as long as the library, which is linked nodelete;
        // it does one atomic addition, which is safe in the child of a process with threads.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        WATCHED.store(true, Ordering::Release);
    }
}

/// A number that differs between a process and its forked children. Unlike getpid, it needs no system call.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}
