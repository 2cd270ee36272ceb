#!/bin/sh
# `make dist` is reproducible, complete, and used from where it was unpacked: sh tests/packages/dist.sh [TARGET]
#
# The archive is made here and, of the same sources, in another folder by another cargo home, umask and time zone: the two
# are equal byte for byte. Then the first is unpacked and looked at.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages/common.sh
venv
target=${1:-}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
unset INCLUDEDIR LIBDIR PREFIX DESTDIR
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

quietly make --no-print-directory dist TARGET="$target"
archive=$(tail -n 1 "$folder/log")
echo "made $archive"

other=$folder/another/folder/of/the/same/sources
mkdir -p "$other" "$folder/cargo/registry"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -P -t "$other"
[ ! -e "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$folder/cargo"
cp -R "$cargo_home/registry/index" "$cargo_home/registry/cache" "$folder/cargo/registry"
if [ -d build/cross ]; then
    # What was prepared for another target names its folder.
    mkdir "$other/build"
    ln -s "$PWD/build/cross" "$other/build/cross"
fi
(
    cd "$other"
    umask 077
    export CARGO_HOME="$folder/cargo" TZ=Pacific/Auckland LANG=C.UTF-8
    quietly make --no-print-directory dist TARGET="$target"
)
cmp "$archive" "$other/$archive"
echo "reproduced, byte for byte"

mkdir "$folder/unpacked"
case $archive in
*.zip) python3 -m zipfile -e "$archive" "$folder/unpacked" ;;
*) tar -xf "$archive" -C "$folder/unpacked" ;;
esac
tree=$(echo "$folder"/unpacked/*)
(cd "$(dirname "$archive")" && sha256sum --quiet -c SHA256SUMS)
(cd "$tree" && sha256sum --quiet -c SHA256SUMS)
(cd "$tree" && find . -type f ! -name SHA256SUMS | sort) >"$folder/files"
(cd "$tree" && sed 's|^[0-9a-f]*  |./|' SHA256SUMS | sort) | cmp - "$folder/files"

# Where it was built is nobody's business, and differs for everybody.
for name in "$PWD" "$cargo_home" "${RUSTUP_HOME:-$HOME/.rustup}" "$HOME/"; do
    if LC_ALL=C grep -rlF -e "$name" "$tree"; then fail "the files above contain $name"; fi
done
# As it stands in symbols, too.
for name in "$PWD" "$cargo_home"; do
    name=$(printf %s "$name" | tr -c A-Za-z0-9 _)
    if LC_ALL=C grep -rlF -e "$name" "$tree"; then fail "the files above contain $name"; fi
done

documents=$tree/share/doc/obsabort
"$venv/bin/python" tests/packages/check_sbom.py "$documents/obsabort.cdx.json" "$documents/THIRD-PARTY-NOTICES"
cmp LICENSE-MIT "$documents/LICENSE-MIT"
cmp LICENSE-APACHE "$documents/LICENSE-APACHE"
case $tree in
*-windows-*)
    present="bin/obsabort.dll bin/obs-abort.exe lib/libobsabort.dll.a lib/obsabort.lib lib/obsabort.def lib/libobsabort.a"
    ;;
*-darwin) present="bin/obs-abort lib/libobsabort.dylib lib/libobsabort.0.dylib lib/libobsabort.a" ;;
*) present="bin/obs-abort lib/libobsabort.so lib/libobsabort.so.0 lib/libobsabort.a" ;;
esac
for file in $present include/obsabort.h lib/pkgconfig/obsabort.pc lib/cmake/obsabort/obsabort-config.cmake \
    share/man/man1/obs-abort.1 share/bash-completion/completions/obs-abort; do
    [ -s "$tree/$file" ] || fail "the archive lacks $file"
done

case $tree in *-native)
    # Its program finds its library.
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
    "$tree/bin/obs-abort" --version | grep -F "$version"
    ;;
esac
echo "complete, with sums, licences and a bill of materials"
