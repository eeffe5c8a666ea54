"""Carrying rows between PostgreSQL servers: logical replication of one scope, by a row filter.

At the source a publication and a slot, at the target a subscription, all named after the move. The subscription
copies each table and then follows. Once the source is fenced:

- The target has applied everything when its worker has read a keep-alive from behind the fence's commit: it reads
  what the server sends in one order, and a keep-alive behind all changes.
- The worker's commits need not be on disk. So before the map changes there is a commit at the target that waits for the
  disk (and for a synchronous standby), and so for every one before it.
- What is compared is what will be answered from: a fenced source changes no row, so the subscription brings none. It is
  dropped after the map has changed, as that takes longer than all the rest of the pause, but before rows are removed at
  the source, which it would remove here, too.

A slot keeps the server's log for as long as it exists, so it is removed whatever became of the move.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from atomic_guide import errors
from atomic_guide.engines.data.database import Transaction, Work
from atomic_guide.engines.data.moves.carrier import Say, Task, differ
from atomic_guide.engines.data.moves.move import Superseded
from atomic_guide.engines.data.moves.rows import literal, tables
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import Query, load_queries
from atomic_guide.resilience import retrying

QUERIES = load_queries(__package__, "servers.sql")

PREFIX = "guide_move_"
"""What publications, subscriptions and slots of moves are called, before the move's id."""

_POLL_SECONDS = 0.003
"""Between two looks at the target while writes wait."""

_NUDGE_SECONDS = 0.02
"""When a source that is otherwise idle is made to write, so that its log goes on; as a rule it need not be."""

_COPY_POLL_SECONDS = 0.05
"""Between two looks while nobody waits."""

_SLOT_SECONDS = 10.0
"""How long a slot may take to be let go of; its sender ends within a second of its subscription."""


def name_of(move_id: str) -> str:
    """What a move's publication, subscription and slot are called."""
    return f"{PREFIX}{move_id}"


def peer_address(address: str) -> str:
    """A shard's address as another shard's server uses it.

    Without `application_name`: a subscription answers under its own name, so that it is never taken for one of the
    standbys that `synchronous_standby_names` lists.
    """
    parts = urlsplit(address)
    options = [(key, value) for key, value in parse_qsl(parts.query) if key != "application_name"]
    options.append(("connect_timeout", "5"))
    if "," in parts.netloc and not any(key == "target_session_attrs" for key, _ in options):
        # Of several hosts only the primary has the slot.
        options.append(("target_session_attrs", "primary"))
    return urlunsplit(parts._replace(query=urlencode(options)))


