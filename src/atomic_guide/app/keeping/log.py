"""The log of a data directory's files, and what a recovery from it needs beside the databases.

Beside the timelines lie the lectures' files, the ledger of erasures and the operators' token, so that the log alone is
enough where the machine is lost. An object is never changed in place, so that one copy serves every moment; one that
is deleted stays here until the log no longer reaches the time when it was there.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import structlog

from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.keeping import ledger
from atomic_guide.course.keeping.key import keeping_key
from atomic_guide.course.keeping.settings import BackupSettings
from atomic_guide.engines.assets.snapshot import gather, names_in
from atomic_guide.engines.data.embedded import present_files
from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.wal.marks import prune, spans
from atomic_guide.engines.data.wal.writer import WalWriter, prepare_timeline
from atomic_guide.errors import ConfigurationError, GuideError

_log = structlog.get_logger(__name__)

OBJECTS_SECONDS = 300.0
"""How often new objects are brought into the log: what a machine that dies takes along of the lectures' files."""

OBJECTS, _GONE = "objects", "objects-gone.json"
TOKEN = "operator-token"  # noqa: S105 - the name of its file
_SLACK_SECONDS = 3 * 3600.0
"""An object stays longer than any mark that may name it."""


def folder_of(settings: BackupSettings, data: Path) -> Path:
    """Where an installation keeps its backups."""
    return Path(settings.directory) if settings.directory else data / "backups"


def log_folder(settings: Settings) -> Path:
    """Where an installation keeps the log of its databases."""
    own = settings.backups.log.directory
    return Path(own) if own else folder_of(settings.backups, Path(settings.data)) / "log"


def prepare(settings: Settings) -> Path | None:
    """The timeline of the log, before the databases are opened; None where none is kept.

    Raises `ConfigurationError` where it is asked for and cannot be.
    """
    if not is_embedded(settings.databases):
        if settings.backups.log.enabled:
            raise ConfigurationError(
                "setting backups.log.enabled: PostgreSQL archives its own log (docs/keeping.md); switch it off"
            )
        return None
    return prepare_timeline(Path(settings.data), log_folder(settings), settings.backups.log)


def writer(settings: Settings, timeline: Path, shards: Shards) -> WalWriter:
    """What writes the log of open databases."""
    data = Path(settings.data)

    def files() -> list[Path]:
        directory, others = present_files(data.absolute())
        return [directory, *others]

    return WalWriter(data, timeline, shards.directory, files, settings.backups.log, SystemClock())


class Beside:
    """Keeps in the log what is not in the databases."""

    def __init__(self, settings: Settings, shards: Shards) -> None:
        self._settings = settings
        self._shards = shards

    async def run(self) -> None:
        """Go on until cancelled; for a root task."""
        while True:
            try:
                await self.turn()
            except (GuideError, OSError) as error:
                _log.warning("the log lacks new objects or erasures", error=str(error))
            await asyncio.sleep(OBJECTS_SECONDS)

    async def turn(self) -> None:
        """Bring what is new, let go of what no moment needs any more."""
        key = await keeping_key(self._shards.directory, SystemClock())
        await asyncio.to_thread(self._turn, key)

    def _turn(self, key: bytes) -> None:
        data, log = Path(self._settings.data), log_folder(self._settings)
        bring_ledger(data, log, key)
        if (data / TOKEN).is_file():
            shutil.copy2(data / TOKEN, log / TOKEN)
        (log / OBJECTS).mkdir(exist_ok=True, mode=0o700)
        gather(data / "objects", log / OBJECTS, None, lambda _: None)
        kept = self._settings.backups.log.retention_hours * 3600 + _SLACK_SECONDS
        _let_go(data / "objects", log, SystemClock().now(), kept)


def let_go_of_unused(settings: Settings) -> None:
    """Remove what is left of a log that is written no more, once it is as old as it was to become."""
    log = log_folder(settings)
    kept = settings.backups.log.retention_hours * 3600
    if prune(log, None, SystemClock().now() - kept) and not spans(log):
        shutil.rmtree(log / OBJECTS, ignore_errors=True)
        (log / _GONE).unlink(missing_ok=True)


def bring_ledger(data: Path, folder: Path, key: bytes) -> None:
    """Have one ledger in the data directory and in another folder, with the erasures of both."""
    now = SystemClock().now()
    ledger.begin_ledger(data / ledger.FILE, key, now)
    ledger.begin_ledger(folder / ledger.FILE, key, now)
    for target, source in ((data, folder), (folder, data)):
        for record in ledger.read_ledger(source / ledger.FILE, key):
            ledger.append(target / ledger.FILE, key, record)


def _let_go(objects: Path, log: Path, now: float, kept: float) -> None:
    """Remove the copies of objects that were deleted longer ago than `kept` seconds, counted from when it was seen."""
    note = log / _GONE
    known: dict[str, float] = msgspec.json.decode(note.read_bytes()) if note.is_file() else {}
    gone = {name: known.get(name, now) for name in names_in(log / OBJECTS) if not (objects / name).is_file()}
    for name, since in list(gone.items()):
        if now - since > kept:
            (log / OBJECTS / name).unlink(missing_ok=True)
            del gone[name]
    beside = log / f".{_GONE}"
    beside.write_bytes(msgspec.json.encode(gone))
    beside.replace(note)
