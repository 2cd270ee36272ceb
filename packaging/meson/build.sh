#!/bin/sh
# What meson.build runs: build.sh FOLDER SONAME builds the library, and copies what has changed.
set -eu
folder=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$folder/cargo}"
sh "$root/tools/build-library.sh"
for pair in libobsabort.so:libobsabort.so libobsabort.so:"$2" libobsabort.a:libobsabort.a native-static-libs:native-static-libs; do
    cmp -s "$CARGO_TARGET_DIR/release/${pair%:*}" "$folder/${pair#*:}" ||
        cp "$CARGO_TARGET_DIR/release/${pair%:*}" "$folder/${pair#*:}"
done
