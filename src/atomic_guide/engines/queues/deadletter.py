"""Jobs that failed for good: kept with their reason until a person replays or drops them.

What is done to one is done once: a replay and a drop, or two replays, of the same letter exclude one another, and so do
an operator's and a teacher's. Each is noted in the same transaction (actions.py). A dropped letter stays readable there
for a while.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.queues.actions import Act, done_in_run, note_action
from atomic_guide.engines.queues.edit import Changes, Edit, apply_edits
from atomic_guide.engines.queues.jobs import QUERIES, replay_dead
from atomic_guide.engines.queues.paging import FAR, LAST, Mark, cut, read_mark
from atomic_guide.engines.queues.retry import Helps, what_helps
from atomic_guide.errors import Conflict, DataUnavailable, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.engines.data.shards import Shards

PAGE = 500
"""Letters that are read at a time where there may be many; half a megabyte."""

Outcome = Literal["replayed", "dropped", "held", "gone", "before"]
"""What became of a letter: `held`: a live job does its work; `gone`: somebody else was quicker; `before`: this run has
done it already."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A job that failed for good. Times are ISO 8601; `helps` is `again` where another try may work."""

    id: str
    shard: str
    tenant: str
    course: str
    queue: str
    kind: str
    subject: str
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    reason: str
    helps: Helps
    created_at: str
    died_at: str


class Wanted(msgspec.Struct, frozen=True):
    """Which letters: an empty text leaves its field open. `reason` is a part of the reason, in any case of letters.

    `text` is looked for as a whole id, subject, tenant or course, or as a part of the kind or the reason.
    `since` and `until` are seconds since the epoch and bound when they died; the first is in it, the last is not.
    """

    queue: str = ""
    kind: str = ""
    tenant: str = ""
    course: str = ""
    reason: str = ""
    text: str = ""
    helps: Literal["", "again", "fix"] = ""
    since: float = 0.0
    until: float = FAR

    @property
    def everything(self) -> bool:
        """Whether it leaves everything open."""
        return self == Wanted()

    @property
    def params(self) -> dict[str, Any]:
        """As parameters of a query."""
        return msgspec.structs.asdict(self) | {"reason": self.reason.lower(), "text": self.text.lower()}


class Found(NamedTuple):
    """A letter, and the course that it belongs to."""

    key: CourseKey
    letter: DeadLetter


class Preview(NamedTuple):
    """What a replay would change, and whether a live job does the letter's work, so that it would be refused."""

    changes: Changes
    held: bool


class Letters(NamedTuple):
    """Dead letters of the shards that answered; why the others' are missing, by shard."""

    letters: list[DeadLetter]
    missing: dict[str, str]


class Page(NamedTuple):
    """Letters of a list and where the next page begins; why those of some shards are missing, by shard."""

    letters: list[DeadLetter]
    next: str | None
    missing: dict[str, str]


class Count(msgspec.Struct, frozen=True):
    """How many letters of a kind there are that the same helps."""

    queue: str
    kind: str
    helps: Helps
    letters: int


class Counts(NamedTuple):
    """Those of the shards that answered; why the others' are missing, by shard."""

    counts: list[Count]
    missing: dict[str, str]


