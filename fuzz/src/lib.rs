//! What each fuzz target does with its input. `cargo test` runs the same over seeds/ (tests/fuzz_corpus).

pub mod capi;
pub mod documents;
pub mod endpoint;
pub mod listing;
pub mod response;
pub mod target;
