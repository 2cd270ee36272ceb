#!/bin/sh
# Builds the NuGet package into target/nupkg: sh pack.sh. It has the libraries that `make cross` has built, and must have all four:
# linux-x64, linux-arm64, linux-musl-x64 and win-x64.
set -eu
cd "$(dirname "$0")/../.."
built=${CARGO_TARGET_DIR:-target}
set --
for runtime in linux-x64=x86_64-unknown-linux-gnu/release/libobsabort.so linux-arm64=aarch64-unknown-linux-gnu/release/libobsabort.so \
    linux-musl-x64=x86_64-unknown-linux-musl/release/libobsabort.so win-x64=x86_64-win7-windows-gnu/release/obsabort.dll; do
    library=$built/${runtime#*=}
    [ -e "$library" ] || { echo "no library: make cross TARGET=$(echo "${runtime#*=}" | cut -d / -f 1)" >&2; exit 1; }
    set -- "$@" "${runtime%%=*}=$library"
done
assembly=$(mktemp -d)
trap 'rm -rf "$assembly"' EXIT
sh bindings/csharp/build.sh "$assembly"
python3 bindings/csharp/pack.py "$assembly" "$built/nupkg" "$@"
