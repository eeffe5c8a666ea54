"""The ledger of erasures: a file outside the databases, so that a restored backup learns whom it must forget again.

One JSON object a line, appended and fsynced before the first row is erased. It holds no names: a tenant and a person
are digests with the installation's key (`key.py`). Each line is sealed together with the line before it, so that a
line which was changed, left out or put in shows; what a crash left half written at the end is passed over. The first
line says since when the ledger is kept: an empty ledger and no ledger are two different things.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec

from atomic_guide.clock import iso
from atomic_guide.course.keeping.key import seal
from atomic_guide.durable import sync
from atomic_guide.errors import Invalid

FILE = "erasures.ledger"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An erasure. `tenant` and `person` are digests, `at` is seconds since the epoch; `videos`: those too."""

    id: str
    kind: Literal["person", "tenant"]
    tenant: str
    person: str = ""
    at: float
    videos: bool = False


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    seal: str
    begun: str | None = None
    erasure: Record | None = None


def begin_ledger(path: Path, key: bytes, now: float) -> None:
    """Make the ledger where there is none yet."""
    if not path.exists():
        write_ledger(path, key, [], now, replace=False)


def append(path: Path, key: bytes, record: Record) -> None:
    """Add an erasure, once; it is on disk when this returns. Raises `Invalid` for a ledger that was tampered with."""
    begin_ledger(path, key, record.at)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        records, last, end = _read(file, path, key)
        if any(known.id == record.id for known in records):
            return
        file.truncate(end)
        file.seek(end)
        file.write(_line(key, last, erasure=record)[0])
        file.flush()
        os.fsync(file.fileno())


def read_ledger(path: Path, key: bytes) -> list[Record]:
    """Every erasure, in the order of the file. Raises `Invalid` naming the line that is not sealed by this key."""
    with path.open("rb") as file:
        return _read(file, path, key)[0]


def write_ledger(path: Path, key: bytes, records: Iterable[Record], now: float, *, replace: bool = True) -> None:
    """Write a ledger of these erasures; with `replace=False` an existing one is left as it is."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    line, last = _line(key, "", begun=iso(now))
    with beside.open("wb") as file:
        file.write(line)
        for record in records:
            line, last = _line(key, last, erasure=record)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(0o600)
    if replace:
        beside.replace(path)
    else:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
        beside.unlink()
    sync(path.parent)


def merged(ledgers: Iterable[Iterable[Record]]) -> list[Record]:
    """The erasures of several ledgers, each once, the oldest first."""
    known = {record.id: record for ledger in ledgers for record in ledger}
    return sorted(known.values(), key=lambda record: (record.at, record.id))


def _read(file: IO[bytes], path: Path, key: bytes) -> tuple[list[Record], str, int]:
    """The erasures, the seal of the last line, and where the next line goes."""
    records: list[Record] = []
    last, end = "", 0
    for number, (text, start) in enumerate(_lines(file), 1):
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError as error:
            raise Invalid(f"line {number} of {path} cannot be read ({error}); the ledger was changed") from error
        if _line(key, last, begun=line.begun, erasure=line.erasure)[1] != line.seal:
            raise Invalid(
                f"line {number} of {path} is not sealed by this installation's key: the ledger was changed, or belongs"
                " to another installation"
            )
        if line.erasure is not None:
            records.append(line.erasure)
        last, end = line.seal, start + len(text)
    return records, last, end


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    start = 0
    for text in file:
        # What has no end was never acknowledged.
        if text.endswith(b"\n"):
            yield text, start
        start += len(text)


def _line(key: bytes, last: str, *, begun: str | None = None, erasure: Record | None = None) -> tuple[bytes, str]:
    content = msgspec.json.encode([last, begun, erasure])
    sealed = seal(key, "ledger", content)
    return msgspec.json.encode(_Line(sealed, begun, erasure)) + b"\n", sealed
