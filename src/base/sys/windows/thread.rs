//! Threads, and the memory that they need.

#![allow(unsafe_code)]

use std::io;
use std::ptr::{null, null_mut};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, VirtualAlloc, VirtualFree,
};

use crate::base::panic::caught;

/// The stack of each thread, which is reserved rather than committed: the default of Windows, for a name lookup runs code
/// of other vendors' DLLs.
const STACK_SIZE: usize = 1024 * 1024;

/// The memory that must be left before a thread is started: for a list page and what is parsed from it.
const HEADROOM: usize = 96 * 1024 * 1024;

/// Returns whether the process may commit memory for what another thread does. A job object can limit it, and the page
/// file limits all processes together. The allocation that fails would abort the process.
pub fn has_headroom() -> bool {
    // SAFETY: the system chooses the address, so that no memory is replaced, and the address is used here alone.
    unsafe {
        let probe = VirtualAlloc(null(), HEADROOM, MEM_RESERVE | MEM_COMMIT, PAGE_NOACCESS);
        !probe.is_null() && VirtualFree(probe, 0, MEM_RELEASE) != 0
    }
}

/// Nothing: no function of Windows unwinds the stack of another thread.
pub struct Uncancellable;

pub fn uncancellable() -> Uncancellable {
    Uncancellable
}

/// Starts a thread.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    keep_library_loaded()?;
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_SIZE);
    thread.spawn(|| drop(caught(run)))
}

/// Starts a thread that ends with a scope.
pub fn spawn_scoped<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    let thread = Builder::new().name(name.to_owned()).stack_size(STACK_SIZE);
    thread.spawn_scoped(scope, || drop(caught(run)))
}

/// From now on FreeLibrary() does not unmap the code that a thread may still be running.
fn keep_library_loaded() -> io::Result<()> {
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let mut module = null_mut();
    let inside: *const u16 = (keep_library_loaded as *const ()).cast();
    // SAFETY: with this flag, the name is any address inside the module, and is not read.
    match unsafe { GetModuleHandleExW(flags, inside, &raw mut module) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
