#!/bin/sh
# The RPM packages: reproducible, with the files and needs that they should have, and used from a folder that rpm
# installed them in.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages/common.sh
need rpmbuild rpm
unset INCLUDEDIR LIBDIR PREFIX DESTDIR
prepare

quietly make --no-print-directory rpm
cp -R target/dist/rpm "$folder/first"
(umask 077; export TZ=Pacific/Auckland; quietly make --no-print-directory rpm)
cmp target/dist/rpm/SHA256SUMS "$folder/first/SHA256SUMS"
echo "reproduced, byte for byte"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
query() { rpm -qp "$@" 2>/dev/null; }
query --list target/dist/rpm/*.rpm | sort >"$folder/files"
sort >"$folder/wanted" <<end
/usr/bin/obs-abort
/usr/include/obsabort.h
/usr/include/obsabort.hpp
/usr/lib/systemd/system/obs-abort@.service
/usr/lib/systemd/system/obs-abort@.timer
/usr/lib64/cmake/obsabort
/usr/lib64/cmake/obsabort/obsabort-config-version.cmake
/usr/lib64/cmake/obsabort/obsabort-config.cmake
/usr/lib64/libobsabort.a
/usr/lib64/libobsabort.so
/usr/lib64/libobsabort.so.0
/usr/lib64/libobsabort.so.$version
/usr/lib64/pkgconfig/obsabort-static.pc
/usr/lib64/pkgconfig/obsabort.pc
/usr/share/bash-completion/completions/obs-abort
/usr/share/doc/libobsabort0
/usr/share/doc/libobsabort0/CHANGELOG.md
/usr/share/doc/libobsabort0/obsabort.cdx.json
/usr/share/licenses/libobsabort0
/usr/share/licenses/libobsabort0/LICENSE-APACHE
/usr/share/licenses/libobsabort0/LICENSE-MIT
/usr/share/licenses/libobsabort0/THIRD-PARTY-NOTICES
/usr/share/fish/vendor_completions.d/obs-abort.fish
/usr/share/man/man1/obs-abort.1.gz
/usr/share/obsabort
$(cd packaging/suppressions && printf '/usr/share/obsabort/%s\n' *.supp)
/usr/share/zsh/site-functions/_obs-abort
end
diff "$folder/wanted" "$folder/files"
cd target/dist/rpm
query --provides ./libobsabort0-*.rpm | grep -q '^libobsabort\.so\.0()(64bit)' || fail "libobsabort0 does not provide its SONAME"
query --requires ./obs-abort-*.rpm | grep -q '^libobsabort\.so\.0()(64bit)' || fail "obs-abort does not require the SONAME"
query --requires ./libobsabort-devel-*.rpm | grep -q "^libobsabort0.* = $version-1" || fail "libobsabort-devel does not require libobsabort0"

# Nothing here is an RPM package that could give what these need.
root=$folder/root
mkdir "$root"
rpm --root "$root" --initdb
rpm --root "$root" --nodeps --noscripts --ignorearch -i ./*.rpm
rpm --root "$root" -V --nodeps obs-abort libobsabort0 libobsabort-devel
cd ../../..
LD_LIBRARY_PATH=$root/usr/lib64 "$root/usr/bin/obs-abort" --version | grep -F "$version"
python3 tests/consumers/run.py "$root/usr" --only pkg-config
rpm --root "$root" --nodeps --noscripts -e obs-abort libobsabort0 libobsabort-devel
[ -z "$(find "$root/usr" -type f)" ] || { find "$root/usr" -type f; fail "removed, and the files above are left"; }
echo "the RPM packages have what they should, were installed, used and removed"
