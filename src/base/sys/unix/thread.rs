//! Threads that leave the host's signals to the host's threads, and the address space that they need.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use crate::base::panic::caught;

/// The signals that a fault of the running thread raises. If a thread blocks one of them, the kernel kills the
/// process at the fault, without calling the host's handler. .NET and Mono turn these signals into exceptions.
const RAISED_BY_FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// The stack of each thread: enough for TLS and for getaddrinfo.
const STACK_SIZE: usize = 512 * 1024;

/// The address space that must be left before a thread is started: 128 MB, which glibc maps for the heap of a new
/// thread, and 96 MB for a list page and what is parsed from it.
const HEADROOM: usize = 224 * 1024 * 1024;

/// Returns whether the process has address space for another thread and for what its threads do.
///
/// If it is limited, threads would otherwise be started until nothing is left. The next allocation, of 8 bytes, would
/// then abort the process: a sweep with 1024 connections never survived an RLIMIT_AS of 512 MB.
pub fn has_headroom() -> bool {
    // Not by the allocator: in a process that has called mlockall(MCL_FUTURE), its pages would become resident.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the kernel chooses the address, so that no mapping is replaced, and the address is used here alone.
    unsafe {
        let probe = libc::mmap(std::ptr::null_mut(), HEADROOM, libc::PROT_NONE, flags, -1, 0);
        probe != libc::MAP_FAILED && libc::munmap(probe, HEADROOM) == 0
    }
}

/// Starts a thread that blocks all signals except those that faults raise, so that the host's handlers run on the
/// host's threads.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_SIZE);
    with_signals_blocked(|| thread.spawn(contained(run)))
}

/// The same for a thread that ends with a scope.
pub fn spawn_scoped<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_SIZE);
    with_signals_blocked(|| thread.spawn_scoped(scope, contained(run)))
}

// Not in the crate libc for Linux. cbindgen.toml leaves it out of the header.
unsafe extern "C" {
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

#[cfg(target_vendor = "apple")]
const CANCEL_DISABLE: libc::c_int = 0;
#[cfg(not(target_vendor = "apple"))]
const CANCEL_DISABLE: libc::c_int = 1;

/// Puts off the cancellation of a thread until it is dropped.
pub struct Uncancellable(libc::c_int);

impl Drop for Uncancellable {
    fn drop(&mut self) {
        // SAFETY: the state is the one that was set before. A cancellation that is pending acts later, in a function
        // of the host's that waits.
        unsafe { pthread_setcancelstate(self.0, std::ptr::null_mut()) };
    }
}

/// Puts off pthread_cancel() of this thread. It would unwind the stack where a system call waits, and the C library ends
/// a process whose stack has Rust on it.
pub fn uncancellable() -> Uncancellable {
    let mut before = 0;
    // SAFETY: the pointer is valid for a write.
    unsafe { pthread_setcancelstate(CANCEL_DISABLE, &raw mut before) };
    Uncancellable(before)
}

/// Starts a thread, which inherits the signal mask. The signals of faults stay as the host has them: if one were
/// pending, unblocking it here would deliver it.
fn with_signals_blocked<R>(start: impl FnOnce() -> R) -> R {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was written by pthread_sigmask below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    let mut others = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are written before they are read: `others` by sigfillset, which can't fail for a valid
    // pointer, and `before` by pthread_sigmask, which can't fail for a valid `how`.
    let _restore = unsafe {
        libc::sigfillset(others.as_mut_ptr());
        for signal in RAISED_BY_FAULTS {
            libc::sigdelset(others.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, others.as_ptr(), before.as_mut_ptr());
        Restore(before.assume_init())
    };
    start()
}

/// The function that a new thread runs. The thread may have inherited a mask that blocks the signals of faults. A panic
/// ends the thread, and nothing is written to the host's standard error.
fn contained(run: impl FnOnce()) -> impl FnOnce() {
    move || {
        let mut faults = MaybeUninit::uninit();
        // SAFETY: the set is written by sigemptyset, which can't fail for a valid pointer, before it is read.
        unsafe {
            libc::sigemptyset(faults.as_mut_ptr());
            for signal in RAISED_BY_FAULTS {
                libc::sigaddset(faults.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_UNBLOCK, faults.as_ptr(), std::ptr::null_mut());
        }
        drop(caught(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_thread_alone() {
        #[expect(clippy::panic, reason = "the subject of the test")]
        let panics = || panic!("inside");
        assert!(spawn("obsabort-test", panics).expect("a thread").join().is_ok());
        std::thread::scope(|scope| {
            assert!(spawn_scoped(scope, "obsabort-test", panics).expect("a thread").join().is_ok());
        });
    }
}
