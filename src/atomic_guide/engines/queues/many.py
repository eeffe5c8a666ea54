"""Replaying or dropping many dead letters: at a bounded rate, and so that a run that breaks off can go on.

A run has a name that says when it began. It touches only what was dead by then, each letter once: what it has done is
noted with its name in the transaction that does it. So a letter that died again after its replay is left alone when the
run goes on.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from atomic_guide.engines.queues.actions import Act
from atomic_guide.errors import Invalid

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.queues.deadletter import DeadLetters, Found, Outcome, Wanted
    from atomic_guide.engines.queues.edit import Edit

AT_ONCE = 16
"""Letters at a time where no rate is set; those of a shard share its commits."""

_RUN = re.compile(r"r([0-9a-f]{12})-[0-9a-f]{8}")


class Run(NamedTuple):
    """One call that does the same to many letters. `began` is in seconds since the epoch."""

    id: str
    began: float


class Task(NamedTuple):
    """What is done, by whom, to which letters: those of `jobs`, or all that are wanted where none is named.

    `rate` is letters a second, 0 is no limit. After `seconds`, where they are not 0, it breaks off.
    """

    deed: Literal["replay", "drop"]
    actor: str
    wanted: Wanted
    edits: Sequence[Edit] = ()
    rate: float = 0.0
    jobs: Sequence[str] = ()
    seconds: float = 0.0


class Done(msgspec.Struct):
    """How far a run is: letters by what became of them, those that could not be edited, shards that did not answer.

    `complete` is False where its time was over before it had come to all of them.
    """

    counts: Counter[str]
    refused: dict[str, str]
    missing: dict[str, str]
    complete: bool = True

    @property
    def looked_at(self) -> int:
        """Letters that the run has come to."""
        return self.counts.total() + len(self.refused)


def new_run(clock: Clock) -> Run:
    """A run that begins now."""
    milliseconds = int(clock.now() * 1000)
    # The next one: what died in this very moment is in it.
    return Run(f"r{milliseconds:012x}-{secrets.token_hex(4)}", (milliseconds + 1) / 1000)


def known_run(text: str) -> Run:
    """A run by its name. Raises `Invalid`."""
    match = _RUN.fullmatch(text)
    if match is None:
        raise Invalid(f"{text[:40]!r} is no run; a run is named when it begins, such as r019abc123def-1a2b3c4d")
    return Run(text, (int(match[1], 16) + 1) / 1000)


async def do_to_many(letters: DeadLetters, task: Task, run: Run, clock: Clock, watch: Callable[[Done], None]) -> Done:
    """Do it to every letter that is wanted and was dead when the run began; `watch` is told after each batch."""
    done = Done(Counter(), {}, {})
    wanted = msgspec.structs.replace(task.wanted, until=min(task.wanted.until, run.began))
    started = clock.monotonic()
    size = 1 if 0 < task.rate < AT_ONCE else AT_ONCE
    every = letters.each_of(task.jobs, done.refused) if task.jobs else letters.each(wanted, done.missing)
    async for batch in _batches(every, size):
        if task.seconds and clock.monotonic() - started > task.seconds:
            done.complete = False
            break
        act = Act(task.actor, clock.now(), run.id)
        outcomes = await asyncio.gather(*(_one(letters, task, act, found) for found in batch))
        for found, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Invalid):
                done.refused[found.letter.id] = outcome.message
            else:
                done.counts[outcome] += 1
        watch(done)
        if task.rate:
            due = started + (done.counts["replayed"] + done.counts["dropped"]) / task.rate
            await asyncio.sleep(max(0.0, due - clock.monotonic()))
    return done


async def _one(letters: DeadLetters, task: Task, act: Act, found: Found) -> Outcome | Invalid:
    if task.deed == "drop":
        return await letters.drop_at(found.key, found.letter.id, act)
    try:
        return (await letters.replay_at(found.key, found.letter.id, act, task.edits))[0]
    except Invalid as error:
        return error


async def _batches(found: AsyncIterator[Found], size: int) -> AsyncIterator[list[Found]]:
    batch: list[Found] = []
    async for one in found:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
