//! The C binding of the suites, from the committed header: what a test calls is what a C program sees.

use std::path::PathBuf;

use bindgen::MacroTypeVariation;

fn main() {
    let header = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../include/obsabort.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindgen::Builder::default()
        .header(header.to_str().expect("a path in UTF-8"))
        .allowlist_item("(obs_abort|OBS_ABORT)_.*")
        .default_macro_constant_type(MacroTypeVariation::Signed)
        .dynamic_library_name("Lib")
        .dynamic_link_require_all(true)
        .generate_comments(false)
        .generate()
        .expect("the header is C (libclang is needed: apt-get install libclang1)")
        .write_to_file(out.join("obsabort.rs"))
        .expect("OUT_DIR can be written");
}
