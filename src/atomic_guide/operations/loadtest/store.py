"""Reports in a data directory: `loadtests/ID/report.json` and `report.html`, and what a test tells while it runs.

A folder is only ever added to by the test that made it, but for `stop.json`, by which somebody asks it to end.
`state.json` is written anew each second under a name of its own and renamed, so that whoever looks sees a whole one;
where it has not changed for a while, its test was killed. `seconds.ndjson` has a line for each second so far.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from atomic_guide.errors import Conflict, NotFound
from atomic_guide.limit import Used
from atomic_guide.operations.loadtest import limits

FOLDER = "loadtests"
REPORT, PAGE, STATE = "report.json", "report.html", "state.json"
SECONDS, STOP = "seconds.ndjson", "stop.json"
STALE_SECONDS = 10.0
"""A state that is older is of a test that was killed."""

_TAIL_BYTES = 256 * 1024
"""How much of the seconds is read at once: the last quarter of an hour, 270 bytes each."""

_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


class _All(msgspec.Struct, frozen=True):
    throughput: float = 0.0
    p95: float | None = None


class _Steady(msgspec.Struct, frozen=True):
    all: _All = _All()


class Brief(msgspec.Struct, frozen=True):
    """What lists tell of a report."""

    target: str | None = None
    started_at: str | None = None
    verdict: dict[str, Any] | None = None
    steady: _Steady = _Steady()


@lru_cache(maxsize=256)
def _brief(path: Path, stamp: int) -> Brief:
    """A report in short; those of lists are read again every two seconds, and hardly ever change."""
    del stamp
    return msgspec.json.decode(path.read_bytes(), type=Brief)


class Store:
    """The load tests of a data directory."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def begin(self, now: float, kept: int) -> Place:
        """A folder for a new test; the oldest beyond `kept` are removed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self.ids()[max(0, kept - 1) :]:
            shutil.rmtree(self._folder / old, ignore_errors=True)
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S")
        name = f"{stamp}-{secrets.token_hex(2)}"
        (self._folder / name).mkdir(mode=0o700)
        return Place(self._folder / name)

    def ids(self) -> list[str]:
        """All that are kept, the newest first."""
        if not self._folder.is_dir():
            return []
        return sorted((one.name for one in self._folder.iterdir() if _ID.fullmatch(one.name)), reverse=True)

    def used(self, now: float) -> Iterator[Used]:
        """What the newest test sends, while it runs, and how many reports there are."""
        ids = self.ids()
        yield Used(limits.REPORTS, len(ids))
        state = Place(self._folder / ids[0]).state(now) if ids else None
        for limit, name in ((limits.RATE, "rate"), (limits.LENGTH, "seconds"), (limits.SOCKETS, "sockets")):
            value = (state or {}).get(name, 0.0)
            yield Used(limit, float(value) if isinstance(value, int | float) else 0.0)

    def find(self, identifier: str) -> Place:
        """The folder of a test; `last` is the newest one. Raises `NotFound`."""
        known = self.ids()
        name = known[0] if identifier == "last" and known else identifier
        if name not in known:
            raise NotFound(f"there is no load test {identifier!r}; `atomic-guide loadtest list` shows them")
        return Place(self._folder / name)


class Place:
    """The folder of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """The test's id."""
        return self.folder.name

    def read(self, name: str) -> Any:
        """A file of it as JSON; None where there is none, or none that is whole."""
        try:
            return msgspec.json.decode((self.folder / name).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    @property
    def noted(self) -> dict[str, Any] | None:
        """What was noted last, however long ago."""
        found = self.read(STATE)
        return found if isinstance(found, dict) else None

    def brief(self) -> Brief | None:
        """Its report in short; None where there is none, or none that is one."""
        path = self.folder / REPORT
        try:
            return _brief(path, path.stat().st_mtime_ns)
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, name: str, content: bytes) -> Path:
        """Write a file whole."""
        draft = self.folder / f".{name}"
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return draft.rename(self.folder / name)

    def note(self, state: dict[str, Any] | None) -> None:
        """What goes on, for whoever looks; None when it is over."""
        path = self.folder / STATE
        if state is None:
            path.unlink(missing_ok=True)
            return
        draft = self.folder / f".{STATE}"
        draft.write_bytes(msgspec.json.encode(state))
        draft.rename(path)

    def tell(self, second: bytes) -> None:
        """Add a second, as JSON, for whoever looks."""
        with (self.folder / SECONDS).open("ab") as file:
            file.write(second + b"\n")

    def seconds(self, after: int) -> list[dict[str, Any]]:
        """The seconds after one, those of the last quarter of an hour at most; none once there is a report."""
        try:
            with (self.folder / SECONDS).open("rb") as file:
                begin = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
                file.seek(begin)
                lines = file.read(_TAIL_BYTES).splitlines(keepends=True)
        except OSError:
            return []
        # The first one may have been cut, and the last one may just be written.
        whole = [line for line in lines[1 if begin else 0 :] if line.endswith(b"\n")]
        return [one for one in map(msgspec.json.decode, whole) if one["second"] > after]

    def ask_to_stop(self, by: str, now: float) -> None:
        """Ask the test to end, in somebody's name. Raises `Conflict` where it does not run."""
        if self.state(now) is None:
            raise Conflict(f"load test {self.id} does not run")
        self.write(STOP, msgspec.json.encode({"by": by}))

    @property
    def asked_to_stop(self) -> str | None:
        """Who asked the test to end; None where nobody did."""
        found = self.read(STOP)
        return str(found.get("by", "")) if isinstance(found, dict) else None

    def end(self) -> None:
        """Nothing goes on any more: only the report is left to look at."""
        self.note(None)
        for name in (SECONDS, STOP):
            (self.folder / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the folder of a test that did not come about."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def state(self, now: float) -> dict[str, Any] | None:
        """What goes on in it; None where it does not run."""
        path = self.folder / STATE
        try:
            fresh = now - path.stat().st_mtime < STALE_SECONDS
        except OSError:
            return None
        return self.noted if fresh else None
