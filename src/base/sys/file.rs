//! The identity of a file.

use std::fs::Metadata;

/// The numbers of the device and of the file on it.
#[cfg(unix)]
pub fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// The time of its creation: std does not tell the number of a file yet.
#[cfg(windows)]
pub fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::windows::fs::MetadataExt as _;
    (0, metadata.creation_time())
}
