#!/bin/sh
# The program of docs/ffi.md, in Ruby, with nothing of the library but its .so.0: an abort, a sweep with progress, Ctrl-C while
# the server is silent, an exception in the callback, a NUL.
set -eu
cd "$(dirname "$0")/../.."
. tests/bindings/common.sh

have ruby ruby "docs/ffi.md" && have timeout coreutils "docs/ffi.md" || exit 0

prepare
code_blocks ruby docs/ffi.md >"$folder/abort.rb"
[ -s "$folder/abort.rb" ] || fail "docs/ffi.md has no program"
cd "$folder"
export LD_LIBRARY_PATH="$folder/lib"
ruby --version
start_server --uploads hello:300:86400:old/
with_settings ruby -w abort.rb hello 3600 >said 2>log || { cat log; fail "the sweep fails"; }
[ ! -s log ] || fail "it warns: $(cat log)"
[ "$(tail -n 1 said)" = "300 of 300" ] || fail "the sweep says $(tail -n 1 said)"
check_program ruby abort.rb

# ARGUMENT MESSAGE [RUBY]: runs the program within Ruby, and demands that it fails with a message.
refused() {
    status=0
    with_settings ruby -e "${3:-}; ARGV.replace([\"hello\", $1]); load \"abort.rb\"" >said 2>log || status=$?
    [ $status = 1 ] && grep -q "$2" log || { cat said log; fail "no failure with $2"; }
}
refused '"a\0b", "id"' "not fit for C: .*(ArgumentError)"
refused '"a\xff", "id"' "not fit for C: .*(ArgumentError)"
refused '"-1"' "negative age"
echo "uploads hello:300:86400:old/" >&3
# shellcheck disable=SC2016
refused '"3600"' "full (RuntimeError)" 'full = Object.new; def full.write(*) = raise("full"); def full.puts(*) = raise("full"); $stdout = full'

echo "fault silence;then=stall;always" >&3
for arguments in "key id" 3600; do
    status=0
    # shellcheck disable=SC2086
    with_settings timeout -s INT -k 3 1 ruby abort.rb hello $arguments >said 2>log || status=$?
    [ $status = 124 ] && grep -q Interrupt log || { cat log; fail "Ctrl-C does not end it: $status"; }
done
stop_server
echo "docs/ffi.md: its program aborts, sweeps, is interrupted, and refuses what is not fit for C"
