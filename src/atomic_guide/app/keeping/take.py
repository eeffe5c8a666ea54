"""Making a backup, beside a running server or without one."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from atomic_guide.app.keeping.lectures import bring_lists
from atomic_guide.app.keeping.log import bring_ledger
from atomic_guide.app.keeping.manifest import (
    FORMAT,
    LISTED,
    LISTS,
    NAME,
    OBJECTS,
    Entry,
    Found,
    Manifest,
    Tell,
    all_in,
    superfluous,
)
from atomic_guide.clock import SystemClock, iso
from atomic_guide.config import Settings
from atomic_guide.course.keeping.key import keeping_key
from atomic_guide.course.keeping.ledger import FILE as LEDGER
from atomic_guide.durable import sync
from atomic_guide.engines.assets.snapshot import gather, hash_of, write_list
from atomic_guide.engines.data.embedded import present_files
from atomic_guide.engines.data.opening import is_embedded, open_databases
from atomic_guide.engines.data.snapshot import copy_database, map_of, version_of
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import Conflict, NotFound, OutOfSpace, Unavailable

_ATTEMPTS = 5
"""How often the databases are copied anew where courses moved meanwhile; a move takes seconds."""

_MARGIN = 64 * 1024 * 1024
"""Bytes that must stay free beside the copies."""


async def take(settings: Settings, folder: Path, tell: Tell) -> Found:
    """Make a backup in `folder`. Raises `NotFound` without a data directory, `Conflict` while another is made."""
    data = Path(settings.data)
    if is_embedded(settings.databases):
        directory, _ = present_files(data)
        if not directory.is_file():
            raise NotFound(f"there is nothing to back up in {data}; choose the data directory with --data")
        # Not by opening everything: that would migrate, and a backup may be wanted before that.
        database = SqliteDatabase(directory, settings.databases.sqlite)
        try:
            key = await keeping_key(database, SystemClock())
        finally:
            await database.close()
    else:
        await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True, mode=0o700)
        shards = await open_databases(data, settings.databases)
        try:
            key = await keeping_key(shards.directory, SystemClock())
        finally:
            await shards.close()
    return await asyncio.to_thread(_take, settings, folder, key, tell)


def _take(settings: Settings, folder: Path, key: bytes, tell: Tell) -> Found:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        _clear(folder)
        bring_ledger(Path(settings.data), folder, key)
        known = all_in(folder)
        began = SystemClock().now()
        name = f"{datetime.fromtimestamp(began, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        making = folder / f".making-{name}"
        making.mkdir(mode=0o700)
        try:
            manifest = _fill(settings, making, known[-1].path if known else None, tell)
            manifest = _described(manifest, name, began).sealed(key)
            _write(making / NAME, manifest)
            making.rename(folder / name)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        sync(folder)
        _prune(settings, folder)
    return Found(folder / name, manifest)


def _fill(settings: Settings, making: Path, previous: Path | None, tell: Tell) -> Manifest:
    data = Path(settings.data)
    embedded = is_embedded(settings.databases)
    before = previous / "objects" if previous else None
    objects = making / "objects"
    objects.mkdir(mode=0o700)
    gather(data / "objects", objects, before, tell)
    copy = _copy_files if embedded else _copy_servers
    copy(settings, making / "databases", tell)
    gather(data / "objects", objects, before, tell)
    count, size = write_list(objects, making / OBJECTS, previous / OBJECTS if previous else None, tell)
    lists = _lists(settings, making, previous, tell) if settings.assets.main else None
    for name in ("operator-token", LEDGER):
        if (data / name).is_file():
            shutil.copy2(data / name, making / name)
            sync(making / name)
    sync(making)
    copies = sorted((making / "databases").glob("*.sqlite"))
    beside = [making / name for name in (OBJECTS, LISTED, "operator-token", LEDGER)]
    files = [path for path in (*copies, *beside) if path.is_file()]
    return Manifest(
        format=FORMAT,
        id="",
        began_at="",
        finished_at="",
        program=version("atomic-guide"),
        engine="sqlite" if embedded else "postgresql",
        schemas={path.stem: version_of(path) or "" for path in copies},
        files=[Entry(str(path.relative_to(making)), path.stat().st_size, hash_of(path)) for path in files],
        objects=count,
        object_bytes=size,
        bucket=settings.assets.main or msgspec.UNSET,
        lists=lists[0] if lists else msgspec.UNSET,
        unlisted=lists[1] if lists else msgspec.UNSET,
    )


def _lists(settings: Settings, making: Path, previous: Path | None, tell: Tell) -> tuple[int, int]:
    """Bring the lists of lectures that a bucket keeps; how many, and how many lectures have none."""
    tell(f"lectures are in {settings.assets.main}: their lists are in this backup, and no bytes of them")
    (making / LISTS).mkdir(mode=0o700)
    found = bring_lists(settings, making, previous, tell)
    write_list(making / LISTS, making / LISTED, previous / LISTED if previous else None, tell)
    return found


def _described(manifest: Manifest, name: str, began: float) -> Manifest:

    return msgspec.structs.replace(manifest, id=name, began_at=iso(began), finished_at=iso(SystemClock().now()))


def _copy_files(settings: Settings, target: Path, tell: Tell) -> None:
    """The shards, then the directory."""
    directory, shards = present_files(Path(settings.data))
    _check_space([directory, *shards], target.parent)

    def copy() -> None:
        for path in (*shards, directory):
            copy_database(path, target / path.name)
            tell(f"copied {path.stem}, {(target / path.name).stat().st_size / 1e6:.1f} MB")

    _copy_still(target, copy, lambda: map_of(directory), tell)


def _copy_servers(settings: Settings, target: Path, tell: Tell) -> None:
    """The same from PostgreSQL; in this thread's own event loop."""
    # The driver takes 60 ms to import, and most backups do without.
    from atomic_guide.engines.data.dump import dump_servers, map_number  # noqa: PLC0415

    databases = settings.databases
    _copy_still(
        target,
        lambda: asyncio.run(dump_servers(databases, target, tell)),
        lambda: str(asyncio.run(map_number(databases))),
        tell,
    )


def _copy_still(target: Path, copy: Callable[[], None], state: Callable[[], str], tell: Tell) -> None:
    """Copy the databases; again from the start where courses moved meanwhile, as `state` of the map tells."""
    for _ in range(_ATTEMPTS):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        before = state()
        copy()
        if state() == before:
            sync(target)
            return
        tell("courses moved between shards meanwhile; copying the databases again")
    raise Unavailable("courses keep moving between shards; make the backup when the moves are done", retry_after=60)


def _check_space(databases: list[Path], making: Path) -> None:
    needed = sum(path.stat().st_size for path in databases if path.exists()) + _MARGIN
    free = shutil.disk_usage(making).free
    if free < needed:
        raise OutOfSpace(f"the backup needs {needed / 1e9:.2f} GB in {making.parent}, {free / 1e9:.2f} GB are free")


def _clear(folder: Path) -> None:
    """Remove what makers and removers that were killed have left; only while holding the folder."""
    for path in folder.glob(".*ing-*"):
        shutil.rmtree(path, ignore_errors=True)


def _prune(settings: Settings, folder: Path) -> None:
    kept = settings.backups
    for name in superfluous((found.path.name for found in all_in(folder)), kept.keep, kept.keep_days):
        # Renamed first: a backup that is half removed must not look like one.
        gone = (folder / name).rename(folder / f".removing-{name}")
        shutil.rmtree(gone, ignore_errors=True)


def _write(path: Path, manifest: Manifest) -> None:

    with path.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(f"another backup is being made in {folder}; try again when it is done") from error
        yield
