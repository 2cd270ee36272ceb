#![no_main]

#[path = "../../tests/fuzz_targets/target.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
