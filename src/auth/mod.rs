//! Credentials, and where they come from.

pub mod credentials;
pub mod ecs;
