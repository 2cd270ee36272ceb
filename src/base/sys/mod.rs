//! What differs by system: descriptors, files, forks, threads with their signal masks, sockets, and the allocator.
//!
//! All unsafe code outside `capi` is here: the C functions that no crate in use wraps.

pub mod descriptors;
pub mod file;
pub mod fork;
pub mod memory;
pub mod socket;
pub mod thread;
