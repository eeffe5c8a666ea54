"""What the product depends on, and how each of it is bounded, for operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from atomic_guide.web.routing import Call, Calls

calls = Calls()

State = Literal["closed", "open", "half-open", "none"]


class Bounds(msgspec.Struct, frozen=True):
    """How one dependency is bounded; each says what bounds it, with the settings that do."""

    name: str
    kind: str
    time_out: str
    breaker: str
    retries: str
    bulkhead: str
    without: str
    modules: tuple[str, ...]


class Standing(msgspec.Struct, frozen=True):
    """How one dependency stands in the process that answers; `counts` are since its start."""

    name: str
    kind: str
    state: State
    running: int
    counts: dict[str, int]


class Dependencies(msgspec.Struct, frozen=True):
    """Kinds of dependencies as declared, and those that this process has had to do with."""

    declared: list[Bounds]
    standing: list[Standing]


class Known:
    """The dependencies of a process; `look` tells how they stand."""

    def __init__(self, declared: list[Bounds], look: Callable[[], list[Standing]]) -> None:
        self.declared = declared
        self.look = look


@calls.add("GET", "/api/ops/dependencies", access="operator", reply=Dependencies, failures=(401,))
async def show_dependencies(call: Call[None]) -> Dependencies:
    """Show what the product depends on: time-outs, breakers, retries, bulkheads, and how each stands here."""
    known = call.tool.dependencies
    return Dependencies(known.declared, known.look()) if known is not None else Dependencies([], [])
