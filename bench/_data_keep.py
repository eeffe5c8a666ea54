"""Who is erased stays erased when yesterday's backup is restored, and an export holds all that was theirs.

A data directory of files with 100,000 messages and 300,000 scores of 2,000 people: it is backed up, a person is
exported and erased, the backup is restored, and what is left is carried to PostgreSQL, where every row is compared.
Then a log of it is kept, and gone back by (`_keep_moment.py`).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from atomic_guide.app.keeping.assembly import assembled
from atomic_guide.app.keeping.carrying import carry_files
from atomic_guide.app.keeping.manifest import Found
from atomic_guide.app.keeping.origins import FromBackup
from atomic_guide.app.keeping.restore import Ledgers, restore
from atomic_guide.app.keeping.take import take
from atomic_guide.app.keeping.verify import verify
from atomic_guide.config import Settings
from atomic_guide.course.keeping.bundle import Bundle
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from bench._keep_moment import measure_moment
from tests.engines import opened_shards
from tests.keeping import MARK, PERSON, TENANT, rows_with, seeded, settings_of
from tests.postgres import shared_cluster

COURSES, PEOPLE = 50, 2_000
MESSAGES, SCORES = 2_000, 6_000
"""In each course."""
BATCH = 2_000
WHOM = Whom(tenant=TENANT, user=PERSON)


async def measure(bars: Bars) -> None:
    """One installation through a day of its life."""
    with tempfile.TemporaryDirectory() as name:
        data = await asyncio.to_thread(seeded, Path(name) / "data")
        settings = settings_of(data)
        await enlarge(data, settings, bars)
        found = await back_up(settings, data, bars)
        await export_and_erase(settings, data, bars)
        await put_back(settings, data, found, bars)
        await carry(settings, data, bars)
        await measure_moment(data, bars)


async def enlarge(data: Path, settings: Settings, bars: Bars) -> None:
    """Add courses that the person who is erased has no part in, except one message and score in each."""
    shards = await open_embedded(data, settings.databases)
    try:
        for number in range(bars.size(COURSES, 4)):
            key = CourseKey.of(TENANT, f"large-{number}")
            course = (*place(key), f"large-{number}", "Large", MESSAGES, 0.0)
            await append(shards, key, "courses", ("context", "title", "last_seq", "created_at"), [course])
            said = ((seq, PERSON if seq == 1 else f"u{seq % PEOPLE}") for seq in range(1, MESSAGES + 1))
            messages = [(*place(key), seq, who, f"m{seq}", f"message {seq} " * 5, 0.0) for seq, who in said]
            await append(shards, key, "messages", ("seq", "author", "id", "content", "created_at"), messages)
            marked = ((turn, PERSON if turn == 0 else f"u{turn % PEOPLE}") for turn in range(SCORES))
            scores = [(*place(key), who, f"E{turn // PEOPLE}", float(turn), "", 7.5, 10.0) for turn, who in marked]
            await append(shards, key, "scores", ("user", "activity", "at", "id", "score", "maximum"), scores)
    finally:
        await shards.close()


async def back_up(settings: Settings, data: Path, bars: Bars) -> Found:
    """Make a backup and verify it."""
    began = time.perf_counter()
    found = await take(settings, data / "backups", quiet)
    seconds = time.perf_counter() - began
    bars.show("backup of files", found.manifest.size / 1e6, "MB")
    bars.show("backup of files", found.manifest.size / 1e6 / seconds, "MB/s")
    began = time.perf_counter()
    await asyncio.to_thread(verify, found, None, quiet)
    bars.show("verified", time.perf_counter() - began, "s")
    return found


async def export_and_erase(settings: Settings, data: Path, bars: Bars) -> None:
    """Export the person, compare with what the erasure finds, erase."""
    shards = await open_embedded(data, settings.databases)
    try:
        keeping = await assembled(settings, data, shards)
        keeping.erasures.notice_seconds = 0.0
        was = (await keeping.erasures.preview(WHOM)).found
        began = time.perf_counter()
        rows = await keeping.exporter(quiet).export(WHOM, Bundle(data.parent / "export"))
        bars.show("export of a person", time.perf_counter() - began, "s")
        names = {"one_time_codes": "sessions", "lti_logins": "logins"}
        missing = sum(max(0, count - rows[f"{names.get(table, table)}.ndjson"]) for table, count in was.items())
        bars.most("rows of the person that the export lacks", missing, 0, f"of {sum(was.values()):,}")
        began = time.perf_counter()
        receipt = await keeping.erasures.erase(WHOM)
        bars.show("erasure of a person, looking twice through all shards", time.perf_counter() - began, "s")
        assert receipt.found.keys() == was.keys(), (receipt.found, was)
        await keeping.reads.close()
    finally:
        await shards.close()


async def put_back(settings: Settings, data: Path, found: Found, bars: Bars) -> None:
    """Restore the backup from before the erasure, and look for the person."""
    began = time.perf_counter()
    done = await restore(settings, FromBackup(found), Ledgers(None, without=False), quiet)
    bars.show("restore, verified and erased again", time.perf_counter() - began, "s")
    bars.least("erasures that the restore repeated", done.erased, 1)
    shards = await open_embedded(data, settings.databases)
    try:
        keeping = await assembled(settings, data, shards)
        left = (await keeping.forgetter.found(WHOM)).values()
    finally:
        await shards.close()
    # The other tenant of the seed has a person of the same id, whose rows carry the same mark by right.
    others = len(rows_with(data, MARK))
    bars.most("rows of the erased person after the restore", sum(left), 0)
    bars.least("places of their namesake in another tenant", others, 1)


async def carry(settings: Settings, data: Path, bars: Bars) -> None:
    """Carry everything to PostgreSQL."""
    async with opened_shards("postgresql", data.parent, shared_cluster()) as target:
        began = time.perf_counter()
        carried = await carry_files(settings, data, target, quiet)
        seconds = time.perf_counter() - began
    total = sum(carried.rows.values())
    bars.show("carried to PostgreSQL and compared", total, "rows")
    bars.show("carried to PostgreSQL and compared", total / seconds, "rows/s")


async def append(
    shards: Shards, key: CourseKey, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> None:
    """Append rows, some at a time."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]

        async def work(tx: Transaction, batch: list[tuple[Any, ...]] = batch) -> None:
            await tx.copy_rows(table, ("bucket", "tenant", "course", *columns), batch)

        await shards.of(key).write(work)


def place(key: CourseKey) -> tuple[int, str, str]:
    """The first columns of a row."""
    return key.bucket, key.tenant, key.course


def quiet(step: str) -> None:
    """Tell nobody."""
    del step
