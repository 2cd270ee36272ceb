#!/bin/sh
# Builds for TARGET, looks at what was built (check.py), and runs it as far as this machine can: the suites portable and
# examples of tests/e2e, and those of the suite tool that need no terminal.
#
#     sh tests/cross/run.sh TARGET...          # the targets of tools/cross/setup.sh; or: all
#
# x86_64 Linux runs here, and once more with the C library of Debian 11. aarch64 runs under qemu-aarch64, musl by its own
# loader, Windows under Wine, in a prefix of its own. macOS is only built. Needs root, Debian 12 and what setup.sh needs.
set -eu
cd "$(dirname "$0")/../.."
cross=$PWD/build/cross
folder=${CARGO_TARGET_DIR:-target}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
export OBS_LOCAL="${OBS_LOCAL:-$folder/release/obs-local}" INCLUDEDIR="$PWD/include"
programs="abort_one abort_many abort_stale abort_cancel abort_threads"

install_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    # shellcheck disable=SC2086
    [ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y \
        --no-install-recommends $missing >&2
}

# Unpacks packages of another architecture or release: foreign ARCHITECTURE SUITE PACKAGE... Sets root.
foreign() {
    architecture=$1 suite=$2
    shift 2
    root=$cross/root-$suite-$architecture
    [ ! -e "$root/.complete" ] || return 0
    rm -rf "$root"
    mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
        >"$root/apt/sources.list"
    options="-q -o APT::Architecture=$architecture -o APT::Architectures=$architecture -o Dir::State::Lists=$root/apt/lists
        -o Dir::Cache=$root/apt -o Dir::Etc::SourceList=$root/apt/sources.list -o Dir::Etc::SourceParts=/dev/null
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"
    # shellcheck disable=SC2086
    apt-get $options update >&2
    # shellcheck disable=SC2086
    (cd "$root/apt" && apt-get $options download "$@" >&2)
    for package in "$root"/apt/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -rf "$root/apt"
    touch "$root/.complete"
}

# Scripts in $run that start the built programs as the words after the name say.
make_scripts() {
    run=$1
    shift
    rm -rf "$run"
    mkdir -p "$run"
    for program in obs-abort/obs-abort portable/portable $(printf 'examples-c/%s ' $programs); do
        script=$run/$(basename "$program")
        printf '#!/bin/sh\n%s\nexec %s "%s" "$@"\n' "${settings:-}" "$*" "$built/$program$exe" >"$script"
        chmod 755 "$script"
    done
    export EXAMPLES_DIR="$run" OBS_ABORT_TOOL="$run/obs-abort" PORTABLE="$run/portable"
    # The runner wants one, and these suites do not load it.
    export OBSABORT_LIB="$library"
}

# Both suites of programs, in the network of the machine, then the one that makes a network of its own.
run_suites() {
    echo "== $target $1"
    python3 tests/e2e/run.py examples tool -k test_examples. -k test_tool.
    [ -z "${before_portable:-}" ] || $before_portable
    python3 tests/e2e/run.py portable
}

run_wine() {
    install_packages wine64
    wine=/usr/lib/wine
    WINEPREFIX=$(mktemp -d)
    export WINEPREFIX
    trap '$wine/wineserver -k || true; rm -rf "$WINEPREFIX"' EXIT
    trap 'exit 1' INT TERM
    # Arguments in UTF-8, no display, neither Mono nor Gecko.
    settings="export WINEPREFIX='$WINEPREFIX' HOME='$WINEPREFIX' LC_ALL=C.UTF-8 WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml="
    export TARGET_SYSTEM=windows
    make_scripts "$built/run" "$wine/wine64"
    printf '#!/bin/sh\n%s\nwine=%s . "%s"\n' "$settings" "$wine/wine64" "$PWD/tests/cross/wine-store.sh" >"$built/run/store"
    chmod 755 "$built/run/store"
    export PORTABLE_STORE="$built/run/store"
    sh -c "$settings; exec $wine/wine64 wineboot --init" >/dev/null 2>&1
    # The server opens the sockets of all: it has to be started anew in the network of the suite.
    before_portable="$wine/wineserver -k -w"
    run_suites "under $("$wine/wine64" --version)"
}

run_target() {
    target=$1 exe='' settings='' before_portable=''
    built=$folder/$target
    sh tools/cross/build.sh "$target"
    python3 tests/cross/check.py "$target" "$built"
    library=$built/release/libobsabort.so
    case $target in
    x86_64-unknown-linux-gnu)
        make_scripts "$built/run"
        run_suites "natively"
        foreign amd64 bullseye libc6
        make_scripts "$built/run-2.31" "$root/lib/x86_64-linux-gnu/ld-2.31.so" --library-path "$root/lib/x86_64-linux-gnu"
        run_suites "with the C library of Debian 11"
        ;;
    x86_64-unknown-linux-musl)
        install_packages musl
        make_scripts "$built/run"
        run_suites "with $(dpkg-query -W musl)"
        ;;
    aarch64-unknown-linux-*)
        install_packages qemu-user
        foreign arm64 bookworm libc6 musl
        make_scripts "$built/run" qemu-aarch64 -L "$root"
        run_suites "under $(qemu-aarch64 --version | head -n 1)"
        ;;
    *-windows-gnu)
        exe=.exe library=$built/release/obsabort.dll
        run_wine
        ;;
    *) echo "== $target: built, and not run" ;;
    esac
}

[ -x "$OBS_LOCAL" ] || cargo build --release --locked -p obs-local
[ $# -gt 0 ] || { echo "usage: run.sh TARGET..., or: all" >&2; exit 2; }
[ "$1" != all ] || set -- x86_64-unknown-linux-gnu x86_64-unknown-linux-musl x86_64-win7-windows-gnu \
    aarch64-unknown-linux-gnu aarch64-unknown-linux-musl aarch64-apple-darwin x86_64-apple-darwin
for each in "$@"; do
    began=$(date +%s)
    (run_target "$each")
    echo "== $each: passed after $(($(date +%s) - began)) s"
done
