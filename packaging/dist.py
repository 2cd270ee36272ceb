#!/usr/bin/env python3
"""Makes the archive of a target, target/dist/obsabort-VERSION-TARGET.tar.gz (for Windows: .zip), and writes SHA256SUMS
beside it. Run by `make dist`, below reproducible.sh: equal sources and tools give equal bytes.

    dist.py [TARGET]                        a target of tools/cross/setup.sh; if none is given, this machine's own system
    dist.py install ROOT LIBDIR [TARGET]    puts the files for deb.sh and rpm.sh, with LIBDIR below /usr, into ROOT, and the
                                            notices and the bill of materials beside it
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
HOST = re.search(r"^host: (.*)$", subprocess.run([os.environ.get("RUSTC", "rustc"), "-vV"], check=True, stdout=subprocess.PIPE,
                                                 text=True).stdout, re.MULTILINE)[1]
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
# As tools/version.mk and build.rs have it.
SOVERSION = VERSION.split(".")[0]


def run(*command, **environment):
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **environment})


def triple_of(target):
    """rustc's name of a target. A version of glibc, which may follow, is no part of it."""
    return HOST if target == "native" else re.sub(r"(-linux-gnu)\..*", r"\1", target)


def system_of(target):
    return "windows" if "-windows-" in target else "macos" if target.endswith("-darwin") else "linux"


def install_native(root, directories):
    run("make", "--no-print-directory", "install", f"DESTDIR={root}", *directories)
    return {}


def install_cross(target, root, prefix, libdir, directories):
    """What `make install` does, for another system. Returns what components.py needs to know of it."""
    run("make", "--no-print-directory", "cross", f"TARGET={target}")
    target = triple_of(target)
    built = pathlib.Path(os.environ["CARGO_TARGET_DIR"]) / target
    release, system = built / "release", system_of(target)
    run("make", "--no-print-directory", "install-development", f"release={release}", f"SYSTEM={system}", f"DESTDIR={root}",
        *directories)
    # The program is linked anew, to find the library from where it is installed.
    run("sh", "-c", 'target=$0; . "build/cross/env-$target" && exec make --no-print-directory -C tools/obs-abort install '
        'CC="$CROSS_CC" "$@"', target, f"SYSTEM={system}", f"BUILT_LIB={release}", f"OUT={built / 'obs-abort'}",
        f"DESTDIR={root}", *directories)
    lib, bin = root / libdir.lstrip("/"), root / prefix.lstrip("/") / "bin"
    libraries = {
        "linux": [("libobsabort.so", lib / f"libobsabort.so.{VERSION}")],
        "macos": [("libobsabort.dylib", lib / f"libobsabort.{SOVERSION}.dylib")],
        "windows": [("obsabort.dll", bin / "obsabort.dll"), ("libobsabort.dll.a", lib / "libobsabort.dll.a"),
                    ("obsabort.lib", lib / "obsabort.lib"), ("obsabort.def", lib / "obsabort.def")],
    }[system]
    links = {
        "linux": [(f"libobsabort.so.{SOVERSION}", f"libobsabort.so.{VERSION}"),
                  ("libobsabort.so", f"libobsabort.so.{SOVERSION}")],
        "macos": [("libobsabort.dylib", f"libobsabort.{SOVERSION}.dylib")],
        "windows": [],
    }[system]
    for source, file in libraries + [("libobsabort.a", lib / "libobsabort.a")]:
        shutil.copyfile(release / source, file)
        file.chmod(0o644 if file.suffix in (".a", ".lib", ".def") else 0o755)
    for name, destination in links:
        (lib / name).symlink_to(destination)
    compiler = re.search(r"^export RUSTC='(.*)'$", (CROSS / f"env-{target}").read_text(), re.MULTILINE)
    return {"CROSS": str(CROSS), **({"RUSTC": compiler[1]} if compiler else {})}


def install(target, root, prefix, libdir):
    """Builds, and installs below the folder root. Returns what components.py needs to know of the build."""
    # make does not see that a compiler or its options have changed; cargo does.
    built = pathlib.Path(os.environ["CARGO_TARGET_DIR"])
    for left in (root, built / "obs-abort", built / triple_of(target) / "obs-abort"):
        shutil.rmtree(left, ignore_errors=True)
    directories = [f"PREFIX={prefix}", f"LIBDIR={libdir}"]
    if target == "native":
        return install_native(root, directories)
    return install_cross(target, root, prefix, libdir, directories)


def add_components(documents, target, environment):
    for kind, name in (("notices", "THIRD-PARTY-NOTICES"), ("sbom", "obsabort.cdx.json")):
        run("python3", "packaging/components.py", kind, triple_of(target), str(documents / name), **environment)


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


def make_archive(target):
    name = f"obsabort-{VERSION}-{HOST}-native" if target == "native" else f"obsabort-{VERSION}-{target}"
    tree, root = DIST / name, DIST / "root"
    shutil.rmtree(tree, ignore_errors=True)
    # Any prefix will do: files that name folders name them from where they are.
    environment = install(target, root, "/usr/local", "/usr/local/lib")
    shutil.move(root / "usr/local", tree)
    shutil.rmtree(root)
    documents = tree / "share/doc/obsabort"
    documents.mkdir(parents=True)
    for file in ("README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copyfile(ROOT / file, documents / file)
    add_components(documents, target, environment)
    sums(tree, [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()])
    is_windows = system_of(target) == "windows"
    archive = DIST / (name + (".zip" if is_windows else ".tar.gz"))
    (write_zip if is_windows else write_tar)(tree, archive)
    sums(DIST, [path for path in DIST.glob("obsabort-*") if path.name.endswith((".tar.gz", ".zip"))])
    print(archive.relative_to(ROOT))


def main():
    arguments = sys.argv[1:]
    if arguments[:1] != ["install"]:
        make_archive(arguments[0] if arguments else "native")
        return
    root, libdir, target = pathlib.Path(arguments[1]), arguments[2], arguments[3] if len(arguments) > 3 else "native"
    environment = install(target, root, "/usr", libdir)
    add_components(root.parent, target, environment)


if __name__ == "__main__":
    main()
