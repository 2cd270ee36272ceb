#!/bin/sh
# `make install` into a folder of its own; then a stranger's program is built against it by pkg-config and by CMake, and run.
set -eu
cd "$(dirname "$0")/.."
# Where the suites find the header is not where it is to be installed.
unset INCLUDEDIR LIBDIR
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
prefix=$folder/usr
make --no-print-directory install PREFIX="$prefix" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$prefix/bin/obs-abort" --version
test -f "$prefix/share/man/man1/obs-abort.1"
cat >"$folder/main.c" <<'C'
#include <obsabort.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    puts(obs_abort_version());
    return strcmp(obs_abort_version(), OBS_ABORT_VERSION) || obs_abort_version_number() != OBS_ABORT_VERSION_NUMBER;
}
C
missing() {
    echo "SKIPPED: $1 (apt-get install $1)"
    test "${CI:-}" != true
}
if command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config --cflags --libs obsabort)
    # shellcheck disable=SC2086
    ${CC:-cc} -o "$folder/by-pkg-config" "$folder/main.c" $flags
    LD_LIBRARY_PATH="$prefix/lib" "$folder/by-pkg-config"
    # The static library, with what it needs and no more.
    # shellcheck disable=SC2046
    ${CC:-cc} -I"$prefix/include" -o "$folder/static" "$folder/main.c" "$prefix/lib/libobsabort.a" \
        $(PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config --static --libs-only-l obsabort | sed 's/-lobsabort//')
    "$folder/static"
else
    missing pkg-config
fi
if command -v cmake >/dev/null; then
    cat >"$folder/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.13)
project(stranger C)
find_package(obsabort 0.1 REQUIRED)
add_executable(by-cmake main.c)
target_link_libraries(by-cmake obsabort::obsabort)
C
    cmake -S "$folder" -B "$folder/build" -DCMAKE_PREFIX_PATH="$prefix" >"$folder/log" 2>&1 &&
        cmake --build "$folder/build" >>"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    "$folder/build/by-cmake"
else
    missing cmake
fi
make --no-print-directory uninstall PREFIX="$prefix" >/dev/null
test -z "$(find "$prefix" -type f)" || { echo "uninstall left:"; find "$prefix" -type f; exit 1; }
echo "installed, linked by pkg-config, statically and by CMake, uninstalled"
