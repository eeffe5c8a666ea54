"""Point reads sent together, group commit, rows stored by COPY, and what the port costs beside the driver.

Peers in the same run, on the same server and tables: asyncpg on a connection at hand, asyncpg's own pool, and the
asyncio engine of SQLAlchemy over asyncpg. Figures are medians of rounds in which all take turns; CPU is this process's.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from atomic_guide.clock import SystemClock
from atomic_guide.course.chat.budgets import Rates
from atomic_guide.course.chat.message import Author
from atomic_guide.course.chat.store import Messages
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.ownership import QUERIES as OWNERSHIP
from atomic_guide.engines.data.placement import BUCKETS, CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.rows import Field, Table, insert_rows, read_many
from bench._bars import Bars
from tests.engines import SHARD, opened_shards
from tests.postgres import fresh_database, shared_cluster

CALLERS = 64
COURSES = 5_000
ROUNDS = 5
ROUNDS_ALONE = 40
"""Of 1,000 calls each for the single caller, whose cost differs by a few microseconds: the ways take turns so often
that what else the machine does meets all of them alike."""
CONNECTIONS = 8

QUERIES = parse_queries(
    """
-- name: find
-- purpose: A course, each by a statement of its own.
SELECT title, return_url FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: find_together
-- purpose: A course, together with others that are asked for.
-- batch: yes
SELECT title, return_url FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: make
-- purpose: Make a course.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, '', :title, 0, 1)
-- name: add
-- purpose: Store messages.
-- dialect: postgresql
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
SELECT 1, 't', 'c', seq, 'a', id, 'Who has solved the third exercise?', 1
FROM unnest(:seq::int8[], :id::text[]) AS given(seq, id)
-- name: score
-- purpose: A score by its student.
SELECT score FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :id AND activity = 'exam'
""",
    "bench",
)
_SINGLE = (
    "INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)"
    " VALUES (1, 't', 'c', $1, 'a', $2, 'Who has solved the third exercise?', 1)"
)
SCORES = Table(
    "scores",
    (
        Field("user", "text", 100),
        Field("activity", "text", 100),
        Field("at", "float"),
        Field("id", "text", 100),
        Field("score", "float"),
        Field("maximum", "float"),
    ),
)

Call = Callable[[int], Awaitable[Any]]


class Cost(NamedTuple):
    """What a call costs: microseconds of this process's CPU, and calls in a second."""

    cpu: float
    rate: float


async def measure(bars: Bars) -> None:
    """Reads, writes, and many rows."""
    async with fresh_database(shared_cluster().shards[0], SHARD) as dsn, AsyncExitStack() as stack:
        database = PostgresDatabase("shard-0", dsn)
        stack.push_async_callback(database.close)
        await database.write(_fill)
        peers = await stack.enter_async_context(_peers(dsn))
        await _reads(bars, database, peers)
        await _commits(bars, database, peers.pool)
    for engine in ("postgresql", "sqlite"):
        await _rows(bars, engine)


class Peers(NamedTuple):
    """The others' ways to read a course and to write."""

    held: Call
    held_fenced: Call
    pooled: Call
    sqlalchemy: Call
    pool: asyncpg.Pool


@asynccontextmanager
async def _peers(dsn: str) -> AsyncIterator[Peers]:
    sql = QUERIES["find"].postgresql.sql
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
    held = await asyncpg.connect(dsn)
    engine = create_async_engine(
        dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=CONNECTIONS,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
    )
    statement = text(QUERIES["find"].text("postgresql"))

    async def by_sqlalchemy(number: int) -> object:
        async with engine.connect() as connection:
            return (await connection.execute(statement, _course(number))).first()

    fenced = QUERIES["find"].fenced.sql
    yield Peers(
        lambda number: held.fetchrow(sql, *_course(number).values()),
        lambda number: held.fetchrow(fenced, *_course(number).values(), 1),
        lambda number: pool.fetchrow(sql, *_course(number).values()),
        by_sqlalchemy,
        pool,
    )
    await engine.dispose()
    await held.close()
    await pool.close()


async def _reads(bars: Bars, database: PostgresDatabase, peers: Peers) -> None:
    alone = {
        "asyncpg, a connection at hand": peers.held,
        "asyncpg, its pool": peers.pooled,
        "SQLAlchemy": peers.sqlalchemy,
        "ours": lambda number: database.one(QUERIES["find"], _course(number)),
        "ours, marked to go with others": lambda number: database.one(QUERIES["find_together"], _course(number)),
        "ours, fenced": lambda number: database.one(QUERIES["find"], _course(number), epoch=1),
        "asyncpg, a connection at hand, fenced": peers.held_fenced,
    }
    costs = await _turns(alone, callers=1, calls=bars.size(1000, 20), rounds=ROUNDS_ALONE)
    for name in alone:
        bars.median(f"one caller, {name}: CPU", [cost.cpu for cost in costs[name]], "us a read")
    bars.most(
        "CPU beside asyncpg on a connection at hand", _ratio(costs, "ours", "asyncpg, a connection at hand"), 1.25
    )
    bars.most(
        "the same with the fence in both", _ratio(costs, "ours, fenced", "asyncpg, a connection at hand, fenced"), 1.25
    )
    bars.least("CPU of SQLAlchemy beside ours", _ratio(costs, "SQLAlchemy", "ours"), 1.6)
    together = {
        "asyncpg, its pool": peers.pooled,
        "ours, each its statement": alone["ours"],
        "ours, sent together": alone["ours, marked to go with others"],
        "ours, sent together, fenced": lambda n: database.one(QUERIES["find_together"], _course(n), epoch=1),
    }
    costs = await _turns(together, callers=CALLERS, calls=bars.size(100, 10))
    for name in together:
        bars.median(f"{CALLERS} callers, {name}: CPU", [cost.cpu for cost in costs[name]], "us a read")
        bars.median(f"{CALLERS} callers, {name}", [cost.rate for cost in costs[name]], "reads/s")
    pool, fenced = "asyncpg, its pool", "ours, sent together, fenced"
    bars.least("the pool's CPU beside ours, sent together", _ratio(costs, pool, "ours, sent together"), 8)
    bars.least("reads/s, sent together, beside the pool", _ratio(costs, "ours, sent together", pool, "rate"), 8)
    bars.least("the pool's CPU beside ours, fenced too", _ratio(costs, pool, fenced), 8)
    bars.show("reads/s, fenced too, beside the pool", _ratio(costs, fenced, pool, "rate"))


