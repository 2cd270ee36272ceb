//! libobsabort: one dependable call that aborts a multipart upload on Huawei Cloud OBS, for C and what can call C.
//!
//! ```text
//!   C program
//!       │
//!     capi         the C ABI: pointers into values and back, one file per C object
//!       │
//!   operation      what the library does and decides: abort, batch, sweep; send, with retry as its decision
//!     │     │
//!    auth   │      credentials, and the ECS metadata service
//!     │     │
//!     └─► obs      the protocol, without I/O: addressing, signature, responses, listings, redirects
//!           │
//!          http    HTTP/1.1 over kept connections: client, pool, connect, response_head, body
//!           │
//!          base    what every room needs: errors, deadlines, origins, dates, text
//! ```
//!
//! Arrows point downwards only. Data flows the same way, and back as results.
//!
//! The C ABI in `include/obsabort.h` is the product. The crate has no Rust interface.

#![warn(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub(crate) mod auth;
pub(crate) mod base;
pub mod capi;
pub(crate) mod http;
pub(crate) mod obs;
pub(crate) mod operation;

/// What the fuzz targets reach below the C ABI. Not an interface.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::base::error::{Code, Error};
    pub use crate::base::origin::Origin;
    pub use crate::http::proxy::{Proxies, Proxy};
    pub use crate::http::{Headers, Response};
    pub use crate::obs::bucket::{Addressing, Bucket, Target, parse_endpoint};
    pub use crate::obs::buckets::{BucketsPage, ListedBucket, NextBuckets, read_buckets};
    pub use crate::obs::listing::{Marker, Page, PageRequest, read_page};
    pub use crate::obs::operation::Operation;
    pub use crate::obs::parts::{Parts, PartsPage, PartsRequest, read_parts};
    pub use crate::obs::redirect::follow;
    pub use crate::obs::response::{RequestIds, ServiceError, Verdict, interpret};
}
