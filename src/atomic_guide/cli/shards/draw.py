"""Tables, bars and progress in text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from atomic_guide.engines.data.layout.waves import Report
    from atomic_guide.engines.data.plan import Plan

_WIDTH = 40
_PAUSE_SECONDS = 0.5
_KILO = 1000.0


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Columns in their width, the first `left` of them to the left and the others to the right."""
    every = [heads, *rows]
    widths = [max(len(row[number]) for row in every) for number in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    )


def size(number: float) -> str:
    """Bytes as people write them."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < _KILO:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _KILO
    return f"{number:.1f} TB"


def bars(plan: Plan) -> str:
    """Each shard's share before and after a plan, with its target marked."""
    total = max(1, sum(share.load for share in plan.shares))
    most = max(max(share.load, share.load_after, share.target) for share in plan.shares) or 1
    width = max(len(share.name) for share in plan.shares)
    lines = []
    for share in plan.shares:
        for when, load in (("before", share.load), ("after", share.load_after)):
            name = share.name if when == "before" else ""
            lines.append(f"{name:<{width}}  {when:<6} {_bar(load, share.target, most)} {load / total:6.1%}")
    return "\n".join(lines)


def _bar(load: float, target: float, most: float) -> str:
    filled, mark = round(load / most * _WIDTH), round(target / most * _WIDTH)
    cells = ["#" if number < filled else " " for number in range(_WIDTH + 1)]
    cells[mark] = "|"
    return "".join(cells)


@asynccontextmanager
async def saying(what: str) -> AsyncIterator[None]:
    """Say on stderr what is being done, once it takes longer than a second."""

    async def later() -> None:
        await asyncio.sleep(1)
        click.echo(what, err=True)

    task = asyncio.create_task(later())
    try:
        yield
    finally:
        task.cancel()


class Progress:
    """Says on stderr how far moves are, twice a second at most, and at the end of each when they are few."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said = 0.0

    def __call__(self, report: Report) -> None:
        """Take a report."""
        now = time.monotonic()
        if now - self._said < _PAUSE_SECONDS and report.ended < report.total:
            return
        self._said = now
        left = (now - self._began) / report.ended * (report.total - report.ended) if report.ended else None
        rest = "" if left is None or not left else f", about {left:.0f} s left"
        click.echo(f"{report.ended} of {report.total}{rest}: {report.move.scope}: {report.text}", err=True)
