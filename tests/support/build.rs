//! The C binding of the suites, from the committed header: what a test calls is what a C program sees.

use std::path::PathBuf;

use bindgen::MacroTypeVariation;

fn main() {
    let header = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../include/obsabort.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let bindings = bindgen::Builder::default()
        .header(header.to_str().expect("a path in UTF-8"))
        .allowlist_item("(obs_abort|OBS_ABORT)_.*")
        .default_macro_constant_type(MacroTypeVariation::Signed)
        .dynamic_library_name("Lib")
        .dynamic_link_require_all(true)
        .generate_comments(false)
        .generate()
        .expect("the header is C (libclang is needed: apt-get install libclang1)");
    let checked = with_errno_checks(&bindings.to_string());
    std::fs::write(out.join("obsabort.rs"), checked).expect("OUT_DIR can be written");
}

/// Has each method of `Lib` check that the function behind it leaves errno as it was.
fn with_errno_checks(bindings: &str) -> String {
    let method = "pub unsafe fn obs_abort_";
    let mut parts = bindings.split(method);
    let mut checked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (signature, body) = part.split_once('{').expect("a method has a body");
        let name = signature.split('(').next().unwrap_or_default();
        checked +=
            &format!("{method}{signature}{{ let _errno = crate::UnchangedErrno::during({name:?}); {body}");
    }
    checked
}
