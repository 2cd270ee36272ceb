# For the scripts in this folder and tests/docs.sh, which are run in the tree's root: . tests/bindings/common.sh
# It makes $folder, which is gone afterwards. OBS_LOCAL and OBSABORT_PREFIX, an installed prefix, may be given.
# shellcheck shell=sh

binding=$(basename "$0" .sh)
root=$PWD
# A user of a prefix has none of what the other suites get.
unset INCLUDEDIR LIBDIR LD_LIBRARY_PATH OBSABORT_LIB
export no_proxy=127.0.0.1
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$root/$target ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

fail() {
    echo "$binding: $1" >&2
    exit 1
}

# PROGRAM PACKAGE [WHAT]: whether a program is there. In CI it must be.
have() {
    command -v "$1" >/dev/null && return
    echo "SKIPPED: ${3:-the binding $binding}: apt-get install $2"
    [ "${CI:-}" != true ] || exit 1
    return 1
}

# Shows what a command says only if it fails.
quietly() {
    "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; fail "failed: $*"; }
}

# OBS_LOCAL, $prefix, and $folder/lib: nothing but what a user has who only runs programs.
prepare() {
    if [ -z "${OBS_LOCAL:-}" ]; then
        quietly "${CARGO:-cargo}" build -q --release --locked -p obs-local
        OBS_LOCAL=$target/release/obs-local
    fi
    export OBS_LOCAL
    prefix=${OBSABORT_PREFIX:-}
    if [ -z "$prefix" ]; then
        prefix=$folder/prefix
        quietly make --no-print-directory install PREFIX="$prefix"
    fi
    mkdir "$folder/lib"
    cp "$(readlink -f "$prefix/lib/libobsabort.so")" "$folder/lib/libobsabort.so.0"
}

# OPTION...: starts obs-local with the bucket "hello". It ends with this script, or by stop_server. Descriptor 3 takes commands.
start_server() {
    mkfifo "$folder/stdin"
    : >"$folder/server"
    "$OBS_LOCAL" --control --access-key AK --secret-key SK --bucket hello "$@" <"$folder/stdin" >"$folder/server" &
    server=$!
    exec 3>"$folder/stdin"
    until grep -q listening "$folder/server"; do
        kill -0 $server 2>/dev/null || fail "obs-local ended"
        sleep 0.02
    done
    endpoint=http://$(sed -n 's/^listening on //p' "$folder/server")
}

stop_server() {
    exec 3>&-
    wait $server
}

# COMMAND OPTION...: obs-local as a client.
client() {
    command=$1
    shift
    "$OBS_LOCAL" "$command" --endpoint "$endpoint" --access-key AK --secret-key SK --bucket hello "$@"
}

# COMMAND...: runs a program with endpoint and credentials in its environment.
with_settings() {
    OBS_ENDPOINT="$endpoint" OBS_ACCESS_KEY_ID=AK OBS_SECRET_ACCESS_KEY=SK "$@"
}

# COMMAND...: a page's program, given BUCKET KEY UPLOAD_ID. It aborts an upload, and says the second time that it was gone before.
check_program() {
    id=$(client initiate --key "a key")
    for expected in "gone" "gone before"; do
        said=$(with_settings "$@" hello "a key" "$id") || fail "failed: $*"
        [ "$said" = "$expected" ] || fail "$* says $said instead of $expected"
    done
    left=$(client list-uploads)
    [ -z "$left" ] || fail "$* left $left"
}

# LANGUAGE FILE [NUMBER]: the code blocks of a language in a page, or one of them.
code_blocks() {
    awk -v fence="\`\`\`$1" -v number="${3:-0}" '/^```/ { shown = $0 == fence && (++n == number || number == 0); next } shown' "$2"
}
