#!/bin/sh
# Makes the RPM packages in target/dist/rpm: run by `make rpm`, below reproducible.sh. Needs rpmbuild.
# rpm.sh [TARGET]: for this machine's architecture; x86_64-unknown-linux-gnu needs no newer glibc than 2.17.
set -eu
cd "$(dirname "$0")/.."
command -v rpmbuild >/dev/null || { echo "rpmbuild is missing (Debian: apt-get install rpm)" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
folder=$PWD/target/dist/rpm
installed=$folder/installed
rm -rf "$folder"
mkdir -p "$folder"

python3 packaging/dist.py install "$installed" /usr/lib64 "$@"
licenses=$installed/usr/share/licenses/libobsabort0
documents=$installed/usr/share/doc/libobsabort0
mkdir -p "$licenses" "$documents"
cp LICENSE-MIT LICENSE-APACHE "$licenses"
cp CHANGELOG.md "$documents"
mv "$folder/THIRD-PARTY-NOTICES" "$licenses"
mv "$folder/obsabort.cdx.json" "$documents"

# Not what the machine on which it is built does: other distributions have other folders.
rpmbuild -bb --define "_topdir $folder/work" --define "_rpmdir $folder" --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "_libdir /usr/lib64" --define "_docdir /usr/share/doc" --define "_mandir /usr/share/man" --define "_sysconfdir /etc" \
    --define "release_version $version" --define "installed $installed" packaging/obsabort.spec
rm -rf "$installed" "$folder/work"
(cd "$folder" && sha256sum ./*.rpm | sed 's|\./||' >SHA256SUMS)
ls "$folder"
