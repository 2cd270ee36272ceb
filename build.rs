//! Gives the shared library what rustc does not: its name for loaders, and NODELETE.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let abi = env!("CARGO_PKG_VERSION_MAJOR");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libobsabort.so.{abi}");
            // Thread-local destructors and a lookup that still hangs in getaddrinfo make unloading unsafe. macOS never
            // unloads a library with thread-local variables. On Windows, `base/sys/windows/thread.rs` sees to it.
            println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        Ok("macos") => {
            println!("cargo::rustc-cdylib-link-arg=-install_name");
            println!("cargo::rustc-cdylib-link-arg=@rpath/libobsabort.{abi}.dylib");
        }
        _ => {}
    }
}
