# The C programs under a sanitizer; sourced by address.sh and thread.sh, which set:
#   out      an empty directory of theirs
#   compile  the C compiler with its flags
#   link     the library, with what it needs
# They stand in this directory when they source it. Everything listens on 127.0.0.1 and ends with the script.

root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac
server=""
export OBS_ACCESS_KEY_ID=SANITIZERKEY OBS_SECRET_ACCESS_KEY=sanitizer-secret
# An exit status of its own: programs that fail with 1 on purpose must not hide a report.
found=66

stop_server() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; }
    server=""
}
trap stop_server EXIT
trap 'exit 1' INT TERM

fail() {
    echo "$1" >&2
    [ ! -f "$out/output" ] || cat "$out/output" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing: apt-get install $2"
}

obs_local() {
    if [ -z "${OBS_LOCAL:-}" ]; then
        ${CARGO:-cargo} build --locked --manifest-path "$root/Cargo.toml" -p obs-local --target-dir "$target" || exit 1
        OBS_LOCAL=$target/debug/obs-local
    fi
}

# A certificate authority, and a certificate of its own for 127.0.0.1.
certificates() {
    need openssl openssl
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$out/ca.key" -out "$out/ca.pem" -days 2 -subj "/CN=sanitizer CA" \
        -addext basicConstraints=critical,CA:TRUE 2>"$out/output" || fail "openssl: no CA"
    openssl req -newkey rsa:2048 -nodes -keyout "$out/server.key" -out "$out/server.csr" -subj "/CN=127.0.0.1" \
        2>"$out/output" || fail "openssl: no request"
    printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$out/server.ext"
    openssl x509 -req -in "$out/server.csr" -CA "$out/ca.pem" -CAkey "$out/ca.key" -CAcreateserial -days 2 \
        -extfile "$out/server.ext" -out "$out/server.pem" 2>"$out/output" || fail "openssl: no certificate"
}

# What driver.c expects to find, and a few faults on the way.
start_server() {
    stop_server
    : >"$out/listening"
    "$OBS_LOCAL" serve --port 0 --access-key "$OBS_ACCESS_KEY_ID" --secret-key "$OBS_SECRET_ACCESS_KEY" \
        --uploads driver:20:172800:single/ --uploads driver:64:172800:threads/:7 --uploads driver:120:172800:many/ \
        --uploads driver:60:172800:rest/ --uploads driver:150:172800:stale/:11 --page-cap 40 \
        --uploads examples:121:172800:old/:9 \
        --fault 'silence;then=stall;key=stall;always' \
        --fault 'answer=503;error=SlowDown;method=DELETE;target=many/;skip=50;times=2' \
        --fault 'real;cut=0;method=DELETE;target=threads/;skip=10;times=2' \
        --fault 'real;cut=20;then=reset;method=DELETE;target=threads/;skip=30;times=2' \
        --fault 'answer=500;body=<html>;method=DELETE;target=stale/;skip=20;times=1' \
        --fault 'real;then=close;method=DELETE;target=stale/;skip=40;times=3' \
        "$@" >"$out/listening" &
    server=$!
    tries=0
    until grep -q listening "$out/listening"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] && kill -0 "$server" 2>/dev/null || fail "obs-local does not start"
        sleep 0.05
    done
    address=$(sed -n 's/^listening on //p' "$out/listening")
}

# PROGRAM EXPECTED_STATUS ARGUMENT...; what it wrote is in $out/output.
run() {
    program=$1 expected=$2
    shift 2
    status=0
    "$out/$program" "$@" >"$out/output" 2>&1 || status=$?
    if grep -qE 'ERROR: |WARNING: [A-Za-z]*Sanitizer|SUMMARY: ' "$out/output"; then
        fail "$program: the sanitizer found something"
    fi
    [ "$status" = "$expected" ] || fail "$program ended with $status, not $expected"
}

build_programs() {
    for program in abort_one abort_many abort_stale sweep abort_cancel abort_threads; do
        $compile -I"$root/include" "$root/examples-c/$program.c" -o "$out/$program" $link || exit 1
    done
    $compile -I"$root/include" "$root"/tools/obs-abort/[!s]*.c "$root"/tools/obs-abort/s[!y]*.c "$root/tools/obs-abort/system_posix.c" -o "$out/obs-abort" $link || exit 1
    $compile -std=c99 -I"$root/include" "$root/tests/sanitize/driver.c" -o "$out/driver" $link || exit 1
}

# SCHEME: the programs against a server that has just been started; with https it has the certificates' CA.
exercise() {
    endpoint=$1://$address
    ca=""
    [ "$1" = http ] || { ca=$out/ca.pem && export SSL_CERT_FILE="$ca"; }
    # shellcheck disable=SC2086
    run driver 0 "$endpoint" driver $ca
    tail -n 1 "$out/output"

    run obs-abort 0 --endpoint "$endpoint" --list obs://examples
    grep '^old/' "$out/output" | cut -f 1,2 >"$out/uploads"
    [ "$(wc -l <"$out/uploads")" = 121 ] || fail "obs-abort: not the uploads there are"
    IFS=$(printf '\t') read -r key id <"$out/uploads"
    run abort_one 0 "$endpoint" examples "$key" "$id"
    run abort_one 1 "$endpoint" examples "$key" "$id"
    run abort_one 1 "$endpoint" examples "$key" ""
    run abort_one 1 "ftp://$address" examples "$key" "$id"
    OBS_SECRET_ACCESS_KEY=wrong run abort_one 1 "$endpoint" examples "$key" "$id"
    tail -n +2 "$out/uploads" | head -n 80 >"$out/some"
    printf 'old/000001\tunknown\n' >>"$out/some"
    run abort_threads 0 "$endpoint" examples 8 <"$out/some"
    grep -q '^80 aborted, 1 gone already, 0 failed' "$out/output" || fail "abort_threads: not what was expected"
    run abort_many 0 "$endpoint" examples <"$out/some"
    grep -q '^0 aborted, 81 gone already, 0 failed' "$out/output" || fail "abort_many: not what was expected"
    IFS=$(printf '\t') read -r key id <<EOF
$(tail -n 1 "$out/uploads")
EOF
    run abort_cancel 0 "$endpoint" examples "$key" "$id"
    run abort_stale 0 -n "$endpoint" examples 24
    grep -q '^39 would be aborted, ' "$out/output" || fail "abort_stale: not what was expected"
    tail -n 2 "$out/uploads" | head -n 1 | cut -f 2 >"$out/catalogue"
    run sweep 0 -n "$endpoint" examples 24 "$out/catalogue"
    grep -q '^38 would be aborted, ' "$out/output" || fail "sweep: not what was expected"
    run sweep 0 "$endpoint" examples 24 "$out/catalogue" old/000008
    run abort_stale 0 "$endpoint" examples 24 old/000007
    run obs-abort 0 --endpoint "$endpoint" --stale 24h --yes --connections 8 obs://examples
    run obs-abort 0 --endpoint "$endpoint" --list obs://examples
    ! grep -q '^old/' "$out/output" || fail "obs-abort: uploads are left"
    unset SSL_CERT_FILE
    echo "$1: driver, the small programs and obs-abort without a report"
}
