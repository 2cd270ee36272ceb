#!/bin/sh
# Makes the RPM packages in target/dist/rpm: run by `make rpm`, below reproducible.sh. Needs rpmbuild.
set -eu
cd "$(dirname "$0")/.."
command -v rpmbuild >/dev/null || { echo "rpmbuild is missing (Debian: apt-get install rpm)" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')
folder=$PWD/target/dist/rpm
installed=$folder/installed
rm -rf "$folder" "$CARGO_TARGET_DIR/obs-abort"
mkdir -p "$folder"

make --no-print-directory install DESTDIR="$installed" PREFIX=/usr LIBDIR=/usr/lib64
licenses=$installed/usr/share/licenses/libobsabort0
documents=$installed/usr/share/doc/libobsabort0
mkdir -p "$licenses" "$documents"
cp LICENSE-MIT LICENSE-APACHE "$licenses"
cp CHANGELOG.md "$documents"
python3 packaging/components.py notices "$host" "$licenses/THIRD-PARTY-NOTICES"
python3 packaging/components.py sbom "$host" "$documents/obsabort.cdx.json"

# Not what the machine on which it is built does: other distributions have other folders.
rpmbuild -bb --define "_topdir $folder/work" --define "_rpmdir $folder" --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "_libdir /usr/lib64" --define "_docdir /usr/share/doc" --define "_mandir /usr/share/man" --define "_sysconfdir /etc" \
    --define "release_version $version" --define "installed $installed" packaging/obsabort.spec
rm -rf "$installed" "$folder/work"
(cd "$folder" && sha256sum ./*.rpm | sed 's|\./||' >SHA256SUMS)
ls "$folder"
