"""Joins keeping and forgetting with the engines of a data directory, for commands, the server, and a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from atomic_guide.app.caching import forget_remembered
from atomic_guide.app.copies import made_spread
from atomic_guide.app.keeping.log import folder_of, log_folder
from atomic_guide.app.keeping.manifest import all_in
from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.keeping.erase import Copies, Elsewhere, Erasures
from atomic_guide.course.keeping.export import Exporter
from atomic_guide.course.keeping.forget import Forgetter
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.keeping.key import keeping_key
from atomic_guide.course.keeping.ledger import FILE, merged, read_ledger
from atomic_guide.course.keeping.reads import Reads
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.course.video.spread.parts import Engines
from atomic_guide.course.video.videos import Parts, Videos
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.opening import OBJECTS, open_store
from atomic_guide.engines.data.embedded import open_embedded, present_files
from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.engines.data.ownership import QUERIES as CARRYING
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.snapshot import fold
from atomic_guide.engines.data.wal.litestream import released
from atomic_guide.engines.data.wal.marks import spans
from atomic_guide.engines.data.wal.writer import FOLDER as WAL
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.errors import DataUnavailable, GuideError


class Keeping(NamedTuple):
    """The parts, over one data directory; `spool` is its folder of unfinished uploads."""

    key: bytes
    parts: Parts
    spool: Path
    forgetter: Forgetter
    erasures: Erasures
    holds: Holds
    reads: Reads

    def exporter(self, tell: Callable[[str], None]) -> Exporter:
        """What writes exports and tells of its steps."""
        return Exporter(self.parts, self.reads, self.spool, tell)


async def assembled(settings: Settings, data: Path, shards: Shards) -> Keeping:
    """The parts over open databases; `data` is where their objects, uploads and ledger are."""
    clock = SystemClock()
    await shards.open_all()
    key = await keeping_key(shards.directory, clock)
    own = data == Path(settings.data)
    # What is prepared or put aside is no other installation's: the bucket is that of what is served.
    store = open_store(data, settings.assets) if own else DirectoryStore(data / OBJECTS, settings.assets)
    queues = Queues(shards, clock, settings.queues)
    copies = made_spread(settings, Engines(shards, store, queues), clock, key)
    parts = Parts(shards, store, queues, settings.video, clock, spread=copies)
    spool = data / "uploads"
    forgetter = Forgetter(parts, Videos(parts), spool)
    ledgers = [data / FILE]
    backups = folder_of(settings.backups, Path(settings.data))
    if data == Path(settings.data) and (backups.is_dir() or settings.backups.directory):
        # Beside the backups, too: whoever restores on another machine has it then.
        ledgers.append(backups / FILE)
    if data == Path(settings.data) and log_folder(settings).is_dir():
        ledgers.append(log_folder(settings) / FILE)
    erasures = Erasures(shards, clock, key, forgetter, ledgers)
    if data == Path(settings.data):
        erasures.elsewhere = _elsewhere(settings, backups, forgetter)
    holds = Holds(shards.directory, clock)
    return Keeping(key, parts, spool, forgetter, erasures, holds, Reads(shards, clock))


async def catch_up(settings: Settings, shards: Shards, given: Path | None = None, since: float | None = None) -> int:
    """Repeat the erasures of the ledgers that the databases do not know; how many.

    Before anything is served: a copy of the databases that was put back by hand is older than the ledger. Raises
    `Invalid` for a ledger that was changed.
    """
    if await shards.directory.one(CARRYING["read_carrying"]) is not None:
        raise DataUnavailable(
            "the databases hold half of what is being carried to them; finish `import-sqlite` or `restore` by giving"
            " the command again"
        )
    data = Path(settings.data)
    kept = [data, folder_of(settings.backups, data), log_folder(settings)]
    places = [*(folder / FILE for folder in kept), *([given] if given else [])]
    present = await asyncio.to_thread(lambda: [path for path in places if path.is_file()])
    if not present:
        return 0
    keeping = await assembled(settings, data, shards)
    records = merged(read_ledger(path, keeping.key) for path in present)
    return await keeping.erasures.catch_up(records, since)


def _elsewhere(settings: Settings, backups_in: Path, forgetter: Forgetter) -> Elsewhere:
    """Erases in what restores have put aside and in the databases' logs, and names the backups."""
    data = Path(settings.data).absolute()

    async def elsewhere(whom: Whom) -> Copies:
        if is_embedded(settings.databases):
            erased = await _empty_logs(data)
        else:
            from atomic_guide.engines.data.servers import vacuum_servers  # noqa: PLC0415 - not where no server is used

            vacuumed = await vacuum_servers(settings.databases)
            erased = {f"dead rows of {name}": outcome for name, outcome in vacuumed.items()}
        erased |= forgetter.stores
        erased |= await forget_remembered(settings, whom.tenant)
        for folder in await asyncio.to_thread(_put_aside, data):
            erased[folder.name] = await _forget_in(settings, folder, whom)
        backups = [found.manifest.id for found in all_in(backups_in)]
        if await asyncio.to_thread(spans, log_folder(settings)):
            hours = settings.backups.log.retention_hours
            backups.append(f"the log, for {hours} h and at most a tenth and 3 h more")
        return Copies(erased, backups)

    return elsewhere


async def _empty_logs(data: Path) -> dict[str, str]:
    directory, shards = present_files(data)
    held = {}
    for path in (directory, *shards):
        if await asyncio.to_thread(path.is_file):
            async with released(data / WAL, path):
                if not await asyncio.to_thread(fold, path):
                    held[f"log of {path.stem}"] = "is in use; its old pages are overwritten as it is written on"
    return held


def _put_aside(data: Path) -> list[Path]:
    return [folder for folder in sorted(data.glob("replaced-*")) if (folder / "databases").is_dir()]


async def _forget_in(settings: Settings, folder: Path, whom: Whom) -> str:
    count = len(present_files(folder)[1])
    try:
        shards = await open_embedded(folder, msgspec.structs.replace(settings.databases, shards=count))
        try:
            await (await assembled(settings, folder, shards)).forgetter.forget(whom)
        finally:
            await shards.close()
    except (GuideError, ValueError) as error:
        return f"could not be erased ({error}); remove the folder"
    return "erased"
