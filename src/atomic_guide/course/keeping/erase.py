"""Erasing a person or a tenant for good: everywhere, with a receipt, and again after a backup is put back.

The order is what makes it safe. The erasure is written into the directory, then into the ledger (both durable), then
every process is given time to notice it and to end the sessions of whom it is about; only then rows go. A crash at
any step leaves an erasure that is pending, and `resume` completes it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from atomic_guide.clock import Clock, iso
from atomic_guide.course.keeping import ledger
from atomic_guide.course.keeping.forget import Forgetter
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.keeping.key import QUERIES, person_digest, tenant_digest
from atomic_guide.course.keeping.ledger import Record
from atomic_guide.course.keeping.places import PEOPLE
from atomic_guide.course.keeping.receipts import Receipt
from atomic_guide.course.keeping.survey import Whom, survey
from atomic_guide.engines.data.database import Database, Row, Transaction
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.tables import distinct_people, shapes
from atomic_guide.errors import Invalid, Unavailable

NOTICE_SECONDS = 2.5
"""How long running processes get to notice an erasure before the first row goes; they look once a second."""


class Erasure(NamedTuple):
    """An erasure as the directory has it."""

    record: Record
    state: str
    target: Whom | None
    finished_at: float | None
    receipt: Receipt | None

    def finished_before(self, moment: float) -> bool:
        """Whether it was done before a moment, so that a copy begun then holds nothing of it."""
        return self.finished_at is not None and self.finished_at < moment


class Copies(NamedTuple):
    """Other copies of the data: what became of each that was erased too, and the backups that still hold it."""

    erased: dict[str, str]
    backups: list[str]


Elsewhere = Callable[[Whom], Awaitable[Copies]]


async def nowhere(whom: Whom) -> Copies:
    """An `Elsewhere` for a folder that has no copies of its own."""
    del whom
    return Copies({}, [])


async def known_erasures(directory: Database) -> list[Erasure]:
    """Every erasure that a directory knows, the oldest first."""
    return [_erasure(row) for row in await directory.read(QUERIES["read_erasures"])]


class Erasures:
    """Erases in one installation; `ledgers` are the files that each erasure is appended to."""

    def __init__(self, shards: Shards, clock: Clock, key: bytes, forgetter: Forgetter, ledgers: list[Path]) -> None:
        self._shards = shards
        self._clock = clock
        self._key = key
        self._forgetter = forgetter
        self._ledgers = ledgers
        self.elsewhere: Elsewhere = nowhere
        self.notice_seconds = NOTICE_SECONDS

    async def preview(self, whom: Whom) -> Receipt:
        """What an erasure would find. Raises `Conflict` where a hold forbids it."""
        await self._check(whom)
        return self._receipt(self._record(whom), await self._forgetter.found(whom))

    async def erase(self, whom: Whom) -> Receipt:
        """Erase; the receipt once nothing is left. Raises `Conflict` where a hold forbids it."""
        await self._check(whom)
        record = self._record(whom)
        target = _Target(whom, await self._forgetter.found(whom))
        row = {**_columns(record), "target": msgspec.json.encode(target).decode(), "now": self._clock.now()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_erasure"], row)

        await self._shards.directory.write(work)
        return await self._carry_out(record, whom, target.found)

    async def resume(self, still_for: float = 0.0) -> list[Receipt]:
        """Complete what a crash interrupted: erasures that are pending and were begun at least `still_for` s ago."""
        rows = await self._shards.directory.read(QUERIES["read_erasures"])
        receipts = []
        for row in rows:
            if row["state"] == "pending" and self._clock.now() - row["changed_at"] >= still_for:
                target = msgspec.json.decode(row["target"], type=_Target)
                receipts.append(await self._carry_out(_record_of(row), target.whom, target.found))
        return receipts

    async def repeat(self, record: Record, everybody: set[tuple[str, str]]) -> bool:
        """Erase again in a restored copy whom a record stands for; whether anybody was found.

        Holds do not count: the erasure was admitted when it was made.
        """
        tenants = {tenant for tenant, _ in everybody if tenant_digest(self._key, tenant) == record.tenant}
        if record.kind == "tenant":
            whoms = [Whom(tenant=tenant) for tenant in sorted(tenants)]
        else:
            whoms = [
                Whom(tenant=tenant, user=user, videos=record.videos)
                for tenant, user in sorted(everybody)
                if user and tenant in tenants and person_digest(self._key, tenant, user) == record.person
            ]
        for whom in whoms:
            await self._forgetter.forget(whom)
        row = {**_columns(record), "now": self._clock.now()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["put_erasure"], row)

        await self._shards.directory.write(work)
        return bool(whoms)

    async def catch_up(self, records: list[Record], since: float | None = None) -> int:
        """Repeat the erasures that the databases are too old to know, and those done at or after `since`; how many.

        Databases become older than the ledger when a copy of them is put back by other means than `restore`.
        """
        known = {erasure.record.id: erasure for erasure in await known_erasures(self._shards.directory)}
        repeated = [
            record
            for record in records
            if record.id not in known
            or (since is not None and known[record.id].state == "done" and not known[record.id].finished_before(since))
        ]
        everybody = await self.everybody() if repeated else set()
        for record in repeated:
            await self.repeat(record, everybody)
        return len(repeated)

    async def everybody(self) -> set[tuple[str, str]]:
        """Every (tenant, person) that any table of a shard names, and (tenant, "") for every tenant."""
        found: set[tuple[str, str]] = set()
        for shard in self._shards.all():
            for place in PEOPLE:
                for column in place.people:
                    rows = await shard.scan(distinct_people(shapes("shard")[place.table], column))
                    found |= {(row["tenant"], row["person"]) for row in rows}
            rows = await shard.scan(distinct_people(shapes("shard")["courses"], "tenant"))
            found |= {(row["tenant"], "") for row in rows}
        rows = await self._shards.directory.scan(distinct_people(shapes("directory")["lti_deployments"], "tenant"))
        return found | {(row["tenant"], "") for row in rows} | {(tenant, "") for tenant, _ in found}

    async def _check(self, whom: Whom) -> None:
        if not whom.tenant:
            raise Invalid("say which tenant; `atomic-guide platforms list` shows them")
        seen = await survey(self._shards, whom)
        await Holds(self._shards.directory, self._clock).check(whom, {one.key.course for one in seen})

    async def _carry_out(self, record: Record, whom: Whom, found: dict[str, int]) -> Receipt:
        for path in self._ledgers:
            await asyncio.to_thread(ledger.append, path, self._key, record)
        await asyncio.sleep(self.notice_seconds)
        await self._forgetter.forget(whom)
        copies = await self.elsewhere(whom)
        left = await self._forgetter.found(whom)
        if left:
            raise Unavailable(f"rows of {whom.named()} came while it was erased ({left}); erase again", retry_after=5)
        receipt = self._receipt(record, found)
        receipt = msgspec.structs.replace(
            receipt,
            finished_at=iso(self._clock.now()),
            copies=copies.erased,
            backups=copies.backups,
        ).sealed(self._key)
        row = {"id": record.id, "now": self._clock.now(), "receipt": msgspec.json.encode(receipt).decode()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["finish_erasure"], row)

        await self._shards.directory.write(work)
        return receipt

    def _record(self, whom: Whom) -> Record:
        return Record(
            id=f"e{secrets.token_hex(8)}",
            kind="person" if whom.user else "tenant",
            tenant=tenant_digest(self._key, whom.tenant),
            person=person_digest(self._key, whom.tenant, whom.user) if whom.user else "",
            at=self._clock.now(),
            videos=whom.videos,
        )

    def _receipt(self, record: Record, found: dict[str, int]) -> Receipt:
        return Receipt(
            id=record.id,
            kind=record.kind,
            tenant=record.tenant,
            person=record.person,
            asked_at=iso(record.at),
            found=dict(sorted(found.items())),
            videos=record.videos,
        )


class _Target(msgspec.Struct):
    whom: Whom
    found: dict[str, int]


def _columns(record: Record) -> dict[str, object]:
    return {
        "id": record.id,
        "kind": record.kind,
        "tenant": record.tenant,
        "person": record.person,
        "videos": record.videos,
        "at": record.at,
    }


def _record_of(row: Row) -> Record:
    return Record(
        id=row["id"],
        kind=row["kind"],
        tenant=row["tenant"],
        person=row["person"],
        at=row["began_at"],
        videos=bool(row["videos"]),
    )


def _erasure(row: Row) -> Erasure:
    target = msgspec.json.decode(row["target"], type=_Target).whom if row["target"] else None
    receipt = msgspec.json.decode(row["receipt"], type=Receipt) if row["receipt"] else None
    return Erasure(_record_of(row), row["state"], target, row["finished_at"], receipt)
