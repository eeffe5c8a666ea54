"""How each limit is reached: a case for every one, in reduced form, with the real part that keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from atomic_guide.errors import GuideError
from atomic_guide.limit import Used
from tests.postgres import Cluster


class Ground(NamedTuple):
    """What a case may use: a folder of its own, and servers where it asks for them."""

    folder: Path
    cluster: Callable[[], Cluster]


class Reached(NamedTuple):
    """How a limit answered, and what measured it said when it was full; None for sizes, which the limit knows."""

    answer: str
    most: float
    used: list[Used] | None = None


Case = Callable[[Ground], Awaitable[Reached]]

CASES: dict[str, Case] = {}


def reaches(name: str) -> Callable[[Case], Case]:
    """Declare the case of a limit."""

    def add(case: Case) -> Case:
        assert name not in CASES
        CASES[name] = case
        return case

    return add


def answered(error: GuideError) -> str:
    """An error as `Limit.answer` writes it."""
    return f"{error.status} {error.code}"


def fullest(used: Iterable[Used], name: str) -> list[Used]:
    """What was measured of one limit, kept as it is now."""
    return [one for one in used if one.limit.name == name]


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another task, thread or process brings about; ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
