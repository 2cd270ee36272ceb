#!/bin/sh
# An upload is aborted before your eyes: a small OBS on loopback, a C program on this library, and what the server says.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cargo=${CARGO:-cargo}

"$cargo" build --release --locked -p obsabort
"$cargo" build --locked -p obs-local
make --no-print-directory -C examples-c

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
export OBS_ACCESS_KEY_ID=DEMOACCESSKEY OBS_SECRET_ACCESS_KEY=demo-secret-key
"$target/debug/obs-local" --port 0 --access-key "$OBS_ACCESS_KEY_ID" --secret-key "$OBS_SECRET_ACCESS_KEY" \
    --bucket backups --uploads backups:40:172800:crashed/ --uploads backups:3:60:running/ >"$folder/server" &
server=$!
n=0
until grep -q '^listening on' "$folder/server"; do
    n=$((n + 1))
    test "$n" -lt 100 || { echo "obs-local does not start" >&2; exit 1; }
    sleep 0.1
done
endpoint=http://$(sed -n 's/^listening on //p' "$folder/server")
keys="--endpoint $endpoint --access-key $OBS_ACCESS_KEY_ID --secret-key $OBS_SECRET_ACCESS_KEY --bucket backups"
key="2026/home tar.gz"

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || step() { printf '\n%s\n' "$*"; }
# Runs a command and demands its exit status.
demand() {
    wanted=$1
    shift
    status=0
    "$@" || status=$?
    test "$status" = "$wanted" || { echo "exit status $status instead of $wanted" >&2; exit 1; }
}

step "1. A backup uploads two parts of a file, and crashes"
file=$target/release/libobsabort.so
half=$(($(wc -c <"$file") / 2 + 1))
# shellcheck disable=SC2086
id=$("$target/debug/obs-local" put-parts $keys --key "$key" --part-size "$half" "$file" 2>/dev/null | tail -n 1)
echo "upload id $id"
# shellcheck disable=SC2086
"$target/debug/obs-local" list-parts $keys --key "$key" "$id" | head -n 3

step "2. examples-c/abort_one.c, in C, on libobsabort.so"
demand 0 "$target/examples-c/abort_one" "$endpoint" backups "$key" "$id"

step "3. The parts are gone"
# shellcheck disable=SC2086
"$target/debug/obs-local" list-parts $keys --key "$key" "$id" || true

step "4. A second abort says so"
"$target/examples-c/abort_one" "$endpoint" backups "$key" "$id" || true

step "5. obs-abort finds what other crashes left: 40 uploads two days old, and 3 that are running"
export OBS_ENDPOINT="$endpoint"
demand 0 "$target/examples-c/obs-abort" --stale 24h --dry-run obs://backups | tail -n 2
demand 0 "$target/examples-c/obs-abort" --stale 24h --yes obs://backups | tail -n 2
demand 0 "$target/examples-c/obs-abort" --list obs://backups | tail -n 4
