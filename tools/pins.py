"""Whether the locks answer `pyproject.toml`, judged without a network. Runs in `.venv`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator

from packaging.markers import Marker
from packaging.requirements import Requirement

from tools import locks
from tools.locks import PLAN, ROOT, normal

# What the locks serve: every pair of platform and Python must find one version of each demand.
PLATFORMS = [
    {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    for system, machines in (("linux", ("x86_64", "aarch64")), ("darwin", ("x86_64", "arm64")))
    for machine in machines
    for python in ("3.11", "3.12", "3.13", "3.14")
]


def _fits(marker: Marker | None, platform: dict[str, str]) -> bool:
    return marker is None or marker.evaluate({**platform, "platform_python_implementation": "CPython"})


def _pinned(text: str) -> list[Requirement]:
    return [Requirement(block.split("\\")[0].strip()) for block in locks.blocks(text)]


def _answers(demand: Requirement, pinned: list[Requirement], platform: dict[str, str]) -> bool:
    """Return whether exactly one pin of this platform lies within the demand."""
    found = [pin for pin in pinned if normal(pin.name) == normal(demand.name) and _fits(pin.marker, platform)]
    return len(found) == 1 and all(
        demand.specifier.contains(spec.version, prereleases=True) for spec in found[0].specifier
    )


def problems() -> Iterator[str]:
    """Yield each demand without a fitting pin, each pin without a hash, and each host in a lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    known = {path.stem for path in locks.LOCKS.glob("*.txt")}
    yield from (f"locks/{name}.txt: nothing demands it" for name in sorted(known - set(PLAN)))
    for name, plan in PLAN.items():
        if name not in known:
            yield f"locks/{name}.txt is missing; run dev.py lock"
            continue
        yield from hosts(f"locks/{name}.txt", locks.text(name))
        pinned = [pin for lock in (name, *plan.below) for pin in _pinned(locks.text(lock))]
        for demand in map(Requirement, locks.demands(plan, project)):
            missed = [p for p in PLATFORMS if _fits(demand.marker, p) and not _answers(demand, pinned, p)]
            if missed:
                yield f"locks/{name}.txt: no one version for {demand} on {missed[0]}; run dev.py lock"
    yield from _front_end()


def hosts(place: str, text: str) -> Iterator[str]:
    """Yield what ties a lock to one index, and pins that lack a hash."""
    if found := locks.HOST.search(text):
        yield f"{place}: names a host or an index ({found.group().strip()})"
    yield from (f"{place}: no hash for {b.splitlines()[0]}" for b in locks.blocks(text) if "--hash=sha256:" not in b)


def _front_end() -> Iterator[str]:
    lock = ROOT / "frontend" / "package-lock.json"
    if not lock.exists():
        return
    demanded = json.loads((lock.parent / "package.json").read_text("utf-8"))
    packages = json.loads(lock.read_text("utf-8"))["packages"]
    for path, package in packages.items():
        if re.search("://", str(package.get("resolved", ""))):
            yield f"frontend/package-lock.json: {path} names a host"
        if path and "integrity" not in package and not package.get("link"):
            yield f"frontend/package-lock.json: {path} has no integrity hash"
    for kind in ("dependencies", "devDependencies"):
        if demanded.get(kind, {}) != packages[""].get(kind, {}):
            yield f"frontend/package-lock.json: {kind} are not those of package.json; run npm install"
