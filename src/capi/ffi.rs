//! What stands between C and Rust: pointers in and out, and panics, which end here.

use std::ffi::{CString, c_char};

use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};

/// Runs the body of an exported function. Panics end here and return `otherwise`; errno is left as it was, whatever system
/// calls the body makes.
pub fn guarded<R>(otherwise: R, run: impl FnOnce() -> R) -> R {
    let errno = errno::errno();
    let returned = caught(run).unwrap_or(otherwise);
    errno::set_errno(errno);
    returned
}

/// Runs the body of an exported function that returns a code and nothing else.
pub fn code_of(run: impl FnOnce() -> Result<(), Error>) -> i32 {
    guarded(Code::Internal as i32, || match run() {
        Ok(()) => Code::Ok as i32,
        Err(error) => error.code as i32,
    })
}

/// Runs the part of a body that can fail: a panic in it becomes an error with a message.
pub fn fallible<R>(run: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    caught(run).unwrap_or_else(|panic| Err(internal(&panic)))
}

/// A handle that may not be NULL.
///
/// # Safety
/// `pointer` is NULL, or came from the constructor of `T` and has not been freed.
pub unsafe fn handle<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Error> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_ref() }.ok_or_else(|| Error::argument(format!("the {what} is NULL")))
}

/// A handle that may be NULL.
///
/// # Safety
/// As for [`handle`].
pub unsafe fn optional<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_ref() }
}

/// A handle to write through.
///
/// # Safety
/// As for [`handle`], and no other thread uses it meanwhile.
pub unsafe fn handle_mut<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T, Error> {
    // SAFETY: as promised by the caller.
    unsafe { pointer.as_mut() }.ok_or_else(|| Error::argument(format!("the {what} is NULL")))
}

/// A string that may not be NULL.
///
/// # Safety
/// `pointer` is NULL or a NUL-terminated string that outlives `'a`.
pub unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Error> {
    // SAFETY: as promised by the caller.
    unsafe { optional_text(pointer, what) }?.ok_or_else(|| Error::argument(format!("the {what} is NULL")))
}

/// A string that may be NULL.
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

/// The longest string that is looked at. No setting or argument may be as long; a longer one is neither copied nor even
/// measured.
const MAX_TEXT: usize = 64 * 1024;
/// How much is shown of a key or an upload id that was refused: as much as a good one can have.
const MAX_SHOWN: usize = 1024;

/// A string up to its NUL, or its first `most` bytes, and whether that was all of it.
///
/// # Safety
/// `pointer` is not NULL, and NUL-terminated; the string outlives `'a`.
unsafe fn bounded<'a>(pointer: *const c_char, most: usize) -> (&'a [u8], bool) {
    // SAFETY: strnlen reads up to the NUL or `most` bytes, and so does the slice.
    unsafe {
        let length = libc::strnlen(pointer, most + 1);
        (std::slice::from_raw_parts(pointer.cast(), length.min(most)), length <= most)
    }
}

/// What can be shown of a string that may be anything, of any length.
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

/// Writes an output that the caller may not want.
///
/// # Safety
/// `out` is NULL or valid for a write.
pub unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and valid as promised by the caller.
        unsafe { out.write(value) };
    }
}

/// Gives a handle away.
///
/// # Safety
/// As for [`put`].
pub unsafe fn give<T>(out: *mut *mut T, value: impl FnOnce() -> T) {
    if !out.is_null() {
        // SAFETY: not NULL, and valid as promised by the caller.
        unsafe { out.write(Box::into_raw(Box::new(value()))) };
    }
}

/// Takes a handle back; NULL is nobody's.
///
/// # Safety
/// As for [`handle`], and it is not used again.
pub unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: not NULL, and from Box::into_raw in the constructor.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
}

/// Gives an error string away.
///
/// # Safety
/// As for [`put`].
pub unsafe fn give_error(out: *mut *mut c_char, message: &str) {
    if !out.is_null() {
        // SAFETY: as promised by the caller.
        unsafe { put(out, c_string(message).into_raw()) };
    }
}

/// A string for C: one line, an inner NUL being replaced.
pub fn c_string(text: &str) -> CString {
    let clean: Vec<u8> = text.bytes().map(|b| if b == 0 { b'?' } else { b }).collect();
    CString::new(clean).unwrap_or_default()
}

/// Frees a string that this library gave away: an error string.
///
/// \param string  The string, or NULL, which is ignored. It must have come from an `error` out-pointer of this
///                library, and must not be used afterwards. Never pass it to free().
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: not NULL, and from CString::into_raw in give_error.
        guarded((), || drop(unsafe { CString::from_raw(string) }));
    }
}
