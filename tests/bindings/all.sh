#!/bin/sh
# The bindings, each on an installed prefix and outside of this tree: make test-bindings, or sh tests/bindings/all.sh [NAME...].
set -u
cd "$(dirname "$0")/../.." || exit 1
bindings="
    cpp
    csharp
    ffi
    go
    python
"
failed=""
# shellcheck disable=SC2086
for binding in ${*:-$bindings}; do
    echo "==== $binding"
    began=$(date +%s)
    sh "tests/bindings/$binding.sh" || failed="$failed $binding"
    echo "==== $binding: $(($(date +%s) - began)) s"
done
[ -z "$failed" ] || { echo "failed bindings:$failed" >&2; exit 1; }
