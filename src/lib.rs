//! libobsabort: one dependable call that aborts a multipart upload on Huawei Cloud OBS, for C and what can call C.
//!
//! Data flows one way. [`capi`] turns pointers into values and back, and holds every unsafe line that is there for
//! C's sake. [`abort`] judges the input and decides what a response means for the upload. [`target`] knows how a
//! bucket, a key and an upload id become a host, a request target and a canonical resource; [`sign`] signs these;
//! [`send`] sends until it is answered, with [`retry`] and [`redirect`] as its pure judges; [`http`] makes one
//! exchange over connections that are kept; [`response`] and [`listing`] read what comes back. [`many`] and [`sweep`]
//! do the same for many uploads at once, at one [`rate_limiter`]. A [`client`] holds what calls share, [`deadline`] is what
//! every wait looks at, and [`process`] knows what a fork leaves behind.
//!
//! The Rust interface is not stable: it is there for tests. The C ABI in `include/obsabort.h` is the product.

#![warn(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod auth;
pub mod base;
pub mod capi;
pub mod http;
pub mod obs;
pub mod operation;
