//! The boundary between C and Rust: converts pointers, and stops panics.

use std::ffi::{CString, c_char, c_void};

use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::base::sys::thread::uncancellable;

/// Runs the body of an exported function. Returns `otherwise` if it panics. Restores errno, which the system calls of
/// the body may change, and lets no cancellation of the thread unwind it.
pub fn guarded<R>(otherwise: R, run: impl FnOnce() -> R) -> R {
    let _uncancellable = uncancellable();
    let errno = errno::errno();
    let returned = caught(run).unwrap_or(otherwise);
    errno::set_errno(errno);
    returned
}

/// Runs the body of an exported function that returns only a code.
pub fn code_of(run: impl FnOnce() -> Result<(), Error>) -> i32 {
    guarded(Code::Internal as i32, || match run() {
        Ok(()) => Code::Ok as i32,
        Err(error) => error.code as i32,
    })
}

/// Runs the body of an exported function that returns a code and has an `error` parameter. The error string is written
/// first as NULL.
///
/// # Safety
/// `error` is NULL or valid for a write.
pub unsafe fn code_and_error(error: *mut *mut c_char, run: impl FnOnce() -> Result<(), Error>) -> i32 {
    guarded(Code::Internal as i32, || {
        // SAFETY: as promised by the caller.
        unsafe { put(error, std::ptr::null_mut()) };
        let Err(failure) = fallible(run) else { return Code::Ok as i32 };
        // SAFETY: as above.
        unsafe { give_error(error, failure.to_string()) };
        failure.code as i32
    })
}

/// Runs the part of a body that can fail. A panic becomes an error, so that the caller gets a message.
pub fn fallible<R>(run: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    caught(run).unwrap_or_else(|panic| Err(internal(&panic)))
}

/// Converts a handle that must not be NULL.
///
/// # Safety
/// `pointer` is NULL, or came from the constructor of `T` and has not been freed.
pub unsafe fn handle<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Error> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_ref() }.ok_or_else(|| Error::argument(format!("the {what} is NULL")))
}

/// Converts a handle that may be NULL.
///
/// # Safety
/// As for [`handle`].
pub unsafe fn optional<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_ref() }
}

/// Converts a handle that must not be NULL and will be changed.
///
/// # Safety
/// As for [`handle`]. No other thread uses the handle during `'a`.
pub unsafe fn handle_mut<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T, Error> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_mut() }.ok_or_else(|| Error::argument(format!("the {what} is NULL")))
}

/// A pointer of the caller that a callback gets back.
#[derive(Clone, Copy)]
pub struct Userdata(*mut c_void);

impl Userdata {
    pub fn new(pointer: *mut c_void) -> Userdata {
        Userdata(pointer)
    }

    pub fn get(self) -> *mut c_void {
        self.0
    }
}

impl Default for Userdata {
    fn default() -> Userdata {
        Userdata(std::ptr::null_mut())
    }
}

// SAFETY: the library does not use the pointer, and the header says on which threads each callback gets it.
unsafe impl Send for Userdata {}
// SAFETY: as above.
unsafe impl Sync for Userdata {}

/// Converts a switch.
pub fn switch(value: i32) -> Result<bool, Error> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::argument(format!("{other} is neither 0 nor 1"))),
    }
}

/// Converts a string that must not be NULL.
///
/// # Safety
/// `pointer` is NULL or a NUL-terminated string that outlives `'a`.
pub unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Error> {
    // SAFETY: as promised by the caller.
    unsafe { optional_text(pointer, what) }?.ok_or_else(|| Error::argument(format!("the {what} is NULL")))
}

/// Converts a string that may be NULL.
///
/// # Safety
/// As for [`text`].
pub unsafe fn optional_text<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and NUL-terminated as promised by the caller.
    let (bytes, complete) = unsafe { bounded(pointer, MAX_TEXT) };
    if !complete {
        return Err(Error::argument(format!("the {what} is too long")));
    }
    std::str::from_utf8(bytes).map(Some).map_err(|_| Error::argument(format!("the {what} is not UTF-8")))
}

/// The longest string that is read, in bytes. The limit of every argument is lower, so that a longer string is refused
/// without a copy and without a search for its end.
const MAX_TEXT: usize = 64 * 1024;
/// The longest part of a refused key or upload id that an outcome shows, in bytes: the limit of a valid one.
const MAX_SHOWN: usize = 1024;

/// Returns the first `most` bytes of a string, and whether they are the whole string.
///
/// # Safety
/// `pointer` is not NULL, and NUL-terminated; the string outlives `'a`.
unsafe fn bounded<'a>(pointer: *const c_char, most: usize) -> (&'a [u8], bool) {
    // SAFETY: strnlen reads no byte after the NUL, and the slice has only bytes that strnlen has read.
    unsafe {
        let length = libc::strnlen(pointer, most + 1);
        (std::slice::from_raw_parts(pointer.cast(), length.min(most)), length <= most)
    }
}

/// Converts a string that was refused for display, whatever its length and its bytes.
///
/// # Safety
/// As for [`text`].
pub unsafe fn lossy(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: not NULL, and NUL-terminated as promised by the caller.
    let (bytes, _) = unsafe { bounded(pointer, MAX_SHOWN) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes an output parameter, if the caller wants it.
///
/// # Safety
/// `out` is NULL or valid for a write.
pub unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and valid as promised by the caller.
        unsafe { out.write(value) };
    }
}

/// Passes the ownership of a handle to the caller, if the caller wants it.
///
/// # Safety
/// As for [`put`].
pub unsafe fn give<T>(out: *mut *mut T, value: impl FnOnce() -> T) {
    if !out.is_null() {
        // SAFETY: not NULL, and valid as promised by the caller.
        unsafe { out.write(Box::into_raw(Box::new(value()))) };
    }
}

/// Takes back the ownership of a handle. Returns None if it is NULL.
///
/// # Safety
/// As for [`handle`]. The handle is not used again.
pub unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: not NULL, and from Box::into_raw in the constructor.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Passes the ownership of an error string to the caller, if the caller wants it.
///
/// # Safety
/// As for [`put`].
pub unsafe fn give_error(out: *mut *mut c_char, message: String) {
    if !out.is_null() {
        // SAFETY: as promised by the caller.
        unsafe { put(out, c_string(message).into_raw()) };
    }
}

/// Converts a string to C. A NUL, which would end it early, becomes a question mark.
pub fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_else(|contains_nul| {
        let mut bytes = contains_nul.into_vec();
        bytes.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b'?');
        CString::new(bytes).unwrap_or_default()
    })
}

/// Frees an error string.
///
/// \param string  A string that was received through an `error` parameter of this library, or NULL, which is ignored.
///                The string must not be freed with free().
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: not NULL, and from CString::into_raw in give_error.
        guarded((), || drop(unsafe { CString::from_raw(string) }));
    }
}
