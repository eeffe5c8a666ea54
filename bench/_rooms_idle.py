"""10,000 mostly idle rooms in one process, and what an idle socket in a large room takes."""

from __future__ import annotations

import asyncio

from bench._bars import Bars
from bench._room_load import members, resident
from bench._room_peers import available, node_ws, ours, starlette
from bench._room_rounds import SETTLE_SECONDS

ROOMS = 10_000
SOCKETS = 1000


async def measure(bars: Bars) -> None:
    """A room for each of many sockets, then one room for many."""
    await rooms(bars)
    await sockets(bars)


async def rooms(bars: Bars) -> None:
    """The web process with a member in each of so many courses."""
    count = bars.size(ROOMS, 200)
    async with ours(count, courses=count) as server:
        empty = resident(server.pid)
        async with members(server.url, server.paths(count)) as people:
            assert people.opened == count, f"{people.refused} of {count} sockets were refused"
            await asyncio.sleep(SETTLE_SECONDS)
            full = resident(server.pid)
    bars.show("the process without rooms", round(empty / 1e6, 1), "MB")
    bars.show("a room with its member", round((full - empty) / count), "B")
    bars.most(f"{count:,} rooms with a member each, the whole process", round(full / 1e6, 1), 300, "MB")


async def sockets(bars: Bars) -> None:
    """Members of one room, of those that enter after as many others.

    What the first ones make a process load and allocate belongs to it and not to a socket.
    """
    count = bars.size(SOCKETS, 100)
    async with available([lambda: ours(2 * count), node_ws, starlette]) as servers:
        for server in servers:
            async with members(server.url, server.paths(count)):
                await asyncio.sleep(SETTLE_SECONDS)
                before = resident(server.pid)
                async with members(server.url, server.paths(count)):
                    await asyncio.sleep(SETTLE_SECONDS)
                    idle = round((resident(server.pid) - before) / count)
            if server.name == "atomic-guide":
                bars.most("an idle socket of ours", idle, 6000, "B")
            else:
                bars.show(f"an idle socket of {server.name}", idle, "B")
