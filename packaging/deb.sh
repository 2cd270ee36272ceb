#!/bin/sh
# Makes the Debian packages in target/dist/deb: run by `make deb`, below reproducible.sh. Needs debhelper.
# deb.sh [TARGET]: for this machine's architecture; x86_64-unknown-linux-gnu needs no newer glibc than 2.17.
set -eu
cd "$(dirname "$0")/.."
command -v dh >/dev/null || { echo "debhelper is missing (Debian: apt-get install debhelper)" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
folder=$PWD/target/dist/deb
tree=$folder/obsabort-$version
rm -rf "$folder"
mkdir -p "$tree"
cp -R packaging/debian CHANGELOG.md "$tree"

python3 packaging/dist.py install "$tree/installed" "/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)" "$@"

# What follows from other files.
cd "$tree/debian"
cat >changelog <<end
obsabort ($version-1) unstable; urgency=medium

  * Version $version. Its changes are in changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
end
{
    echo "libobsabort.so.0 libobsabort0 #MINVER#"
    sed -n 's/^\(obs_abort_[a-z0-9_]*\) \(.*\)/ \1@Base \2/p' ../../../../../include/obsabort.symbols
} >libobsabort0.symbols
sed -n '/^Permission/,$ { s/^$/./; s/^/ /; p }' ../../../../../LICENSE-MIT >mit
sed -i -e '/^@MIT@/ { r mit' -e 'd }' copyright
rm mit
cd ..
# Of the library that was built for an older glibc. dpkg-shlibdeps knows since when this machine's libraries have a symbol,
# and some have moved: libpthread.so.0 and libdl.so.2 are of 2.34 to it.
case ${1:-} in
*-linux-gnu.*) GLIBC=${1##*-linux-gnu.} ;;
*-linux-gnu) GLIBC=2.17 ;;
*) GLIBC= ;;
esac
export GLIBC
dpkg-buildpackage --build=binary --no-pre-clean --no-sign
cd ..
rm -rf "$tree"
sha256sum ./*.deb | sed 's|\./||' >SHA256SUMS
ls "$folder"
