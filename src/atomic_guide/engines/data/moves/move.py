"""What moves, how far it is, and who moves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from atomic_guide.engines.data.placement import BUCKETS, CourseKey
from atomic_guide.errors import Conflict, Invalid

State = Literal["planned", "copying", "fencing", "flipped", "cleaning", "done", "aborting", "aborted"]

Step = Literal[
    "enter", "copy", "catch_up", "fence", "finish", "flip", "leave", "own", "clear", "purge", "forget", "unfence"
]

ENDED: tuple[State, ...] = ("done", "aborted")


class Superseded(Conflict):
    """Another mover has taken the move over: whoever gets this stops, and has changed nothing."""


class Scope(msgspec.Struct, frozen=True, order=True):
    """A bucket of a zone; or with `tenant` and `course`, that one course of it, which gets a place of its own."""

    zone: str
    bucket: int
    tenant: str = ""
    course: str = ""

    @classmethod
    def of_course(cls, zone: str, key: CourseKey) -> Scope:
        """One course."""
        return cls(zone, key.bucket, key.tenant, key.course)

    @property
    def is_course(self) -> bool:
        """Whether it is one course, not a bucket."""
        return bool(self.course)

    @property
    def params(self) -> dict[str, Any]:
        """The scope as query parameters."""
        return {"zone": self.zone, "bucket": self.bucket, "tenant": self.tenant, "course": self.course}

    def check(self) -> None:
        """Raise `Invalid` for a bucket that there is none of, or half a course."""
        if not 0 <= self.bucket < BUCKETS:
            raise Invalid(f"bucket {self.bucket} is not one of 0 to {BUCKETS - 1}")
        if bool(self.tenant) != bool(self.course):
            raise Invalid("a course is named by its tenant and its course id together")

    def __str__(self) -> str:
        bucket = f"bucket {self.bucket} of zone {self.zone}"
        return f"course {self.tenant}/{self.course} of {bucket}" if self.is_course else bucket


class Move(msgspec.Struct, frozen=True):
    """A row of `moves`. `epoch` is the one that the target owns it at; `pause_ms` how long its writes waited.

    `held_by`: somebody does not want it begun.
    """

    id: str
    scope: Scope
    source: str
    target: str
    epoch: int
    state: State
    owner: str
    lease_until: float
    token: int
    rows: int
    pause_ms: float
    error: str | None
    held_by: str | None
    created_at: float
    updated_at: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Move:
        """A row as it was read."""
        own = {name: row[name] for name in cls.__struct_fields__ if name != "scope"}
        return cls(scope=Scope(row["zone"], row["bucket"], row["tenant"], row["course"]), **own)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ENDED

    @property
    def held(self) -> bool:
        """Whether it is not to be begun; what has begun goes on."""
        return self.held_by is not None and self.state == "planned"

    @property
    def undecided(self) -> bool:
        """Whether it can still be aborted: the map has not changed yet."""
        return self.state in {"planned", "copying", "fencing"}


class Limits(NamedTuple):
    """How long a mover waits before it gives up, in seconds; and what is few rows."""

    lease: float = 30.0
    """A mover that is silent for so long is taken for dead, and another may go on."""
    pause: float = 2.0
    """How long writes may wait for the last changes: below the 5 s for which a router looks for a course."""
    stall: float = 60.0
    """A copy that makes no headway for so long has failed; a server that restarts is back before."""
    near: float = 0.05
    """How far the target may be behind when the source is fenced; it is part of the pause."""
    directory: float = 5.0
    """How long a change of the directory is sent again: as long as routers look for a course that is fenced."""
    direct: int = 1000
    """Up to so many rows a server's bucket is copied under the fence, in 50 ms; to follow it takes a second or two."""


class Progress(NamedTuple):
    """A word on the way: the move as it now is, the step that begins, and a line about it for people."""

    move: Move
    step: Step
    text: str
