"""Queues and jobs as operators see them: how deep, how long, how fast, what is next and why. Times are ISO 8601."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.queues.controls import Controls
from atomic_guide.engines.queues.overview import ENDED, count_jobs
from atomic_guide.engines.queues.paging import FIRST, LAST, Mark, cut, read_mark
from atomic_guide.errors import DataUnavailable, NotFound

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Row
    from atomic_guide.engines.data.shards import Shards

QUERIES = load_queries(__package__, "inspect.sql")

_RATE_SECONDS = 60.0
_RATE_LIMIT = 100_000
"""Ended jobs that are counted in a shard for the rate: 10 ms."""

_FACTS = {"live": "its course has a live session", "instructor": "an instructor asked for it", "short": "it is short"}
_STATES = ("queued", "delayed", "blocked")


class QueueView(msgspec.Struct, frozen=True):
    """One queue. `depth` counts what waits, `per_minute` what ended lately, `states` all, `next` the first jobs.

    A pause without `paused_until` lasts until somebody ends it.
    """

    queue: str
    depth: int
    oldest_wait_seconds: float
    per_minute: int
    paused_since: str | None
    paused_until: str | None
    states: dict[str, int]
    next: list[dict[str, Any]]


class Views(NamedTuple):
    """The queues as the shards that answered have them; why the others are missing, by shard."""

    queues: list[QueueView]
    missing: dict[str, str]


class Page(NamedTuple):
    """Jobs of a list and where the next page begins; why those of some shards are missing, by shard."""

    jobs: list[dict[str, Any]]
    next: str | None
    missing: dict[str, str]


async def view_queues(shards: Shards, declared: list[str], now: float, first: int = 3, *, ended: bool = True) -> Views:
    """Every declared queue, and those that jobs are left of, with the `first` jobs that are claimed next.

    Without those that have `ended` well the answer costs little, however many the archive keeps.
    """
    controls = Controls(shards.directory)
    await controls.look(now)
    counts = await count_jobs(shards, ended=ended)
    waits = await scatter(shards.all(), QUERIES["oldest_wait"])
    lately = await scatter(
        shards.all(), QUERIES["count_lately"], {"since": now - _RATE_SECONDS, "limit": _RATE_LIMIT}, short=True
    )
    states: dict[str, dict[str, int]] = {name: {} for name in declared}
    for row in counts.jobs:
        states.setdefault(row["queue"], {})[row["state"]] = row["jobs"]
    views = []
    for name, own in states.items():
        since = [row["since"] for _, row in waits.rows if row["queue"] == name]
        paused = controls.paused.get(name)
        views.append(
            QueueView(
                queue=name,
                depth=sum(own.get(state, 0) for state in _STATES),
                oldest_wait_seconds=round(max(0.0, now - min(since, default=now)), 3),
                per_minute=sum(row["jobs"] for _, row in lately.rows if row["queue"] == name),
                paused_since=iso(paused.since) if paused is not None else None,
                paused_until=iso(paused.until) if paused is not None and paused.until is not None else None,
                states=own,
                next=await _next_jobs(shards, name, now, first),
            )
        )
    return Views(views, {**counts.missing, **waits.missing, **lately.missing})


async def _next_jobs(shards: Shards, queue: str, now: float, first: int) -> list[dict[str, Any]]:
    found = await scatter(shards.all(), QUERIES["next_jobs"], {"queue": queue, "limit": first}, short=True)
    rows = sorted((row["rank"], row["id"], shard, row) for shard, row in found.rows)
    return [_told(shard, row, now) for _, _, shard, row in rows[:first]]


async def page_jobs(shards: Shards, chosen: tuple[str, str], after: str | None, limit: int, now: float) -> Page:
    """A page of the jobs of a queue in a state, which are the `chosen` two.

    Queued ones in the order in which they are claimed, ended ones those that ended last first, others the newest first.
    `after` is what the page before said. Raises `Invalid` where it is not.
    """
    queue, state = chosen
    up = state == "queued"
    mark = read_mark(after, FIRST if up else LAST)
    query = "page_queued" if up else "page_ended" if state in ENDED else "page_jobs"
    params = {"queue": queue, "at": mark.at, "id": mark.id, "limit": limit, **({} if up else {"state": state})}
    found = await scatter(shards.all(), QUERIES[query], params)
    told = _ended if state in ENDED else partial(_told, now=now)
    rows = [(Mark(row["place"], row["id"]), told(shard, row)) for shard, row in found.rows]
    jobs, following = cut(rows, limit, up=up)
    return Page(jobs, following, found.missing)


async def show_job(shards: Shards, job: str, now: float) -> dict[str, Any]:
    """One job, live, dead or ended.

    Raises `NotFound`, or `DataUnavailable` where a shard that does not answer may have it.
    """
    shard, row = await find_job(shards, job)
    return _told(shard, row, now) if "why" in row.keys() else _ended(shard, row)  # noqa: SIM118 - a row is no mapping


async def find_job(shards: Shards, job: str) -> tuple[str, Row]:
    """The shard and the row of a job. Raises as `show_job`."""
    missing: dict[str, str] = {}
    for query in ("find_job", "find_ended"):
        found = await scatter(shards.all(), QUERIES[query], {"id": job})
        for shard, row in found.rows:
            return shard, row
        missing |= found.missing
    if missing:
        raise DataUnavailable(f"the job {job} is in no shard that answers: {'; '.join(missing.values())}")
    raise NotFound(f"there is no job {job}; `atomic-guide queues list` shows what is next, `--state STATE` lists jobs")


def explain(why: str | None, state: str, waited: float) -> str:
    """In words, why a job stands where it does; `why` is what priority.py said of its facts."""
    facts = msgspec.json.decode(why) if why else {}
    boost = facts.get("boost_seconds", 0)
    named = [text for fact, text in _FACTS.items() if facts.get(fact)]
    precedence = f"{' and '.join(named)}, worth {boost:.0f} s" if named else "nothing gives it precedence"
    match state:
        case "queued":
            return f"{precedence}; it has waited {waited:.0f} s"
        case "delayed":
            return f"{precedence}; it is to start in {-waited:.0f} s"
        case "blocked":
            return f"{precedence}; an earlier job of the same thing is not done"
        case _:
            return precedence


def _told(shard: str, row: Row, now: float) -> dict[str, Any]:
    names = ("id", "queue", "kind", "subject", "state", "tenant", "course", "attempts", "max_attempts", "troubles")
    return {
        **{name: row[name] for name in names},
        "progress": round(row["progress"], 3),
        "shard": shard,
        "worker": row["lease_owner"] or None,
        "created_at": iso(row["created_at"]),
        "run_after": iso(row["run_after"]),
        "priority": row["priority"],
        "rank": round(row["rank"], 3),
        "why": explain(row["why"], row["state"], now - row["run_after"]),
        "error": row["error"],
    }


def _ended(shard: str, row: Row) -> dict[str, Any]:
    names = ("id", "queue", "kind", "subject", "state", "tenant", "course", "attempts")
    return {
        **{name: row[name] for name in names},
        "shard": shard,
        "created_at": iso(row["created_at"]),
        "ended_at": iso(row["ended_at"]),
    }
