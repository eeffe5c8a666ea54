"""Taking all objects of a local store along: a second tree of the same files, and a list of them with their hashes.

An object's file is never changed once it has its name (see `store`), so a hard link is as good as a copy and costs
nothing. Where the tree lies on another file system, an object that the previous tree holds unchanged is linked from
there, and only what is new is copied.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from atomic_guide.engines.assets.names import checked_name
from atomic_guide.errors import NotFound

_BLOCK = 1024 * 1024


class Listed(msgspec.Struct, frozen=True):
    """An object in the list of a tree; `modified` is in nanoseconds since the epoch."""

    name: str
    size: int
    modified: int
    sha256: str


class Gathered(msgspec.Struct):
    """What `gather` did."""

    linked: int = 0
    copied: int = 0
    copied_bytes: int = 0


def gather(store: Path, tree: Path, previous: Path | None, tell: Callable[[str], None]) -> Gathered:
    """Bring every object of `store` into `tree`; what is there already and unchanged is left alone.

    Objects that are deleted meanwhile are left out.
    """
    done = Gathered()
    for name in names_in(store):
        source, target = store / name, tree / name
        with contextlib.suppress(FileNotFoundError):
            if _same(source, target):
                continue
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if _linked(source, target) or (
                previous and _same(source, previous / name) and _linked(previous / name, target)
            ):
                done.linked += 1
            else:
                _copy(source, target)
                done.copied += 1
                done.copied_bytes += target.stat().st_size
        if (done.linked + done.copied) % 1000 == 0:
            tell(f"{done.linked + done.copied} objects")
    return done


def write_list(tree: Path, path: Path, previous: Path | None, tell: Callable[[str], None]) -> tuple[int, int]:
    """Write the list of a tree, one JSON object a line in order of name; how many objects and bytes it has.

    A hash is taken from the `previous` list where size and time are the same; verifying computes all of them.
    """
    known = read_list(previous) if previous is not None and previous.exists() else iter(())
    ahead = next(known, None)
    count = size = 0
    with path.open("wb") as file:
        for name in names_in(tree):
            stat = (tree / name).stat()
            while ahead is not None and ahead.name.split("/") < name.split("/"):
                ahead = next(known, None)
            same = ahead is not None and (ahead.name, ahead.size, ahead.modified) == (
                name,
                stat.st_size,
                stat.st_mtime_ns,
            )
            digest = ahead.sha256 if ahead is not None and same else hash_of(tree / name)
            file.write(msgspec.json.encode(Listed(name, stat.st_size, stat.st_mtime_ns, digest)) + b"\n")
            count, size = count + 1, size + stat.st_size
            if count % 1000 == 0:
                tell(f"{count} objects listed")
        file.flush()
        os.fsync(file.fileno())
    _sync_folders(tree)
    return count, size


def read_list(path: Path) -> Iterator[Listed]:
    """The objects of a list. Raises msgspec.MsgspecError for a list that is none."""
    decoder = msgspec.json.Decoder(Listed)
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line)


def wrong_in(tree: Path, path: Path, tell: Callable[[str], None]) -> Iterator[str]:
    """What differs between a tree and its list, in plain words: every byte is read."""
    listed = set[str]()
    for number, entry in enumerate(read_list(path), 1):
        listed.add(entry.name)
        file = tree / entry.name
        if not file.is_file():
            yield f"object {entry.name} is missing"
        elif file.stat().st_size != entry.size or hash_of(file) != entry.sha256:
            yield f"object {entry.name} is not what was backed up"
        if number % 1000 == 0:
            tell(f"{number} objects verified")
    yield from (f"object {name} is not in the list" for name in names_in(tree) if name not in listed)


def hash_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def names_in(root: Path, folder: str = "") -> Iterator[str]:
    """The objects below a folder, in order of the parts of their names; half written files are no objects."""
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from names_in(root, name)
        elif entry.is_file(follow_symlinks=False):
            with contextlib.suppress(NotFound):
                yield checked_name(name)


def _same(source: Path, other: Path) -> bool:
    try:
        one, two = source.stat(), other.stat()
    except FileNotFoundError:
        return False
    return (one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns)


def _linked(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        # Another file system, or one without links.
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.part")
    shutil.copy2(source, beside)
    descriptor = os.open(beside, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(target)


def _sync_folders(tree: Path) -> None:
    for folder, _, _ in os.walk(tree, topdown=False):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
