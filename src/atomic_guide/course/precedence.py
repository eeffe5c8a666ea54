"""What the server knows about a job's course and publisher, for the job's place in the queue.

Nothing here comes from a request: the live session is in the course's row, the role is what the LMS last told, the
duration is what was measured of the file.
"""

from __future__ import annotations

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.queues.priority import Facts

QUERIES = load_queries(__package__, "precedence.sql")


async def facts_of(tx: Transaction, key: CourseKey, user: str, now: float, *, duration: float | None = None) -> Facts:
    """The facts of a job that `user` asks for in a course at a moment; `duration` in seconds where it was measured."""
    row = await tx.one(QUERIES["find_facts"], {**key.columns, "user": user})
    live_until, role = (row["live_until"], row["role"]) if row is not None else (None, None)
    return Facts(live=live_until is not None and live_until > now, instructor=role == "instructor", duration=duration)
