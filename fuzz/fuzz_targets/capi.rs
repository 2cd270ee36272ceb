#![no_main]

#[path = "../../tests/fuzz_targets/capi.rs"]
mod capi;

libfuzzer_sys::fuzz_target!(|data: &[u8]| capi::run(data));
