"""The documentation as a site: the pages of `docs/` and those of the root, built strictly by Zensical. Runs in `.venv`.

Pages are written to be read in the repository, where they lead to code and tests. On the site those names stay, but
without the link, and README, ARCHITECTURE and CHANGELOG are pages beside the others. A page that the navigation lacks,
a link or an anchor that leads nowhere ends the build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.environment import VENV
from tools.locks import ROOT
from tools.pages import FENCE, LINK

CONFIGURATION = ROOT / "docs" / "site.toml"
ROOT_PAGES = {"README.md": "index.md", "ARCHITECTURE.md": "architecture.md", "CHANGELOG.md": "changelog.md"}
"""Pages of the root, by their names on the site."""

LIMIT_SECONDS = 120


def main(arguments: list[str]) -> int:
    """Build the site into a folder that is not there yet, or holds an earlier one; returns the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: dev.py docs --site DIR", file=sys.stderr)
        return 2
    aim = Path(arguments[0]).resolve()
    if aim.exists() and any(aim.iterdir()) and not (aim / "index.html").is_file():
        print(f"{aim} holds something that is no site; name another folder", file=sys.stderr)
        return 1
    if problem := build(aim):
        print(problem, file=sys.stderr)
        return 1
    pages = sum(1 for _ in aim.rglob("*.html"))
    print(f"built {pages} pages into {aim}")
    return 0


def build(aim: Path) -> str:
    """Build into a folder, in the place of what is there; why that failed, empty where it did not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        staged(folder / "docs")
        if missing := unlisted(folder / "docs"):
            return f"docs/site.toml: the navigation lacks {', '.join(missing)}"
        shutil.copy(CONFIGURATION, folder / "zensical.toml")
        command = [str(VENV / "bin" / "zensical"), "build", "--strict", "--config-file", str(folder / "zensical.toml")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        said = done.stdout + done.stderr
        if done.returncode or "warning" in said.lower():
            return said.strip() or f"zensical ended with {done.returncode}"
        shutil.rmtree(aim, ignore_errors=True)
        shutil.copytree(folder / "site", aim)
    return ""


def staged(folder: Path) -> None:
    """Put every page and picture into a folder as the site needs them."""
    docs = ROOT / "docs"
    for path in sorted(docs.rglob("*")):
        if path.is_file() and path != CONFIGURATION:
            aim = folder / path.relative_to(docs)
            # The list of decisions is the page of its folder.
            if aim.name == "README.md":
                aim = aim.with_name("index.md")
            aim.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                aim.write_text(moved(path), "utf-8")
            else:
                shutil.copy(path, aim)
    for name, page in ROOT_PAGES.items():
        (folder / page).write_text(moved(ROOT / name), "utf-8")


def moved(path: Path) -> str:
    """A page with its links as they are on the site; those to files that are not on it are only named."""
    text = path.read_text("utf-8")
    parts, end = [], 0
    for block in FENCE.finditer(text):
        parts += [_linked(text[end : block.start()], path), block.group()]
        end = block.end()
    return "".join([*parts, _linked(text[end:], path)])


def _linked(text: str, path: Path) -> str:
    def changed(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:|#", target):
            return match.group()
        name, mark, anchor = target.partition("#")
        place = _place((path.parent / name).resolve())
        shown, _, _ = match.group().rpartition("](")
        if place is None:
            return shown.removeprefix("!").removeprefix("[")
        return f"{shown}]({_relative(_place(path) or '', place)}{mark}{anchor})"

    return LINK.sub(changed, text)


def _place(path: Path) -> str | None:
    """Where a file of the repository is on the site; None where it is not."""
    if path.parent == ROOT:
        return ROOT_PAGES.get(path.name)
    docs = ROOT / "docs"
    if docs not in path.parents or not path.is_file():
        return None
    return re.sub(r"README\.md$", "index.md", path.relative_to(docs).as_posix())


def _relative(start: str, aim: str) -> str:
    ups = start.count("/")
    return "../" * ups + aim


def unlisted(folder: Path) -> list[str]:
    """Pages that no entry of the navigation leads to."""
    configuration = tomllib.loads(CONFIGURATION.read_text("utf-8"))
    listed = set(_listed(configuration["project"]["nav"]))
    return sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} - listed)


def _listed(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for below in entry.values():
            yield from _listed(below) if isinstance(below, list) else [below]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
