#!/bin/sh
# Strangers' programs with gcc and with clang, on a prefix that was moved after `make install`: see run.py.
set -eu
cd "$(dirname "$0")/../.."
unset INCLUDEDIR LIBDIR
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
if [ -z "${OBS_LOCAL:-}" ]; then
    "${CARGO:-cargo}" build -q --release --locked -p obs-local
    OBS_LOCAL=$target/release/obs-local
fi
export OBS_LOCAL
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

make --no-print-directory install PREFIX="$folder/made" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
mv "$folder/made" "$folder/moved away"
"$folder/moved away/bin/obs-abort" --version
for compilers in "gcc g++ g++" "clang clang++ clang"; do
    # shellcheck disable=SC2086
    set -- $compilers
    if ! command -v "$1" >/dev/null || ! command -v "$2" >/dev/null; then
        echo "SKIPPED: consumers with $1 and $2 (apt-get install $3)"
        [ "${CI:-}" != true ] || exit 1
        continue
    fi
    CC=$1 CXX=$2 python3 tests/consumers/run.py "$folder/moved away"
done
