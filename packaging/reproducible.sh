#!/bin/sh
# Runs a build whose files depend on the sources and the tools alone: sh packaging/reproducible.sh COMMAND [ARGUMENT...]
# No name of a folder gets into them, neither this one's nor cargo's, and no other time than that of the last commit.
set -eu
cd "$(dirname "$0")/.."

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) || {
        echo "reproducible.sh: this is no clone; set SOURCE_DATE_EPOCH to the time of the release" >&2
        exit 1
    }
fi
cargo_home=${CARGO_HOME:-$HOME/.cargo}
CARGO_TARGET_DIR=$PWD/target/dist/build
mkdir -p "$CARGO_TARGET_DIR"
# A folder with another hash in its name holds the crates of a mirror.
${CARGO:-cargo} fetch --quiet --locked

# Among rustc's flags the environment's replace those that a target needs, and those of `cfg` are added to them.
config=$CARGO_TARGET_DIR/reproducible.toml
prefix_map="-ffile-prefix-map=$PWD=obsabort"
{
    printf '[target."cfg(all())"]\nrustflags = [\n    "--remap-path-prefix=%s=obsabort",\n' "$PWD"
    for crates in "$cargo_home"/registry/src/*; do
        printf '    "--remap-path-prefix=%s=crates",\n' "$crates"
    done
    echo ']'
} >"$config"
for crates in "$cargo_home"/registry/src/*; do
    prefix_map="$prefix_map -ffile-prefix-map=$crates=crates"
done

export CARGO_TARGET_DIR SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
export CARGOFLAGS="--config $config"
# For the C in ring, too.
export CFLAGS="-O2 $prefix_map"
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CPPFLAGS LDFLAGS LDLIBS MAKEFLAGS MAKELEVEL
# For the program alone, which is stripped as the library is: nothing else reads these two.
case ${TARGET:-} in
*-windows-*) export LDFLAGS=-s ;;
*-darwin) ;;
*)
    export CPPFLAGS="-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE" LDFLAGS="-pie -Wl,-z,relro,-z,now -s"
    ;;
esac
umask 022
exec "$@"
