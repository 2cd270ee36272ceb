//! What to say of system errors, above all if no socket or handle is left.

use std::io;

use windows_sys::Win32::Foundation::ERROR_TOO_MANY_OPEN_FILES;
use windows_sys::Win32::Networking::WinSock::{WSAEMFILE, WSAENOBUFS};

/// The text of an error, without its full stop and "(os error N)".
pub fn error_text(error: &io::Error) -> String {
    if let Some(text) = exhaustion(error) {
        return text.to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).trim_end_matches('.').to_owned()
}

/// Returns whether an error means that nothing more can be opened, whatever it is.
pub fn is_exhaustion(error: &io::Error) -> bool {
    exhaustion(error).is_some()
}

/// Says so if nothing more can be opened, for functions whose errors do not tell: there are none here.
pub fn probe_exhaustion() -> Option<&'static str> {
    None
}

fn exhaustion(error: &io::Error) -> Option<&'static str> {
    let code = error.raw_os_error()?;
    if code == WSAEMFILE || u32::try_from(code) == Ok(ERROR_TOO_MANY_OPEN_FILES) {
        Some("the process has no handle left for a file or socket")
    } else if code == WSAENOBUFS {
        Some("the system has no port or memory left for another socket")
    } else {
        None
    }
}
