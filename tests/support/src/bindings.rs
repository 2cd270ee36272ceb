//! What build.rs made of include/obsabort.h.

#![allow(non_camel_case_types, unsafe_op_in_unsafe_fn, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/obsabort.rs"));
