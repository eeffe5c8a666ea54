"""The cause before the remedy: whether what a rule would do can help at all, and what would instead."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from atomic_guide.operations.scaling.model import DATABASE, QUEUES, WORKERS

WRITES_MOST = 0.5
"""Above this share of writes a replica takes less than half of the load away, and none of what is slow."""

WRITES_LEAST = 0.3
"""Below this share of writes most of what keeps a shard busy can be read from a copy."""

LOCKS_MOST = 0.2
"""A fifth of the time spent waiting for locks or the writer explains slow statements by itself."""

IDLE_MOST = 0.5
"""A database, or workers, used less than this are not what is too small."""

DRAIN_SECONDS = 60.0
"""A backlog that is gone within the goal for workers needs no more of them."""


class Medians(Protocol):
    """The usual value of a series over the last minutes, None where it was not measured."""

    def __call__(self, component: str, metric: str, part: str = "") -> float | None:
        """The median of the series' window."""
        ...


class Finding(NamedTuple):
    """What was looked at; why the remedy would not help, empty where it may; what would help instead."""

    inputs: dict[str, float | None]
    against: str = ""
    instead: str = ""


def reads(part: str, median: Medians) -> Finding:
    """Whether a shard's slow reads come of too many reads, which alone a replica takes away."""
    writes, locks = median(DATABASE, "write_share", part), median(DATABASE, "lock_wait", part)
    busy = median(DATABASE, "utilisation", part)
    inputs = {"database.write_share": writes, "database.lock_wait": locks, "database.utilisation": busy}
    if locks is not None and locks > LOCKS_MOST:
        return Finding(
            inputs,
            f"{locks:.0%} of the time goes into waiting for locks, and a replica takes no lock away",
            "find the transaction that holds them: `atomic-guide doctor` names the slow ones",
        )
    if writes is not None and writes > WRITES_MOST:
        return Finding(
            inputs,
            f"{writes:.0%} of the statements write, and a replica takes no writes",
            "move courses to another shard: `atomic-guide shards rebalance`",
        )
    if writes is None or locks is None:
        absent = "database.write_share" if writes is None else "database.lock_wait"
        return Finding(inputs, f"{absent} is not measured, so the cause is not known", "look at the shard's source")
    if busy is not None and busy < IDLE_MOST:
        return Finding(
            inputs,
            f"the database is used to {busy:.0%} only: single statements are slow, not the load",
            "look for a missing index or a scan: `atomic-guide doctor`",
        )
    return Finding(inputs)


def writes(part: str, median: Medians) -> Finding:
    """Whether a shard's slow writes come of too many writes, of which another shard takes its part."""
    share, busy = median(DATABASE, "write_share", part), median(DATABASE, "utilisation", part)
    inputs = {"database.write_share": share, "database.utilisation": busy}
    if busy is None or share is None:
        absent = "database.utilisation" if busy is None else "database.write_share"
        return Finding(inputs, f"{absent} is not measured, so the cause is not known", "look at the shard's source")
    if busy < IDLE_MOST:
        return Finding(
            inputs,
            f"the database is used to {busy:.0%} only: its disk or single transactions are slow, not the load",
            "look at its disk and for long transactions: `atomic-guide doctor`",
        )
    if share < WRITES_LEAST:
        return Finding(
            inputs,
            f"only {share:.0%} of the statements' time is writing: reads are what keeps the database busy",
            "a read replica, or an index that is missing",
        )
    return Finding(inputs)


def drain(part: str, median: Medians) -> Finding:
    """Whether a queue's backlog waits for workers: not where it drains anyhow, nor where workers are idle."""
    backlog, done = median(QUEUES, "backlog", part), median(QUEUES, "throughput", part)
    oldest, busy = median(QUEUES, "oldest", part), median(WORKERS, "utilisation")
    inputs = {
        "queues.backlog": backlog, "queues.oldest": oldest, "queues.throughput": done, "workers.utilisation": busy,
    }  # fmt: skip
    if backlog is not None and done and backlog / done <= DRAIN_SECONDS:
        return Finding(inputs, f"{backlog:,.0f} jobs at {done:,.1f} a second are done within {backlog / done:.0f} s")
    if busy is not None and busy < IDLE_MOST:
        return Finding(
            inputs,
            f"workers are used to {busy:.0%} only: the queue is paused or its rate or concurrency limited",
            f"look at its limits: `atomic-guide queues` and the settings queues.{part or 'QUEUE'}",
        )
    return Finding(inputs)


CAUSES = {"reads": reads, "writes": writes, "drain": drain}
