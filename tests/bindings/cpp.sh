#!/bin/sh
# obsabort.hpp on an installed prefix, outside of this tree: language levels and compilers, the shared and the static
# library, sanitizers, valgrind, and the programs of docs/cpp.md.
set -eu
cd "$(dirname "$0")/../.."
. tests/bindings/common.sh
exclude=""

have cmake cmake "obsabort.hpp" || exit 0
[ -e /usr/include/doctest/doctest.h ] || have doctest doctest-dev "obsabort.hpp" || exit 0

prepare
cp -r tests/bindings/cpp "$folder/source"

# The programs of the page: the first as it stands, but for the endpoint; the others within a function.
awk -v folder="$folder/source" '
    /^```cpp/ { n++; file = folder "/example" n ".cpp"; level[n] = $0
        if (n > 1) { print "#include <obsabort.hpp>\n#include <iostream>\n#include <thread>" >file
            if ($0 ~ /20/) print "#include <version>\n#if defined(__cpp_lib_jthread)" >file
            print "void example" n "(const obsabort::client &client);\nvoid example" n "(const obsabort::client &client)\n{" >file }
        next }
    /^```/ && file { if (n > 1) { print "}" >file; if (level[n] ~ /20/) print "#endif" >file }
        close(file); file = "" }
    file { print >file }
    END { exit n != 6 }' docs/cpp.md || fail "docs/cpp.md does not have six programs"
sed 's|"https://obs.eu-101.myhuaweicloud.com"|std::getenv("OBS_ENDPOINT")|; 1i #include <cstdlib>' \
    "$folder/source/example1.cpp" >"$folder/source/example.cpp"
# README's lines, within a function.
{
    printf '#include <obsabort.hpp>\nvoid readme(const std::string &upload_id);\nvoid readme(const std::string &upload_id)\n{\n'
    code_blocks cpp README.md
    echo '}'
} >"$folder/source/readme.cpp"
grep -q 'client.abort(' "$folder/source/readme.cpp" || fail "README has no lines in C++"

# NAME COMPILER LEVEL LINK FLAGS: builds in $folder/NAME.
build() {
    echo "== $1: $2, C++$3, $4 $5"
    quietly cmake -S "$folder/source" -B "$folder/$1" -DCMAKE_CXX_COMPILER="$2" -DCMAKE_CXX_STANDARD="$3" -DLINK="$4" \
        -DCMAKE_CXX_FLAGS="$5" -DCMAKE_BUILD_TYPE= -DCMAKE_PREFIX_PATH="$prefix"
    quietly cmake --build "$folder/$1" -j 2
}

# NAME [WRAPPER...]: runs the tests of a build.
run() {
    name=$1
    shift
    LD_LIBRARY_PATH=$folder/lib "$@" "$folder/$name/tests" ${exclude:+"--test-case-exclude=$exclude"} >"$folder/log" 2>&1 || { cat "$folder/log"; fail "failed: $name"; }
    grep -q 'test cases: *[1-9]' "$folder/log" || fail "$name ran no tests"
    grep 'test cases:' "$folder/log"
}

needed() {
    objdump -p "$folder/$1/tests" | sed -n 's/^ *NEEDED *//p' | grep obsabort || :
}

# The program of the page, on an upload of its own.
run_example() {
    start_server
    id=$(client initiate --key "a key")
    export LD_LIBRARY_PATH="$folder/lib"
    [ "$(with_settings "$folder/$1/example" hello "a key" "$id")" = gone ] || fail "docs/cpp.md: the program does not abort"
    status=0
    with_settings "$folder/$1/example" hello "a key" "$id" 2>"$folder/log" || status=$?
    [ $status = 3 ] && grep -q '^no_such_upload: ' "$folder/log" || fail "docs/cpp.md: the program does not say no_such_upload"
    unset LD_LIBRARY_PATH
    stop_server
    echo "docs/cpp.md: its program aborts, and says no_such_upload the second time"
}

if have g++ g++ "C++17, and C++23, with g++"; then
    build gcc17 g++ 17 shared -O2
    [ "$(needed gcc17)" = libobsabort.so.0 ] || fail "gcc17 was not linked with the shared library"
    run gcc17
    run_example gcc17
    build gcc23 g++ 23 static -O2
    [ -z "$(needed gcc23)" ] || fail "gcc23 was not linked with the static library"
    run gcc23
    if have valgrind valgrind "C++ under valgrind"; then
        # It is there to report a read that faults on purpose, and what a child leaves to its parent.
        exclude='a fault in a callable*,the child of a fork*'
        SLOWNESS=20 run gcc17 valgrind -q --error-exitcode=66 --leak-check=full --fair-sched=yes \
            --suppressions="$prefix/share/obsabort/valgrind.supp"
        exclude=""
    fi
fi
if have clang++ "clang libclang-rt-dev" "C++20 under sanitizers, with clang++"; then
    build address clang++ 20 shared "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined"
    SLOWNESS=4 run address
    build thread clang++ 20 shared "-g -O1 -fsanitize=thread"
    SLOWNESS=10 TSAN_OPTIONS=suppressions=$prefix/share/obsabort/thread-sanitizer.supp run thread
fi
