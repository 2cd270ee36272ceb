//! Credentials and their sources.

pub mod credentials;
pub mod ecs;
