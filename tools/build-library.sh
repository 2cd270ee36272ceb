#!/bin/sh
# Builds the library for release: sh tools/build-library.sh [--target TRIPLE] [CARGO_ARGUMENT...]
# Beside libobsabort.a it leaves native-static-libs: what a program that links it statically needs, by rustc's own word.
# CARGO, CARGO_TARGET_DIR and OBJCOPY are honoured.
set -eu
cd "$(dirname "$0")/.."
triple=
[ "${1:-}" != --target ] || triple=$2
# cargo-zigbuild takes a version of glibc behind the triple, and leaves it out of the folder's name.
case $triple in *-gnu.*) folder=${triple%%-gnu.*}-gnu ;; *) folder=$triple ;; esac
release=${CARGO_TARGET_DIR:-target}${folder:+/$folder}/release

# Cargo leaves out link-time optimization if it builds an rlib along: a tenth larger, and slower.
build() {
    "${CARGO:-cargo}" rustc --release --locked -p obsabort --lib --crate-type cdylib,staticlib "$@" -- --print native-static-libs
}
# The compiler tells what it links as a note. As JSON, it does not get between the lines that cargo writes on a terminal;
# errors would not, either: if there are any, cargo writes them in a second run.
messages=$(build "$@" --message-format json) || { build "$@"; messages=$(build "$@" --message-format json); }
printf '%s\n' "$messages" | sed -n 's/.*native-static-libs: \([^"\\]*\).*/\1/p' | head -n 1 >"$release/native-static-libs"
[ -s "$release/native-static-libs" ] || { echo "build-library.sh: rustc names no native libraries" >&2; exit 1; }

# rustc's own archives bring debug information that names the folders of other machines, and the compiler's builtins a
# copy of themselves as LLVM bitcode, which other linkers and older LLVMs stumble over: 15 MB in place of 6.
set -- --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd
case $triple in
*-darwin)
    [ -n "${OBJCOPY:-}" ] || exit 0 # a Mac has none
    set -- --strip-debug            # there is no bitcode
    ;;
esac
"${OBJCOPY:-objcopy}" -D "$@" "$release/libobsabort.a" "$release/libobsabort.a.$$"
mv "$release/libobsabort.a.$$" "$release/libobsabort.a"
