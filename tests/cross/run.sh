#!/bin/sh
# Builds for TARGET, looks at what was built (check.py), and runs it as far as this machine can: the suites portable and
# examples of tests/e2e, and those of the suite tool that need no terminal.
#
#     sh tests/cross/run.sh TARGET...          # the targets of tools/cross/setup.sh; or: all
#
# x86_64 Linux runs here, and once more with the C library of Debian 11. aarch64 runs under qemu-aarch64, musl by its own
# loader, Windows under Wine, in a prefix of its own, with tests/consumers by mingw-w64 beside. macOS is only built. Needs
# root, Debian 12 and what setup.sh needs.
set -eu
cd "$(dirname "$0")/../.."
cross=$PWD/build/cross
folder=${CARGO_TARGET_DIR:-target}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
export OBS_LOCAL="${OBS_LOCAL:-$folder/release/obs-local}" INCLUDEDIR="$PWD/include"
programs="abort_one abort_many abort_stale sweep abort_cancel abort_threads"

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
    # From where this machine has its own.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1)
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$root/apt/sources.list"
    # What is installed here is of no interest: an empty status.
    : >"$root/apt/status"
    options="-q -o APT::Architecture=$architecture -o APT::Architectures=$architecture -o Dir::State::Lists=$root/apt/lists
        -o Dir::State::Status=$root/apt/status
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
    echo "== $target, the programs, $1"
    # shellcheck disable=SC2086
    python3 tests/e2e/run.py examples tool -k test_examples. -k tool_screen.Terminal $tool_tests
    [ -z "${before_portable:-}" ] || $before_portable
    run_portable "$1"
}

run_portable() {
    echo "== $target, the library, $1"
    python3 tests/e2e/run.py portable
}

# Strangers' programs on a prefix, by mingw-w64: tests/consumers.
run_mingw_consumers() {
    prefix=$built/prefix
    rm -rf "$prefix"
    env -u INCLUDEDIR make --no-print-directory -s install-development PREFIX="$prefix" release="$built/release"
    mkdir "$prefix/bin"
    cp "$built/release/obsabort.dll" "$prefix/bin"
    cp "$built/release/libobsabort.dll.a" "$built/release/obsabort.lib" "$built/release/libobsabort.a" "$prefix/lib"
    cat >"$built/mingw.ini" <<end
[binaries]
c = 'x86_64-w64-mingw32-gcc'
cpp = 'x86_64-w64-mingw32-g++'
ar = 'x86_64-w64-mingw32-ar'
pkgconfig = 'pkg-config'
[host_machine]
system = 'windows'
cpu_family = 'x86_64'
cpu = 'x86_64'
endian = 'little'
end
    CC=x86_64-w64-mingw32-gcc CXX=x86_64-w64-mingw32-g++ OBJDUMP=x86_64-w64-mingw32-objdump \
        LDFLAGS='-static-libgcc -static-libstdc++' python3 tests/consumers/run.py "$prefix" --run "$built/run/wine" \
        --exe .exe --cmake=-DCMAKE_SYSTEM_NAME=Windows --meson="--cross-file=$built/mingw.ini" \
        --meson="-Dpkg_config_path=$prefix/lib/pkgconfig"
    # The import library for Microsoft's linker.
    x86_64-w64-mingw32-gcc -static-libgcc -Iinclude tests/portable/portable.c "$prefix/lib/obsabort.lib" \
        -Wl,-Bstatic -lwinpthread -Wl,-Bdynamic -o "$prefix/bin/portable.exe"
    "$built/run/wine" "$prefix/bin/portable.exe" codes http://127.0.0.1:1 ''
}

stop_wine() {
    "$wine/wineserver" -k -w || true
}

# Wine boots for a program if no other runs, which takes seconds, and is gone after it: here is one that waits for input
# until stop_wine.
keep_wine() {
    rm -f "$WINEPREFIX/input"
    mkfifo "$WINEPREFIX/input"
    "$built/run/wine" cmd <>"$WINEPREFIX/input" >/dev/null 2>&1 &
}

run_wine() {
    install_packages wine64 g++-mingw-w64-x86-64-win32 cmake meson ninja-build pkg-config
    wine=/usr/lib/wine
    WINEPREFIX=$(mktemp -d)
    export WINEPREFIX
    trap 'stop_wine; rm -rf "$WINEPREFIX"' EXIT
    trap 'exit 1' INT TERM
    # Arguments in UTF-8, no display, neither Mono nor Gecko.
    settings="export WINEPREFIX='$WINEPREFIX' HOME='$WINEPREFIX' LC_ALL=C.UTF-8 WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml="
    export TARGET_SYSTEM=windows
    # Wine takes a second for each start, and wrong usage is a hundred of them.
    tool_tests="-k test_tool.Help -k test_tool.One -k test_tool.List -k test_tool.From -k test_tool.Stale -k test_tool.Trouble
        -k test_tool.Usage.test_what_the_library"
    make_scripts "$built/run" "$wine/wine64"
    printf '#!/bin/sh\n%s\nwine=%s . "%s"\n' "$settings" "$wine/wine64" "$PWD/tests/cross/wine-store.sh" >"$built/run/store"
    printf '#!/bin/sh\n%s\nexec "%s" "$@"\n' "$settings" "$wine/wine64" >"$built/run/wine"
    chmod 755 "$built/run/store" "$built/run/wine"
    export PORTABLE_STORE="$built/run/store"
    "$built/run/wine" wineboot --init >/dev/null 2>&1
    keep_wine
    # The server opens the sockets of all: it has to be started anew in the network of the suite.
    before_portable=stop_wine
    run_suites "under $("$wine/wine64" --version)"
    # And back into the network of the machine.
    stop_wine
    keep_wine
    run_mingw_consumers
}

run_target() {
    target=$1 exe='' settings='' before_portable='' tool_tests='-k test_tool.'
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
        run_portable "with the C library of Debian 11"
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
        # An emulated processor is some ten times slower.
        export PORTABLE_SLACK=1000
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
