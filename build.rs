//! Gives the shared library what rustc does not: a SONAME, and NODELETE.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!(
            "cargo::rustc-cdylib-link-arg=-Wl,-soname,libobsabort.so.{}",
            env!("CARGO_PKG_VERSION_MAJOR")
        );
        // Thread-local destructors and a lookup that still hangs in getaddrinfo make unloading unsafe.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
