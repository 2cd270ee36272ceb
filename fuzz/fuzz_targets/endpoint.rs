#![no_main]

#[path = "../../tests/fuzz_targets/endpoint.rs"]
mod endpoint;

libfuzzer_sys::fuzz_target!(|data: &[u8]| endpoint::run(data));
