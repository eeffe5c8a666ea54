"""The list of a set of objects: each with its bytes and its SHA-256. Pure.

A list is an object itself, named by its own SHA-256; so one digest stands for all bytes of a set, and two stores that
hold the same list hold the same lecture. In other stores an object's name is its SHA-256 below the set's folder:
nothing there ever changes under a name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec

from atomic_guide.errors import ChecksumMismatch

LISTS = "lists"
"""The folder of a set, in the store of the data directory, that holds its lists."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An object of a set: its name below the set's folder, its SHA-256 in hexadecimal, its bytes."""

    name: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """A list; `entries` are in order of their names."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """The bytes of all objects."""
        return sum(entry.size for entry in self.entries)

    def encode(self) -> bytes:
        """The list as it is stored: the same entries give the same bytes."""
        return msgspec.json.encode(self)

    def find(self, name: str) -> Entry | None:
        """The entry of a name."""
        return next((entry for entry in self.entries if entry.name == name), None)


def made(entries: Iterable[Entry]) -> Manifest:
    """A list of entries in any order."""
    return Manifest(tuple(sorted(entries, key=lambda entry: entry.name)))


def digest_of(content: bytes) -> str:
    """The SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(content: bytes, digest: str) -> Manifest:
    """A stored list. Raises `ChecksumMismatch` where it is not the one that the digest names."""
    if digest_of(content) != digest:
        raise ChecksumMismatch("a list of objects was changed; `atomic-guide assets repair` makes it anew")
    return msgspec.json.decode(content, type=Manifest)


def place_of(prefix: str, digest: str) -> str:
    """The name of content below a set's folder in another store. Raises ValueError for what is no digest."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(digest)
    return f"{prefix}/{digest}"


def list_place(prefix: str, digest: str) -> str:
    """The name of a list in the store of the data directory."""
    return f"{prefix}/{LISTS}/{place_of('', digest)[1:]}.json"
