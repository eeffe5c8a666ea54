"""Writes the log of a data directory: has the databases copied, and marks how far each of them came."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.timeline import NOTE, current
from atomic_guide.engines.data.wal.litestream import Litestream, find_program, log_of
from atomic_guide.engines.data.wal.marks import Mark, append_mark, prune
from atomic_guide.engines.data.wal.settings import WalSettings
from atomic_guide.errors import ConfigurationError, GuideError, Unavailable

_QUERIES = load_queries(__package__)
FOLDER = "wal"
"""What Litestream keeps beside the databases, in the data directory."""

IDLE_SECONDS = 10.0
"""How often a mark is made while nothing changes: it says that the log goes on."""

RENEW_SECONDS = 60.0
"""After how long without a mark, while Litestream runs, the log is begun anew."""

_LAST_MARK_SECONDS = 1.5
_TEND_SECONDS = 600.0
_LATE_SECONDS = 30.0
_OWN_COPIES = 50
"""Of the pieces that Litestream keeps of each file beside the log; it needs the newest, and the log has them all."""

_log = structlog.get_logger(__name__)


def prepare_timeline(data: Path, log: Path, settings: WalSettings) -> Path | None:
    """The folder of the timeline that the files of a data directory are on, begun where there is none; None: no log.

    To be called before the files are opened. Raises `ConfigurationError` where the program or the folder is missing.
    """
    folder = data / "databases"
    if not settings.enabled:
        (folder / NOTE).unlink(missing_ok=True)
        return None
    find_program(settings)
    name = current(folder)
    return log / name if name is not None and (log / name).is_dir() else _begin_timeline(folder, log)


def _begin_timeline(folder: Path, log: Path) -> Path:
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        log.mkdir(parents=True, exist_ok=True, mode=0o700)
        (log / name).mkdir(mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the log of the databases cannot be kept in {log} ({error.strerror}); set backups.log.directory"
        ) from error
    beside = folder / f".{NOTE}"
    beside.write_text(name, encoding="ascii")
    beside.replace(folder / NOTE)
    return log / name


class WalWriter:
    """The log of the database files below `data`; `files` lists them, the directory first."""

    def __init__(
        self,
        data: Path,
        timeline: Path,
        directory: Database,
        files: Callable[[], list[Path]],
        settings: WalSettings,
        clock: Clock,
    ) -> None:
        self._databases = data / "databases"
        self._timeline = timeline
        self._directory = directory
        self._list = files
        self._settings = settings
        self._clock = clock
        self._litestream = Litestream(data / FOLDER, timeline, settings)
        self._files: list[Path] = []
        self._last: Mark | None = None
        self._making = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of Litestream, while it runs."""
        return self._litestream.pid

    def own_pieces(self, file: Path) -> Path:
        """Where Litestream keeps what it has read of a file until that is in the log, and for a while after."""
        return self._litestream.pieces(file)

    async def start(self) -> None:
        """Begin to follow the files. Raises `Unavailable` saying why not; `run` goes on trying."""
        self._files = await asyncio.to_thread(self._list)
        await self._litestream.start(self._files)

    async def run(self) -> None:
        """Write on, until cancelled; for a root task."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._litestream.keep())
            group.create_task(self._mark_on())
            group.create_task(self._tend_on())

    async def stop(self) -> None:
        """Make a last mark, and end."""
        with contextlib.suppress(GuideError, TimeoutError):
            async with asyncio.timeout(_LAST_MARK_SECONDS):
                await self.mark()
        await self._litestream.stop()

    async def mark(self) -> Mark | None:
        """Have everything copied that is acknowledged by now; None where a course moved meanwhile.

        Raises `Unavailable` while Litestream is away.
        """
        async with self._making:
            files = await asyncio.to_thread(self._list)
            if files != self._files:
                self._files = files
                await self._litestream.follow(files)
                raise Unavailable("a database was added; litestream begins anew", retry_after=1)
            before, at = await self._steps(), self._clock.now()
            directory, *shards = files
            came = await asyncio.gather(*(self._litestream.sync(path) for path in shards))
            positions = {path.stem: position for path, position in zip(shards, came, strict=True)}
            positions[directory.stem] = await self._litestream.sync(directory)
            # A shard that is copied before a move's step and a directory after it would contradict one another.
            if await self._steps() != before:
                return None
            # Whole milliseconds, as times are written and read, and towards the safe side.
            mark = Mark(math.floor(at * 1000) / 1000, math.ceil(max(at, self._clock.now()) * 1000) / 1000, positions)
            last = self._last
            if last is None or positions != last.positions or mark.at - last.at >= IDLE_SECONDS:
                await asyncio.to_thread(append_mark, self._timeline, mark)
                self._last = mark
            return mark

    async def probe(self) -> None:
        """Raise `Unavailable` where the log stands still."""
        if self._last is None or self._clock.now() - self._last.until > _LATE_SECONDS:
            raise Unavailable(f"the log of the databases has stood still for over {_LATE_SECONDS:g} s")

    def tend(self) -> None:
        """Let go of what is older than the log is to be."""
        before = self._clock.now() - self._settings.retention_hours * 3600
        for name in prune(self._timeline.parent, self._timeline.name, before):
            _log.info("an old timeline of the log was removed", timeline=name)
        for path in self._files:
            own, kept = self.own_pieces(path), log_of(self._timeline, path.stem) / "ltx" / "0"
            for piece in sorted(own.glob("*.ltx"))[:-_OWN_COPIES]:
                # While the log's disk is full or away, these are the only ones.
                if (kept / piece.name).exists():
                    piece.unlink(missing_ok=True)

    async def _steps(self) -> tuple[object, ...]:
        row = await self._directory.one(_QUERIES["read_steps"])
        return (row["changes"], row["moves"], row["moved_at"]) if row is not None else ()

    async def _mark_on(self) -> None:
        failing_since: float | None = None
        while True:
            began = self._clock.monotonic()
            try:
                await self.mark()
                failing_since = None
            except (GuideError, OSError) as error:
                if failing_since is None:
                    _log.warning("the log of the databases stands still", error=str(error))
                failing_since = began if failing_since is None else failing_since
                if self.pid is not None and began - failing_since > RENEW_SECONDS:
                    await self._renew()
                    failing_since = None
            await asyncio.sleep(max(0.0, self._settings.interval - (self._clock.monotonic() - began)))

    async def _renew(self) -> None:
        """Begin a new timeline: what Litestream keeps of the old one may be damaged, and it does not mend that."""
        try:
            self._timeline = await asyncio.to_thread(_begin_timeline, self._databases, self._timeline.parent)
        except (GuideError, OSError) as error:
            _log.warning("the log of the databases cannot be begun anew", error=str(error))
            return
        _log.warning("the log of the databases begins anew", timeline=self._timeline.name)
        await self._litestream.move_to(self._timeline)

    async def _tend_on(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.tend)
            except OSError as error:
                _log.warning("the log of the databases was not tended", error=str(error))
            await asyncio.sleep(_TEND_SECONDS)
