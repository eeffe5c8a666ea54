"""Lectures that a bucket keeps, as backups know them: not their bytes, but the list of each.

A list names every object of a lecture with its bytes and its SHA-256, and lies in the bucket, too; the directory says
by its digest which one holds. A backup takes the lists along, so that what the bucket has is compared with what it had,
by names and sizes or by every byte, even where the bucket has lost lists and all. Lists never change under a name:
those of the backup before are linked, and cost nothing.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from atomic_guide.app.keeping.manifest import LISTS, Found, Tell
from atomic_guide.config import Settings
from atomic_guide.course.keeping.key import QUERIES
from atomic_guide.course.video.folders import media_prefix, prefix_of
from atomic_guide.durable import sync
from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.copying import Content, check
from atomic_guide.engines.assets.manifest import Entry, Manifest, digest_of, list_place, read_manifest
from atomic_guide.engines.assets.opening import open_store
from atomic_guide.engines.assets.pace import Pace
from atomic_guide.engines.data.embedded import present_files
from atomic_guide.engines.data.examine import read_file
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Invalid, NotFound, RangeUnsatisfiable, Unavailable

T = TypeVar("T")

_AT_ONCE = 16
"""Lectures that a bucket is asked about at a time."""
_READ_AT_ONCE = 4
"""Objects that are read at a time; each holds a part of 8 MiB while it passes."""
_LARGEST = 64 * 1024 * 1024
"""Bytes of a list: that of an hour's lecture has 180 kB."""
_NAMED = 20
"""Objects that are named; more are counted."""


class Lectures(msgspec.Struct, frozen=True, kw_only=True):
    """How a bucket stands against the lists of its lectures.

    `whole` lectures have every object, of `lectures` in all; `unlisted` ones have files and no list by which that could
    be told, and `without_files` have nothing at all. `wrong` counts objects by missing, truncated or altered, and
    `named` names the first of them. `read`: every byte was compared, not only names and sizes.
    """

    lectures: int
    whole: int
    unlisted: int
    without_files: int
    objects: int
    bytes: int
    wrong: dict[str, int]
    named: list[str]
    read: bool

    @property
    def sound(self) -> bool:
        """Whether nothing is known to be wrong."""
        return not self.wrong and not self.without_files


class _Found(NamedTuple):
    """What the bucket has of a lecture; `entries` is None without a list."""

    objects: int
    entries: tuple[Entry, ...] | None
    wrong: list[tuple[str, str]]


class Lists:
    """The lists of a folder with databases: those that lie below `folder`, else those that the bucket has."""

    def __init__(self, store: BucketStore, folder: Path | None) -> None:
        self._store = store
        self._folder = folder

    def content(self, place: str, digest: str) -> bytes | None:
        """A list from the folder; None where it is not there, or is not what its digest says."""
        if self._folder is None:
            return None
        try:
            content = (self._folder / place).read_bytes()
        except OSError:
            return None
        return content if digest_of(content) == digest else None

    async def fetched(self, place: str, digest: str) -> bytes | None:
        """A list from the bucket, likewise. Raises `Unavailable`."""
        try:
            content = await self._store.read(place, _LARGEST)
        except (NotFound, RangeUnsatisfiable):
            return None
        return content if digest_of(content) == digest else None

    async def find(self, prefix: str, digest: str) -> Manifest | None:
        """A list from wherever it is. Raises `Unavailable`."""
        place = list_place(prefix, digest)
        content = await asyncio.to_thread(self.content, place, digest) or await self.fetched(place, digest)
        return read_manifest(content, digest) if content is not None else None


def bring_lists(settings: Settings, making: Path, previous: Path | None, tell: Tell) -> tuple[int, int]:
    """Bring the lists that the copied databases name below `making`; how many, and how many lectures have none there.

    What the backup before has is linked; a bucket that is away, or has lost a list, fails no backup.
    """
    store = open_store(Path(settings.data), settings.assets)
    if not isinstance(store, BucketStore):
        raise Invalid("setting assets.main: lectures are in the data directory, and are in the backup themselves")
    return asyncio.run(_bring(store, making, previous / LISTS if previous is not None else None, tell))


async def _bring(store: BucketStore, making: Path, previous: Path | None, tell: Tell) -> tuple[int, int]:
    lists, listed = Lists(store, previous), await asyncio.to_thread(_listed, making)
    away = asyncio.Event()

    async def bring(prefix: str, digest: str) -> bool:
        place = list_place(prefix, digest)
        target = making / LISTS / place
        if previous is not None and await asyncio.to_thread(lists.content, place, digest) is not None:
            await asyncio.to_thread(_link, previous / place, target)
            return True
        try:
            content = await lists.fetched(place, digest) if not away.is_set() else None
        except Unavailable:
            away.set()
            return False
        if content is not None:
            await asyncio.to_thread(_write, target, content)
        return content is not None

    brought: set[str] = set()
    for some in _some(sorted(listed.items())):
        there = await asyncio.gather(*(bring(prefix, digest) for prefix, digest in some))
        brought |= {prefix for (prefix, _), is_there in zip(some, there, strict=True) if is_there}
        tell(f"{len(brought)} of {len(listed)} lists of lectures")
    if away.is_set():
        tell(f"{store.remote.name} does not answer: lists that the backup before does not have are left out")
    return len(brought), len(await asyncio.to_thread(_wanted, making) - brought)


