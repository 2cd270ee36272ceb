#!/usr/bin/env python3
"""What is linked into the library besides its own code: crates, Rust's standard library, and runtimes of a C compiler.

    components.py notices TARGET FILE     their licences, with every text, as their terms ask
    components.py sbom TARGET FILE        a bill of materials: CycloneDX 1.6, JSON

The environment's RUSTC and SOURCE_DATE_EPOCH are honoured. CROSS names the folder in which tools/cross/setup.sh has
prepared TARGET, if it is another system. Equal sources and tools give equal bytes.
"""

import datetime
import hashlib
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
LICENCE_FILE = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def cargo(*arguments):
    return output(os.environ.get("CARGO", "cargo"), *arguments)


class Component:
    def __init__(self, name, version, licence, url, texts, sha256=None, is_crate=True):
        self.name, self.version, self.url, self.texts, self.sha256 = name, version, url, texts, sha256
        # The slash is how crates wrote "or" before SPDX expressions.
        self.licence = licence.replace("/", " OR ")
        self.purl = f"pkg:{'cargo' if is_crate else 'generic'}/{name}@{version}"


def linked_crates(target):
    """Which crate depends on which: ({(name, version)}, {(name, version): {(name, version)}}), the library's own first.

    By `cargo tree`: the graph of `cargo metadata` has the features that only tests switch on.
    """
    lines = cargo("tree", "--locked", "-p", "obsabort", "-e", "normal,no-proc-macro", "--target", target,
                  "--prefix", "depth", "--format", " {p}").splitlines()
    dependencies, path = {}, []
    for line in filter(None, lines):
        depth, name, version = line.split()[:3]
        crate = (name, version.lstrip("v"))
        del path[int(depth):]
        dependencies.setdefault(crate, set())
        if path:
            dependencies[path[-1]].add(crate)
        path.append(crate)
    return dependencies


def texts_of(folder):
    """The licence files of a crate, those of code that it includes among them: [(name, text)]."""
    files = [file for file in folder.iterdir() if file.is_file() and LICENCE_FILE.match(file.name)]
    third_party = folder / "third_party"
    if third_party.is_dir():
        files += [file for file in third_party.rglob("*") if file.is_file() and LICENCE_FILE.match(file.name)]
    read = lambda file: file.read_text(encoding="utf-8", errors="replace").strip("\n")
    return [(str(file.relative_to(folder)), read(file)) for file in sorted(files)]


def crates(target):
    """The components that are crates, in order, and who depends on whom."""
    dependencies = linked_crates(target)
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    lock = (ROOT / "Cargo.lock").read_text()
    checksums = {(name, version): checksum for name, version, checksum in re.findall(
        r'name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"', lock)}
    components = []
    for crate in sorted(dependencies):
        package = packages[crate]
        if package["source"] is None:
            continue
        texts = texts_of(pathlib.Path(package["manifest_path"]).parent)
        if not package["license"] or not texts:
            sys.exit(f"components.py: {crate[0]} {crate[1]} has no licence, or no text of it")
        components.append(Component(*crate, package["license"], package["repository"], texts, checksums[crate]))
    return components, dependencies


def standard_library():
    """Rust's standard library. Its notices come with the compiler, in one page or, on Debian, in one file."""
    rustc = os.environ.get("RUSTC", "rustc")
    version = re.search(r"^release: (.*)$", output(rustc, "-vV"), re.MULTILINE)[1]
    documents = pathlib.Path(output(rustc, "--print", "sysroot").strip()) / "share/doc"
    page = documents / "rust/COPYRIGHT-library.html"
    if page.exists():
        text = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]*>", "", page.read_text(), flags=re.DOTALL)
        text = re.sub(r"\n\s*\n+", "\n\n", html.unescape(text)).strip()
        shared = [documents / "rust/licenses" / f"{name}.txt" for name in ("MIT", "Apache-2.0", "Unicode-3.0")]
        texts = [(page.stem, text)] + [(file.name, file.read_text().strip("\n")) for file in shared if file.exists()]
    else:
        files = sorted(documents.glob("libstd-rust*-dev*/copyright")) or sorted(documents.glob("rustc*/copyright"))
        texts = [(file.name, file.read_text().strip("\n")) for file in files[:1]]
    if not texts:
        sys.exit(f"components.py: no notices of Rust's standard library in {documents}")
    return Component("rust-std", version, "MIT OR Apache-2.0", "https://github.com/rust-lang/rust", texts,
                     is_crate=False)


