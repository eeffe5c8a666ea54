"""The limits of jobs."""

from __future__ import annotations

from atomic_guide.limit import Limit

SLOTS = Limit(
    "queues",
    "slots",
    "jobs",
    "queues.slots",
    refuses="Nothing: jobs stay in the database, for this process later or another now.",
    answer="waits",
    use="Jobs that a process runs.",
)
QUEUE_JOBS = Limit(
    "queues",
    "queue_jobs",
    "jobs",
    "queues.*.concurrency",
    refuses="Nothing: jobs of the queue stay in the database.",
    answer="waits",
    use="Jobs of one queue that a process runs, of the fullest queue.",
)
JOB_SECONDS = Limit(
    "queues",
    "job_seconds",
    "s",
    "queues.*.time_limit_seconds",
    refuses="The attempt, which is stopped and counts as failed.",
    answer="job fails",
    use="How long the oldest run of a queue has been under way, of the queue that is nearest.",
    about="own",
)
PROCESS_MEMORY = Limit(
    "queues",
    "process_memory",
    "MiB",
    "queues.memory_mb",
    refuses="Nothing: the process claims no further jobs until it has less.",
    answer="waits",
    use="Resident memory of a process.",
)
LIMITS = (SLOTS, QUEUE_JOBS, JOB_SECONDS, PROCESS_MEMORY)
