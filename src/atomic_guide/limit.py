"""How a limit is declared, beside the code that keeps it, and what a process counts of it.

    ROOM_SOCKETS = Limit(
        "rooms", "room_sockets", "sockets", "rooms.room_sockets",
        refuses="The next socket of the room; it finds a place in another process.",
        answer="bye 1013 full",
        use="Sockets of the fullest room.",
    )
    ...
    raise BODY_BYTES.over(errors.TooLarge(message))

A declaration is also where its process counts: refusals and largest sizes are plain numbers in it, which cost nothing
to keep. How full a limit is, is asked when somebody looks (operations/limits), never on the way of a request.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

import msgspec

from atomic_guide.errors import GuideError

E = TypeVar("E", bound=GuideError)

NEAR = 0.8
"""The share from which on a level is nearly reached."""

RECENT_SECONDS = 300.0
"""For how long, and at most twice that, the largest size of what came by itself is the use of its limit."""


About = Literal["level", "size", "own", "kept"]
"""What the use of a limit says.

- `level`: of something that all share, and that runs out: sockets of a process, a disk, a queue. Near it is an alert.
- `size`: of one thing that came: a message, a lecture, a call. The largest allowed one is no worse than a small one.
- `own`: of what one person, socket, address, job or test may take, which nobody else goes without.
- `kept`: of what forgets its oldest entry, and so is full in the long run.
"""


class Limit(msgspec.Struct, eq=False):
    """One limit of ours.

    `key` is its setting, with `*` for a queue, or empty where it is fixed: then `fixed` is its value, or the system
    has it. `refuses` is what is refused, `answer` how: a status and code, a closing frame, or what happens instead.
    `use` is how its present use is measured, `about` what that says.
    """

    component: str
    name: str
    unit: str
    key: str
    refuses: str
    answer: str
    use: str
    about: About = "level"
    fixed: float | None = None
    refused: int = 0
    """How often it has refused since the process's start."""
    top: float = 0.0
    """The largest size lately; whoever meets one compares, and notes it where it is larger."""
    _before: float = 0.0
    _since: float = -1.0

    def over(self, error: E) -> E:
        """Count a refusal; the error, which then names the limit in its details."""
        self.refused += 1
        error.details.setdefault("limit", self.name)
        return error

    def near(self, share: float) -> bool:
        """Whether a use is told of: of a level from 80% on, of others only what was over the limit."""
        return share >= NEAR if self.about == "level" else share > 1

    def note(self, size: float) -> None:
        """A size of what the limit is about, refused or not."""
        self.top = max(self.top, size)

    def recent(self, now: float) -> float:
        """The largest size of the last five to ten minutes; `now` is monotonic."""
        if self._since < 0:
            self._since = now
        if now - self._since >= RECENT_SECONDS:
            self._before = self.top if now - self._since < 2 * RECENT_SECONDS else 0.0
            self._since, self.top = now, 0.0
        return max(self._before, self.top)


class Used(NamedTuple):
    """How much of a limit is used: of its setting's value, or of `most` where a part has one of its own.

    `part` names a shard, a queue, an institution; never a person or a course.
    """

    limit: Limit
    value: float
    part: str = ""
    most: float | None = None
