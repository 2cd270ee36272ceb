#!/bin/sh
# `make install` into folders of its own: which files, where; what README says about linking, as it stands there; the
# static library; uninstalled without a trace.
set -eu
cd "$(dirname "$0")/.."
# Where the suites find the header is not where it is to be installed.
unset INCLUDEDIR LIBDIR
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

fail() {
    echo "install: $1" >&2
    exit 1
}

# NAME PACKAGE: whether a program is there. In CI it must be.
have() {
    command -v "$1" >/dev/null && return
    echo "SKIPPED: what needs $1 (apt-get install $2)"
    test "${CI:-}" != true || fail "$1 is missing"
    return 1
}

quietly() {
    "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; fail "failed: $*"; }
}

# TARGET VARIABLE...: make, by its rules for where things go.
put() { quietly make --no-print-directory "$@"; }

# FOLDER: the files and links below it, without the version.
files() { (cd "$1" && find . ! -type d | sed "s/so\.$version/so.VERSION/" | LC_ALL=C sort); }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
prefix=$folder/usr
put install PREFIX="$prefix"

files "$prefix" >"$folder/files"
cat >"$folder/expected" <<'files'
./bin/obs-abort
./include/obsabort.h
./include/obsabort.hpp
./lib/cmake/obsabort/obsabort-config-version.cmake
./lib/cmake/obsabort/obsabort-config.cmake
./lib/libobsabort.a
./lib/libobsabort.so
./lib/libobsabort.so.0
./lib/libobsabort.so.VERSION
./lib/pkgconfig/obsabort-static.pc
./lib/pkgconfig/obsabort.pc
./lib/systemd/system/obs-abort@.service
./lib/systemd/system/obs-abort@.timer
./share/bash-completion/completions/obs-abort
./share/fish/vendor_completions.d/obs-abort.fish
./share/man/man1/obs-abort.1
./share/obsabort/thread-sanitizer.supp
./share/obsabort/valgrind.supp
./share/zsh/site-functions/_obs-abort
files
diff "$folder/expected" "$folder/files" || fail "other files than expected were installed"
! grep -rn '@[A-Z_]*@' "$prefix/lib/pkgconfig" "$prefix/lib/cmake" || fail "something was not filled in"
[ "$("$prefix/bin/obs-abort" --version)" = "obs-abort $version" ] || fail "obs-abort does not run, or is of another version"

# Other linkers and older LLVMs stumble over bitcode.
size=$(wc -c <"$prefix/lib/libobsabort.a")
[ "$size" -lt 20000000 ] || fail "libobsabort.a has $size bytes"
if have readelf binutils; then
    readelf -SW "$prefix/lib/libobsabort.a" >"$folder/sections"
    grep -q '\.text\.obs_abort_multipart' "$folder/sections" || fail "readelf does not show the sections of libobsabort.a"
    ! grep -m 1 ' \.llvm\(bc\|cmd\)' "$folder/sections" || fail "libobsabort.a contains LLVM bitcode"
fi

mkdir "$folder/strangers"
cat >"$folder/strangers/main.c" <<'C'
#include <obsabort.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    puts(obs_abort_version());
    return strcmp(obs_abort_version(), OBS_ABORT_VERSION) || obs_abort_version_number() != OBS_ABORT_VERSION_NUMBER;
}
C
if have pkg-config pkg-config; then
    export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
    # The lines of README, as they stand there. In its table a | is escaped.
    sed -n 's/^| .*`\(cc [^`]*\)`.*/\1/p' README.md | sed 's/\\|/|/g' >"$folder/lines"
    [ "$(wc -l <"$folder/lines")" = 3 ] || fail "README does not have three lines that link"
    while read -r line; do
        rm -f "$folder/strangers/a.out"
        (cd "$folder/strangers" && quietly sh -c "$line" && LD_LIBRARY_PATH="$prefix/lib" ./a.out >"$folder/said") ||
            fail "README's line does not work: $line"
        [ "$(cat "$folder/said")" = "$version" ] || fail "another library was linked by: $line"
        echo "works as README says: $line"
    done <"$folder/lines"
    if have readelf binutils; then
        ! readelf -d "$folder/strangers/a.out" | grep NEEDED || fail "README's last line makes no static program"
    fi
    [ "$(pkg-config --modversion obsabort obsabort-static | sort -u)" = "$version" ] || fail "the version of a .pc file"
fi
unset PKG_CONFIG_PATH
put uninstall PREFIX="$prefix"
[ -z "$(files "$prefix")" ] || fail "uninstall left: $(files "$prefix")"

# As a distribution does it: GNU's names, a library folder of its own, staged in a folder that is named from here.
stage=$folder/stage
staged="prefix=/usr libdir=/usr/lib/x86_64-linux-gnu mandir=/usr/man DESTDIR=$(realpath -m --relative-to=. "$stage")"
# shellcheck disable=SC2086
put install $staged
for file in bin/obs-abort include/obsabort.h lib/x86_64-linux-gnu/libobsabort.so.0 man/man1/obs-abort.1 share/obsabort/valgrind.supp \
    share/zsh/site-functions/_obs-abort; do
    [ -e "$stage/usr/$file" ] || fail "not staged: $file"
done
if have pkg-config pkg-config; then
    pc=$stage/usr/lib/x86_64-linux-gnu/pkgconfig
    includes=$(PKG_CONFIG_PATH=$pc pkg-config --variable=includedir obsabort)
    [ "$includes" -ef "$stage/usr/include" ] || fail "obsabort.pc, staged, has the header in $includes"
fi
# shellcheck disable=SC2086
put uninstall $staged
[ -z "$(files "$stage")" ] || fail "uninstall left: $(files "$stage")"

# A folder outside of the prefix can't be found from within.
put install PREFIX="$prefix" LIBDIR="$folder/elsewhere" DESTDIR=
for line in "prefix=$prefix" "libdir=$folder/elsewhere" "includedir=$prefix/include"; do
    grep -qxF "$line" "$folder/elsewhere/pkgconfig/obsabort.pc" || fail "obsabort.pc does not say $line"
done
grep -qF "\"$folder/elsewhere\"" "$folder/elsewhere/cmake/obsabort/obsabort-config.cmake" || fail "CMake's file does not know LIBDIR"
"$prefix/bin/obs-abort" --version >"$folder/log" || fail "obs-abort does not find its library in LIBDIR"
put uninstall PREFIX="$prefix" LIBDIR="$folder/elsewhere"
[ -z "$(files "$folder/elsewhere")$(files "$prefix")" ] || fail "uninstall left something"
echo "installed, linked as README says, staged, uninstalled; libobsabort.a: $size bytes"
