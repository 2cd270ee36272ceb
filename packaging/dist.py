#!/usr/bin/env python3
"""Makes the archive of a target, target/dist/obsabort-VERSION-TARGET.tar.gz (for Windows: .zip), and writes SHA256SUMS
beside it. Run by `make dist`, below reproducible.sh: equal sources and tools give equal bytes.

    dist.py [TARGET]        a target of tools/cross/setup.sh; "native", if none is given, is this machine's own system
"""

import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIST = ROOT / "target/dist"
CROSS = ROOT / "build/cross"
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
# Any will do: what names folders in an installed file names them from where the file is.
PREFIX = "/usr/local"


def run(*command, **environment):
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **environment})


def system_of(target):
    return "windows" if "-windows-" in target else "macos" if target.endswith("-darwin") else "linux"


def install_native(root):
    run("make", "--no-print-directory", "install", f"DESTDIR={root}", f"PREFIX={PREFIX}")


def install_cross(target, root):
    """What `make install` does, for another system. Returns what components.py needs to know of it."""
    run("make", "--no-print-directory", "cross", f"TARGET={target}")
    # A version of glibc, which may follow, is in no folder's name.
    target = re.sub(r"(-linux-gnu)\..*", r"\1", target)
    built = pathlib.Path(os.environ["CARGO_TARGET_DIR"]) / target
    release, prefix, system = built / "release", root / PREFIX.lstrip("/"), system_of(target)
    run("make", "--no-print-directory", "install-development", f"release={release}", f"SYSTEM={system}",
        f"DESTDIR={root}", f"PREFIX={PREFIX}")
    # The program is linked anew, to find the library from where it is installed.
    run("sh", "-c", '. "build/cross/env-$0" && exec make --no-print-directory -C tools/obs-abort install '
        'CC="$CROSS_CC" SYSTEM="$1" BUILT_LIB="$2" OUT="$3" DESTDIR="$4" PREFIX="$5"',
        target, system, str(release), str(built / "obs-abort"), str(root), PREFIX)
    libraries = {
        "linux": [("libobsabort.so", f"lib/libobsabort.so.{VERSION}")],
        "macos": [("libobsabort.dylib", "lib/libobsabort.0.dylib")],
        "windows": [("obsabort.dll", "bin/obsabort.dll"), ("libobsabort.dll.a", "lib/libobsabort.dll.a"),
                    ("obsabort.lib", "lib/obsabort.lib"), ("obsabort.def", "lib/obsabort.def")],
    }[system]
    links = {
        "linux": [("libobsabort.so.0", f"libobsabort.so.{VERSION}"), ("libobsabort.so", "libobsabort.so.0")],
        "macos": [("libobsabort.dylib", "libobsabort.0.dylib")],
        "windows": [],
    }[system]
    for source, destination in libraries + [("libobsabort.a", "lib/libobsabort.a")]:
        file = prefix / destination
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(release / source, file)
        file.chmod(0o644 if file.suffix in (".a", ".lib", ".def") else 0o755)
    for name, destination in links:
        (prefix / "lib" / name).symlink_to(destination)
    compiler = re.search(r"^export RUSTC='(.*)'$", (CROSS / f"env-{target}").read_text(), re.MULTILINE)
    return {"CROSS": str(CROSS), **({"RUSTC": compiler[1]} if compiler else {})}


def add_documents(tree, triple, environment):
    documents = tree / "share/doc/obsabort"
    documents.mkdir(parents=True)
    for name in ("README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copyfile(ROOT / name, documents / name)
    for kind, name in (("notices", "THIRD-PARTY-NOTICES"), ("sbom", "obsabort.cdx.json")):
        run("python3", "packaging/components.py", kind, triple, str(documents / name), **environment)


def sums(folder, files):
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in sorted(files)]
    (folder / "SHA256SUMS").write_text("".join(lines))


def mode(path):
    return 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644


def write_tar(tree, archive):
    def entry(path):
        info = tarfile.TarInfo(str(path.relative_to(tree.parent)))
        info.mtime, info.mode = EPOCH, mode(path)
        info.uname = info.gname = "root"
        if path.is_symlink():
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
        elif path.is_dir():
            info.type = tarfile.DIRTYPE
        else:
            info.size = path.stat().st_size
        return info

    with open(archive, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path in [tree] + sorted(tree.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as content:
                        tar.addfile(entry(path), content)
                else:
                    tar.addfile(entry(path))


def write_zip(tree, archive):
    with zipfile.ZipFile(archive, "w") as packed:
        for path in filter(pathlib.Path.is_file, sorted(tree.rglob("*"))):
            info = zipfile.ZipInfo(str(path.relative_to(tree.parent)), time.gmtime(EPOCH)[:6])
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            info.external_attr = (0o100000 | mode(path)) << 16
            packed.writestr(info, path.read_bytes(), compresslevel=9)


def main():
    target = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else "native"
    compiler = subprocess.run([os.environ.get("RUSTC", "rustc"), "-vV"], check=True, stdout=subprocess.PIPE, text=True)
    host = re.search(r"^host: (.*)$", compiler.stdout, re.MULTILINE)[1]
    name = f"obsabort-{VERSION}-{host}-native" if target == "native" else f"obsabort-{VERSION}-{target}"
    triple = host if target == "native" else re.sub(r"(-linux-gnu)\..*", r"\1", target)
    root = DIST / "root"
    tree = DIST / name
    # make does not see that a compiler or its options have changed; cargo does.
    built = pathlib.Path(os.environ["CARGO_TARGET_DIR"])
    for left in (root, tree, built / "obs-abort", built / triple / "obs-abort"):
        shutil.rmtree(left, ignore_errors=True)
    environment = {}
    if target == "native":
        install_native(root)
    else:
        environment = install_cross(target, root)
    shutil.move(root / PREFIX.lstrip("/"), tree)
    shutil.rmtree(root)
    add_documents(tree, triple, environment)
    sums(tree, [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()])
    is_windows = system_of(triple) == "windows"
    archive = DIST / (name + (".zip" if is_windows else ".tar.gz"))
    (write_zip if is_windows else write_tar)(tree, archive)
    sums(DIST, [path for path in DIST.glob("obsabort-*") if path.name.endswith((".tar.gz", ".zip"))])
    print(archive.relative_to(ROOT))


if __name__ == "__main__":
    main()
