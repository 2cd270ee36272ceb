#!/usr/bin/env python3
"""What is in a wheel: check_wheel.py WHEEL [LIBRARY]"""

import os
import re
import sys
import zipfile

MODULES = ["__init__.py", "_call.py", "_client.py", "_errors.py", "_raw.py", "_types.py", "py.typed"]
# By the suffix of the library: the tag, and the name under which _raw.py looks for it.
PLATFORMS = {
    "so": (r"(manylinux_2_\d+|musllinux_1_\d+)_(x86_64|aarch64)", "libobsabort.so.0"),
    "dll": ("win_amd64", "obsabort.dll"),
    "dylib": ("macosx_11_0_(x86_64|arm64)", "libobsabort.0.dylib"),
}


def main():
    wheel, library = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    name = os.path.basename(wheel)
    platform, carried = PLATFORMS[os.path.basename(library).partition(".")[2].partition(".")[0]] if library else ("any", None)
    version = re.fullmatch(rf"obsabort-(\d+\.\d+\.\d+)-py3-none-{platform}\.whl", name)
    assert version, f"a name that pip would not take for what it is: {name}"
    info = f"obsabort-{version.group(1)}.dist-info"
    expected = [f"obsabort/{module}" for module in MODULES]
    expected += [f"{info}/{file}" for file in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE-APACHE", "licenses/LICENSE-MIT")]
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        files = {file: archive.read(file) for file in archive.namelist()}
    if library:
        expected.append(f"obsabort/{carried}")
        with open(library, "rb") as file:
            assert files[f"obsabort/{carried}"] == file.read(), "another library than was built"
    assert sorted(files) == sorted(expected), sorted(set(files) ^ set(expected))
    tags = files[f"{info}/WHEEL"].decode()
    assert f"Root-Is-Purelib: {'false' if library else 'true'}\n" in tags, tags
    assert f"Tag: {name[len('obsabort-' + version.group(1)) + 1 : -4]}\n" in tags, tags
    metadata = files[f"{info}/METADATA"].decode()
    for line in (f"Version: {version.group(1)}", "Requires-Python: >=3.9", "License-Expression: MIT OR Apache-2.0"):
        assert f"{line}\n" in metadata, metadata
    assert "Requires-Dist" not in metadata, metadata
    here = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
    for file, content in files.items():
        assert here.encode() not in content, f"{file} names the folder that it was built in"


if __name__ == "__main__":
    main()
