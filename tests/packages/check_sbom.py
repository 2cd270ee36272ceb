"""Holds a bill of materials against CycloneDX's schema, Cargo.lock, and the notices beside it: check_sbom.py SBOM NOTICES"""

import json
import pathlib
import re
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

text = pathlib.Path(sys.argv[1]).read_text()
notices = pathlib.Path(sys.argv[2]).read_text()
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
assert error is None, error

sbom = json.loads(text)
components = {component["bom-ref"]: component for component in sbom["components"]}
lock = (ROOT / "Cargo.lock").read_text()
for reference, component in components.items():
    name, version = component["name"], component["version"]
    entry = re.search(rf"^{re.escape(name)} {re.escape(version)}\n    licence: (.*)\n(?:    source: .*\n)?((?:    .*: text \d+\n)+)",
                      notices, re.MULTILINE)
    assert entry, f"the notices lack {name} {version}"
    assert entry[1] == component["licenses"][0]["expression"], f"{name}: two licences"
    for number in re.findall(r"text (\d+)$", entry[2], re.MULTILINE):
        assert f"\ntext {number}: " in notices, f"the notices lack text {number}"
    if reference.startswith("pkg:cargo/"):
        package = f'name = "{name}"\nversion = "{version}"\nsource = '
        assert package in lock, f"{name} {version} is not in Cargo.lock"
        assert component["hashes"][0]["content"] in lock, f"{name}: another checksum than Cargo.lock's"

# What the library can't be without.
names = {component["name"] for component in components.values()}
for name in ("rustls", "ring", "httparse", "libc", "rust-std"):
    assert name in names, f"the bill lacks {name}"
# What only tests use.
for name in ("cbindgen", "rcgen", "bindgen", "serde_json"):
    assert name not in names, f"{name} is not linked"
references = {entry["ref"] for entry in sbom["dependencies"]}
assert references == set(components) | {sbom["metadata"]["component"]["bom-ref"]}
assert all(set(entry.get("dependsOn", [])) <= set(components) for entry in sbom["dependencies"])
print(f"{len(components)} components")