class DeadLetters:
    """The dead letters of every shard."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def list(self, limit: int = 100, wanted: Wanted | None = None) -> Letters:
        """The newest dead letters of all shards, at most `limit`."""
        letters, _, missing = await self.page(wanted or Wanted(), None, limit)
        return Letters(letters, missing)

    async def page(self, wanted: Wanted, after: str | None, limit: int) -> Page:
        """A page of them, the newest first; `after` is what the page before said. Raises `Invalid` where it is not."""
        mark = read_mark(after, LAST)
        params = {**wanted.params, "before_at": mark.at, "before_id": mark.id, "limit": limit}
        found = await scatter(self._shards.all(), QUERIES["list_dead"], params, short=True)
        rows = [(Mark(row["finished_at"], row["id"]), _letter(shard, row)) for shard, row in found.rows]
        letters, following = cut(rows, limit, up=False)
        return Page(letters, following, found.missing)

    async def counts(self) -> Counts:
        """How many there are of each queue and kind, and what helps them; why those of some shards are missing."""
        found = await scatter(self._shards.all(), QUERIES["count_dead"])
        total: Counter[tuple[str, str, Helps]] = Counter()
        for _, row in found.rows:
            total[row["queue"], row["kind"], "again" if row["again"] else "fix"] += row["letters"]
        return Counts([Count(*named, letters) for named, letters in sorted(total.items())], found.missing)

    async def show(self, job: str) -> DeadLetter:
        """One dead letter. Raises `NotFound`, or `DataUnavailable` where it may be in a shard that does not answer."""
        shard, row = await self._find(job)
        return _letter(shard.name, row)

    async def each(self, wanted: Wanted, missing: dict[str, str]) -> AsyncIterator[Found]:
        """Every letter that is wanted, shard by shard, those that died first before the others.

        `missing` is filled with why a shard's are not all there.
        """
        for shard in self._shards.all():
            after: dict[str, Any] = {"after_at": -1.0, "after_id": ""}
            while True:
                params = {**wanted.params, **after, "limit": PAGE}
                try:
                    rows = await shard.scan(QUERIES["page_dead"], params)
                except DataUnavailable as error:
                    missing[shard.name] = error.message
                    break
                for row in rows:
                    yield Found(_key(row), _letter(shard.name, row))
                if len(rows) < PAGE:
                    break
                after = {"after_at": rows[-1]["finished_at"], "after_id": rows[-1]["id"]}

    async def each_of(self, jobs: Sequence[str], missing: dict[str, str]) -> AsyncIterator[Found]:
        """Those of these ids that are dead letters, in their order; `missing` is filled with why others are not."""
        for job in jobs:
            try:
                found = await self.find(job)
            except (NotFound, DataUnavailable) as error:
                missing[job] = error.message
                continue
            yield found

    async def find(self, job: str) -> Found:
        """One letter with its course. Raises as `show`."""
        shard, row = await self._find(job)
        return Found(_key(row), _letter(shard.name, row))

    async def preview(self, found: Found, edits: Sequence[Edit]) -> Preview:
        """What a replay would do. Raises `Invalid` for an edit that does not fit."""
        _, changes = apply_edits(found.letter.payload, edits)
        params = {**found.key.columns, "id": found.letter.id}
        row = await self._shards.of(found.key).one(QUERIES["dead_to_replay"], params)
        return Preview(changes, held=row is not None and row["holder"] is not None)

    async def replay(self, job: str, act: Act, edits: Sequence[Edit] = ()) -> Changes:
        """Queue it again with all its attempts; what the edits changed.

        Raises `NotFound`, `Conflict` where a live job does its work, `Invalid` for an edit that does not fit.
        """
        outcome, changes = await self.replay_at((await self.find(job)).key, job, act, edits)
        _check(job, outcome)
        return changes

    async def drop(self, job: str, act: Act) -> None:
        """Take it out of the dead letters; it stays readable in the log for a while. Raises `NotFound`."""
        _check(job, await self.drop_at((await self.find(job)).key, job, act))

    async def replay_at(
        self, key: CourseKey, job: str, act: Act, edits: Sequence[Edit] = ()
    ) -> tuple[Outcome, Changes]:
        """As `replay`, of a known course and without an error for what was done meanwhile. Raises `Invalid`."""

        async def work(tx: Transaction) -> tuple[Outcome, Changes]:
            if await done_in_run(tx, key, job, act.run):
                return "before", []
            letter = await tx.one(QUERIES["dead_letter"], {**key.columns, "id": job})
            if letter is None:
                return "gone", []
            payload, changes = apply_edits(msgspec.json.decode(letter["payload"]), edits)
            outcome = await replay_dead(tx, key, job, act.now)
            if outcome != "replayed":
                return "held" if outcome == "held" else "gone", []
            if changes:
                text = msgspec.json.encode(payload).decode()
                await tx.execute(QUERIES["edit_replayed"], {**key.columns, "id": job, "payload": text})
            await note_action(tx, key, act, "dead-letter.replayed", letter, changes)
            return "replayed", changes

        try:
            return await self._shards.of(key).write(work)
        except Conflict:
            # Somebody published the same work between the look and the write.
            return "held", []

    async def drop_at(self, key: CourseKey, job: str, act: Act) -> Outcome:
        """As `drop`, of a known course and without an error for what was done meanwhile."""

        async def work(tx: Transaction) -> Outcome:
            letter = await tx.one(QUERIES["dead_letter"], {**key.columns, "id": job})
            if letter is None or not await tx.execute(QUERIES["drop_dead"], {**key.columns, "id": job}):
                return "gone"
            await note_action(tx, key, act, "dead-letter.dropped", letter)
            return "dropped"

        return await self._shards.of(key).write(work)

    async def _find(self, job: str) -> tuple[Database, Row]:
        every = {shard.name: shard for shard in self._shards.all()}
        found = await scatter(list(every.values()), QUERIES["find_dead"], {"id": job}, short=True)
        for shard, row in found.rows:
            return every[shard], row
        if found.missing:
            raise DataUnavailable(
                f"the dead letter {job} is in no shard that answers: {'; '.join(found.missing.values())}"
            )
        raise NotFound(f"there is no dead letter {job}; `atomic-guide dead-letters list` shows them")


def _check(job: str, outcome: Outcome) -> None:
    if outcome == "held":
        raise Conflict(f"a live job does the work of the dead letter {job}; wait for that one, or drop this one")
    if outcome == "gone":
        raise NotFound(f"the dead letter {job} has just been replayed or dropped")


def _key(row: Row) -> CourseKey:
    return CourseKey(row["tenant"], row["course"], row["bucket"])


def _letter(shard: str, row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        shard=shard,
        tenant=row["tenant"],
        course=row["course"],
        queue=row["queue"],
        kind=row["kind"],
        subject=row["subject"],
        payload=msgspec.json.decode(row["payload"]),
        attempts=row["attempts"],
        max_attempts=row["max_attempts"],
        reason=row["error"] or "",
        helps=what_helps(row["attempts"], row["max_attempts"], row["error"] or ""),
        created_at=iso(row["created_at"]),
        died_at=iso(row["finished_at"]),
    )
