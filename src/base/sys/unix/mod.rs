//! Unix: signals, forks, file descriptors.

pub mod descriptors;
pub mod fork;
pub mod socket;
pub mod thread;
