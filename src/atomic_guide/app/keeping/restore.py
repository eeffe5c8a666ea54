"""Putting a backup or a moment of the log back: verified, prepared beside the data, erased again, then swapped in.

Nothing of the data directory changes before the prepared contents are complete. What was there is kept aside. Until
the swap is finished nothing opens the databases, so that nothing is served before its erasures are made again.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from atomic_guide.app.keeping import swap
from atomic_guide.app.keeping.assembly import assembled
from atomic_guide.app.keeping.carrying import as_files, carry_files
from atomic_guide.app.keeping.lectures import Lectures, compare
from atomic_guide.app.keeping.manifest import Tell
from atomic_guide.app.keeping.origins import Origin, without_objects
from atomic_guide.app.supervisor import DataLock
from atomic_guide.clock import SystemClock, from_iso
from atomic_guide.config import Settings
from atomic_guide.course.keeping import ledger
from atomic_guide.course.keeping.erase import known_erasures
from atomic_guide.course.keeping.key import SECRET
from atomic_guide.durable import sync
from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.opening import open_store
from atomic_guide.engines.assets.snapshot import names_in
from atomic_guide.engines.data.embedded import open_embedded, present_files
from atomic_guide.engines.data.opening import is_embedded, open_databases
from atomic_guide.engines.data.snapshot import fold, secret_of
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import DataUnavailable, GuideError, Invalid, NotFound, Unavailable

_REMEDY = (
    "give the newest copy of it with --ledger FILE; if nobody was erased since the backup, say so with --without-ledger"
)


class Ledgers(NamedTuple):
    """Where erasures since the backup are looked up: `given` is an extra file, `without` does without any."""

    given: Path | None
    without: bool


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did. `erased` counts the erasures that were repeated; `aside` is where the old contents are.

    `without_files` counts the lectures whose rows are back and whose files are nowhere; None where they are in a bucket
    that does not answer. `lectures` is how such a bucket stands against the lists of what it should have.
    """

    backup: str
    began_at: str
    erasures: int
    erased: int
    aside: str | None
    databases: int
    objects: int
    dropped_uploads: int
    without_files: int | None
    lectures: Lectures | None


def finish_interrupted(data: Path) -> str | None:
    """Finish a swap that a crash interrupted; the id of its backup, or None where there is none to finish."""
    under_way = swap.pending(data)
    if under_way is None:
        return None
    lock = DataLock.acquire(data)
    try:
        swap.finish(data, under_way)
    finally:
        lock.release()
    return under_way.backup


def own_key(settings: Settings) -> bytes | None:
    """The key of the installation in the data directory, where there is one that can be read."""
    secret = secret_of(present_files(Path(settings.data))[0], SECRET)
    return bytes.fromhex(secret) if secret else None


async def restore(settings: Settings, origin: Origin, ledgers: Ledgers, tell: Tell) -> Restored:
    """Put a backup or a moment of the log into the data directory.

    Raises `ConfigurationError` while a server holds the directory, `Invalid` for an origin or a ledger that must not
    be used, or where there is no ledger.
    """
    data = Path(settings.data)
    lock = DataLock.acquire(data)
    try:
        stage = data / swap.STAGE
        shutil.rmtree(stage, ignore_errors=True)
        try:
            prepared = await _prepare(settings, origin, ledgers, stage, tell)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        # Never the name of an earlier one: what stands aside tells `finish` which parts are moved.
        aside = f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        under_way = swap.Swap(origin.id, aside)
        swap.begin(data, under_way)
        swap.finish(data, under_way)
    finally:
        lock.release()
    return msgspec.structs.replace(prepared, aside=str(data / aside) if (data / aside).exists() else None)


async def _prepare(settings: Settings, origin: Origin, ledgers: Ledgers, stage: Path, tell: Tell) -> Restored:
    """Make everything that is swapped in; it is on disk when this returns."""
    embedded = is_embedded(settings.databases)
    if embedded:
        _check_shards(settings, origin)
    for folder in (stage, stage / "databases", stage / "objects"):
        folder.mkdir(mode=0o700)
    key = await asyncio.to_thread(origin.fill, stage, own_key(settings), tell)
    records = await _records(settings, origin, ledgers, stage, key)
    count = len(list((stage / "databases").glob("*.sqlite")))
    erased, dropped = await _make_forget(settings, origin, stage, records, tell)
    without, lectures = await _files(settings, origin, stage, tell)
    if not embedded:
        await _carry(settings, origin, stage, tell)
    ledger.write_ledger(stage / ledger.FILE, key, records, SystemClock().now())
    swap.note_parts(stage)
    _sync_all(stage)
    return Restored(
        backup=origin.id,
        began_at=origin.began_at,
        erasures=len(records),
        erased=erased,
        aside=None,
        databases=count,
        objects=sum(1 for _ in names_in(stage / "objects")),
        dropped_uploads=dropped,
        without_files=without,
        lectures=lectures,
    )