async def compare_backup(settings: Settings, found: Found, tell: Tell, *, read: bool) -> Lectures:
    """Compare the bucket of the settings with the lists of a backup.

    Raises `Invalid` for a backup that holds its lectures itself, or is of another bucket, `Unavailable`.
    """
    bucket, manifest = settings.assets.main, found.manifest
    if not manifest.bucket or manifest.lists is msgspec.UNSET:
        why = f"says nothing of what {manifest.bucket} has" if manifest.bucket else "holds its lectures itself"
        raise Invalid(f"the backup {manifest.id} {why}; verify it without --lectures")
    store = open_store(Path(settings.data), settings.assets)
    if bucket != manifest.bucket or not isinstance(store, BucketStore):
        raise Invalid(
            f"the lectures of {manifest.id} are in {manifest.bucket}, and assets.main is {bucket or 'not set'};"
            " give the settings that name it"
        )
    return await compare(store, found.path, found.path / LISTS, tell, read=read)


async def compare(
    store: BucketStore, folder: Path, lists: Path | None, tell: Tell, *, read: bool = False, heal: bool = False
) -> Lectures:
    """Compare a bucket with the lists of the lectures that the databases below `folder` name.

    By names and sizes, or with `read` by every byte. With `heal` lists that the bucket has lost are stored there again,
    for whoever looks over it later; a list's name is its content, so that nothing that is there is changed. Raises
    `Unavailable`.
    """
    looking = _Looking(store, Lists(store, lists), asyncio.Semaphore(_READ_AT_ONCE) if read else None, heal)
    listed, wanted = await asyncio.to_thread(_listed, folder), await asyncio.to_thread(_wanted, folder)
    count = whole = unlisted = without = objects = size = 0
    wrong, named = Counter[str](), list[str]()
    for some in _some(sorted(wanted)):
        found = await asyncio.gather(*(looking.look(prefix, listed.get(prefix)) for prefix in some))
        for prefix, one in zip(some, found, strict=True):
            entries = one.entries or ()
            count, objects, size = count + 1, objects + len(entries), size + sum(entry.size for entry in entries)
            without += not one.objects
            unlisted += one.entries is None and one.objects > 0
            whole += one.entries is not None and not one.wrong
            wrong.update(outcome for _, outcome in one.wrong)
            named += [f"{prefix}/{name} {outcome}" for name, outcome in one.wrong[: _NAMED - len(named)]]
        tell(f"{count} of {len(wanted)} lectures compared")
    return Lectures(
        lectures=count,
        whole=whole,
        unlisted=unlisted,
        without_files=without,
        objects=objects,
        bytes=size,
        wrong=dict(wrong),
        named=named,
        read=read,
    )


class _Looking(NamedTuple):
    """Looks at one lecture after the other; with a `gate` every byte is read."""

    store: BucketStore
    lists: Lists
    gate: asyncio.Semaphore | None
    heal: bool

    async def look(self, prefix: str, digest: str | None) -> _Found:
        """What the bucket has of a lecture."""
        names = await self.store.names(prefix)
        manifest = await self.lists.find(prefix, digest) if digest is not None else None
        if digest is None or manifest is None:
            return _Found(len(names), None, [])
        if self.heal and list_place(prefix, digest) not in names:
            await self.store.put(list_place(prefix, digest), manifest.encode())
        wrong: list[tuple[str, str]] = []
        for some in _some(manifest.entries):
            said = await asyncio.gather(*(self._outcome(prefix, entry, names) for entry in some))
            wrong += [(entry.name, one) for entry, one in zip(some, said, strict=True) if one != "ok"]
        return _Found(len(names), manifest.entries, wrong)

    async def _outcome(self, prefix: str, entry: Entry, names: dict[str, int]) -> str:
        name = f"{prefix}/{entry.name}"
        held = names.get(name)
        if held is None:
            return "missing"
        if held != entry.size:
            return "truncated" if held < entry.size else "altered"
        if self.gate is None:
            return "ok"
        async with self.gate:
            return await check(self.store, name, Content(entry.sha256, entry.size), Pace(0))


def named_folders(folder: Path) -> Iterator[tuple[str, bool]]:
    """The folder of objects of each video that the databases below `folder` know, and whether there must be one."""
    for path in present_files(folder)[1]:
        for row in read_file(path, QUERIES["read_videos"]):
            key = CourseKey(row["tenant"], row["course"], row["bucket"])
            copied = bool(row["origin"])
            # A copied lecture has a folder of its own for its captions only.
            yield prefix_of(key, row["id"]), row["status"] != "failed" and not copied
            if copied:
                yield media_prefix(key, row["id"], row["origin"]), True


def _listed(folder: Path) -> dict[str, str]:
    """The digest of each lecture's list, by the lecture's folder."""
    return {
        prefix_of(CourseKey(row["tenant"], row["place"], 0), row["media"]): row["list"]
        for row in read_file(present_files(folder)[0], QUERIES["read_lists"])
    }


def _wanted(folder: Path) -> set[str]:
    return {prefix for prefix, wanted in named_folders(folder) if wanted}


def _some(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        target.hardlink_to(source)
    except OSError:
        # A file system without links; what is copied keeps its time, by which its hash is known again.
        shutil.copy2(source, target)
        sync(target)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.write_bytes(content)
    sync(target)
