#!/bin/sh
# Mutation testing: sh tests/mutants/run.sh [OPTION OF CARGO-MUTANTS...]; MUTANTS_JOBS (2) at a time.
# Part of the files: sh tests/mutants/run.sh -F '^src/obs/redirect'.
# Fails if less than 95 % of the mutants are caught, or if one lives that docs/testing.md does not argue.
set -eu
cd "$(dirname "$0")/../.."
missing() {
    echo "$1" >&2
    exit 1
}
command -v cargo-mutants >/dev/null || missing "cargo-mutants is missing: cargo install --locked cargo-mutants"
command -v ip >/dev/null || missing "ip is missing: apt-get install iproute2"
test "$(id -u)" = 0 || missing "mutants run in a network namespace: be root"
export MUTANTS_CARGO="${CARGO:-cargo}" MUTANTS_ROOT="$PWD"
"$MUTANTS_CARGO" fetch --locked
# Each copy has a target folder of its own, and links faster without debug information.
unset CARGO_TARGET_DIR
export CARGO="$PWD/tests/mutants/cargo" CARGO_PROFILE_DEV_DEBUG=0 CARGO_NET_OFFLINE=true
out=target/mutants/mutants.out
mkdir -p target/mutants
# No mutant can reach the network, the metadata service of this machine above all.
status=0
unshare --net sh -c 'ip link set lo up && exec "$@"' mutants \
    cargo-mutants mutants --jobs "${MUTANTS_JOBS:-2}" --output target/mutants --timeout 1200 --colors never "$@" || status=$?
# 2: some live. 3: some time out, which is to be caught.
case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac
missed=$(wc -l <$out/missed.txt)
caught=$(cat $out/caught.txt $out/timeout.txt | wc -l)
echo "$caught caught ($(wc -l <$out/timeout.txt) by a timeout), $missed missed, $(wc -l <$out/unviable.txt) did not compile"
failed=0
# Line and column change; a bar is escaped in a table.
sed 's/:[0-9]*:[0-9]*: /: /' $out/missed.txt | sort -u >target/mutants/missed.txt
while read -r mutant; do
    sed 's/\\|/|/g' docs/testing.md | grep -qF "\`$mutant\`" || {
        echo "not argued in docs/testing.md: $mutant"
        failed=1
    }
done <target/mutants/missed.txt
test $((caught * 100)) -ge $(((caught + missed) * 95)) || {
    echo "less than 95 % are caught"
    failed=1
}
exit $failed
