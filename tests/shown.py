"""Every command that README and docs show, and what stands in the place of the names that a reader replaces."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import pages
from tools.locks import ROOT

PROGRAM = "atomic-guide"
_PRINTED = "commands.md"


class Shown(NamedTuple):
    """A command, and the first page that shows it."""

    words: tuple[str, ...]
    page: str

    @property
    def line(self) -> str:
        """As it is shown."""
        return " ".join(self.words)


def shown() -> list[Shown]:
    """Commands of `atomic-guide` in shell blocks, each once."""
    found: dict[tuple[str, ...], Shown] = {}
    for path in pages.markdown():
        for words in _commands(path):
            found.setdefault(words, Shown(words, path.relative_to(ROOT).as_posix()))
    return list(found.values())


def _commands(path: Path) -> Iterator[tuple[str, ...]]:
    if path.name == _PRINTED:
        return
    for words in pages.shown_commands(path.read_text("utf-8")):
        if words and Path(words[0]).name == PROGRAM:
            yield tuple(words[1:])
