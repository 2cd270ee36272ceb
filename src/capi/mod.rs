//! The C ABI: one file per C object, whose docs become the header. `ffi` alone casts pointers.
//!
//! The modules stand in the order in which the header tells of them: simple use first.

#![allow(unsafe_code, non_camel_case_types)]
// What an unsafe function demands of its caller stands in the header's words, for those who will never see these.
#![allow(clippy::missing_safety_doc)]

mod version;

mod codes;

mod config;

mod client;

mod abort;

mod ffi;

mod call;

mod outcome;

mod report;

pub use abort::*;
pub use call::*;
pub use client::*;
pub use codes::*;
pub use config::*;
pub use ffi::obs_abort_string_free;
pub use outcome::*;
pub use report::*;
pub use version::*;