async def _files(settings: Settings, origin: Origin, stage: Path, tell: Tell) -> tuple[int | None, Lectures | None]:
    """How many lectures of the prepared databases have no files, and what a bucket has of the others."""
    store = open_store(Path(settings.data), settings.assets)
    if not isinstance(store, BucketStore):
        return await asyncio.to_thread(without_objects, stage), None
    try:
        found = await compare(store, stage, origin.lists, tell, heal=True)
    except Unavailable:
        return None, None
    return found.without_files, found


def _check_shards(settings: Settings, origin: Origin) -> None:
    # More are no harm: those that were added while it ran are in the directory's list.
    if origin.shards < settings.databases.shards:
        raise Invalid(
            f"{origin.id} has {origin.shards} shards and databases.shards is {settings.databases.shards};"
            f" set it to {origin.shards}"
        )


async def _records(
    settings: Settings, origin: Origin, ledgers: Ledgers, stage: Path, key: bytes
) -> list[ledger.Record]:
    """Every erasure that is known anywhere. Raises `Invalid` where nothing younger than the origin can be asked."""
    data = Path(settings.data)
    if ledgers.given is not None and not ledgers.given.is_file():
        raise NotFound(f"there is no ledger {ledgers.given}")
    places = [data / ledger.FILE, *origin.ledgers, *([ledgers.given] if ledgers.given else [])]
    present = [path for path in places if path.is_file()]
    if not present and not ledgers.without:
        raise Invalid(
            f"no ledger of erasures is in {data} or beside {origin.id}, so people who were erased since"
            f" {origin.began_at} would come back; {_REMEDY}"
        )
    if (stage / ledger.FILE).is_file():
        present.append(stage / ledger.FILE)
    known = [ledger.read_ledger(path, key) for path in present]
    return ledger.merged([*known, await _in_directory(settings)])


async def _in_directory(settings: Settings) -> list[ledger.Record]:
    """The erasures in the directory database that is replaced; none where it cannot be read any more."""
    path, _ = present_files(Path(settings.data))
    if not path.is_file():
        return []
    try:
        directory = SqliteDatabase(path, settings.databases.sqlite)
        try:
            return [erasure.record for erasure in await known_erasures(directory)]
        finally:
            await directory.close()
    except GuideError:
        return []


async def _make_forget(
    settings: Settings, origin: Origin, stage: Path, records: list[ledger.Record], tell: Tell
) -> tuple[int, int]:
    """Migrate the prepared databases and repeat the erasures they do not know; how many, and dropped uploads.

    An erasure that was finished before the origin began is in it already, and who came back since then stays.
    """
    shards = await open_embedded(stage, as_files(settings, stage))
    try:
        keeping = await assembled(settings, stage, shards)
        began = from_iso(origin.began_at)
        done = {known.record.id for known in await known_erasures(shards.directory) if known.finished_before(began)}
        repeated = [record for record in records if record.id not in done]
        everybody = await keeping.erasures.everybody() if repeated else set()
        for number, record in enumerate(repeated, 1):
            await keeping.erasures.repeat(record, everybody)
            tell(f"erased again {number} of {len(repeated)}")
        dropped = await keeping.forgetter.end_what_was_open()
    finally:
        await shards.close()
    await asyncio.to_thread(_fold, stage)
    return len(repeated), dropped


async def _carry(settings: Settings, origin: Origin, stage: Path, tell: Tell) -> None:
    """Carry the prepared databases to the servers of the settings, which are empty or hold half of this very one."""
    target = await open_databases(stage, settings.databases)
    try:
        await carry_files(settings, stage, target, tell, origin=origin.id)
    finally:
        await target.close()
    shutil.rmtree(stage / "databases")


def _fold(stage: Path) -> None:
    directory, shards = present_files(stage)
    for path in (directory, *shards):
        if not fold(path):
            raise DataUnavailable(f"the prepared {path.name} is in use by another process; restore again")


def _sync_all(stage: Path) -> None:
    for folder, _, files in os.walk(stage, topdown=False):
        for name in [*(files if Path(folder).name == "databases" else []), "."]:
            sync(Path(folder) / name)
