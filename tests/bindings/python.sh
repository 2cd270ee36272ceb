#!/bin/sh
# The Python package as a stranger gets it: its wheel, looked at, installed into virtual environments, typed, and used from
# outside the source tree; and with the library of a prefix. PYTHONS lists further interpreters to run the tests with.
set -eu
cd "$(dirname "$0")/../.."
. tests/bindings/common.sh
unset PYTHONPATH
prepare
make_wheel() { sh bindings/python/wheel.sh "$(uname -m)-unknown-linux-gnu" "$prefix/lib/libobsabort.so.0"; }
rm -rf "$target/wheels"
wheel=$(make_wheel 2>"$folder/log" | tail -n 1) || { cat "$folder/log"; exit 1; }
any=$(sh bindings/python/wheel.sh any 2>"$folder/log" | tail -n 1) || { cat "$folder/log"; exit 1; }
tools=$root/build/bindings/python/bin
[ -n "$wheel" ] && [ -n "$any" ] || { cat "$folder/log"; fail "no wheel"; }
cp "$wheel" "$folder"
make_wheel >/dev/null 2>&1
cmp "$wheel" "$folder/$(basename "$wheel")" || fail "the same files make another wheel"
python3 tests/bindings/python/check_wheel.py "$wheel" "$prefix/lib/libobsabort.so.0"
python3 tests/bindings/python/check_wheel.py "$any"
# Of the targets that `make cross` has built, if any.
for library in "$target"/*/release/libobsabort.so "$target"/*/release/obsabort.dll "$target"/*/release/libobsabort.dylib; do
    [ -e "$library" ] || continue
    triple=$(basename "$(dirname "$(dirname "$library")")")
    foreign=$(sh bindings/python/wheel.sh "$triple" 2>"$folder/log" | tail -n 1)
    [ -n "$foreign" ] || { cat "$folder/log"; fail "no wheel of $triple"; }
    python3 tests/bindings/python/check_wheel.py "$foreign" "$library"
    echo "python: $triple: $(basename "$foreign")"
done

# What the oldest Python that is promised lacks, no test on a newer one shows.
(cd bindings/python && "$tools/mypy" --strict obsabort && "$tools/vermin" -q --target=3.9- --no-tips --violations obsabort)

# FOLDER WHEEL [PYTHON]
install() {
    "${3:-python3}" -m venv "$1"
    "$1/bin/pip" install -q --disable-pip-version-check --no-index "$2"
}
install "$folder/with" "$wheel"
(cd "$folder" && "$tools/mypy" --strict --python-executable "$folder/with/bin/python" "$root/tests/bindings/python/typed_use.py")
for python in python3 ${PYTHONS:-}; do
    install "$folder/tested" "$wheel" "$python"
    "$folder/tested/bin/python" --version
    (cd "$folder" && INCLUDEDIR=$prefix/include OBS_LOCAL=$OBS_LOCAL "$folder/tested/bin/python" "$root/tests/bindings/python/test_obsabort.py")
    rm -rf "$folder/tested"
done

# Without a library in it: the one of the system, of which .so.0 alone need be there; and what is said if there is none.
install "$folder/without" "$any"
cd "$folder"
said=$(LD_LIBRARY_PATH=$folder/lib "$folder/without/bin/python" -c 'import obsabort; print(obsabort.__version__)')
[ "$said" = "$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)" ] || fail "with .so.0 alone: $said"
INCLUDEDIR=$prefix/include OBS_LOCAL=$OBS_LOCAL OBSABORT_LIB=$folder/lib/libobsabort.so.0 \
    "$folder/without/bin/python" "$root/tests/bindings/python/test_obsabort.py" Installed One
if "$folder/without/bin/python" -c 'import obsabort' 2>none; then fail "no library was needed"; fi
grep -q 'ImportError: libobsabort can.t be loaded: .*libobsabort.so.0.*OBSABORT_LIB' none || fail "$(cat none)"
echo "python: $(basename "$wheel") and $(basename "$any"): looked at, installed, typed, used"
