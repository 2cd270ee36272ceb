#!/bin/sh
# The fuzz targets, for real: sh fuzz/run.sh [TARGET...]; FUZZ_SECONDS (120) each.
# Starts from fuzz/seeds/; what it finds stays in fuzz/corpus/ and, if it crashes, in fuzz/artifacts/.
# To keep a find: copy the smallest file to fuzz/seeds/TARGET/ under a name that says what it is.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
if ! "$cargo" fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2
    exit 1
fi
# A stable compiler takes the sanitizer's flags, too.
export RUSTC_BOOTSTRAP=1
for name in ${*:-response listing documents target endpoint capi}; do
    echo "==== $name"
    mkdir -p "fuzz/corpus/$name"
    "$cargo" fuzz run "$name" "fuzz/corpus/$name" "fuzz/seeds/$name" -- \
        -max_total_time="${FUZZ_SECONDS:-120}" -max_len=8192 -timeout=20 -print_final_stats=1
done