def debian_package(name, described_by, licence, url):
    version = output("dpkg-query", "-W", "-f", "${Version}", name)
    copyright_file = pathlib.Path("/usr/share/doc", described_by, "copyright")
    return Component(name, version, licence, url, [("copyright", copyright_file.read_text().strip("\n"))], is_crate=False)


def runtimes(target):
    """What the C compiler for another system puts into every library. This machine's own takes shared ones."""
    if "CROSS" not in os.environ:
        return []
    if "-windows-" in target:
        return [
            debian_package("gcc-mingw-w64-x86-64-win32", "gcc-mingw-w64-base", "GPL-3.0-or-later WITH GCC-exception-3.1",
                           "https://gcc.gnu.org/git/gcc.git"),
            debian_package("mingw-w64-x86-64-dev", "mingw-w64-common", "ZPL-2.1",
                           "https://git.code.sf.net/p/mingw-w64/mingw-w64"),
        ]
    [zig] = pathlib.Path(os.environ["CROSS"]).glob("venv/lib/python*/site-packages/ziglang")
    [package] = zig.parent.glob("ziglang-*.dist-info")
    texts = [("LICENSE", (zig / "LICENSE").read_text().strip("\n")),
             ("libunwind/LICENSE.TXT", (zig / "lib/libunwind/LICENSE.TXT").read_text().strip("\n"))]
    version = package.name[len("ziglang-"):-len(".dist-info")]
    return [Component("zig", version, "MIT AND Apache-2.0 WITH LLVM-exception", "https://codeberg.org/ziglang/zig", texts,
                      is_crate=False)]


def notices(target):
    components, _ = crates(target)
    lines = [
        "libobsabort is licensed under MIT OR Apache-2.0. Linked into it are the components below, under their own",
        "licences. A text that several of them share stands here once.",
        "",
    ]
    holders = {}
    for component in components + [standard_library()] + runtimes(target):
        lines += [f"{component.name} {component.version}", f"    licence: {component.licence}"]
        lines += [f"    source: {component.url}"] if component.url else []
        for name, text in component.texts:
            number, _ = holders.setdefault(text, (len(holders) + 1, name))
            lines.append(f"    {name}: text {number}")
        lines.append("")
    for text, (number, name) in holders.items():
        lines += ["=" * 100, f"text {number}: {name}", "=" * 100, "", text, ""]
    return "\n".join(lines)


def sbom(target):
    components, dependencies = crates(target)
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    own = Component("obsabort", version, "MIT OR Apache-2.0", None, [], is_crate=False)
    others = [standard_library()] + runtimes(target)
    purls = {(component.name, component.version): component.purl for component in components + [own]}

    def described(component):
        entry = {
            "type": "library",
            "bom-ref": component.purl,
            "name": component.name,
            "version": component.version,
            "scope": "required",
            "licenses": [{"expression": component.licence}],
            "purl": component.purl,
        }
        if component.sha256:
            entry["hashes"] = [{"alg": "SHA-256", "content": component.sha256}]
        if component.url:
            entry["externalReferences"] = [{"type": "vcs", "url": component.url}]
        return entry

    graph = [
        {"ref": purls[crate], "dependsOn": sorted(purls[needed] for needed in all_needed) + [others[0].purl]}
        for crate, all_needed in sorted(dependencies.items())
    ]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(
                int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {key: value for key, value in described(own).items() if key != "scope"},
            "properties": [{"name": "obsabort:target", "value": target}],
        },
        "components": [described(component) for component in components + others],
        "dependencies": graph + [{"ref": other.purl} for other in others],
    }
    # Equal documents are one document, and have one number.
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}"
    return json.dumps(document, indent=2) + "\n"


def main():
    kinds = {"notices": notices, "sbom": sbom}
    if len(sys.argv) != 4 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    pathlib.Path(sys.argv[3]).write_text(kinds[sys.argv[1]](sys.argv[2]), encoding="utf-8")


if __name__ == "__main__":
    main()
