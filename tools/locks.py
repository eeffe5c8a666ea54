"""The requirement locks: written by `uv pip compile`, read and compared here without a network.

`locks/NAME.txt` holds exact versions with hashes and names no host, so the same files serve any index.
A lock that stands on another holds only what it adds to it.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"


class Lock(NamedTuple):
    """Where a lock's demands stand in `pyproject.toml`, and the lock below it."""

    demands: tuple[str, ...]
    below: tuple[str, ...] = ()


# "" is the project's own dependencies, "build" the build requirements, "extra:X" an extra, "group:X" a group.
PLAN = {
    "runtime": Lock(("",)),
    "geo": Lock(("", "extra:geo"), ("runtime",)),
    "rehearsal": Lock(("", "extra:rehearsal"), ("runtime",)),
    "parquet": Lock(("", "extra:parquet"), ("runtime",)),
    "loadtest": Lock(("", "extra:loadtest"), ("runtime",)),
    "recovery": Lock(("", "extra:recovery"), ("runtime",)),
    "tracing": Lock(("", "extra:tracing"), ("runtime",)),
    "dev": Lock(("", "group:dev"), ("runtime",)),
    "build": Lock(("build",)),
    "node": Lock(("group:node",)),
    "audit": Lock(("group:audit",), ("runtime", "dev")),
    "docs": Lock(("group:docs",), ("runtime", "dev")),
    "mutants": Lock(("group:mutants",), ("runtime", "dev")),
    "uv": Lock(("group:uv",)),
}
HOST = re.compile(r"://|--(extra-)?index-url|--find-links|^-[if]\b", re.MULTILINE)
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def demands(plan: Lock, project: dict[str, Any]) -> list[str]:
    """Return the requirement lines of `pyproject.toml` that a lock must satisfy."""
    lines: list[str] = []
    for source in plan.demands:
        kind, _, name = source.partition(":")
        lines += _demanded(kind, name, project)
    return lines


def _demanded(kind: str, name: str, project: dict[str, Any]) -> list[str]:
    if kind == "build":
        return list(project["build-system"]["requires"])
    if kind == "extra":
        return list(project["project"]["optional-dependencies"][name])
    if kind == "group":
        found: list[str] = []
        for entry in project["dependency-groups"][name]:
            found += [entry] if isinstance(entry, str) else _demanded("group", entry["include-group"], project)
        return found
    return list(project["project"]["dependencies"])


def blocks(text: str) -> list[str]:
    """Split a lock into its entries, each a requirement with its hashes."""
    return re.findall(r"^\S.*(?:\n[ \t]+.*)*", text, re.MULTILINE)


def text(name: str) -> str:
    """Return the content of the lock `name`."""
    return (LOCKS / f"{name}.txt").read_text("utf-8")


def compile_all(uv: str) -> None:
    """Write every lock anew, with the newest versions that fit; needs an index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for name, plan in PLAN.items():
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "-"]
        for lower in plan.below:
            command += ["--constraints", str(LOCKS / f"{lower}.txt")]
        lines = "\n".join(demands(plan, project))
        found = subprocess.run(command, input=lines, text=True, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout
        known = {block for lower in plan.below for block in blocks(text(lower))}
        (LOCKS / f"{name}.txt").write_text("".join(f"{b}\n" for b in blocks(found) if b not in known), "utf-8")
