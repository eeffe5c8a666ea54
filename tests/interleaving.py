"""A world of sessions, routers, movers and servers, and the promise that holds whatever happens in it in which order.

Steps are drawn by a property test, or at random by a benchmark. What is checked: a session reads its own writes and
everything that it has read before; nobody reads a row twice; what was acknowledged is there at the end, once, on one
shard. A step may fail with `DataUnavailable`, which is allowed at any moment, but never with anything else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from atomic_guide import errors
from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.moves import Limits, Mover, Progress, Scope, Superseded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.session import FIRST_UNCONSTRAINED
from atomic_guide.engines.data.shards import Shards
from tests.engines import DIRECTORY, SHARD, declared
from tests.postgres import Cluster, Shard, fresh_databases

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Store one message, once.
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
VALUES (:bucket, :tenant, :course, :seq, 'a', :id, 'text', 1) ON CONFLICT DO NOTHING
-- name: read
-- purpose: The messages of a course.
SELECT seq FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY seq
-- name: everything
-- purpose: The messages that a shard answers for.
SELECT tenant, course, seq FROM messages WHERE {{readable messages}}
""",
    "here",
)
COURSES = [CourseKey.of("t", f"course-{number}") for number in range(3)]
ROUTERS = SESSIONS = 2
STEPS = ["enter", "copy", "catch_up", "fence", "finish", "flip", "leave", "own", "clear", "purge", "forget", "unfence"]
SETTLING_TRIES = 50


class Step(NamedTuple):
    """One thing that happens: what, whose session, through which router, in which course, and where a mover dies."""

    kind: str
    session: int = 0
    router: int = 0
    course: int = 0
    dies_at: str | None = None


class Died(BaseException):
    """The mover's process is gone: nothing of it runs any more, so nothing is tidied up."""


class Known:
    """What one session has written and seen, and its bookmark."""

    def __init__(self) -> None:
        self.bookmark = FIRST_UNCONSTRAINED
        self.seen: list[set[int]] = [set() for _ in COURSES]


