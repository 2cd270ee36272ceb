#!/bin/sh
# `cargo cinstall` installs the same library as `make install` does, and strangers' programs run on it. `make test-cinstall`;
# needs cargo-c: cargo install --debug --locked --root build/cargo-c cargo-c@0.10.16+cargo-0.91.0
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/build/cargo-c/bin:$PATH
command -v cargo-cinstall >/dev/null || { echo "cinstall.sh: cargo-c is missing (cargo install cargo-c)" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

${CARGO:-cargo} cinstall --locked --prefix="$folder/usr" --libdir="$folder/usr/lib" --target-dir "$target/cinstall"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
(cd "$folder/usr" && find . ! -type d | sed "s/so\.$version/so.VERSION/" | LC_ALL=C sort) >"$folder/files"
cat >"$folder/expected" <<'files'
./include/obsabort.h
./include/obsabort.hpp
./lib/libobsabort.a
./lib/libobsabort.so
./lib/libobsabort.so.0
./lib/libobsabort.so.VERSION
./lib/pkgconfig/obsabort.pc
./share/obsabort/thread-sanitizer.supp
./share/obsabort/valgrind.supp
files
diff "$folder/expected" "$folder/files"

make --no-print-directory library
"${CARGO:-cargo}" build -q --release --locked -p obs-local
for library in "$target/release/libobsabort.so" "$folder/usr/lib/libobsabort.so"; do
    readelf -d "$library" | sed -n 's/.*(\(SONAME\|NEEDED\|FLAGS_1\))/\1/p' >"$folder/$(echo "$library" | cksum | cut -d ' ' -f 1).dynamic"
done
cat "$folder"/*.dynamic | sort | uniq -u >"$folder/differs"
[ ! -s "$folder/differs" ] || { echo "cinstall.sh: another library:" >&2; cat "$folder/differs" >&2; exit 1; }
OBS_LOCAL=$target/release/obs-local python3 tests/consumers/run.py "$folder/usr" --only pkg-config --link shared
