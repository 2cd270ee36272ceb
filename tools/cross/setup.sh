#!/bin/sh
# Prepares a Debian machine to build for TARGET, in DIR (build/cross): sh tools/cross/setup.sh TARGET [DIR]
# Writes DIR/env-TARGET, which build.sh sources. A second run takes seconds.
#
# TARGET is one of rustc's: x86_64- and aarch64-unknown-linux-gnu (from glibc 2.17 on; another version may follow:
# .2.28), x86_64- and aarch64-unknown-linux-musl, x86_64-win7-windows-gnu (Windows 7 and later), x86_64- and
# aarch64-apple-darwin. Needs cargo and apt.
#
# A rustc on PATH that has std for TARGET (rustup target add TARGET) is used. Otherwise std is built from source. rustc
# compiles no std but its own release's, so both come from Debian (rustc-web, rust-web-src), and are unpacked in DIR
# rather than installed. zig links for Linux, Debian's mingw-w64 for Windows, Debian's lld for macOS.
set -eu

zig='ziglang==0.17.1 cargo-zigbuild==0.24.1'

target=${1:?usage: setup.sh TARGET [DIR]}
dir=${2:-build/cross}
glibc=
case $target in
*-linux-gnu.*) glibc=.${target#*-linux-gnu.} target=${target%%-linux-gnu.*}-linux-gnu ;;
*-linux-gnu) glibc=.2.17 ;;
esac
name=$(echo "$target" | tr - _)
upper=$(echo "$name" | tr a-z A-Z)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
command -v cargo >/dev/null || { echo "setup.sh: cargo is missing" >&2; exit 1; }

apt() {
    if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2
}
update_lists() { apt-cache show rustc-web >/dev/null 2>&1 || apt update; }

apt_install() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    update_lists
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $missing
}

# The first dependency of a package whose name begins so.
dependency() {
    apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p' | tr , '\n' | sed 's/^ *//; s/ .*//' | grep -m 1 "^$2"
}

# Unpacks Debian packages in $dir/rust.
unpack() {
    mkdir -p "$dir/rust" "$dir/deb"
    for package in "$@"; do
        [ ! -e "$dir/rust/.$package" ] || continue
        rm -f "$dir/deb/$package"_*.deb
        (cd "$dir/deb" && apt-get download -q "$package" >&2)
        dpkg -x "$dir/deb/$package"_*.deb "$dir/rust"
        touch "$dir/rust/.$package"
    done
    rm -rf "$dir/deb"
}

# Sets rustc: empty if the one on PATH has std for the target.
find_rustc() {
    sysroot=$(rustc --print sysroot 2>/dev/null || true)
    rustc=
    [ ! -d "${sysroot:-/nowhere}/lib/rustlib/$target/lib" ] || return 0
    update_lists
    std=$(dependency libstd-rust-web-dev libstd-rust-web-)
    unpack rustc-web libstd-rust-web-dev rust-web-src "$std" "$(dependency "$std" libllvm)"
    apt_install libedit2 libxml2 libz3-4 gcc libc6-dev
    rustc=$dir/rustc
    cat >"$rustc" <<end
#!/bin/sh
LD_LIBRARY_PATH='$(echo "$dir"/rust/usr/lib/*-linux-gnu)'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec '$dir/rust/usr/bin/rustc' "\$@"
end
    chmod 755 "$rustc"
}

# Builds std for the target, and puts it where rustc looks: the project then needs neither -Zbuild-std nor a nightly
# compiler.
build_std() {
    into=$dir/rust/usr/lib/rustlib/$target/lib
    library=$(echo "$dir"/rust/usr/src/rustc-*/library)
    # Bitcode: link-time optimization needs it. Prefixes: panic messages of std would contain the folders' names.
    flags=$(printf -- '-Cembed-bitcode=yes\037--remap-path-prefix=%s=/rustc/library\037--remap-path-prefix=%s=/rustc/library\037--remap-path-prefix=%s=/rust/deps' \
        "$library" "$dir/rust/usr/lib/rustlib/src/rust/library" "${CARGO_HOME:-$HOME/.cargo}/registry/src")
    # The number is that of these flags: an older std is built anew.
    [ ! -e "$into/.complete-2" ] || return 0
    crate=$dir/std
    rm -rf "$crate" "$into"
    mkdir -p "$crate/src" "$into"
    printf '[package]\nname = "nothing"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >"$crate/Cargo.toml"
    : >"$crate/src/lib.rs"
    (cd "$crate" && CARGO_ENCODED_RUSTFLAGS=$flags CARGO_TARGET_DIR=$crate/target RUSTC=$rustc RUSTC_BOOTSTRAP=1 \
        cargo build -q --release --target "$target" -Zbuild-std=std,panic_unwind >&2)
    cp "$crate/target/$target/release/deps/"*.rlib "$into/"
    rm -f "$into"/libnothing-*
    case $target in
    *-windows-gnu)
        for object in rsbegin rsend; do
            RUSTC_BOOTSTRAP=1 "$rustc" --target "$target" --emit=obj -o "$into/$object.o" "$library/rtstartup/$object.rs"
        done
        ;;
    esac
    rm -rf "$crate"
    touch "$into/.complete-2"
}

