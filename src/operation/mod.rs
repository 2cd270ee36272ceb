//! The operations of the library, and its decisions.

pub mod abort;
pub mod attempt;
pub mod batch;
pub mod buckets;
pub mod call;
pub mod client;
pub mod config;
pub mod cycle;
pub mod invocation;
pub mod log;
pub mod parts;
pub mod rate_limit;
pub mod retry;
pub mod selection;
pub mod send;
pub mod sweep;
pub mod tally;
