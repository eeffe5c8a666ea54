"""How jobs are claimed, run, retried and kept: what holds for all queues, and the rules of each.

A queue is declared by a field of type `QueueRules`. Another program that uses this engine declares its own in a
subclass of `QueueSettings`; a job for a queue that nobody declared is refused when it is published.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.engines.queues.priority import PrioritySettings
from atomic_guide.errors import ConfigurationError
from atomic_guide.setting import setting


class QueueRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for the jobs of one queue."""

    concurrency: Annotated[
        int,
        setting("Jobs of it that one process runs at a time.", "jobs", ge=1, le=1024),
    ] = 16
    weight: Annotated[
        float,
        setting(
            "Its share of the slots of a process, beside the other queues' weights, where they are scarce.",
            "weight",
            ge=0.01,
            le=100,
        ),
    ] = 1.0
    max_attempts: Annotated[
        int,
        setting("Attempts before a dead letter: the first and three retries.", "attempts", ge=1, le=100),
    ] = 4
    retry_first_seconds: Annotated[
        float,
        setting(
            "The wait after attempt n is at most this times 2 to the power of n, at least half of that.",
            "s",
            ge=0.001,
            le=600,
        ),
    ] = 60.0
    retry_most_seconds: Annotated[
        float,
        setting(
            "Where the doubling of the wait ends: what an hour did not mend is looked at by a person.",
            "s",
            ge=0.001,
            le=86400,
        ),
    ] = 3600.0
    per_second: Annotated[
        float,
        setting(
            "Most jobs of it that all processes together start in a second; 0 is no limit.",
            "jobs/s",
            ge=0,
            le=1_000_000,
        ),
    ] = 0.0
    time_limit_seconds: Annotated[
        float,
        setting("How long one attempt may take; then it is stopped and counts as failed.", "s", ge=0.01, le=7 * 86400),
    ] = 300.0
    memory_mb: Annotated[
        int,
        setting("Address space of each program that a job of it starts; 8K video took 2.0 GB.", "MiB", ge=64),
    ] = 1024
    spacing_seconds: Annotated[
        float,
        setting(
            "How far apart a tenant's waiting jobs of one kind stand in the order of all tenants; at least"
            " what a process needs for one, else a tenant with many jobs delays the others.",
            "s",
            ge=0,
            le=86400,
        ),
    ] = 1.0
    hold_when_busy: Annotated[
        bool,
        setting("Whether what is not urgent of it waits, for a bounded time, while the machine is busy.", "switch"),
    ] = False


class QueueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for the jobs of all queues, and the rules of each."""

    slots: Annotated[
        int,
        setting(
            "Jobs of all queues that one process runs at a time; each queue with jobs has at least one.",
            "jobs",
            ge=1,
            le=4096,
        ),
    ] = 48
    lease_seconds: Annotated[
        float,
        setting(
            "How long a silent worker keeps its jobs; after that another one takes them over.", "s", ge=0.2, le=3600
        ),
    ] = 30.0
    heartbeat_seconds: Annotated[
        float,
        setting(
            "How often a worker extends its leases; at most a third of one, so that two may fail.",
            "s",
            ge=0.05,
            le=1200,
        ),
    ] = 10.0
    poll_seconds: Annotated[
        float,
        setting("How often to look for jobs whose wake-up was missed.", "s", ge=0.05, le=60),
    ] = 1.0
    handover_seconds: Annotated[
        float,
        setting("How long running jobs may go on after SIGTERM before they are handed back.", "s", ge=0, le=20),
    ] = 3.0
    keep_finished_seconds: Annotated[
        float,
        setting("How long finished jobs stay visible.", "s", ge=60, le=30 * 86400),
    ] = 7 * 86400.0
    trouble_wait_seconds: Annotated[
        float,
        setting(
            "Longest wait after trouble of the machine (disk full, a store that does not answer),"
            " which is no attempt of the job; half a minute is how long a failover takes.",
            "s",
            ge=0.01,
            le=3600,
        ),
    ] = 60.0
    trouble_most: Annotated[
        int,
        setting(
            "How often trouble of the machine may put a job off before it is a dead letter: a day of it.",
            "times",
            ge=1,
            le=100_000,
        ),
    ] = 1500
    memory_mb: Annotated[
        int,
        setting("Resident memory of a process above which it takes no further jobs.", "MiB", ge=128),
    ] = 4096
    busy_lag_seconds: Annotated[
        float,
        setting(
            "The machine is busy when the event loop comes this late: people in a live session notice.",
            "s",
            ge=0.01,
            le=60,
        ),
    ] = 0.5
    busy_load: Annotated[
        float,
        setting(
            "The machine is busy at this many runnable threads for each core; encoders make two to four.",
            "threads",
            ge=0.1,
            le=1000,
        ),
    ] = 8.0
    hold_most_seconds: Annotated[
        float,
        setting("Longest that a job is held because the machine is busy.", "s", ge=0, le=86400),
    ] = 60.0
    priority: PrioritySettings = PrioritySettings()
    video: QueueRules = QueueRules(
        concurrency=2,
        weight=2.0,
        time_limit_seconds=12 * 3600.0,
        memory_mb=4096,
        spacing_seconds=60.0,
        hold_when_busy=True,
    )
    analytics: QueueRules = QueueRules(concurrency=32, weight=2.0)
    notifications: QueueRules = QueueRules(concurrency=4, weight=4.0, time_limit_seconds=120.0)
    rosters: QueueRules = QueueRules(concurrency=2, time_limit_seconds=600.0, hold_when_busy=True)
    assets: QueueRules = QueueRules(concurrency=2, time_limit_seconds=12 * 3600.0, spacing_seconds=10.0)

    def rules(self, queue: str) -> QueueRules:
        """The rules of a queue. Raises `ConfigurationError` for one that is not declared."""
        found = getattr(self, queue, None)
        if not isinstance(found, QueueRules):
            raise ConfigurationError(f"no queue is called {queue}; there are {', '.join(self.queues)}")
        return found

    @property
    def queues(self) -> list[str]:
        """The queues that are declared."""
        return [name for name in self.__struct_fields__ if isinstance(getattr(self, name), QueueRules)]


def check_queues(settings: QueueSettings) -> None:
    """Raise `ConfigurationError` for settings that cannot work together, naming them."""
    if settings.heartbeat_seconds * 3 > settings.lease_seconds:
        raise ConfigurationError(
            f"setting queues.heartbeat_seconds: {settings.heartbeat_seconds:g} s is more than a third of"
            f" queues.lease_seconds ({settings.lease_seconds:g} s); two failed heartbeats would lose every lease"
        )
    if settings.slots < len(settings.queues):
        raise ConfigurationError(
            f"setting queues.slots: {settings.slots} slots are fewer than the {len(settings.queues)} queues,"
            " so that one of them could never run"
        )
