#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| obsabort_fuzz::documents::run(data));
