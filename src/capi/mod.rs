//! The C ABI: one file per C object. Its doc comments become the header. Only `ffi` casts pointers.
//!
//! The modules are in the order of the header, which begins with simple use.

#![allow(unsafe_code, non_camel_case_types)]
// The doc comment of an exported function states its requirements for C callers, without a Safety section.
#![allow(clippy::missing_safety_doc)]

mod version;

mod codes;

mod config;

mod client;

mod abort;

mod selection;

mod sweep;

mod buckets;

mod ffi;

mod call;

mod outcome;

mod report;

pub use abort::*;
pub use buckets::*;
pub use call::*;
pub use client::*;
pub use codes::*;
pub use config::*;
pub use ffi::obs_abort_string_free;
pub use outcome::*;
pub use report::*;
pub use selection::*;
pub use sweep::*;
pub use version::*;
