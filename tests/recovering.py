"""A log that is written in this process, over the open databases of a data directory."""

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from atomic_guide.app.keeping import log
from atomic_guide.clock import iso
from atomic_guide.config import Settings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.wal.marks import Mark
from atomic_guide.engines.data.wal.writer import WalWriter
from tests.keeping import TENANT, put, run, settings_of

ON = {"ATOMIC_GUIDE_BACKUPS_LOG_ENABLED": "true"}
"""What has commands and servers keep a log."""


KEYS = [CourseKey.of(TENANT, context) for context in ("waves", "optics", "tides")]
"""Courses of both shards."""


class Logged(NamedTuple):
    """Open databases and their log."""

    shards: Shards
    wal: WalWriter
    beside: log.Beside

    async def mark(self) -> Mark:
        """Have everything in the log; the mark."""
        await self.beside.turn()
        mark = await self.wal.mark()
        assert mark is not None
        return mark


def logging_settings(data: Path, **more: object) -> Settings:
    """Settings of a data directory that keeps a log."""
    return settings_of(data, backups__log__enabled=True, **more)


@contextlib.asynccontextmanager
async def logged(data: Path, settings: Settings | None = None) -> AsyncIterator[Logged]:
    """The databases and their log, which is written when a mark is asked for."""
    settings = settings or logging_settings(data)
    timeline = log.prepare(settings)
    assert timeline is not None
    shards = await open_embedded(data, settings.databases)
    try:
        wal = log.writer(settings, timeline, shards)
        try:
            await wal.start()
            yield Logged(shards, wal, log.Beside(settings, shards))
        finally:
            await wal.stop()
    finally:
        await shards.close()


async def say(shards: Shards, key: CourseKey, text: str) -> None:
    """One message, durable when this returns."""
    identity = {"author": "sub-fellow", "id": text, "content": text, "created_at": time.time()}
    await put(shards, key, "messages", seq=time.time_ns(), **identity)


async def say_everywhere(shards: Shards, text: str) -> None:
    """A message in courses of both shards, and a secret in the directory."""
    for key in KEYS:
        await say(shards, key, f"{text} {key.course}")
    value = {"name": f"secret {text}", "value": "00", "created_at": time.time()}

    async def work(tx: Any) -> None:
        await tx.copy_rows("secrets", tuple(value), [tuple(value.values())])

    await shards.directory.write(work)


def said(data: Path) -> list[str]:
    """What stands in the databases of what `say_everywhere` wrote: the texts, each in all places."""
    found: dict[str, int] = {}
    for path in sorted((data / "databases").glob("*.sqlite")):
        connection = sqlite3.connect(path)
        table, column = ("secrets", "name") if path.stem == "directory" else ("messages", "content")
        for (text,) in connection.execute(f"SELECT {column} FROM {table}"):  # noqa: S608 - names of the schema
            word = (text.removeprefix("secret ").split() or [""])[0]
            found[word] = found.get(word, 0) + 1
        connection.close()
    return sorted(word for word, times in found.items() if times == len(KEYS) + 1)


def back(data: Path, at: str | Mark, *more: str, **options: Any) -> Any:
    """Restore to a time, or to the moment of a mark."""
    moment = iso(at.until) if isinstance(at, Mark) else at
    return run(data, "restore", "--at", moment, *more, environment=ON, **options)
