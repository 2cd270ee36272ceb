//! Settings of one call.

use std::time::Duration;

use crate::base::deadline::CancelFlag;

/// The cancellation and the time budget of one call, taken from the caller's handle when the call begins. The handle
/// may be freed from then on. The default has neither.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Ends the call when it is set.
    pub cancelled: Option<CancelFlag>,
    /// The budget of the whole call, in place of the client's.
    pub timeout: Option<Duration>,
}
