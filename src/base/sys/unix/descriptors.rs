//! What to say of system errors, above all if no file descriptor is left.

use std::io;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};

/// The text of an error, without "(os error N)".
pub fn error_text(error: &io::Error) -> String {
    if let Some(text) = exhaustion(error) {
        return text.to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Returns whether an error means that nothing more can be opened, whatever it is.
pub fn is_exhaustion(error: &io::Error) -> bool {
    exhaustion(error).is_some()
}

/// Says so if nothing more can be opened. For functions whose errors do not tell: the C library's resolver can't read
/// its files then, and reports that a name does not exist.
pub fn probe_exhaustion() -> Option<&'static str> {
    let error = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).err()?;
    exhaustion(&error.into())
}

fn exhaustion(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some(
            "the process has no file descriptor left: close some, or raise its limit (ulimit -n, LimitNOFILE)",
        ),
        Errno::NFILE => Some("the system has no file descriptor left: raise its limit (sysctl fs.file-max)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let text = |errno: Errno| error_text(&errno.into());
        assert!(text(Errno::MFILE).contains("ulimit -n"));
        assert!(text(Errno::NFILE).contains("fs.file-max"));
        assert_eq!(text(Errno::CONNREFUSED), "Connection refused");
        assert_eq!(error_text(&io::Error::other("whatever")), "whatever");
        assert_eq!(probe_exhaustion(), None);
    }
}
