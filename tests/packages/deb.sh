#!/bin/sh
# The Debian packages: reproducible, without an error of lintian's, used in a clean system (chroot.py). Needs root.
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
python3 tests/packages/chroot.py target/dist/deb
