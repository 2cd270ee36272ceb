#!/bin/sh
# Builds the wheel of TARGET into target/wheels: sh wheel.sh [TARGET [LIBRARY]]. Without TARGET, that of this machine; a triple that
# `make cross` has built; or `any`, without a library. Its tools are in a virtual environment in build/.
set -eu
cd "$(dirname "$0")/../.."
built=${CARGO_TARGET_DIR:-target}
case $built in /*) ;; *) built=$PWD/$built ;; esac
tools=$PWD/build/bindings/python
list=bindings/python/requirements.txt
if ! cmp -s "$list" "$tools/requirements.txt"; then
    rm -rf "$tools"
    python3 -m venv "$tools" || { echo "python3 -m venv is missing (Debian: apt-get install python3-venv)" >&2; exit 1; }
    "$tools/bin/pip" install -q --disable-pip-version-check -r "$list"
    cp "$list" "$tools"
fi
target=${1:-}
if [ "$target" = any ] || [ $# = 2 ]; then
    : # As it is.
elif [ -z "$target" ]; then
    set -- "$(uname -m)-unknown-linux-gnu" "$built/release/libobsabort.so"
else
    for library in libobsabort.so obsabort.dll libobsabort.dylib; do
        [ ! -e "$built/$target/release/$library" ] || set -- "$target" "$built/$target/release/$library"
    done
    [ $# = 2 ] || { echo "no library of $target: make cross TARGET=$target" >&2; exit 1; }
fi
"$tools/bin/python" bindings/python/build_wheel.py "$@" "$built/wheels"