class World:
    """Routers over one installation; `servers` are the shards' servers where they may be killed."""

    def __init__(self, open_router: Callable[[], Awaitable[Shards]], servers: Sequence[Shard] = ()) -> None:
        self._open = open_router
        self._servers = servers
        self._routers: list[Shards] = []
        self._commits = [GroupCommit[dict[str, Any], int](_store) for _ in range(ROUTERS)]
        self._sessions = [Known() for _ in range(SESSIONS)]
        self._clock = ManualClock()
        self._seq = 0
        self._movers = 0
        self.acknowledged: list[set[int]] = [set() for _ in COURSES]
        self.tried: list[set[int]] = [set() for _ in COURSES]
        self.counts: Counter[str] = Counter()

    async def run(self, steps: Sequence[Step]) -> None:
        """Take the steps in order, those of one burst at once; then settle and look at everything."""
        try:
            for _ in range(ROUTERS):
                self._routers.append(await self._open())
            for step in steps:
                await self._take(step)
            await self._settle()
            await self._check_all()
        finally:
            for commits in self._commits:
                await commits.close()
            for router in self._routers:
                await router.close()

    async def _take(self, step: Step) -> None:
        self.counts[step.kind] += 1
        try:
            match step.kind:
                case "write":
                    await self._write(step, grouped=False)
                case "post":
                    await self._write(step, grouped=True)
                case "read":
                    await self._read(step)
                case "move":
                    await self._move(step)
                case "resume":
                    await self._resume(step)
                case "burst":
                    await self._burst(step)
                case "kill":
                    await self._kill(step)
                case "stall" | "go":
                    await self._replay(step)
                case _:
                    message = f"no step {step.kind}"
                    raise ValueError(message)
        except errors.DataUnavailable:
            self.counts[f"{step.kind}, unavailable"] += 1

    async def _write(self, step: Step, *, grouped: bool) -> None:
        known, router, key = self._sessions[step.session], self._routers[step.router], COURSES[step.course]
        self._seq += 1
        seq = self._seq
        row = {**key.columns, "seq": seq, "id": f"m{seq}"}
        self.tried[step.course].add(seq)
        async with router.session(known.bookmark) as session:
            if grouped:
                await self._commits[step.router].add(router.of(key), row)
            else:
                await router.of(key).write(_storing(row))
            self.acknowledged[step.course].add(seq)
            known.bookmark = await session.bookmark()
            known.seen[step.course].add(seq)

    async def _read(self, step: Step) -> None:
        known, router, key = self._sessions[step.session], self._routers[step.router], COURSES[step.course]
        async with router.session(known.bookmark) as session:
            owed = set(known.seen[step.course])
            rows = [row["seq"] for row in await router.of(key).read(QUERIES["read"], key.columns)]
            onward = await session.bookmark()
        found = set(rows)
        assert len(rows) == len(found), f"read twice: {rows}"
        assert owed <= found, f"not read: {sorted(owed - found)}"
        assert found <= self.tried[step.course]
        known.bookmark = onward
        known.seen[step.course] |= found

    async def _move(self, step: Step) -> None:
        router, key = self._routers[step.router], COURSES[step.course]
        mover = self._mover(router)
        here = router.place(key).shard.name
        target = next(shard.name for shard in router.all() if shard.name != here)
        try:
            move = await mover.start(Scope(router.zone_of(key.tenant), key.bucket), target)
        except errors.Conflict:
            # It moves already, or this router does not know yet that it has moved there.
            self.counts["move, refused"] += 1
            return
        await self._carry(mover, move.id, step.dies_at)

    async def _carry(self, mover: Mover, move: str, dies_at: str | None) -> None:
        def told(progress: Progress) -> None:
            if progress.step == dies_at:
                raise Died(dies_at)

        try:
            await mover.carry_out(move, told)
        except Died:
            self.counts[f"died at {dies_at}"] += 1
        except Superseded:
            self.counts["superseded"] += 1

    async def _resume(self, step: Step) -> None:
        self._clock.advance(Limits().lease + 1)
        await self._mover(self._routers[step.router]).resume_all()

    async def _burst(self, step: Step) -> None:
        """A move, with everybody reading and writing meanwhile."""
        chance = random.Random(step.course)
        others = [
            Step(kind, session, router, step.course)
            for session in range(SESSIONS)
            for router in range(ROUTERS)
            for kind in ("post", "read", "write", "read")
        ]
        chance.shuffle(others)

        async def in_turn(session: int) -> None:
            # A session is one caller: its own steps follow one another.
            for other in others:
                if other.session == session:
                    await self._take(other)
                    await asyncio.sleep(chance.uniform(0, 0.01))

        mover = self._take(step._replace(kind="move"))
        await asyncio.gather(mover, *(in_turn(session) for session in range(SESSIONS)))

    async def _kill(self, step: Step) -> None:
        """A shard's primary loses its power, and comes back."""
        primary = self._servers[step.course % len(self._servers)].primary
        await asyncio.to_thread(primary.kill)
        await asyncio.to_thread(primary.start)

    async def _replay(self, step: Step) -> None:
        """A shard's replicas stop replaying, or go on."""
        call = "pause" if step.kind == "stall" else "resume"
        for replica in self._servers[step.course % len(self._servers)].replicas:
            await asyncio.to_thread(replica.sql, f"SELECT pg_wal_replay_{call}()")

    def _mover(self, router: Shards) -> Mover:
        self._movers += 1
        return Mover(router, f"mover-{self._movers}", self._clock, Limits())

    async def _settle(self) -> None:
        for number in range(len(self._servers)):
            await self._replay(Step("go", course=number))
        for _ in range(SETTLING_TRIES):
            self._clock.advance(Limits().lease + 1)
            mover = self._mover(self._routers[0])
            await mover.resume_all()
            if all(move.ended for move in await mover.list_moves()):
                break
            await asyncio.sleep(0.1)
        assert all(move.ended for move in await mover.list_moves()), await mover.list_moves()
        for router in self._routers:
            await router.refresh()

    async def _check_all(self) -> None:
        router = self._routers[0]
        found: Counter[tuple[str, int]] = Counter()
        for shard in router.all():
            found.update((row["course"], row["seq"]) for row in await shard.read(QUERIES["everything"]))
        assert set(found.values()) <= {1}, [row for row, times in found.items() if times > 1]
        for number, key in enumerate(COURSES):
            stored = {seq for course, seq in found if course == key.course}
            assert self.acknowledged[number] <= stored <= self.tried[number]
            for router in self._routers:
                rows = [row["seq"] for row in await router.of(key).read(QUERIES["read"], key.columns)]
                assert rows == sorted(stored)


def _storing(row: dict[str, Any]) -> Callable[[Transaction], Awaitable[int]]:
    async def work(tx: Transaction) -> int:
        return await tx.execute(QUERIES["add"], row)

    return work


async def _store(tx: Transaction, rows: Sequence[dict[str, Any]]) -> list[int]:
    await tx.execute_many(QUERIES["add"], rows)
    return [row["seq"] for row in rows]


def drawn(chance: random.Random, kinds: Sequence[str], count: int) -> list[Step]:
    """Steps at random, for runs of any length."""
    return [
        Step(
            chance.choice(kinds),
            chance.randrange(SESSIONS),
            chance.randrange(ROUTERS),
            chance.randrange(len(COURSES)),
            chance.choice([None, *STEPS]),
        )
        for _ in range(count)
    ]


@asynccontextmanager
async def open_private(cluster: Cluster) -> AsyncIterator[Callable[[], Awaitable[Shards]]]:
    """Databases on servers that may be killed, and the way to open a router over them."""
    async with fresh_databases(cluster, directory=DIRECTORY, shard=SHARD) as databases:

        async def opened() -> Shards:
            shards = await open_servers(declared(databases))
            shards.patience = 2.0
            return shards

        yield opened
