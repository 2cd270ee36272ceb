//! What belongs to one process and not to its children: the generation that a fork begins, and threads that no
//! signal of the host program disturbs. The unsafe code outside `capi` is here, two system calls that no crate
//! in use wraps.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Has every later `fork()` counted. Two threads that come here at once register twice, which does no harm; a
/// lock would, held by another thread at the moment of a fork.
pub fn watch_forks() {
    if !WATCHED.load(Ordering::Acquire) {
        // SAFETY: the handler is a plain function that lives as long as the library, which is linked nodelete;
        // it does one atomic addition, which is safe in the child of a process with threads.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        WATCHED.store(true, Ordering::Release);
    }
}

/// A number that differs between a process and the children it forks: no system call, unlike getpid.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Starts a thread with all signals blocked, so that the host's handlers run on the host's threads.
pub fn spawn_quiet<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    with_signals_blocked(|| {
        std::thread::Builder::new().name(name.to_owned()).stack_size(512 * 1024).spawn(run)
    })
}

/// Runs something that starts threads: they inherit the mask of the thread that starts them.
pub fn with_signals_blocked<R>(run: impl FnOnce() -> R) -> R {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was filled by pthread_sigmask below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    let mut all = std::mem::MaybeUninit::uninit();
    let mut before = std::mem::MaybeUninit::uninit();
    // SAFETY: both sets are written before they are read: `all` by sigfillset, which can't fail for a valid
    // pointer, and `before` by pthread_sigmask, which can't fail for a valid `how`.
    let _restore = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        Restore(before.assume_init())
    };
    run()
}
