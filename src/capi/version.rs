//! The version of the library.

use std::ffi::c_char;

const fn number(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut n = 0;
    let mut i = 0;
    while i < bytes.len() {
        n = n * 10 + (bytes[i] - b'0') as u32;
        i += 1;
    }
    n
}

const MAJOR: u32 = number(env!("CARGO_PKG_VERSION_MAJOR"));
const MINOR: u32 = number(env!("CARGO_PKG_VERSION_MINOR"));
const PATCH: u32 = number(env!("CARGO_PKG_VERSION_PATCH"));

/// Returns the version of the loaded library as a string.
///
/// \return A static string such as "1.2.3". It must not be freed. It equals OBS_ABORT_VERSION if the header and the
///         library have the same version.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the version of the loaded library as a number.
///
/// \return major * 1000000 + minor * 1000 + patch. It equals OBS_ABORT_VERSION_NUMBER if the header and the library
///         have the same version.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_version_number() -> u32 {
    MAJOR * 1_000_000 + MINOR * 1000 + PATCH
}
