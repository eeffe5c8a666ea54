"""A bundle of files that is handed over: a folder or a .zip, with a manifest that lists every file and its hash.

It is made under another name and gets its own at the end, so that a bundle which is there is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from atomic_guide.errors import Conflict

MANIFEST = "manifest.json"


class Packed(msgspec.Struct):
    """A file of a bundle; `rows` where it holds one JSON object a line."""

    name: str
    size: int = 0
    sha256: str = ""
    rows: int | None = None


class Writer:
    """Writes one file of a bundle, counting and hashing."""

    def __init__(self, file: IO[bytes], packed: Packed) -> None:
        self._file = file
        self._packed = packed
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._file.write(data)
        self._hash.update(data)
        self._packed.size += len(data)

    def row(self, value: dict[str, Any]) -> None:
        """Add a line of JSON."""
        self.write(msgspec.json.encode(value) + b"\n")
        self._packed.rows = (self._packed.rows or 0) + 1

    def end(self) -> None:
        """Note the hash."""
        self._packed.sha256 = self._hash.hexdigest()


class Bundle:
    """A bundle that is being made at `path`. Raises `Conflict` where something is there already."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise Conflict(f"{path} is there already; name another with --to, or remove it")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.files: list[Packed] = []
        self._making = path.with_name(f".{path.name}.making")
        self._zip: zipfile.ZipFile | None = None
        self.abandon()
        if path.suffix == ".zip":
            self._making.touch(0o600)
            self._zip = zipfile.ZipFile(self._making, "w", zipfile.ZIP_DEFLATED)
        else:
            self._making.mkdir(mode=0o700)

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Writer]:
        """Write a file of the bundle; `name` may have folders."""
        packed = Packed(name)
        with self._opened(name) as file:
            writer = Writer(file, packed)
            yield writer
        writer.end()
        self.files.append(packed)

    def finish(self, about: dict[str, Any]) -> None:
        """Write the manifest and give the bundle its name."""
        listed = {**about, "files": sorted(msgspec.to_builtins(self.files), key=lambda file: str(file["name"]))}
        with self._opened(MANIFEST) as file:
            file.write(msgspec.json.format(msgspec.json.encode(listed), indent=1) + b"\n")
        if self._zip is not None:
            self._zip.close()
        self._making.rename(self.path)

    def abandon(self) -> None:
        """Remove what is half made."""
        if self._zip is not None:
            self._zip.close()
        if self._making.is_dir():
            shutil.rmtree(self._making)
        self._making.unlink(missing_ok=True)

    def _opened(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        if self._zip is not None:
            return self._zip.open(name, "w", force_zip64=True)
        target = self._making / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return target.open("wb")
