# For the scripts in this folder, which are run in the tree's root: . tests/packages/common.sh
# shellcheck shell=sh

fail() {
    echo "$*" >&2
    exit 1
}

# Ends the script; with CI=true that is a failure.
skip() {
    echo "SKIPPED: $1 ($2)"
    if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}

# PROGRAM PACKAGE: a program that the script can't do without.
need() {
    command -v "$1" >/dev/null || skip "$1 is missing" "apt-get install $2"
}

# The programs of requirements.txt are in $venv/bin afterwards.
venv() {
    need python3 "python3 python3-venv"
    venv=$PWD/build/packages-venv
    if ! cmp -s tests/packages/requirements.txt "$venv/requirements.txt"; then
        rm -rf "$venv"
        python3 -m venv "$venv" || skip "no virtual environment for Python" "apt-get install python3-venv"
        "$venv/bin/pip" install -q --disable-pip-version-check -r tests/packages/requirements.txt
        cp tests/packages/requirements.txt "$venv/requirements.txt"
    fi
}

# A folder that is gone afterwards, a server, and the time of what is built.
prepare() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 1' INT TERM
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    target=${CARGO_TARGET_DIR:-target}
    case $target in /*) ;; *) target=$PWD/$target ;; esac
    if [ -z "${OBS_LOCAL:-}" ]; then
        "${CARGO:-cargo}" build -q --release --locked -p obs-local
        OBS_LOCAL=$target/release/obs-local
    fi
    export SOURCE_DATE_EPOCH OBS_LOCAL
}

# Shows what a command says only if it fails. What it said is in $folder/log.
quietly() {
    "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; fail "failed: $*"; }
}
