#!/bin/sh
# Everything that `make test` stands for, step by step: sh tests/all.sh [STEP...], or --list.
# A step that can't run here says what it skipped and how to install it; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
export OBSABORT_LIB="$target/release/libobsabort.so" OBS_LOCAL="$target/release/obs-local" INCLUDEDIR="$PWD/include"
export EXAMPLES_DIR="$target/examples-c" OBS_ABORT_TOOL="$target/obs-abort/obs-abort" PORTABLE="$target/portable/portable"
cargo=${CARGO:-cargo}

lint() {
    "$cargo" fmt --all --check && "$cargo" clippy --locked --workspace --all-targets -- -D warnings
}

rust() {
    "$cargo" test --locked --workspace --no-fail-fast
}

build() {
    make --no-print-directory library &&
    "$cargo" build --release --locked -p obs-local &&
    make --no-print-directory -C examples-c all check-header &&
    make --no-print-directory -C tools/obs-abort &&
    make --no-print-directory -C tests/portable &&
    if command -v clang >/dev/null; then
        make --no-print-directory -C examples-c CC=clang OUT="$target/examples-clang" &&
        make --no-print-directory -C tools/obs-abort CC=clang OUT="$target/obs-abort-clang" &&
        make --no-print-directory -C tests/portable CC=clang OUT="$target/portable-clang"
    else
        skipped "the C programs with clang" "apt-get install clang"
    fi
}

demo() {
    sh tests/demo.sh
}

installed() {
    sh tests/install.sh
}

docs() {
    sh tests/docs.sh
}

consumers() {
    sh tests/consumers/all.sh
}

real() {
    python3 tests/e2e/run.py all
}

gates() {
    python3 bench/run.py gates
}

address() {
    sh tests/sanitize/address.sh
}

supply() {
    sh tests/packages/supply.sh
}

dist() {
    sh tests/packages/dist.sh
}

packages() {
    sh tests/packages/deb.sh && sh tests/packages/rpm.sh
}

bindings() {
    sh tests/bindings/all.sh
}

skipped() {
    echo "SKIPPED: $1: $2"
    test "${CI:-}" != true
}

steps="lint rust build demo installed docs consumers real gates address supply dist packages bindings"
[ "${1:-}" = --list ] && { echo "$steps"; exit; }
passed=0 failed=""
for step in ${*:-$steps}; do
    case " $steps " in *" $step "*) ;; *) echo "no such step: $step (there are: $steps)" >&2; exit 2 ;; esac
    echo "==== $step"
    began=$(date +%s)
    if "$step"; then
        passed=$((passed + 1))
        echo "==== $step: passed after $(($(date +%s) - began)) s"
    else
        failed="$failed $step"
        echo "==== $step: FAILED after $(($(date +%s) - began)) s"
    fi
done
[ -z "$failed" ] || echo "failed steps:$failed"
set -- $failed
echo "steps: $passed passed, $# failed"
[ $# = 0 ]
