#!/bin/sh
# The library and its standard library under thread sanitizer, called by the C programs, in the clear and over TLS.
# `make sanitize-thread`; Debian 12 on x86_64, with gcc, openssl and cargo. Not in CI: 170 MB of packages.
#
# A standard library without instrumentation gives nothing but false alarms, and building it takes its sources and the
# very compiler they belong to. Debian has all of it in one version; the packages are unpacked here and not installed.
set -u
cd "$(dirname "$0")" && . ./programs.sh
triple=x86_64-unknown-linux-gnu
tools=$target/sanitize/thread/debian
out=$target/sanitize/thread/programs
rm -rf "$out" && mkdir -p "$out" "$tools" || exit 1
need apt-get "apt (this script is for Debian 12)"
obs_local

if [ ! -e "$tools/complete" ]; then
    # rustc's LLVM decides which clang's runtime belongs to its instrumentation.
    llvm=22
    (cd "$tools" && apt-get download rustc-web rust-web-src libstd-rust-web-dev libstd-rust-web-1.96 libllvm$llvm \
        clang-$llvm libclang-cpp$llvm libclang1-$llvm libclang-common-$llvm-dev libclang-rt-$llvm-dev) ||
        fail "thread.sh: packages are missing: apt-get update, with Debian 12's security archive among the sources"
    for package in "$tools"/*.deb; do
        dpkg -x "$package" "$tools" || exit 1
    done
    rm -f "$tools"/*.deb
    for program in rustc:usr/bin/rustc clang:usr/lib/llvm-$llvm/bin/clang; do
        # The variable is for these two alone: a system's linker must not find another LLVM by it.
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$tools/usr/lib/x86_64-linux-gnu:$tools/usr/lib/llvm-$llvm/lib" \
            "$tools/${program#*:}" >"$tools/${program%%:*}" && chmod 755 "$tools/${program%%:*}" || exit 1
    done
    touch "$tools/complete"
fi
clang=$tools/clang
"$tools/rustc" --version || exit 1

RUSTC=$tools/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Clinker=$clang" \
    CC_x86_64_unknown_linux_gnu=$clang CFLAGS_x86_64_unknown_linux_gnu=-fsanitize=thread \
    ${CARGO:-cargo} rustc --locked --manifest-path "$root/Cargo.toml" -p obsabort --lib --crate-type staticlib \
    -Zbuild-std --target $triple --target-dir "$target/sanitize/thread" || exit 1

export TSAN_OPTIONS="exitcode=$found:halt_on_error=0:second_deadlock_stack=1:history_size=4"
compile="$clang -g -O1 -fno-omit-frame-pointer -fsanitize=thread -pthread"
link="$target/sanitize/thread/$triple/debug/libobsabort.a -ldl -lm"
build_programs

# A sanitizer that does not see a race would pass anything.
$compile -I"$root/include" "$root/tests/sanitize/racy.c" -o "$out/racy" $link || exit 1
status=0
"$out/racy" >"$out/output" 2>&1 || status=$?
[ "$status" = $found ] || fail "the race that racy.c makes was not seen (status $status)"

certificates
start_server
exercise http
start_server --tls-cert "$out/server.pem" --tls-key "$out/server.key"
exercise https
