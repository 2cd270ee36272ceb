//! Forks: there are none.

pub fn watch() {}

/// A number that differs between a process and its forked children.
pub fn generation() -> u64 {
    0
}
