"""Deleting everywhere, with a receipt: every store is asked until it has said that nothing is left there.

What is to go is written down first, with the stores that may have some of it: those of the settings and those that ever
had. From then on nobody copies it or plays it. A store that is away is asked again until it answers; the receipt says
when each has, after how many tries, and how many objects it removed. Once all have, the name of what is gone is
forgotten, too: a digest stands for it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.course.video.spread.purging import purge_job
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import GuideError, NotFound, RetryLater, Unavailable

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.queues.lease import Lease

DELETE = "assets.delete"
_AGAIN_SECONDS = 30.0
"""How long whoever is just copying has to notice that what it copies is to go: it looks after each stretch."""
_PAGE = 200


class Seals(NamedTuple):
    """The installation's key at work: what stands for a folder, and the seal of a receipt's bytes."""

    digest: Callable[[str], str]
    seal: Callable[[bytes], str]


class Answer(msgspec.Struct, frozen=True):
    """What a store has said: how many objects it removed, after how many tries; `gone_at` once nothing is left."""

    store: str
    objects: int
    tries: int
    error: str | None
    gone_at: str | None


class Receipt(msgspec.Struct, frozen=True):
    """A deletion: `digest` stands for what was deleted; `seal` is of everything else, once all stores have answered."""

    id: str
    digest: str
    asked_at: str
    finished_at: str | None
    stores: list[Answer]
    seal: str = ""


class _Place(NamedTuple):
    tenant: str
    media: str

    @property
    def params(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "media": self.media}


class Deletions:
    """The deletions of an installation."""

    def __init__(self, parts: SpreadParts, seals: Seals) -> None:
        self._parts = parts
        self._seals = seals
        self._directory = parts.shards.directory

    async def ask(self, folder: str, attempted: Container[str] = ()) -> str | None:
        """Have a lecture's folder, or a tenant's, gone from every store; the deletion's id, None without stores.

        Whoever asks attempts the stores `attempted` at once: their jobs wait meanwhile. Of two that ask a store
        together, the one that finds nothing left may note its answer first, and what the other removed is not counted.
        """
        place = _place(folder)
        number = f"d{secrets.token_hex(8)}"
        row = {"id": number, "folder": folder, "digest": self._seals.digest(folder), "now": self._parts.clock.now()}

        async def work(tx: Transaction) -> list[str]:
            had = {str(one["store"]) for one in await tx.read(QUERIES["stores_of"], place.params)} - {LOCAL}
            stores = sorted({*had, *self._parts.remotes})
            await tx.execute(QUERIES["leave_replicas"], {**place.params, **row})
            await tx.execute(QUERIES["drop_left"], {**place.params, "store": LOCAL})
            await tx.execute(QUERIES["leave_sets"], place.params)
            if stores:
                await tx.execute(QUERIES["add_deletion"], row)
                for store in stores:
                    await tx.execute(QUERIES["add_answer"], {"id": number, "store": store})
            return stores

        stores = await self._directory.write(work)
        for store in stores:
            await self._publish(number, store, place.tenant, _AGAIN_SECONDS if store in attempted else 0.0)
        if stores and self._parts.settings.cdn.purge_url is not None:
            await self._put(purge_job(number, folder), place.tenant)
        return number if stores else None

    async def attempt(self, number: str, store: str) -> Answer:
        """Ask one store; what it has said. Never raises for a store that is away."""
        row = await self._directory.one(QUERIES["find_deletion"], {"id": number})
        if row is None:
            raise NotFound(f"there is no deletion {number[:40]}")
        if row["folder"] is not None:
            await self._ask_store(number, store, str(row["folder"]))
        receipt = await self._receipt(row)
        if row["folder"] is not None and all(one.gone_at for one in receipt.stores):
            receipt = await self._finish(row)
        return next(one for one in receipt.stores if one.store == store)

    async def attempt_all(self, number: str) -> Receipt:
        """Ask every store once; the receipt as far as it is."""
        for row in await self._directory.read(QUERIES["read_answers"], {"id": number}):
            if row["answered_at"] is None:
                await self.attempt(number, row["store"])
        return await self.find(number)

    async def find(self, number: str) -> Receipt:
        """The receipt of a deletion, as far as it is. Raises `NotFound`."""
        row = await self._directory.one(QUERIES["find_deletion"], {"id": number})
        if row is None:
            raise NotFound(f"there is no deletion {number[:40]}")
        return await self._shown(row)

    async def latest(self, limit: int) -> list[Receipt]:
        """The receipts of the latest deletions."""
        return [
            await self._shown(row) for row in await self._directory.read(QUERIES["list_deletions"], {"limit": limit})
        ]

    async def remind(self) -> int:
        """Publish the jobs of deletions that wait for a store and have none; how many stores are waited for."""
        after, waiting = "", 0
        while rows := await self._directory.read(QUERIES["open_deletions"], {"after": after, "limit": _PAGE}):
            for row in rows:
                for one in await self._directory.read(QUERIES["read_answers"], {"id": row["id"]}):
                    if one["answered_at"] is None:
                        await self._publish(row["id"], one["store"], _place(row["folder"]).tenant)
                        waiting += 1
            after = rows[-1]["id"]
        return waiting

    async def waiting(self) -> int:
        """How many deletions wait for a store."""
        row = await self._directory.one(QUERIES["count_deletions"])
        return int(row["open"]) if row is not None else 0

    def is_sealed(self, receipt: Receipt) -> bool:
        """Whether this installation wrote a receipt, and nobody changed it."""
        return hmac.compare_digest(receipt.seal, self._seals.seal(_unsealed(receipt)))

    async def _ask_store(self, number: str, store: str, folder: str) -> None:
        removed, error, gone = 0, None, False
        place = _place(folder)
        remote = self._parts.remotes.get(store)
        if remote is None:
            error = f"store {store} is no longer declared; put it back into assets.stores until it has answered"
        else:
            try:
                removed = await remote.delete_prefix(folder)
                if store == self._parts.settings.main:
                    removed += await self._parts.store.delete_prefix(folder)
                gone = await self._nobody_copies(place, store)
                error = None if gone else "something was just being copied there; it is looked at again"
            except GuideError as failed:
                error = failed.message
        note = {"id": number, "store": store, "objects": removed, "error": error}
        note["answered_at"] = self._parts.clock.now() if gone else None

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["note_answer"], note)
            if gone:
                await tx.execute(QUERIES["drop_left"], {**place.params, "store": store})

        await self._directory.write(work)

    async def _nobody_copies(self, place: _Place, store: str) -> bool:
        """Whether nobody can be writing there any more; asked a second time, that is so."""
        params = {**place.params, "store": store, "now": self._parts.clock.now()}

        async def work(tx: Transaction) -> bool:
            if await tx.one(QUERIES["being_copied"], params) is None:
                return True
            await tx.execute(QUERIES["stopped_copying"], params)
            return False

        return await self._directory.write(work)

    async def _finish(self, row: Row) -> Receipt:
        now = self._parts.clock.now()
        receipt = msgspec.structs.replace(await self._receipt(row), finished_at=iso(now))
        receipt = msgspec.structs.replace(receipt, seal=self._seals.seal(_unsealed(receipt)))
        params = {"id": row["id"], "now": now, "receipt": msgspec.json.encode(receipt).decode()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["finish_deletion"], params)

        await self._directory.write(work)
        return receipt

    async def _shown(self, row: Row) -> Receipt:
        return msgspec.json.decode(row["receipt"], type=Receipt) if row["receipt"] else await self._receipt(row)

    async def _receipt(self, row: Row) -> Receipt:
        rows = await self._directory.read(QUERIES["read_answers"], {"id": row["id"]})
        answers = [
            Answer(one["store"], one["objects"], one["tries"], one["error"], _when(one["answered_at"])) for one in rows
        ]
        return Receipt(row["id"], row["digest"], iso(row["asked_at"]), None, answers)

    async def _publish(self, number: str, store: str, tenant: str, delay: float = 0.0) -> None:
        job = NewJob(
            queue=QUEUE,
            kind=DELETE,
            delay=delay,
            subject=f"deletion {number}",
            payload={"deletion": number, "store": store},
            unique_key=f"{DELETE}:{number}:{store}",
        )
        await self._put(job, tenant)

    async def _put(self, job: NewJob, tenant: str) -> None:
        try:
            await self._parts.queues.publish_system(job, self._parts.shards.zone_of(tenant))
        except Unavailable:
            # What is written down is reminded of.
            return


class Delete(Unmourned):
    """Asks one store to delete.

    Of a dead letter: the deletion stays open; the next reminder publishes another.
    """

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions

    async def run(self, lease: Lease) -> None:
        """Ask; safe to repeat."""
        payload = lease.job.payload
        answer = await self._deletions.attempt(str(payload["deletion"]), str(payload["store"]))
        if answer.gone_at is None:
            raise RetryLater(answer.error or "not all is gone", delay=_AGAIN_SECONDS)


def _place(folder: str) -> _Place:
    """Whose folder it is: TENANT, or TENANT/COURSE/video/MEDIA."""
    parts = folder.split("/")
    return _Place(parts[0], parts[-1] if len(parts) > 1 else "")


def _unsealed(receipt: Receipt) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(receipt, seal=""))


def _when(at: float | None) -> str | None:
    return iso(at) if at is not None else None