class ServerCarrier:
    """Between two servers."""

    def __init__(self, task: Task, source: PostgresDatabase, target: PostgresDatabase) -> None:
        self._task = task
        self._source = source
        self._target = target
        self._name = name_of(task.move.id)

    async def copy(self, say: Say) -> None:
        """Set up the subscription, or find it, and wait until it follows closely; a few rows wait for the fence."""
        if await self._subscription() is None:
            if await self._is_small():
                return
            await self._set_up()
        await self._in_step()
        say("catch_up", "the last changes are followed")
        await self._near()

    async def finish(self, say: Say) -> int:
        """Wait for the last change, stop following, compare; or copy a few rows, and compare."""
        limit = self._task.limits.pause
        try:
            async with asyncio.timeout(limit):
                return await self._finished(say)
        except TimeoutError as error:
            raise errors.DataUnavailable(
                f"writes of {self._task.move.scope} would have waited for more than {limit:g} s: the servers have too"
                " much to do, or it has millions of rows; move it again when there is less to do, or with a longer"
                " pause (--pause)"
            ) from error

    async def _finished(self, say: Say) -> int:
        # The source stands still by now, so that its rows can be counted while the target catches up.
        source, target = await asyncio.gather(self._digests(self._source), self._followed(say))
        if source != target and sum(rows for rows, _ in source.values()) <= 2 * self._task.limits.direct:
            await self._task.target.write(await self._fetched())
            target = await self._digests(self._target)
        if source != target:
            raise differ(self._task)
        return sum(rows for rows, _ in target.values())

    async def clear(self) -> None:
        """Remove subscription, slot and publication; the slot also where the target does not answer."""
        unreached: errors.GuideError | None = None
        try:
            await self._unsubscribe()
        except errors.DataUnavailable as error:
            unreached = error
        await self._drop_slot()
        await self._task.source.write(lambda tx: tx.execute(statement(f'DROP PUBLICATION IF EXISTS "{self._name}"')))
        if unreached is not None:
            raise unreached

    async def _set_up(self) -> None:
        await self._task.target.purge(self._task.rows)
        await self._drop_slot()
        await self._task.source.write(self._publish)
        await self._source.write(lambda tx: tx.read(QUERIES["make_slot"], {"name": self._name}))
        try:
            await self._task.source.hold()
            await self._task.target.write(self._subscribe)
        except Superseded:
            # The slot alone could not be made under the move's token.
            await self._source.write(lambda tx: tx.read(QUERIES["drop_slot"], {"name": self._name}))
            raise

    async def _publish(self, tx: Transaction) -> None:
        await tx.execute(statement(f'DROP PUBLICATION IF EXISTS "{self._name}"'))
        published = ", ".join(f'"{table.name}" WHERE ({self._task.rows.filter})' for table in tables())
        await tx.execute(statement(f'CREATE PUBLICATION "{self._name}" FOR TABLE {published}'))

    async def _subscribe(self, tx: Transaction) -> None:
        # Streaming of unfinished transactions is off: it would let the worker read a keep-alive before a change.
        await tx.execute(statement(
            f'CREATE SUBSCRIPTION "{self._name}" CONNECTION {literal(peer_address(self._source.address))}'
            f' PUBLICATION "{self._name}"'
            f" WITH (create_slot = false, slot_name = '{self._name}', streaming = off, synchronous_commit = off)"
        ))  # fmt: skip

    async def _unsubscribe(self) -> None:
        """Drop the subscription, if it is there. On return its worker has ended, and what it applied is on disk."""
        await self._task.target.write(lambda tx: drop_subscription(tx, self._name))

    async def _drop_slot(self) -> None:
        name = {"name": self._name}

        async def work(tx: Transaction) -> bool:
            await tx.read(QUERIES["end_sender"], name)
            await tx.read(QUERIES["drop_slot"], name)
            return await tx.one(QUERIES["find_slot"], name) is None

        async def dropped() -> None:
            if not await self._task.source.write(work):
                raise errors.DataUnavailable(
                    f"slot {self._name} of {self._task.source.shard.name} is still in use; run `atomic-guide shards"
                    " verify --repair` later"
                )

        await _again(dropped, _SLOT_SECONDS)

    async def _in_step(self) -> None:
        """Wait until every table is copied. Raises `DataUnavailable` where nothing goes on."""
        furthest, since = (0, 0), time.monotonic()
        while True:
            oid = await self._subscription()
            if oid is None:
                raise errors.DataUnavailable(f"the subscription {self._name} is gone; move it again")
            row = (await self._target.read(QUERIES["read_subscription"], {"oid": oid}))[0]
            if not row["missing"]:
                return
            # A copy that fails begins anew: only what is further than ever is headway.
            if (here := (row["stages"], row["copied"])) > furthest:
                furthest, since = here, time.monotonic()
            await self._check_slot()
            if time.monotonic() - since > self._task.limits.stall:
                raise errors.DataUnavailable(
                    f"the copy to {self._task.target.shard.name} stands still; its server's log says why"
                )
            await asyncio.sleep(_COPY_POLL_SECONDS)

    async def _near(self) -> None:
        """Wait until a change at the source is at the target within `limits.near`."""
        deadline = time.monotonic() + self._task.limits.stall
        while not await self._reaches(await self._position(self._source), self._task.limits.near):
            await self._check_slot()
            if time.monotonic() > deadline:
                raise errors.DataUnavailable(
                    f"{self._task.target.shard.name} does not catch up with {self._task.source.shard.name}; move it"
                    " again when there is less to do"
                )

    async def _reaches(self, position: int, limit: float) -> bool:
        """Whether the target has applied everything up to a position within a time."""
        began = nudged = time.monotonic()
        oid = await self._subscription()
        while oid is not None:
            row = (await self._target.read(QUERIES["read_subscription"], {"oid": oid}))[0]
            if row["position"] >= position:
                return True
            now = time.monotonic()
            if now - began > limit:
                return False
            if now - nudged > _NUDGE_SECONDS:
                nudged = now
                # A commit more: a position inside a record is passed only when the log goes on.
                await self._task.source.hold()
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _followed(self, say: Say) -> dict[str, tuple[int, str]]:
        """What the target has once it has the last change."""
        behind = await self._position(self._source)
        # Without one there were few rows, or an earlier mover has come further: the comparison shows what is here.
        if await self._subscription() is not None and not await self._reaches(behind, self._task.limits.pause):
            raise errors.DataUnavailable(f"the subscription {self._name} has stopped; move it again")
        say("finish", "both sides are compared")
        digests, _ = await asyncio.gather(self._digests(self._target), self._task.target.hold())
        return digests

    async def _digests(self, database: PostgresDatabase) -> dict[str, tuple[int, str]]:
        """Count and hash of each table's rows."""
        rows = await database.scan(self._task.rows.digests(), self._task.rows.params)
        return {row["name"]: (row["rows"], row["digest"]) for row in rows}

    async def _is_small(self) -> bool:
        """Whether a copy under the fence takes less time than anybody notices."""
        if not self._task.limits.direct:
            return False
        source = await self._digests(self._source)
        return sum(rows for rows, _ in source.values()) <= self._task.limits.direct

    async def _fetched(self) -> Work[None]:
        """The work that puts the source's rows into the target, in place of what it has of the scope."""
        rows = self._task.rows
        found = {table: await self._source.read(rows.select(table), rows.params) for table in tables()}

        async def put(tx: Transaction) -> None:
            await self._task.target.check_arriving(tx)
            for table, own in found.items():
                await tx.execute(rows.clear(table), rows.params)
                names = list(own[0].keys()) if own else []
                if own:
                    await tx.copy_rows(table.name, names, [[row[name] for name in names] for row in own])

        return put

    async def _subscription(self) -> int | None:
        row = await self._target.one(QUERIES["find_subscription"], {"name": self._name})
        return None if row is None else row["oid"]

    async def _check_slot(self) -> None:
        """Raise `DataUnavailable` where the log that is to be followed is lost, as after a failover of the source."""
        row = await self._source.one(QUERIES["find_slot"], {"name": self._name})
        if row is None or row["wal_status"] == "lost":
            raise errors.DataUnavailable(
                f"{self._task.source.shard.name} has lost the slot {self._name} (a failover, or"
                " max_slot_wal_keep_size); move it again"
            )

    async def _position(self, database: PostgresDatabase) -> int:
        row = await database.one(QUERIES["wal_position"])
        return 0 if row is None else row["position"]


async def drop_subscription(tx: Transaction, name: str) -> None:
    """Drop a subscription, if it is there, and leave its slot: with it, the drop could not be part of a transaction."""
    if await tx.one(QUERIES["find_subscription"], {"name": name}) is None:
        return
    for change in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
        await tx.execute(statement(change.format(f'SUBSCRIPTION "{name}"')))


def statement(text: str) -> Query:
    """A statement about publications or subscriptions, which take no parameters."""
    return Query("replication", "Set up or remove logical replication.", {None: text})


async def _again(call: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Make a call until it does not raise `DataUnavailable`."""
    async for attempt in retrying(lambda error: isinstance(error, errors.DataUnavailable), seconds=seconds):
        with attempt:
            await call()
