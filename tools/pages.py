"""Whether the Markdown pages are true: links resolve, commands exist, printed pages equal the code. Runs in `.venv`."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click

from tools import reference
from tools.commands import COMMANDS
from tools.locks import ROOT

FENCE = re.compile(
    r"^(?P<fence>```+|~~~+)(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"!?\[[^\]\n]*\]\((?P<target>[^)\s]+)[^)]*\)")
HEADING = re.compile(r"^#+\s+(?P<text>.+?)\s*#*$", re.MULTILINE)
SHELL = {"", "sh", "bash", "console", "shell"}


def markdown() -> list[Path]:
    """Return the pages that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    return sorted(ROOT / name for name in names.splitlines() if (ROOT / name).is_file())


def anchors(text: str) -> set[str]:
    """Return the anchors that a page's headings get."""
    headings = (match["text"] for match in HEADING.finditer(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> Iterator[str]:
    """Yield the relative links of a page that lead nowhere."""
    text = FENCE.sub("", path.read_text("utf-8"))
    for match in LINK.finditer(text):
        target = unquote(match["target"])
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        aim = (path.parent / name).resolve() if name else path
        if not aim.exists():
            yield f"{path.relative_to(ROOT)}: {target} does not exist"
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim.read_text("utf-8")):
            yield f"{path.relative_to(ROOT)}: {target} has no such heading"


def shown_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command line in a page's shell blocks."""
    for block in FENCE.finditer(text):
        if block["language"] not in SHELL:
            continue
        for line in block["body"].replace("\\\n", " ").splitlines():
            try:
                yield shlex.split(line.removeprefix("$ "), comments=True)
            except ValueError:
                continue


def unknown(words: list[str], group: click.Group | None) -> str | None:
    """Return what a command line names that does not exist, or None."""
    if "dev.py" in words:
        rest = words[words.index("dev.py") + 1 :]
        return f"dev.py {rest[0]}" if rest and rest[0] not in COMMANDS else None
    if group is None or not words or Path(words[0]).name != "atomic-guide":
        return None
    command: click.Command = group
    known = {"--help", "--version"}
    for at, word in enumerate(words[1:], 1):
        known |= {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
        if word.startswith("-") and word.split("=")[0] not in known:
            return f"{' '.join(words[:at])} {word}"
        if isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word):
            found = reference.subcommands(command).get(word)
            if found is None:
                return f"{' '.join(words[:at])} {word}"
            command = found
    return None


def problems() -> Iterator[str]:
    """Yield every broken link, unknown command and printed page that the code has left behind."""
    group = reference.command_group()
    for path in markdown():
        yield from broken_links(path)
        for words in shown_commands(path.read_text("utf-8")):
            if missing := unknown(words, group):
                yield f"{path.relative_to(ROOT)}: there is no `{missing}`"
    for name, text in reference.pages().items():
        path = ROOT / "docs" / name
        if not path.is_file() or path.read_text("utf-8") != text:
            yield f"docs/{name} is not what the code prints; run dev.py docs"
