//! Types and helpers that all other modules use. They depend on none of them.

pub mod date;
pub mod deadline;
pub mod error;
pub mod origin;
pub mod panic;
pub mod percent;
pub mod sys;
pub mod text;
