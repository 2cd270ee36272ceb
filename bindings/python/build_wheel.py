#!/usr/bin/env python3
"""Builds the wheel for one target: build_wheel.py TARGET LIBRARY OUT

TARGET is a Rust triple, or "any" without LIBRARY: a wheel that uses the system's library. Prints the path of the wheel. Needs
what requirements.txt lists.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
# Of systems whose libraries do not tell which version they need: it is that of setup.sh in tools/cross.
PLATFORMS = {
    "x86_64-unknown-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-unknown-linux-musl": "musllinux_1_2_aarch64",
    "x86_64-win7-windows-gnu": "win_amd64",
    "x86_64-pc-windows-gnu": "win_amd64",
    "x86_64-apple-darwin": "macosx_11_0_x86_64",
    "aarch64-apple-darwin": "macosx_11_0_arm64",
}
NAMES = {".so": "libobsabort.so.0", ".dll": "obsabort.dll", ".dylib": "libobsabort.0.dylib"}


def tool(*arguments, **options):
    return subprocess.run([sys.executable, "-m", *arguments], check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def only_wheel(folder):
    (name,) = os.listdir(folder)
    return os.path.join(folder, name)


def build(target, library, folder):
    staged, made = os.path.join(folder, "staged"), os.path.join(folder, "made")
    shutil.copytree(HERE, staged, ignore=shutil.ignore_patterns("__pycache__", "*.so*", "*.dll", "*.dylib", "dist"))
    for license in ("LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copy(os.path.join(ROOT, license), staged)
    # The date is hatchling's own: of the same files, the same wheel.
    environment = {"SOURCE_DATE_EPOCH": "1580601600", **os.environ, "OBSABORT_CARGO_TOML": os.path.join(ROOT, "Cargo.toml")}
    if library:
        suffix = next(suffix for suffix in NAMES if suffix in os.path.basename(library))
        shutil.copyfile(library, os.path.join(staged, "obsabort", NAMES[suffix]))
        environment["OBSABORT_WHEEL_PLATFORM"] = PLATFORMS.get(target, "linux_" + target.split("-")[0])
    tool("build", "--wheel", "--no-isolation", "--outdir", made, staged, env=environment)
    wheel = only_wheel(made)
    if library and target not in PLATFORMS:
        # The C library that the symbols of the library ask for.
        said = " ".join(tool("auditwheel", "show", wheel).split())
        tag = re.search(r'consistent with the following platform tag: "(\w+)"', said)
        if not tag or tag.group(1).startswith("linux_"):
            raise SystemExit(f"auditwheel finds no platform for {library}: {said}")
        tool("wheel", "tags", "--platform-tag", tag.group(1), "--remove", wheel, env=environment)
    return only_wheel(made)


def main():
    target, library, out = sys.argv[1:] if len(sys.argv) == 4 else (sys.argv[1], None, sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(target, library, folder)
        os.makedirs(out, exist_ok=True)
        print(shutil.copy(wheel, out))


if __name__ == "__main__":
    main()