async def _commits(bars: Bars, database: PostgresDatabase, pool: asyncpg.Pool) -> None:
    numbers = itertools.count(1)

    async def write(tx: Transaction, items: Sequence[int]) -> Sequence[int]:
        await tx.execute_columns(QUERIES["add"], {"seq": items, "id": [str(item) for item in items]})
        return items

    commits: GroupCommit[int, int] = GroupCommit(write)

    async def single(_: int) -> None:
        number = next(numbers)
        await pool.execute(_SINGLE, number, str(number))

    ways: dict[str, Call] = {"single inserts": single, "group commit": lambda _: commits.add(database, next(numbers))}
    for callers in (CALLERS, 256):
        costs = await _turns(ways, callers=callers, calls=bars.size(40, 4))
        for name in ways:
            bars.median(f"{callers} callers, {name}", [cost.rate for cost in costs[name]], "rows/s")
        ratio = _ratio(costs, "group commit", "single inserts", "rate")
        bars.least(f"group commit beside single inserts, {callers} callers", ratio, 8)
    await commits.close()


async def _rows(bars: Bars, engine: str) -> None:
    """Many rows of a course, and messages of many people, through the product's own functions."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened_shards(engine, Path(folder), shared_cluster()) as shards:
            size, key = bars.size(100_000, 1000), CourseKey.of("t", "large")
            rows: list[tuple[Any, ...]] = [
                (f"student {number:06}", "exam", 5.0, "", 7.5, 10.0) for number in range(size)
            ]
            rows[size // 2] = ("nobody", "exam", 5.0, "", "good", 10.0)
            for name in ("new rows", "the same rows again"):
                began, cpu = time.perf_counter(), time.process_time()
                result = await insert_rows(shards, key, SCORES, rows)
                assert (result.inserted + result.duplicates, len(result.rejected)) == (size - 1, 1), result
                bars.show(f"{engine}: {size:,} {name}, one of them bad", size / (time.perf_counter() - began), "rows/s")
                bars.show("  CPU", (time.process_time() - cpu) / size * 1e6, "us a row")
            ids = [rows[number][0] for number in range(min(size, 10_000))]
            began = time.perf_counter()
            found = await read_many(shards.of(key), QUERIES["score"], ids, key.columns)
            assert len(found.rows) == len(ids)
            bars.show(f"{engine}: {len(ids):,} ids read", (time.perf_counter() - began) * 1000, "ms")
            rates = Rates(*[10_000_000] * 3)
            messages = Messages(shards, SystemClock(), lambda _key, _message: None, rates)
            keys = [CourseKey.of("t", f"course {number}") for number in range(32)]
            author = Author("a", "Ada")
            ways = {"": lambda number: messages.post(keys[number % 32], author, "Who has solved the third exercise?")}
            (costs,) = (await _turns(ways, callers=256, calls=bars.size(20, 4), rounds=3)).values()
            bars.median(
                f"{engine}: chat messages of 256 people in 32 courses", [cost.rate for cost in costs], "messages/s"
            )
            bars.median("  CPU", [cost.cpu for cost in costs], "us a message")
            await messages.close()


async def _fill(tx: Transaction) -> None:
    owned = [{"bucket": bucket, "tenant": "", "course": "", "epoch": 1, "now": 1.0} for bucket in range(BUCKETS)]
    await tx.execute_many(OWNERSHIP["own_bucket"], owned)
    await tx.execute_many(QUERIES["make"], [{**_course(n), "title": f"title {n}"} for n in range(COURSES)])


def _course(number: int) -> dict[str, Any]:
    number %= COURSES
    return {"bucket": number % BUCKETS, "tenant": f"t{number % 7}", "course": f"c{number}"}


async def _turns(ways: Mapping[str, Call], *, callers: int, calls: int, rounds: int = ROUNDS) -> dict[str, list[Cost]]:
    """What each way costs, round by round after one to warm up; each caller makes its calls one after the other."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}

    async def caller(call: Call, first: int) -> None:
        for number in range(first, first + calls):
            await call(number * 7)

    for turn in range(rounds + 1):
        for name, call in ways.items():
            cpu, began = time.process_time(), time.perf_counter()
            await asyncio.gather(*(caller(call, number * calls) for number in range(callers)))
            cost = Cost(
                (time.process_time() - cpu) / (callers * calls) * 1e6, callers * calls / (time.perf_counter() - began)
            )
            if turn:
                costs[name].append(cost)
    return costs


def _ratio(costs: Mapping[str, Sequence[Cost]], above: str, below: str, field: Literal["cpu", "rate"] = "cpu") -> float:
    """The median, over the rounds, of how one way stands to another."""
    pairs = zip(costs[above], costs[below], strict=True)
    ratios: list[float] = [getattr(one, field) / getattr(other, field) for one, other in pairs]
    return statistics.median(ratios)
