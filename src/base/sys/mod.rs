//! What differs by system: descriptors, forks, sockets and threads, in a folder for each system that has the same files;
//! and, in files with a few lines for each, the identity of a file and the sources of trusted roots. Also the allocator.
//!
//! All unsafe code outside `capi` is here: the C functions that no crate in use wraps.

pub mod file;
pub mod memory;
pub mod roots;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{descriptors, fork, socket, thread};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{descriptors, fork, socket, thread};
