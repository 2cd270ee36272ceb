//! The codes of the C ABI, and the error type that carries them.

use std::fmt;

/// The result of an operation. The numbers are part of the ABI: never renumbered, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Code {
    Ok = 0,
    InvalidArgument = 10,
    InvalidConfig = 11,
    NoCredentials = 12,
    Resolve = 20,
    Connect = 21,
    Tls = 22,
    Timeout = 23,
    Io = 24,
    Protocol = 25,
    Cancelled = 26,
    AccessDenied = 30,
    NoSuchUpload = 31,
    NoSuchBucket = 32,
    ClockSkew = 33,
    Throttled = 34,
    Server = 35,
    Redirect = 36,
    Rejected = 37,
    PartsRemain = 38,
    Partial = 39,
    StillListed = 40,
    Internal = 90,
}

impl Code {
    /// All codes.
    ///
    /// cbindgen:ignore
    pub const ALL: [Code; 23] = [
        Code::Ok,
        Code::InvalidArgument,
        Code::InvalidConfig,
        Code::NoCredentials,
        Code::Resolve,
        Code::Connect,
        Code::Tls,
        Code::Timeout,
        Code::Io,
        Code::Protocol,
        Code::Cancelled,
        Code::AccessDenied,
        Code::NoSuchUpload,
        Code::NoSuchBucket,
        Code::ClockSkew,
        Code::Throttled,
        Code::Server,
        Code::Redirect,
        Code::Rejected,
        Code::PartsRemain,
        Code::Partial,
        Code::StillListed,
        Code::Internal,
    ];

    /// The code with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Code> {
        Code::ALL.into_iter().find(|code| *code as i32 == number)
    }

    /// The constant's name in lower case without its prefix, ending in NUL for C.
    pub const fn name_c(self) -> &'static std::ffi::CStr {
        match self {
            Code::Ok => c"ok",
            Code::InvalidArgument => c"invalid_argument",
            Code::InvalidConfig => c"invalid_config",
            Code::NoCredentials => c"no_credentials",
            Code::Resolve => c"resolve",
            Code::Connect => c"connect",
            Code::Tls => c"tls",
            Code::Timeout => c"timeout",
            Code::Io => c"io",
            Code::Protocol => c"protocol",
            Code::Cancelled => c"cancelled",
            Code::AccessDenied => c"access_denied",
            Code::NoSuchUpload => c"no_such_upload",
            Code::NoSuchBucket => c"no_such_bucket",
            Code::ClockSkew => c"clock_skew",
            Code::Throttled => c"throttled",
            Code::Server => c"server",
            Code::Redirect => c"redirect",
            Code::Rejected => c"rejected",
            Code::PartsRemain => c"parts_remain",
            Code::Partial => c"partial",
            Code::StillListed => c"still_listed",
            Code::Internal => c"internal",
        }
    }

    /// The constant's name in lower case without its prefix.
    pub fn name(self) -> &'static str {
        self.name_c().to_str().unwrap_or("unknown")
    }

    /// An explanation for a reader who has nothing but the code.
    pub const fn description_c(self) -> &'static std::ffi::CStr {
        match self {
            Code::Ok => c"The upload is gone.",
            Code::InvalidArgument => {
                c"An argument is missing, empty, not UTF-8, too long or out of range; nothing was sent."
            }
            Code::InvalidConfig => {
                c"The endpoint, CA file, proxy or another setting can't be used; nothing was sent."
            }
            Code::NoCredentials => {
                c"No credentials were configured, or their source failed; nothing was sent."
            }
            Code::Resolve => c"The host name did not resolve.",
            Code::Connect => c"No TCP connection could be made.",
            Code::Tls => c"The TLS handshake or the verification of the certificate failed.",
            Code::Timeout => c"The time budget of the call ran out, or the service did not respond in time.",
            Code::Io => c"The connection broke during the exchange.",
            Code::Protocol => c"What answered does not speak this protocol.",
            Code::Cancelled => c"The call was cancelled.",
            Code::AccessDenied => {
                c"Access denied: check the key, the secret, the policy, and who initiated the upload."
            }
            Code::NoSuchUpload => {
                c"There is no such upload: it was aborted or completed earlier, or the id is wrong."
            }
            Code::NoSuchBucket => c"There is no such bucket.",
            Code::ClockSkew => c"The clock differs too much from the server's, also after a correction.",
            Code::Throttled => {
                c"The service asked to slow down until the retries or the budget were used up."
            }
            Code::Server => c"The service failed until the retries were used up.",
            Code::Redirect => c"The service redirects to a place that is not safe to follow.",
            Code::Rejected => c"The service rejected the request.",
            Code::PartsRemain => c"Parts were still listed after the last attempt to abort.",
            Code::Partial => c"Some of the uploads could not be aborted; the report says which.",
            Code::StillListed => c"The service said that the upload is gone, and still lists it.",
            Code::Internal => c"A defect in libobsabort; please report it.",
        }
    }
}

/// An error: a code, and one line that says what happened, to what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The code that the C caller gets.
    pub code: Code,
    /// The line after the code's name.
    pub detail: String,
}

impl Error {
    /// An error with this code and line.
    pub fn new(code: Code, detail: impl Into<String>) -> Error {
        Error { code, detail: detail.into() }
    }

    /// An invalid argument.
    pub fn argument(detail: impl Into<String>) -> Error {
        Error::new(Code::InvalidArgument, detail)
    }

    /// An invalid setting.
    pub fn config(detail: impl Into<String>) -> Error {
        Error::new(Code::InvalidConfig, detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for Error {}
