#!/bin/sh
# Builds the library, obs-abort and the example programs for TARGET (see setup.sh), into target/TARGET/release,
# target/TARGET/obs-abort and target/TARGET/examples-c: sh tools/cross/build.sh TARGET
set -eu
cd "$(dirname "$0")/../.."
target=${1:?usage: build.sh TARGET}
setup=$PWD/build/cross
sh tools/cross/setup.sh "$target" "$setup"
target=$(echo "$target" | sed 's/\(-linux-gnu\)\..*/\1/')
# shellcheck disable=SC1090
. "$setup/env-$target"

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
export CARGO_TARGET_DIR
built=$CARGO_TARGET_DIR/$target

"$CROSS_CARGO" rustc --release --locked -p obsabort --lib --crate-type cdylib,staticlib --target "$CROSS_TARGET"

case $target in
*-windows-*) system=windows ;;
*-darwin) system=macos ;;
*) system=linux ;;
esac
for programs in examples-c tools/obs-abort; do
    make --no-print-directory -C "$programs" CC="$CROSS_CC" SYSTEM=$system BUILT_LIB="$built/release" \
        OUT="$built/$(basename "$programs")"
done
