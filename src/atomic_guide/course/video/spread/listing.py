"""Listing a lecture's files: what it shows, each with its SHA-256.

A lecture's files never change under their names, captions excepted. So a file that was listed keeps the SHA-256 of
then, whatever has happened to it since, and one that is shown and gone keeps its entry: looking over the copies finds
both, and puts the file back as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.engines.assets.copying import hashed
from atomic_guide.engines.assets.manifest import Entry, Manifest, made
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.data.database import Row

_CAPTIONS = "captions/"
_READY = "ready"


class Shown(NamedTuple):
    """What lectures show of a folder: files by name, and folders of which they show everything."""

    names: frozenset[str]
    folders: frozenset[str]

    def has(self, name: str) -> bool:
        """Whether a file is shown."""
        return name in self.names or name.partition("/")[0] in self.folders


async def shown_of(parts: SpreadParts, place: CourseKey, media: str, *, sources: bool) -> Shown | None:
    """What lectures show of a folder; None where there is none, or one is still being made."""
    uses = await parts.shards.directory.read(QUERIES["uses_of"], {"tenant": place.tenant, "media": media})
    names: set[str] = set()
    folders: set[str] = set()
    for use in uses:
        key = CourseKey(place.tenant, use["course"], use["bucket"])
        row = await parts.shards.of(key).one(QUERIES["find_shown"], {**key.columns, "id": use["video"]})
        if row is None:
            continue
        if row["status"] != _READY:
            return None
        own = use["video"] == media
        if own:
            names |= {f"{_CAPTIONS}{one['lang']}.vtt" for one in msgspec.json.decode(row["captions"])}
        if not own or not row["origin"]:
            folders |= _folders(row)
            names |= {"poster.jpg", *(["source"] if sources else [])}
    return Shown(frozenset(names), frozenset(folders)) if names or folders else None


async def listed(parts: SpreadParts, place: CourseKey, media: str, shown: Shown, before: Manifest | None) -> Manifest:
    """The list of what is shown; files that are new are read for their SHA-256. Raises `Unavailable`."""
    prefix = prefix_of(place, media)
    known = {entry.name: entry for entry in before.entries} if before is not None else {}
    entries = {name: entry for name, entry in known.items() if shown.has(name)}
    for path in await parts.store.names(prefix):
        name = path.removeprefix(f"{prefix}/")
        if not shown.has(name) or (name in entries and not name.startswith(_CAPTIONS)):
            continue
        try:
            digest, size = await hashed(parts.store.stream(path, 0, await parts.store.size(path)))
        except NotFound:
            continue
        entries[name] = Entry(name, digest, size)
    return made(entries.values())


def _folders(row: Row) -> set[str]:
    folders = {one.get("folder") or one["name"] for one in msgspec.json.decode(row["renditions"])}
    return folders | ({msgspec.json.decode(row["preview"])["folder"]} if row["preview"] else set())
