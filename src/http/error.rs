//! The errors of the transport.

use crate::base::deadline::Interrupted;
use crate::base::error::Error;

/// Why there is no response.
#[derive(Debug)]
pub enum TransportError {
    /// The call's deadline passed, or the call was cancelled.
    Interrupted(Interrupted),
    /// One step took longer than it may. The error says which.
    TimedOut(Error),
    /// It may work the next time.
    Transient(Error),
    /// It will fail the next time, too.
    Permanent(Error),
}

impl From<Error> for TransportError {
    fn from(error: Error) -> TransportError {
        TransportError::Transient(error)
    }
}
