#!/bin/sh
# The documents: the manual that `make docs` makes, without a warning, the same from any folder, and complete
# (docs/check.py); and the programs in C of README and of the header, as they stand there.
set -eu
cd "$(dirname "$0")/.."
. tests/bindings/common.sh

have doxygen doxygen "the manual" || exit 0
have cc gcc "README's program" && have pkg-config pkg-config "README's program" || exit 0

quietly make --no-print-directory docs
python3 tests/docs/check.py "$target/docs"
mkdir "$folder/elsewhere"
cp -R Cargo.toml Makefile ./*.md docs examples-c include tools "$folder/elsewhere"
# Without a network, if that can be had.
apart="unshare --net"
$apart true 2>/dev/null || apart=""
# shellcheck disable=SC2086
(umask 077; export TZ=Pacific/Auckland; unset CARGO_TARGET_DIR; quietly $apart make --no-print-directory -C "$folder/elsewhere" docs)
diff -r "$target/docs" "$folder/elsewhere/target/docs" || fail "the manual is another one in another folder"
echo "the manual: the same from another folder"

prepare
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
cd "$folder"
code_blocks c "$root/README.md" >shown.c
[ "$(grep -c 'int main' shown.c)" = 1 ] || fail "README does not have one program in C"
# The endpoint alone is another.
sed 's|"https://obs.eu-101.myhuaweicloud.com"|getenv("OBS_ENDPOINT")|; 1i #include <stdlib.h>' shown.c >main.c
# shellcheck disable=SC2046
quietly cc -std=c99 -Wall -Wextra -Wpedantic -Werror main.c $(pkg-config --cflags --libs obsabort)
export LD_LIBRARY_PATH="$folder/lib"
start_server
id=$(client initiate --key "a key")
said=$(with_settings ./a.out hello "a key" "$id") || fail "README's program fails"
[ "$said" = "ok, HTTP 204" ] || fail "README's program says $said"
said=$(with_settings ./a.out hello "a key" "$id") && fail "README's program aborts what is gone"
case $said in "no_such_upload, HTTP 404: no_such_upload: "*) ;; *) fail "README's program says $said" ;; esac
stop_server

# The header's, up to the first line that is not indented.
{
    printf '#include <obsabort.h>\n#include <stdio.h>\nvoid simple_use(const char *upload_id);\nvoid simple_use(const char *upload_id)\n{\n'
    sed -n '/^ \* SIMPLE USE$/,/^ \* [A-Z]/ s/^ \*     //p' "$prefix/include/obsabort.h"
    echo '}'
} >simple.c
grep -q 'obs_abort_multipart(' simple.c || fail "the header shows no simple use"
# shellcheck disable=SC2046
quietly cc -std=c99 -Wall -Wextra -Wpedantic -Werror -c simple.c $(pkg-config --cflags obsabort)
echo "README's program aborts, and says no_such_upload the second time; the header's compiles"
