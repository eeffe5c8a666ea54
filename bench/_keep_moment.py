"""Back to a moment: what a machine that dies takes along, what a rebuild takes, and that no row is missing or too many.

The directory that `keep` has filled, with a log in another folder, marked every second. Eight writers say messages in
courses of all shards, each acknowledged when it is on disk. The machine dies when the log is cut off from one moment
to the next (Litestream is killed, nobody marks any more) and the data directory is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from atomic_guide.app.keeping import log
from atomic_guide.app.keeping.origins import choose_origin
from atomic_guide.app.keeping.restore import Ledgers, Restored, restore
from atomic_guide.clock import from_iso, iso
from atomic_guide.config import Settings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from tests.keeping import TENANT, put, settings_of
from tests.recovering import logged

DEATHS = 6
WRITERS = 8
SECONDS = 6.0
LOST_SECONDS = 5.0
"""The interval of a second and two marks that are being made; one took 1.2 s where eight writers shared two cores with
others (load 8)."""


class Said(NamedTuple):
    """An acknowledged message: when it was begun and when it was answered."""

    began: float
    ended: float


async def measure_moment(data: Path, bars: Bars) -> None:
    """Let the machine die some times, then go back to a moment within."""
    kept = data.parent / "log"
    settings = settings_of(data, backups__log__enabled=True, backups__log__directory=str(kept))
    await compare_writes(settings, data, bars)
    lost = []
    for turn in range(bars.size(DEATHS, 2)):
        said = await dead_machine(settings, data, f"d{turn}-")
        lost.append(await lose_and_recover(settings, data, said, bars if turn == 0 else None))
    bars.show("acknowledged writes lost with the machine, median", statistics.median(lost), "s")
    bars.most(
        "acknowledged writes lost with the machine, the longest", max(lost), LOST_SECONDS, f"s, of {len(lost)} times"
    )
    said = await dead_machine(settings, data, "moment-")
    await go_back(settings, data, said, bars)


async def compare_writes(settings: Settings, data: Path, bars: Bars) -> None:
    """What the log costs those who write."""
    async with opened(data) as shards:
        without = len(await write(shards, "bare-", SECONDS))
    async with logged(data, settings) as now:
        running = asyncio.create_task(now.wal.run())
        await now.mark()
        beside = len(await write(now.shards, "logged-", SECONDS))
        running.cancel()
    bars.show("messages with the log", beside / SECONDS, "/s")
    bars.show("messages with the log / without", beside / without, "")


@contextlib.asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Shards]:
    """The databases without a log."""
    log.prepare(settings_of(data))
    shards = await open_embedded(data, settings_of(data).databases)
    try:
        yield shards
    finally:
        await shards.close()


async def write(shards: Shards, word: str, seconds: float) -> dict[str, Said]:
    """Eight writers, each with a message at a time."""
    acknowledged: dict[str, Said] = {}
    ending = time.monotonic() + seconds

    async def one(number: int) -> None:
        key = CourseKey.of(TENANT, f"large-{number}")
        turn = 0
        while time.monotonic() < ending:
            text, began = f"{word}{number}-{turn}", time.time()
            row = {"author": "u1", "id": text, "content": text, "created_at": began}
            await put(shards, key, "messages", seq=time.time_ns(), **row)
            acknowledged[text] = Said(began, time.time())
            turn += 1

    await asyncio.gather(*(one(number) for number in range(WRITERS)))
    return acknowledged


async def dead_machine(settings: Settings, data: Path, word: str) -> dict[str, Said]:
    """What was acknowledged until the log was cut off."""
    async with logged(data, settings) as now:
        await now.beside.turn()
        running = asyncio.create_task(now.wal.run())
        writing = asyncio.create_task(write(now.shards, word, SECONDS))
        await asyncio.sleep(SECONDS - random.uniform(0.5, 2.5))
        cut = time.time()
        running.cancel()
        os.kill(now.wal.pid or 0, signal.SIGKILL)
        said = await writing
    return {text: one for text, one in said.items() if one.ended < cut}


async def lose_and_recover(settings: Settings, data: Path, said: dict[str, Said], bars: Bars | None) -> float:
    """Recover what the log has, elsewhere; how long before its death the machine's writes are all there."""
    elsewhere = data.parent / "elsewhere"
    own = settings_of(elsewhere, backups__log__enabled=True, backups__log__directory=settings.backups.log.directory)
    began = time.perf_counter()
    done = await recovered(own, "latest")
    seconds = time.perf_counter() - began
    there = present(elsewhere)
    missing = [one for text, one in said.items() if text not in there]
    if bars is not None:
        size = sum(path.stat().st_size for path in (elsewhere / "databases").glob("*.sqlite")) / 1e6
        bars.show("recovery from the log, checked and erased again", seconds, f"s, for {size:.0f} MB")
    too_late = [one for one in missing if one.ended < from_iso(done.began_at)]
    assert not too_late, (too_late[:3], done)
    shutil.rmtree(elsewhere)
    cut = max(one.ended for one in said.values())
    return cut - min((one.ended for one in missing), default=cut)


async def go_back(settings: Settings, data: Path, said: dict[str, Said], bars: Bars) -> None:
    """Back to a moment in the middle, and compare every row with what was acknowledged."""
    ordered = sorted(one.began for one in said.values())
    moment = ordered[len(ordered) // 2]
    done = await recovered(settings, iso(moment))
    until = done.backup.rpartition(" at ")[2]
    there = present(data)
    missing = sum(iso(one.ended) < done.began_at and text not in there for text, one in said.items())
    early = sum(iso(one.began) > until and text in there for text, one in said.items())
    bars.most("rows acknowledged before the moment that are missing", missing, 0, f"of {len(said):,}")
    bars.most("rows begun after the moment that are there", early, 0)
    bars.most("how far before the moment it is", moment - from_iso(done.began_at), LOST_SECONDS, "s")


async def recovered(settings: Settings, at: str) -> Restored:
    """Restore from the log."""
    origin = choose_origin(settings, None, at)
    return await restore(settings, origin, Ledgers(None, without=False), lambda _: None)


def present(data: Path) -> set[str]:
    """The messages of the writers that are there."""
    found = set()
    for path in (data / "databases").glob("shard-*.sqlite"):
        connection = sqlite3.connect(path)
        found |= {text for (text,) in connection.execute("SELECT id FROM messages WHERE author = 'u1'")}
        connection.close()
    return found
