"""How many processes a server runs, raised and lowered while it runs.

A room of a course is spread over the web processes of its server, so that one more is room for 1,000 more members.
`Children.scale` is the act; whoever decides calls it in the supervisor's process, or leaves its wish in the data
directory with `ask` from any other. What was asked for lasts until the server ends; then the settings hold again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import structlog

from atomic_guide.config import ProcessSettings
from atomic_guide.errors import Unavailable

_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.5
"""A command beside a running server is seen within a second."""

Role = Literal["web", "worker"]


class Wanted(msgspec.Struct, frozen=True):
    """How many processes of each role; the supervisor is the first of web."""

    web: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    worker: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0

    @classmethod
    def of(cls, settings: ProcessSettings) -> Wanted:
        """As the settings say."""
        return cls(settings.web, settings.worker)

    def children(self) -> list[tuple[Role, int]]:
        """The children of the supervisor, as role and number."""
        web: list[tuple[Role, int]] = [("web", number) for number in range(1, self.web)]
        return web + [("worker", number) for number in range(self.worker)]


class Change(NamedTuple):
    """A child to start, or to drain: members get a resumable goodbye, running jobs are finished or handed back."""

    action: Literal["start", "drain"]
    role: Role
    number: int

    @property
    def name(self) -> str:
        """The child's name."""
        return child_name(self.role, self.number)


class Process(msgspec.Struct, frozen=True):
    """A process of a server, `starting` until it does its work; `pid` is None while it is being started again."""

    name: str
    pid: int | None
    state: Literal["running", "starting", "draining"]


class Running(msgspec.Struct, frozen=True):
    """What a server runs."""

    supervisor: int
    wanted: Wanted
    processes: list[Process]


def child_name(role: Role, number: int) -> str:
    """What a child is called in logs and lists."""
    return f"{role}-{number}"


def changes(kept: Iterable[tuple[Role, int]], wanted: Wanted) -> list[Change]:
    """What leads from the children that are kept to those that are wanted: starts, then drains from the highest."""
    have, goal = set(kept), wanted.children()
    starts = [Change("start", *child) for child in goal if child not in have]
    return starts + [Change("drain", *child) for child in sorted(have - set(goal), reverse=True)]


def kept(running: Running) -> list[tuple[Role, int]]:
    """The children that a server keeps: those that are not draining, without the supervisor."""
    found: list[tuple[Role, int]] = []
    for process in running.processes:
        role, _, number = process.name.partition("-")
        if process.state != "draining" and process.name != child_name("web", 0):
            found.append(("web" if role == "web" else "worker", int(number)))
    return found


def ask(data: Path, wanted: Wanted) -> None:
    """Leave a wish for the server of a data directory, which sees it within a second."""
    _write(_folder(data) / "wanted.json", wanted)


def look(data: Path) -> Running:
    """What the server of a data directory runs. Raises `Unavailable` where none does."""
    try:
        return msgspec.json.decode((_folder(data) / "running.json").read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError) as error:
        raise Unavailable(f"no server with children runs on {data}; start one with `atomic-guide serve`") from error


class Scaled:
    """A supervisor's children, as those who ask see them."""

    def __init__(self, data: Path, settings: ProcessSettings, children: Mapping[str, Process]) -> None:
        """`children` are the present ones by name; it is read again each time."""
        self._data = data
        self.children = children
        self._told: Running | None = None
        self.wanted = Wanted.of(settings)
        folder = _folder(data)
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "wanted.json").unlink(missing_ok=True)

    async def next(self) -> Wanted:
        """Wait for the next wish that differs; meanwhile tell what runs."""
        while True:
            self._tell()
            await asyncio.sleep(_LOOK_SECONDS)
            wanted = self._read()
            if wanted is not None and wanted != self.wanted:
                _log.info("processes are scaled", web=wanted.web, worker=wanted.worker)
                self.wanted = wanted
                return wanted

    def newest(self) -> Wanted:
        """The wish that was left last, taken already or not."""
        return self._read() or self.wanted

    def wish(self, web: int | None = None, worker: int | None = None) -> None:
        """Leave a wish for one of both, or for both; the other stays as was wished last."""
        wanted = self.newest()
        ask(self._data, Wanted(wanted.web if web is None else web, wanted.worker if worker is None else worker))

    def end(self) -> None:
        """Nothing runs any more."""
        (_folder(self._data) / "running.json").unlink(missing_ok=True)

    def _read(self) -> Wanted | None:
        path = _folder(self._data) / "wanted.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Wanted)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("a wish for processes cannot be read", error=str(error))
            path.unlink(missing_ok=True)
            return None

    def _tell(self) -> None:
        first = Process(child_name("web", 0), os.getpid(), "running")
        running = Running(os.getpid(), self.wanted, [first, *self.children.values()])
        if running != self._told:
            _write(_folder(self._data) / "running.json", running)
            self._told = running


def _folder(data: Path) -> Path:
    return data / "processes"


def _write(path: Path, value: msgspec.Struct) -> None:
    """Whole or not at all: it is read while it is written."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(value))
    draft.replace(path)
