#!/usr/bin/env python3
"""Writes the ABI that a header declares, as abidw describes it: abi_dump.py HEADER OUTPUT

The library itself does not serve: Rust's debug information has no parameters that abidw reads. A C library with the
header's functions has.
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# From the header's own lines: what it includes has none.
PROTOTYPE = re.compile(r"^(?!typedef)(\w[\w\s*]*?\bobs_abort_\w+\([^;{}]*\));", re.M)


def run(folder, *command):
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def write(header, output):
    """`header` is its text."""
    with tempfile.TemporaryDirectory(prefix="obsabort-abi-") as folder:
        header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
        prototypes = PROTOTYPE.findall(header)
        if len(prototypes) != len(re.findall(r"^(?!typedef).*\bobs_abort_\w+\(", header, re.M)):
            raise ValueError("not every prototype of the header was understood")
        with open(os.path.join(folder, "library.c"), "w") as file:
            file.write(header)
            for prototype in prototypes:
                file.write(f"{prototype} {{ __builtin_trap(); }}\n")
        run(folder, "cc", "-g", "-shared", "-fPIC", "-w", "-Wl,-soname,libobsabort.so.0", "-o", "libobsabort.so.0", "library.c")
        options = ("--no-show-locs", "--no-corpus-path", "--no-comp-dir-path")
        run(folder, "abidw", *options, "--out-file", os.path.abspath(output), "libobsabort.so.0")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        write(file.read(), sys.argv[2])
