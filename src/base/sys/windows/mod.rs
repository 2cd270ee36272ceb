//! Windows: no forks, no signals, and sockets that wait in another way.

pub mod descriptors;
pub mod fork;
pub mod socket;
pub mod thread;
