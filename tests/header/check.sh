#!/bin/sh
# Compiles the headers in every language level that a caller may be bound to, with each compiler:
#
#     sh tests/header/check.sh -Iinclude
#
# The arguments are flags for the compilers. A compiler or a level that is missing is reported; with CI=true that is a
# failure.
set -u
here=$(dirname "$0")
output=$(mktemp)
trap 'rm -f "$output"' EXIT
trap 'exit 1' INT TERM
warnings="-Wall -Wextra -Wpedantic -Werror"
missing=0

skipped() {
    echo "SKIPPED: the header $1"
    missing=$((missing + 1))
}

# COMPILER LANGUAGE LEVEL SUFFIX FLAG...: each of the files here with this suffix, without a warning.
check() {
    compiler=$1 language=$2 level=$3 suffix=$4
    shift 4
    if ! echo 'int nothing;' | "$compiler" "-std=$level" -fsyntax-only -x "$language" - 2>"$output"; then
        skipped "as $level: $compiler $("$compiler" -dumpversion) does not know it"
        return
    fi
    for file in "$here"/*"$suffix"; do
        # shellcheck disable=SC2086
        if ! "$compiler" "-std=$level" $warnings "$@" -fsyntax-only -x "$language" "$file" 2>"$output"; then
            echo "FAILED: the header as $level with $compiler, in $(basename "$file"):"
            cat "$output"
            exit 1
        fi
    done
    echo "the header as $level with $compiler"
}

# COMPILER PACKAGE LANGUAGE "LEVEL..." SUFFIX FLAG...
check_all() {
    compiler=$1 package=$2 language=$3 levels=$4 suffix=$5
    shift 5
    if ! command -v "$compiler" >/dev/null; then
        skipped "with $compiler: apt-get install $package"
        return
    fi
    for level in $levels; do
        check "$compiler" "$language" "$level" "$suffix" "$@"
    done
}

# c2x and c++2b: the names for C23 and C++23 that older compilers know, too.
c="c89 c99 c11 c17 c2x"
cxx="c++98 c++03 c++11 c++14 c++17 c++20 c++2b"
check_all gcc gcc c "$c" .c "$@"
check_all clang clang c "$c" .c "$@"
check_all g++ g++ c++ "$cxx" .c "$@"
check_all clang++ clang c++ "$cxx" .c "$@"

echo "obsabort.hpp:"
cxx="c++17 c++20 c++2b"
# What a program may be strict about, and can't be if its headers are not.
warnings="$warnings -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor -Wextra-semi"
check_all g++ g++ c++ "$cxx" .cpp "$@"
check_all clang++ clang c++ "$cxx" .cpp "$@"
# The other standard library, that of macOS.
if echo '#include <version>' | clang++ -std=c++17 -stdlib=libc++ -fsyntax-only -x c++ - 2>"$output"; then
    check_all clang++ clang c++ "$cxx" .cpp -stdlib=libc++ "$@"
else
    skipped "with libc++: apt-get install libc++-dev libc++abi-dev"
fi
[ $missing = 0 ] || [ "${CI:-}" != true ]
