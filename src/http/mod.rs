//! HTTP/1.1 over kept connections. Knows nothing of OBS.
//!
//! An exchange is one write and, for nearly every abort, one read: the head goes out as it was built ([`RequestHead`]),
//! [`response_head`] reads the head of the response, and [`body`] the rest. The connection is kept if nothing that follows
//! can be taken for the next response.

mod body;
mod client;
mod connect;
mod error;
mod headers;
mod pool;
pub mod proxy;
mod resolver;
mod response_head;
mod stream;
mod tcp;
pub mod tls;

pub use client::{ExchangeError, HttpClient, Request, RequestHead, Response};
pub use connect::HttpSettings;
pub use error::TransportError;
pub use headers::Headers;
