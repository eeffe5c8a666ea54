"""What a supervisor runs beside its own work: its children, how many of them there are, and who decides that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomic_guide.app.processes import Scaled
from atomic_guide.app.scaling import Own, Scaling, built_scaling
from atomic_guide.app.supervisor import Children

if TYPE_CHECKING:
    from atomic_guide.config import Settings
    from atomic_guide.web.tool import Tool

_SCALING_ROLES = {"all", "control"}
"""Whose supervisors take part in scaling: one with the web or the worker role is scaled by others."""


_CHILDREN_SECONDS = 30.0
"""For how long a supervisor that answers nobody itself holds its `ready` back for its children; they take three."""


class Household:
    """The children of a supervisor, and its part in scaling; None where its role has none."""

    def __init__(self, children: Children, scaled: Scaled, scaling: Scaling | None) -> None:
        self._children = children
        self._scaled = scaled
        self._scaling = scaling

    def root_tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs until the end."""
        own = [self._children.run(), self._follow()]
        return own if self._scaling is None else [*own, *self._scaling.root_tasks()]

    def started(self) -> asyncio.Task[None]:
        """Done when the children of the settings are ready, or have had their time."""
        return asyncio.create_task(self._children.started(self._scaled.wanted, _CHILDREN_SECONDS))

    async def end(self, limit: float) -> None:
        """Let another one lead, and end the children within so many seconds."""
        ending = [self._children.stop(limit)]
        if self._scaling is not None:
            ending.append(self._scaling.end())
        await asyncio.gather(*ending)

    async def _follow(self) -> None:
        """Run as many children as the settings say, then as many as are asked for."""
        self._children.scale(self._scaled.wanted)
        try:
            while True:
                self._children.scale(await self._scaled.next())
        finally:
            self._scaled.end()


@asynccontextmanager
async def household(
    settings: Settings, role: str, tool: Tool, children: Children, port: int
) -> AsyncIterator[Household]:
    """The household of a supervisor that listens on a port."""
    scaled = Scaled(Path(settings.data), settings.processes, children.present)
    async with AsyncExitStack() as stack:
        scaling = None
        own = Own(role, port, children.arguments)
        if role in _SCALING_ROLES:
            scaling = await stack.enter_async_context(built_scaling(settings, tool, scaled, own))
        yield Household(children, scaled, scaling)
