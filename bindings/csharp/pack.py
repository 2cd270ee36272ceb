#!/usr/bin/env python3
"""Packs ObsAbort for NuGet: pack.py ASSEMBLY_FOLDER OUT RID=LIBRARY...

ASSEMBLY_FOLDER is what build.sh filled. RID is one of RUNTIMES. Prints the path of the package. Of the same files, the same package.
"""

import os
import re
import shutil
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
# Under the name that programs need, which the assembly looks for: the package comes before a library of the system.
RUNTIMES = {
    "linux-x64": "libobsabort.so.0",
    "linux-arm64": "libobsabort.so.0",
    "linux-musl-x64": "libobsabort.so.0",
    "win-x64": "obsabort.dll",
}

NUSPEC = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>ObsAbort</id>
    <version>{version}</version>
    <title>ObsAbort</title>
    <authors>the authors of libobsabort</authors>
    <requireLicenseAcceptance>false</requireLicenseAcceptance>
    <description>Aborts multipart uploads on Huawei Cloud's Object Storage Service (OBS). MIT OR Apache-2.0.</description>
    <dependencies>
      <group targetFramework=".NETStandard2.0" />
    </dependencies>
  </metadata>
</package>
"""

RELATIONSHIPS = """<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/ObsAbort.nuspec" Id="R1" />
</Relationships>
"""


def content_types(names):
    """Every extension needs a type, and a file without one a type of its own."""
    extensions = sorted({os.path.splitext(name)[1][1:] for name in names} - {""} | {"rels"})
    kinds = {"rels": "application/vnd.openxmlformats-package.relationships+xml"}
    lines = [f'  <Default Extension="{e}" ContentType="{kinds.get(e, "application/octet")}" />' for e in extensions]
    lines += [f'  <Override PartName="/{n}" ContentType="application/octet" />' for n in sorted(names) if not os.path.splitext(n)[1]]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">',
            *lines,
            "</Types>\n",
        ]
    )


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def main():
    assembly, out, libraries = sys.argv[1], sys.argv[2], dict(argument.split("=", 1) for argument in sys.argv[3:])
    if not libraries:
        raise SystemExit(__doc__)
    version = re.search(r'(?m)^version = "(.*)"', read(ROOT, "Cargo.toml").decode()).group(1)
    files = {"ObsAbort.nuspec": NUSPEC.format(version=version).encode()}
    for name in ("ObsAbort.dll", "ObsAbort.dll.config", "ObsAbort.xml"):
        files["lib/netstandard2.0/" + name] = read(assembly, name)
    for rid, library in libraries.items():
        files[f"runtimes/{rid}/native/{RUNTIMES[rid]}"] = read(library)
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        files[name] = read(ROOT, name)
    files = {"[Content_Types].xml": content_types(files).encode(), "_rels/.rels": RELATIONSHIPS.encode(), **files}

    path = os.path.join(out, f"ObsAbort.{version}.nupkg")
    os.makedirs(out, exist_ok=True)
    with zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            package.writestr(entry, content)
    shutil.move(path + ".new", path)
    print(path)


if __name__ == "__main__":
    main()
