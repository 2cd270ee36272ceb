#!/bin/sh
# The library under address and leak sanitizer, called by the C programs, in the clear and over TLS.
# `make sanitize-address`; needs gcc, or clang with libclang-rt-dev, and openssl.
set -u
cd "$(dirname "$0")" && . ./programs.sh
triple=x86_64-unknown-linux-gnu
[ "$(uname -sm)" = "Linux x86_64" ] || fail "address.sh is for x86_64 Linux"
out=$target/sanitize/address/programs
rm -rf "$out" && mkdir -p "$out" || exit 1
obs_local

# -Z flags are for nightly compilers; the variable makes a stable one take them. A target that is named keeps the flags
# away from build scripts. The library brings no runtime of its own: the program's serves both.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" \
    ${CARGO:-cargo} build --locked --manifest-path "$root/Cargo.toml" -p obsabort --lib \
    --target $triple --target-dir "$target/sanitize/address" || exit 1
library=$target/sanitize/address/$triple/debug
ln -s "$library/libobsabort.so" "$out/libobsabort.so.0" || exit 1

export ASAN_OPTIONS="exitcode=$found:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1"
compilers=0
certificates
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    if ! echo 'int main(void) { return 0; }' | $cc -fsanitize=address,undefined -x c - -o "$out/nothing" 2>"$out/output"; then
        # Debian's clang comes without its runtime.
        echo "SKIPPED: address sanitizer with $cc: apt-get install $([ $cc = gcc ] && echo libgcc-12-dev || echo libclang-rt-dev)"
        [ "${CI:-}" != true ] || exit 1
        continue
    fi
    compilers=$((compilers + 1))
    compile="$cc -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -pthread"
    # One way each: the shared library with gcc, the static one with clang.
    if [ $cc = gcc ]; then
        link="-L$library -Wl,-Bdynamic -lobsabort -Wl,-rpath,$out"
    else
        link="$library/libobsabort.a -ldl -lm"
    fi
    build_programs

    # A sanitizer that does not see a fault would pass anything.
    for fault in leak use_after_free; do
        $compile -DFAULT_$fault -I"$root/include" "$root/tests/sanitize/faulty.c" -o "$out/faulty" $link || exit 1
        status=0
        "$out/faulty" >"$out/output" 2>&1 || status=$?
        [ "$status" = $found ] || fail "$cc: the $fault that faulty.c makes was not seen (status $status)"
    done

    echo "== address sanitizer, $cc"
    start_server
    exercise http
    start_server --tls-cert "$out/server.pem" --tls-key "$out/server.key"
    exercise https
done
[ $compilers -gt 0 ] || fail "no C compiler with a sanitizer: apt-get install gcc"
