//! The panic boundary: panics of this library become errors.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::error::{Code, Error};

thread_local! {
    static INSIDE_BOUNDARY: Cell<u32> = const { Cell::new(0) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

static HOOK_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Installs a panic hook that keeps this library's panics off stderr and passes all others on.
fn install_hook() {
    if HOOK_INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if INSIDE_BOUNDARY.try_with(|inside| inside.get() > 0).unwrap_or(false) {
            // Only the location: a message could hold a value of the caller's.
            let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
            LAST_PANIC.with(|panic| *panic.borrow_mut() = format!("panicked{place}"));
        } else {
            before(info);
        }
    }));
}

/// Runs a closure. A panic is returned as a line that names its location.
pub fn caught<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    install_hook();
    INSIDE_BOUNDARY.with(|inside| inside.set(inside.get() + 1));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    INSIDE_BOUNDARY.with(|inside| inside.set(inside.get() - 1));
    outcome.map_err(|payload: Box<dyn Any + Send>| {
        // The payload's destructor could panic again.
        std::mem::forget(payload);
        LAST_PANIC.take()
    })
}

/// The error for a defect of this library.
pub fn internal(what: &str) -> Error {
    Error::new(Code::Internal, format!("{what}: this is a defect in libobsabort, please report it"))
}
