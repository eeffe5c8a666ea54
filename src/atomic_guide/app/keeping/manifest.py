"""What a backup says of itself, and finding backups.

The manifest names every file with its size and SHA-256; the list of objects is one of these files, and names every
object in the same way. A seal over the manifest, an HMAC with a key of the installation, tells a manifest that
somebody changed from one of ours: the key is compared with the installation's own where that can be read.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from atomic_guide.clock import from_iso
from atomic_guide.errors import Invalid, NotFound

NAME = "manifest.json"
OBJECTS = "objects.ndjson"
LISTS, LISTED = "lists", "lists.ndjson"
"""The lists of lectures that a bucket keeps, and what names these files."""
FORMAT = 1
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")

Tell = Callable[[str], None]


class Entry(msgspec.Struct, frozen=True):
    """A file of a backup, by its path in it."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is. Times are ISO 8601 UTC; `schemas` is the schema version of each database."""

    format: int
    id: str
    began_at: str
    finished_at: str
    program: str
    engine: str
    schemas: dict[str, str]
    files: list[Entry]
    objects: int
    object_bytes: int
    bucket: str | msgspec.UnsetType = msgspec.UNSET
    """The store that keeps the lectures, where that is a bucket: not they are in the backup then, but their lists."""
    lists: int | msgspec.UnsetType = msgspec.UNSET
    """So many of these lists."""
    unlisted: int | msgspec.UnsetType = msgspec.UNSET
    """Lectures without one: they were not ready, or the bucket was away."""
    seal: str = ""

    @property
    def shards(self) -> int:
        """How many shards it holds."""
        return len(self.schemas) - 1

    @property
    def size(self) -> int:
        """Bytes of everything."""
        return self.object_bytes + sum(entry.size for entry in self.files)

    def sealed(self, key: bytes) -> Manifest:
        """The same with its seal."""
        return msgspec.structs.replace(self, seal=self._seal(key))

    def is_sealed_with(self, key: bytes) -> bool:
        """Whether the seal was made with a key, over what the manifest says now."""
        return hmac.compare_digest(self.seal, self._seal(key))

    def _seal(self, key: bytes) -> str:
        text = msgspec.json.encode(msgspec.structs.replace(self, seal=""))
        return hmac.new(key, b"manifest\0" + text, hashlib.sha256).hexdigest()


class Found(msgspec.Struct, frozen=True):
    """A backup and where it is."""

    path: Path
    manifest: Manifest


def read_manifest(path: Path) -> Manifest:
    """The manifest of a backup's folder. Raises `NotFound` without one, `Invalid` for one that cannot be read."""
    try:
        manifest = msgspec.json.decode((path / NAME).read_bytes(), type=Manifest)
    except OSError as error:
        raise NotFound(f"there is no backup in {path} ({error.strerror})") from error
    except msgspec.MsgspecError as error:
        raise Invalid(f"the manifest of {path} cannot be read ({error}); it is not a whole backup") from error
    if manifest.format > FORMAT:
        raise Invalid(f"the backup {path} was made by a newer version ({manifest.program}); install it")
    return manifest


def all_in(folder: Path) -> list[Found]:
    """The whole backups below a folder, the oldest first."""
    if not folder.is_dir():
        return []
    whole = [path for path in folder.iterdir() if _ID.fullmatch(path.name) and (path / NAME).is_file()]
    return sorted((Found(path, read_manifest(path)) for path in whole), key=_begun)


def _begun(found: Found) -> tuple[str, str, str]:
    """By the second of its name, and within that by the milliseconds of its manifest: the rest of a name is random."""
    return found.path.name.partition("-")[0], found.manifest.began_at, found.path.name


def choose(folder: Path, wanted: str | None, at: float | None) -> Found:
    """The backup that is meant: a path, an id in `folder`, or the newest that was begun at or before `at`.

    Raises `NotFound`.
    """
    if wanted is not None and wanted != "latest":
        path = Path(wanted) if (Path(wanted) / NAME).is_file() else folder / wanted
        return Found(path, read_manifest(path))
    fitting = [found for found in all_in(folder) if at is None or from_iso(found.manifest.began_at) <= at]
    if not fitting:
        when = " from before that time" if at is not None else ""
        raise NotFound(f"there is no backup{when} in {folder}; `atomic-guide backup list` shows those that are")
    return fitting[-1]


def superfluous(ids: Iterable[str], keep: int, keep_days: int) -> list[str]:
    """The backups that may go: not among the newest `keep`, nor the last one of one of the newest `keep_days` days.

    `ids` and what is returned: the oldest first.
    """
    ordered = list(ids)[::-1]
    kept = set(ordered[:keep])
    last_of_day: dict[str, str] = {}
    for name in ordered:
        last_of_day.setdefault(name[:8], name)
    kept |= {last_of_day[day] for day in sorted(last_of_day, reverse=True)[:keep_days]}
    return [name for name in reversed(ordered) if name not in kept]
