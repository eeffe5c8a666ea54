"""Jobs whose publishers, workers and NATS server are killed at random moments; what is left of them is counted.

One publisher is a process of the test, the other a real `serve`, which people send events to over HTTP.

What must hold: every job's effect is in the database exactly once, each notification was mailed at least once under
one Message-ID, nothing is left over, and a poisoned job is a dead letter after its attempts and runs once if replayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.queues.actions import Act
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.errors import Unavailable
from tests.chaos_process import SETTINGS, Orders
from tests.chaos_queries import COUNT, EFFECTS, KEYS, LEFT, MAKE, PEOPLE
from tests.chaos_server import Served, counted, variables
from tests.mailserver import MailBox, mail_server
from tests.moving import addresses

ROOT = Path(__file__).parents[1]
POISON = -1
_LOOK_SECONDS = 0.2


class Outcome(msgspec.Struct):
    """What was found: jobs without an effect, with more than one, and what else there is to tell."""

    missing: int
    repeated: int
    left: dict[str, int]
    kills: Counter[str]
    mails_missing: int
    mails: int
    message_ids: int
    poison_attempts: int
    poison_effects: int
    events: int
    calls_repeated: int
    slowest_start: float
    seconds: float


class Chaos:
    """One run: `jobs` in batches and `calls` over HTTP, `kills` at random moments over it."""

    def __init__(self, shards: Shards, folder: Path, box: MailBox, jobs: int, batch: int, calls: int) -> None:
        self._shards = shards
        self._calls = calls
        self._served = Served(folder / "data", variables(shards, box.port))
        self._box = box
        self._batches = -(-jobs // batch)
        self._cure = folder / "cure"
        self._nats = NatsServer(folder, NatsSettings())
        self._orders = Orders(str(folder), addresses(shards), jobs, batch, box.port, str(self._cure))
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.kills: Counter[str] = Counter()

    async def run(self, kills: int, limit: float, dice: random.Random) -> Outcome:
        """Do all of it. Raises `TimeoutError` where the jobs are not done in `limit` seconds."""
        poison = await self._prepared()
        began = time.monotonic()
        await self._nats.start()
        kept = asyncio.create_task(self._nats.keep())
        try:
            await self._served.start()
            await self._served.enter()
            for name in ("publish", "work-1", "work-2"):
                await self._start(name)
            async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
                group.create_task(self._served.send(self._calls))
                killing = group.create_task(self._kill(kills, dice))
                await self._until(self._orders.jobs)
                await killing
            seconds = time.monotonic() - began
            async with asyncio.timeout(limit):
                events = await counted(self._shards)
                attempts = await self._replayed(poison)
                await self._until_mailed()
        finally:
            await self._served.stop()
            for name in list(self._running):
                await self._end(name)
            kept.cancel()
            await self._nats.stop()
        return await self._outcome(attempts, events, seconds)

    async def _prepared(self) -> str:
        queues = Queues(self._shards, SystemClock(), SETTINGS)
        for shard in self._shards.all():

            async def make(tx: Transaction) -> None:
                for query in MAKE:
                    await tx.execute(query)

            await shard.shard.primary.write(make)
        for key in KEYS:
            for user in PEOPLE:
                arrival = Arrival(
                    key=key,
                    platform="p",
                    context="c",
                    title="Waves",
                    return_url=None,
                    user=user,
                    name=user,
                    role="learner",
                    services=Services(),
                    email=f"{user}@example.edu",
                )
                await enrol(self._shards, SystemClock(), queues, arrival, mailed=True)

        async def poisoned(tx: Transaction) -> str | None:
            job = NewJob(queue="chaos", kind="poison", subject="p", payload={"number": POISON})
            return await queues.publish(tx, KEYS[0], job)

        return await self._shards.of(KEYS[0]).write(poisoned) or ""

    async def _start(self, name: str) -> None:
        self._running[name] = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos_process", name.partition("-")[0]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(self._orders))
        process.stdin.close()

    async def _end(self, name: str) -> None:
        process = self._running.pop(name)
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), 10)

    async def _kill(self, kills: int, dice: random.Random) -> None:
        """Kill one after the other; what was killed is started again, the NATS server by its keeper."""
        for _ in range(kills):
            await asyncio.sleep(dice.uniform(0.3, 1.5))
            victim = dice.choice(["publish", "work-1", "work-2", "nats", "serve"])
            self.kills[victim.partition("-")[0]] += 1
            if victim == "nats":
                if self._nats.pid is not None:
                    os.kill(self._nats.pid, signal.SIGKILL)
                continue
            if victim == "serve":
                await self._served.kill()
                await self._served.start()
                continue
            await self._end(victim)
            await self._start(victim)

    async def _until(self, effects: int) -> None:
        """Wait for so many effects; a worker or publisher that has ended by itself is an error."""
        found = 0
        while found < effects:
            await asyncio.sleep(_LOOK_SECONDS)
            # What is waited for keeps the database busy.
            with contextlib.suppress(Unavailable):
                found = await self._count()
            for name, process in self._running.items():
                assert process.returncode in {None, -signal.SIGKILL}, f"{name} ended with {process.returncode}"

    async def _count(self) -> int:
        counts = [await shard.shard.primary.one(COUNT) for shard in self._shards.all()]
        return sum(row["found"] for row in counts if row is not None)

    async def _replayed(self, poison: str) -> int:
        """Wait for the dead letter, cure and replay it; with how many attempts it had died."""
        letters = DeadLetters(self._shards)
        while not [one for one in (await letters.list()).letters if one.id == poison]:  # noqa: ASYNC110 - far away
            await asyncio.sleep(_LOOK_SECONDS)
        attempts = (await letters.show(poison)).attempts
        self._cure.touch()
        await letters.replay(poison, Act("a test", time.time()))
        await self._until(self._orders.jobs + 1)
        return attempts

    async def _until_mailed(self) -> None:
        while len({message["Message-ID"] for message in self._box.received}) < self._batches or await self._left():  # noqa: ASYNC110 - as above
            await asyncio.sleep(_LOOK_SECONDS)

    async def _left(self) -> dict[str, int]:
        rows = [row for shard in self._shards.all() for row in await shard.shard.primary.read(LEFT)]
        return dict(sum((Counter({row["state"]: row["jobs"]}) for row in rows), Counter[str]()))

    async def _outcome(self, attempts: int, events: int, seconds: float) -> Outcome:
        found = [row["number"] for shard in self._shards.all() for row in await shard.shard.primary.scan(EFFECTS)]
        counts = Counter(found)
        poisoned = counts.pop(POISON, 0)
        ids = {message["Message-ID"] for message in self._box.received}
        return Outcome(
            missing=len(set(range(self._orders.jobs)) - counts.keys()),
            repeated=sum(1 for times in counts.values() if times > 1),
            left=await self._left(),
            kills=self.kills,
            mails_missing=self._batches - len(ids),
            mails=len(self._box.received),
            message_ids=len(ids),
            poison_attempts=attempts,
            poison_effects=poisoned,
            events=events,
            calls_repeated=self._served.repeated,
            slowest_start=self._served.slowest_start,
            seconds=seconds,
        )


@asynccontextmanager
async def chaos(shards: Shards, folder: Path, jobs: int, batch: int, calls: int) -> AsyncIterator[Chaos]:
    """A run over empty databases, whose files are in `folder / "data"`, with a mail server."""
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(mail_server("none", folder))
        yield Chaos(shards, folder, box, jobs, batch, calls)
