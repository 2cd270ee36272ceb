#![no_main]

#[path = "../../tests/fuzz_targets/answer.rs"]
mod answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| answer::run(data));
