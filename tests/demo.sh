#!/bin/sh
# An upload is aborted before your eyes: a small OBS on loopback, a C program on this library, and what the server says.
# Each exit status and each number shown is checked. OBS_LOCAL, EXAMPLES_DIR and OBS_ABORT_TOOL name
# programs that are built already.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cargo=${CARGO:-cargo}

if [ -z "${OBS_LOCAL:-}" ] || [ -z "${EXAMPLES_DIR:-}" ] || [ -z "${OBS_ABORT_TOOL:-}" ]; then
    make --no-print-directory library
    "$cargo" build --locked -p obs-local
    make --no-print-directory -C examples-c
    make --no-print-directory -C tools/obs-abort
    OBS_LOCAL=$target/debug/obs-local EXAMPLES_DIR=$target/examples-c OBS_ABORT_TOOL=$target/obs-abort/obs-abort
fi

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

fail() {
    echo "demo: $1" >&2
    exit 1
}

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || step() { printf '\n%s\n' "$*"; }

# STATUS COUNT COMMAND...: shows the last lines of what a command prints, and demands its exit status.
show() {
    wanted=$1 last=$2 status=0
    shift 2
    "$@" >"$folder/shown" 2>&1 || status=$?
    tail -n "$last" "$folder/shown"
    [ "$status" = "$wanted" ] || fail "exit status $status instead of $wanted: $*"
}

# COUNT PATTERN: demands that so many lines of the last command match.
lines() {
    count=$(grep -c -- "$2" "$folder/shown" || true)
    [ "$count" = "$1" ] || fail "$count lines instead of $1 match '$2'"
}

export no_proxy=127.0.0.1
export OBS_ACCESS_KEY_ID=DEMOACCESSKEY OBS_SECRET_ACCESS_KEY=demo-secret-key
"$OBS_LOCAL" --port 0 --access-key "$OBS_ACCESS_KEY_ID" --secret-key "$OBS_SECRET_ACCESS_KEY" \
    --bucket backups --uploads backups:40:172800:crashed/ --uploads backups:3:60:running/ >"$folder/server" &
server=$!
n=0
until grep -q '^listening on' "$folder/server"; do
    n=$((n + 1))
    [ "$n" -lt 100 ] || fail "obs-local does not start"
    sleep 0.1
done
endpoint=http://$(sed -n 's/^listening on //p' "$folder/server")
key="2026/home tar.gz"

# COMMAND OPTION...: obs-local as a client, with the settings that all its commands take.
client() {
    command=$1
    shift
    "$OBS_LOCAL" "$command" --endpoint "$endpoint" --access-key "$OBS_ACCESS_KEY_ID" \
        --secret-key "$OBS_SECRET_ACCESS_KEY" --bucket backups "$@"
}

step "1. A backup uploads two parts of a file, and crashes"
file=${OBSABORT_LIB:-$target/release/libobsabort.so}
half=$(($(wc -c <"$file") / 2 + 1))
show 0 0 client put-parts --key "$key" --part-size "$half" "$file"
lines 1 '^[0-9A-F]\{32\}$'
id=$(tail -n 1 "$folder/shown")
echo "upload id $id"
show 0 3 client list-parts --key "$key" "$id"
lines 1 '^HTTP 200 '
lines 2 '^part [12]: [1-9]'

step "2. examples-c/abort_one.c, in C, on libobsabort.so"
show 0 4 "$EXAMPLES_DIR/abort_one" "$endpoint" backups "$key" "$id"
lines 1 '^result:  *ok '
lines 1 '^HTTP status: 204$'
lines 1 '^attempts:  *1$'

step "3. The parts are gone"
show 1 3 client list-parts --key "$key" "$id"
lines 1 '^HTTP 404 NoSuchUpload '
lines 0 '^part '

step "4. A second abort says so"
show 1 5 "$EXAMPLES_DIR/abort_one" "$endpoint" backups "$key" "$id"
lines 1 '^result:  *no_such_upload '
lines 1 '^HTTP status: 404$'

step "5. obs-abort finds what other crashes left: 40 uploads two days old, and 3 that are running"
export OBS_ENDPOINT="$endpoint"
show 0 3 "$OBS_ABORT_TOOL" --stale 24h --dry-run obs://backups
lines 40 '^crashed/'
lines 0 '^running/'
lines 1 '^obs-abort: 40 would be aborted, 3 younger '
show 0 3 "$OBS_ABORT_TOOL" --stale 24h --yes obs://backups
lines 40 '^aborted.crashed/'
lines 1 '^obs-abort: 40 aborted, 0 failed, 3 younger '
show 0 4 "$OBS_ABORT_TOOL" --list obs://backups
lines 3 '^running/00000[012].'
lines 0 '^crashed/'
lines 1 '^obs-abort: 3 unfinished '

step "6. The server says so, too"
show 0 3 client list-uploads
lines 3 '^running/00000[012].'
lines 0 '^crashed/'
