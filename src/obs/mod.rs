//! The protocol of OBS, without I/O.

pub mod bucket;
pub mod buckets;
pub mod clock;
pub mod diagnosis;
pub mod document;
pub mod foreign_body;
pub mod listing;
pub mod operation;
pub mod parts;
pub mod redirect;
pub mod response;
pub mod sign;
mod xml;
