//! The identity of a file.

use std::fs::Metadata;

/// The numbers of the device and of the file on it; zeros if the system does not tell.
#[cfg(unix)]
pub fn device_and_inode(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
pub fn device_and_inode(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}