install_zig() {
    [ ! -x "$dir/venv/bin/cargo-zigbuild" ] || return 0
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3 python3-venv
    python3 -m venv "$dir/venv"
    # shellcheck disable=SC2086
    "$dir/venv/bin/pip" install -q $zig >&2
}

# A C compiler by zig, under a name without spaces: zig_cc ZIG_TARGET [FLAG...]
zig_cc() {
    cc=$dir/cc-$target
    printf '#!/bin/sh\nexec "%s/venv/bin/python" -m ziglang cc -target %s "$@"\n' "$dir" "$*" >"$cc"
    chmod 755 "$cc"
    echo "export CROSS_CC='$cc' CROSS_CARGO=cargo-zigbuild CROSS_TARGET='$target$glibc'"
    echo "export PATH=\"$dir/venv/bin:\$PATH\""
    echo "export ZIG_GLOBAL_CACHE_DIR='$dir/zig' ZIG_LOCAL_CACHE_DIR='$dir/zig' CARGO_ZIGBUILD_CACHE_DIR='$dir/zig'"
}

# What the library is linked with for macOS, of zig's list of the system's functions. zig's own linker would export
# symbols of std beside those of the library.
make_sdk() {
    libraries=$dir/sdk/usr/lib
    mkdir -p "$libraries"
    # Debian's lld does not know the names of the newest architectures.
    sed 's/arm64e\.x1-/arm64-/g' "$dir"/venv/lib/python3*/site-packages/ziglang/lib/libc/darwin/libSystem.tbd \
        >"$libraries/libSystem.tbd"
    for library in c m; do
        ln -sf libSystem.tbd "$libraries/lib$library.tbd"
    done
    # std is linked with it, and uses nothing of it.
    printf -- '--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\ninstall-name: %s\n...\n' \
        /usr/lib/libiconv.2.dylib >"$libraries/libiconv.tbd"
}

# rustc has dlltool make libraries of what it imports, and they end up in libobsabort.a. dlltool puts the path that it is
# given into the objects, a folder with a random name. Here it is given a digest of the list.
wrap_dlltool() {
    mkdir -p "$dir/bin"
    cat >"$dir/bin/$1" <<'end'
#!/bin/sh
set -eu
left=$# before= name=
while [ "$left" -gt 0 ]; do
    argument=$1 left=$((left - 1))
    shift
    case $before in
    -d) name=imports_$(sha256sum <"$argument" | cut -c 1-16).lib ;;
    -l) library=$argument argument=${name:?-d comes before -l} ;;
    esac
    set -- "$@" "$argument"
    before=$argument
done
cd "$(dirname "$library")"
"/usr/bin/${0##*/}" "$@"
mv "$name" "$library"
end
    chmod 755 "$dir/bin/$1"
}

apt_install llvm
find_rustc
[ -z "$rustc" ] || build_std
apt_install llvm
{
    [ -z "$rustc" ] || echo "export RUSTC='$rustc'"
    arch=${target%%-*}
    case $target in
    *-windows-gnu)
        apt_install gcc-mingw-w64-x86-64-win32
        wrap_dlltool x86_64-w64-mingw32-dlltool
        echo "export PATH=\"$dir/bin:\$PATH\""
        echo "export CROSS_CC=x86_64-w64-mingw32-gcc CROSS_CARGO=cargo CROSS_TARGET='$target'"
        echo "export CARGO_TARGET_${upper}_LINKER=x86_64-w64-mingw32-gcc"
        echo "export CC_$name=x86_64-w64-mingw32-gcc AR_$name=x86_64-w64-mingw32-ar"
        ;;
    *-linux-gnu)
        install_zig
        zig_cc "$arch-linux-gnu$glibc"
        ;;
    *-linux-musl)
        install_zig
        # -fPIC: zig's list of musl's symbols gives stdin, stdout and stderr one address, to which a program without it
        # copies one of the three.
        zig_cc "$arch-linux-musl" -fPIC
        # A shared library can't bring a libc of its own; and a std that was built here has no startup objects for a
        # static program.
        echo "export CARGO_TARGET_${upper}_RUSTFLAGS='-Ctarget-feature=-crt-static -Clink-self-contained=no'"
        ;;
    *-apple-darwin)
        install_zig
        # Linked files would name the folder of each object, in which the debug information stays.
        zig_cc "$arch-macos.11.0" -Wl,-S
        apt_install lld
        make_sdk
        echo "export SDKROOT='$dir/sdk'"
        echo "export CARGO_TARGET_${upper}_RUSTFLAGS='-Clinker-flavor=ld64.lld -Clinker=$(echo /usr/bin/ld64.lld-*) -Clink-arg=-S'"
        # rustc would strip with a tool that only macOS has.
        echo "export MACOSX_DEPLOYMENT_TARGET=11.0 CARGO_PROFILE_RELEASE_STRIP=none"
        ;;
    *)
        echo "setup.sh: unknown target: $target" >&2
        exit 1
        ;;
    esac
} >"$dir/env-$target.new"
mv "$dir/env-$target.new" "$dir/env-$target"
