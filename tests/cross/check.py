#!/usr/bin/env python3
"""Looks at what was built for a target: what it asks of the system, what it exports, and under which name it is loaded.

    python3 tests/cross/check.py TARGET FOLDER

FOLDER is where tools/cross/build.sh leaves it, target/TARGET. Needs binutils and llvm.
"""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MAX_SIZE = {"linux": 2_500_000, "windows": 3_500_000, "darwin": 5_500_000}
LINUX_LIBRARIES = {
    "gnu": {"libc.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"},
    "musl": {"libc.so"},
}
MACOS_LIBRARIES = re.compile(r"/usr/lib/lib(System\.B|iconv\.2)\.dylib|/System/Library/Frameworks/(Security|CoreFoundation)\.")

failures = []


def expect(is_so, what):
    print(("  ok      " if is_so else "  NOT SO  ") + what)
    if not is_so:
        failures.append(what)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def expected_symbols():
    with open(os.path.join(ROOT, "include/obsabort.symbols")) as file:
        return {line.split()[0] for line in file if not line.startswith("#")}


def expect_symbols(found, where):
    expected = expected_symbols()
    expect(found == expected, f"{where}: exactly the symbols of obsabort.symbols {sorted(found ^ expected) or ''}")


def version(text):
    return tuple(map(int, text.split(".")))


def soversion():
    with open(os.path.join(ROOT, "Cargo.toml")) as file:
        return re.search(r'^version = "(\d+)\.', file.read(), re.M).group(1)


def promised_glibc():
    with open(os.path.join(ROOT, "include/obsabort.h")) as file:
        return version(re.search(r"glibc ([0-9.]+) or newer", file.read()).group(1))


def check_linux(target, library, programs):
    libc = target.rsplit("-", 1)[1]
    dynamic = run("readelf", "-dW", library)
    expect(f"[libobsabort.so.{soversion()}]" in dynamic, f"SONAME libobsabort.so.{soversion()}")
    expect("NODELETE" in dynamic, "stays loaded")
    expect_symbols(set(run("llvm-nm", "-D", "--defined-only", "--format=just-symbols", library).split()), "library")
    for path in [library, *programs]:
        name = os.path.basename(path)
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", path)))
        needed.discard(f"libobsabort.so.{soversion()}")
        expect(needed <= LINUX_LIBRARIES[libc], f"{name}: needs {', '.join(sorted(needed))}")
        if libc == "gnu":
            newest = max(map(version, re.findall(r"\bGLIBC_([0-9.]+)", run("readelf", "-VW", path))))
            expect(newest <= promised_glibc(), f"{name}: from glibc {'.'.join(map(str, newest))} on")


def imports(path):
    """DLL -> the functions that are imported from it."""
    found, dll = {}, None
    for line in run("x86_64-w64-mingw32-objdump", "-p", path).splitlines():
        name = re.match(r"\s*DLL Name: (\S+)", line)
        function = re.match(r"\s+[0-9a-f]+\s+\d+\s+(\S+)$", line)
        if name:
            dll = name.group(1).lower()
            found.setdefault(dll, set())
        elif function and dll:
            found[dll].add(function.group(1))
        elif not line.strip():
            dll = None
    return found


def windows_7():
    """The functions that are known to be in Windows 7, as `dll function`."""
    with open(os.path.join(HERE, "windows-7.txt")) as file:
        return {tuple(line.split()) for line in file if line.strip() and not line.startswith("#")}


def check_windows(library, programs):
    release = os.path.dirname(library)
    headers = run("x86_64-w64-mingw32-objdump", "-p", library)
    exports = headers[headers.index("[Ordinal/Name Pointer] Table"):]
    expect_symbols(set(re.findall(r"^\s+\[ *\d+\]\s(?:\+base\[ *\d+\]\s+[0-9a-f]+\s+)?(\S+)$", exports, re.M)), "obsabort.dll")
    with open(os.path.join(release, "obsabort.def")) as file:
        expect_symbols(set(file.read().split("EXPORTS")[1].split()), "obsabort.def")
    for name in ("obsabort.lib", "libobsabort.dll.a"):
        symbols = run("llvm-nm", "--defined-only", "--format=just-symbols", os.path.join(release, name)).split()
        expect_symbols({symbol for symbol in symbols if symbol.startswith("obs_abort_")}, name)
    expect("DYNAMIC_BASE" in headers and "NX_COMPAT" in headers, "address space layout randomization, no execution of data")
    known = windows_7()
    for path in [library, *programs]:
        found = {(dll, function) for dll, functions in imports(path).items() for function in functions}
        foreign = {pair for pair in found - known if pair[0] != "obsabort.dll"}
        dlls = sorted({dll for dll, _ in found})
        expect(found and not foreign, f"{os.path.basename(path)}: imports of {', '.join(dlls)} {sorted(foreign) or ''}")


def check_macos(library, programs):
    expect_symbols({symbol[1:] for symbol in run("llvm-nm", "-gU", "--format=just-symbols", library).split()}, "library")
    headers = run("llvm-objdump", "--macho", "--private-headers", library)
    name = f"@rpath/libobsabort.{soversion()}.dylib"
    expect(re.search(rf"cmd LC_ID_DYLIB\s+cmdsize \d+\s+name {re.escape(name)} ", headers) is not None, f"install name {name}")
    expect(re.search(r"minos 11\.0|version 11\.0", headers) is not None, "from macOS 11 on")
    for path in [library, *programs]:
        used = run("llvm-objdump", "--macho", "--dylibs-used", path).splitlines()[1:]
        used = {line.split()[0] for line in used} - {name}
        strange = {path for path in used if not MACOS_LIBRARIES.match(path)}
        expect(used and not strange, f"{os.path.basename(path)}: uses {', '.join(sorted(used))}")


def main():
    target, folder = sys.argv[1:]
    system = "windows" if "windows" in target else "darwin" if "darwin" in target else "linux"
    name = {"windows": "obsabort.dll", "darwin": "libobsabort.dylib", "linux": "libobsabort.so"}[system]
    exe = ".exe" if system == "windows" else ""
    library = os.path.join(folder, "release", name)
    programs = [os.path.join(folder, "obs-abort", "obs-abort" + exe)]
    programs += sorted(path[:-2] + exe for path in glob.glob(os.path.join(folder, "examples-c", "*.o")))
    print(f"== {target}: {name}, {os.path.getsize(library)} bytes")
    expect(os.path.getsize(library) <= MAX_SIZE[system], f"at most {MAX_SIZE[system]} bytes")
    examples = glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples-c", "*.c"))
    expect(len(programs) == 1 + len(examples) > 1, f"{len(programs)} programs, obs-abort and {len(examples)} examples")
    if system == "linux":
        check_linux(target, library, programs)
    elif system == "windows":
        check_windows(library, programs)
    else:
        check_macos(library, programs)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
