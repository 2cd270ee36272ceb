//! Panics of ours end here, and become errors.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::error::{Code, Error};

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

static HOOKED: AtomicBool = AtomicBool::new(false);

/// Keeps our own panics off stderr, and every other one as it was. Twice, by two threads at once, does no harm.
fn hook() {
    if HOOKED.swap(true, Ordering::AcqRel) {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if INSIDE.try_with(|inside| inside.get() > 0).unwrap_or(false) {
            // A panic's message names places in the source, never values of the caller's.
            let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
            PANIC.with(|panic| *panic.borrow_mut() = format!("panicked{place}"));
        } else {
            before(info);
        }
    }));
}

/// Runs something of ours; a panic comes back as the line that tells of it.
pub fn caught<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    hook();
    INSIDE.with(|inside| inside.set(inside.get() + 1));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    INSIDE.with(|inside| inside.set(inside.get() - 1));
    outcome.map_err(|payload: Box<dyn Any + Send>| {
        // Its destructor could panic again.
        std::mem::forget(payload);
        PANIC.take()
    })
}

/// A defect of ours, told as such.
pub fn internal(what: &str) -> Error {
    Error::new(Code::Internal, format!("{what}: this is a defect in libobsabort, please report it"))
}
