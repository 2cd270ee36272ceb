#!/bin/sh
# Makes the Debian packages in target/dist/deb: run by `make deb`, below reproducible.sh. Needs debhelper.
set -eu
cd "$(dirname "$0")/.."
command -v dh >/dev/null || { echo "debhelper is missing (Debian: apt-get install debhelper)" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')
folder=$PWD/target/dist/deb
tree=$folder/obsabort-$version
rm -rf "$folder" "$CARGO_TARGET_DIR/obs-abort"
mkdir -p "$tree"
cp -R packaging/debian CHANGELOG.md "$tree"

make --no-print-directory install DESTDIR="$tree/installed" PREFIX=/usr LIBDIR="/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)"
python3 packaging/components.py notices "$host" "$tree/THIRD-PARTY-NOTICES"
python3 packaging/components.py sbom "$host" "$tree/obsabort.cdx.json"

# What follows from other files.
cd "$tree/debian"
cat >changelog <<end
obsabort ($version-1) unstable; urgency=medium

  * Version $version. Its changes are in changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
end
{
    echo "libobsabort.so.0 libobsabort0 #MINVER#"
    sed -n 's/^\(obs_abort_[a-z_]*\) \(.*\)/ \1@Base \2/p' ../../../../../include/obsabort.symbols
} >libobsabort0.symbols
sed -n '/^Permission/,$ { s/^$/./; s/^/ /; p }' ../../../../../LICENSE-MIT >mit
sed -i -e '/^@MIT@/ { r mit' -e 'd }' copyright
rm mit
cd ..
dpkg-buildpackage --build=binary --no-pre-clean --no-sign
cd ..
rm -rf "$tree"
sha256sum ./*.deb | sed 's|\./||' >SHA256SUMS
ls "$folder"
