#!/bin/sh
# Builds for TARGET (see setup.sh) the library, obs-abort, the example programs and the program of the suite `portable`,
# into target/TARGET/release, obs-abort, examples-c and portable: sh tools/cross/build.sh TARGET
set -eu
cd "$(dirname "$0")/../.."
target=${1:?usage: build.sh TARGET}
setup=$PWD/build/cross
sh tools/cross/setup.sh "$target" "$setup"
target=$(echo "$target" | sed 's/\(-linux-gnu\)\..*/\1/')
# shellcheck disable=SC1090
. "$setup/env-$target"

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
export CARGO_TARGET_DIR
built=$CARGO_TARGET_DIR/$target

# Cargo does not notice that std is another one than that of the build before.
std=$setup/rust/usr/lib/rustlib/$target/lib
if [ -d "$std" ] && [ ! "$built/.std" -nt "$std" ]; then
    rm -rf "$built"
    mkdir -p "$built"
    touch "$built/.std"
fi

# GNU's objcopy knows the machine's own format alone.
CARGO=$CROSS_CARGO OBJCOPY=llvm-objcopy sh tools/build-library.sh --target "$CROSS_TARGET" ${CARGOFLAGS:-}

case $target in
*-windows-*)
    system=windows
    # For Microsoft's linker: an import library of the same list as every other guard of the ABI.
    def=$built/release/obsabort.def
    { printf 'LIBRARY obsabort.dll\nEXPORTS\n'; sed -n 's/^\(obs_abort_[a-z0-9_]*\) .*/    \1/p' include/obsabort.symbols; } >"$def"
    llvm-dlltool -m i386:x86-64 -d "$def" -l "$built/release/obsabort.lib"
    ;;
*-darwin) system=macos ;;
*) system=linux ;;
esac
for programs in examples-c tools/obs-abort tests/portable; do
    make --no-print-directory -C "$programs" CC="$CROSS_CC" SYSTEM=$system BUILT_LIB="$built/release" \
        OUT="$built/$(basename "$programs")"
done
