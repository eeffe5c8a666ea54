"""What is known of lectures' files: their lists, and in which stores they are, in which state.

It is in the directory, beside the account of what tenants store: a lecture's files may be shown by courses of several
shards, and stay where they are when a course moves. Of each lecture there is a row, and one for each store; what each
object's SHA-256 is stands in the list, which is an object itself.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from atomic_guide.clock import iso
from atomic_guide.course.video.folders import prefix_of
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction

QUERIES = load_queries(__package__)

T = TypeVar("T", bound=msgspec.Struct)

_TIMES = ("changed_at", "verified_at")

_NAMED = 100
"""Wrong objects that are named: 3 kB of the row of a copy that has lost most of them."""


class Listed(NamedTuple):
    """A lecture's files: whose, in which course's folder they lie, which course's jobs are about them, their list."""

    tenant: str
    media: str
    place: str
    key: CourseKey
    list: str
    objects: int
    bytes: int

    @property
    def prefix(self) -> str:
        """The folder, in every store."""
        return prefix_of(CourseKey(self.tenant, self.place, 0), self.media)


class Wrong(msgspec.Struct, frozen=True):
    """Objects of a copy that are not what they should be: names with missing, truncated or altered.

    `more` are so many further ones, which are not named.
    """

    objects: dict[str, str] = {}
    more: int = 0


class Replica(msgspec.Struct, frozen=True):
    """A lecture's files in one store; times are since the epoch."""

    store: str
    state: str
    held: str | None
    done: int
    error: str | None
    changed_at: float
    verified_at: float | None
    wrong: Wrong = Wrong()


class Begun(NamedTuple):
    """Where copying goes on: so many objects are done, the store holds a list, and some of its objects are wrong."""

    done: int
    held: str | None
    wrong: Wrong


class Wanted(msgspec.Struct, frozen=True):
    """Which copies are meant; what is empty chooses all."""

    tenant: str = ""
    media: str = ""
    store: str = ""
    state: str = ""


class Placed(msgspec.Struct, frozen=True):
    """A lecture's files in one store, as a list shows them; times are ISO 8601, in UTC."""

    tenant: str
    media: str
    store: str
    state: str
    done: int
    error: str | None
    changed_at: str
    verified_at: str | None
    objects: int | None
    bytes: int | None
    wrong: Wrong


class Count(msgspec.Struct, frozen=True):
    """Copies in one store and state; `oldest` is when the first of them changed, in seconds since the epoch."""

    store: str
    state: str
    sets: int
    objects: int
    bytes: int
    oldest: float


class Catalog:
    """The rows; without state of its own."""

    def __init__(self, directory: Database, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def find(self, tenant: str, media: str) -> Listed | None:
        """A lecture's files as they were listed last."""
        row = await self._directory.one(QUERIES["find_set"], {"tenant": tenant, "media": media})
        return _listed(tenant, media, row) if row is not None else None

    async def put(self, listed: Listed, stores: Sequence[str]) -> None:
        """A list was made of what is here; it is to be in these stores, too."""
        names = {"tenant": listed.tenant, "media": listed.media, "now": self._clock.now(), "list": listed.list}
        row = {
            **names,
            "place": listed.place,
            "bucket": listed.key.bucket,
            "course": listed.key.course,
            "objects": listed.objects,
            "bytes": listed.bytes,
        }

        async def work(tx: Transaction) -> None:
            before = await tx.one(QUERIES["find_set"], names)
            await tx.execute(QUERIES["put_set"], row)
            for store in (LOCAL, *stores):
                await tx.execute(QUERIES["want_replica"], {**names, "store": store})
            if before is None or before["list"] != listed.list:
                await tx.execute(QUERIES["renew_replicas"], names)
                await tx.execute(QUERIES["end_copy"], {**names, "store": LOCAL, "done": listed.objects})

        await self._directory.write(work)

    async def replicas(self, tenant: str, media: str) -> list[Replica]:
        """Where a lecture's files are, by the names of the stores."""
        rows = await self._directory.read(QUERIES["read_replicas"], {"tenant": tenant, "media": media})
        return [_read(row, Replica) for row in rows]

    async def begin(self, listed: Listed, store: str) -> Begun | None:
        """Copying begins; None where it is to go."""
        params = self._names(listed, store)

        async def work(tx: Transaction) -> Row | None:
            return await tx.one(QUERIES["begin_copy"], params)

        row = await self._directory.write(work)
        return Begun(row["done"], row["held"], _wrong(row)) if row is not None else None

    async def note(self, listed: Listed, store: str, done: int) -> bool:
        """So many objects are there and were read back; False where they are to go."""
        return await self._change("note_copy", listed, store, done=done)

    async def end(self, listed: Listed, store: str) -> bool:
        """All are there; False where the list has changed meanwhile, or is gone."""
        return await self._change("end_copy", listed, store, done=listed.objects)

    async def fail(self, listed: Listed, store: str, error: str, wrong: Mapping[str, str] | None = None) -> None:
        """They are not there, or not as they should be; `wrong` are the objects that are not, where that is known."""
        found = None
        if wrong is not None:
            named = dict(itertools.islice(wrong.items(), _NAMED))
            found = msgspec.json.encode(Wrong(named, len(wrong) - len(named))).decode()
        await self._change("fail_replica", listed, store, error=error[:300], wrong=found)

    async def checked(self, listed: Listed, store: str) -> None:
        """They were read, and are what they should be."""
        await self._change("checked_replica", listed, store)

    async def page(self, wanted: Wanted, after: tuple[str, str, str], limit: int) -> list[Placed]:
        """Copies in the order of tenant, lecture and store."""
        tenant, media, store = after
        place = {"after_tenant": tenant, "after_media": media, "after_store": store, "limit": limit}
        rows = await self._directory.read(QUERIES["list_replicas"], {**msgspec.structs.asdict(wanted), **place})
        return [_read(row, Placed, *_TIMES) for row in rows]

    async def counts(self) -> list[Count]:
        """How many copies there are, by store and state."""
        rows = await self._directory.read(QUERIES["count_replicas"])
        return [msgspec.convert({name: row[name] for name in Count.__struct_fields__}, Count) for row in rows]

    async def _change(self, query: str, listed: Listed, store: str, **values: Any) -> bool:
        params = {**self._names(listed, store), **values}

        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES[query], params)

        return bool(await self._directory.write(work))

    def _names(self, listed: Listed, store: str) -> dict[str, Any]:
        names = {"tenant": listed.tenant, "media": listed.media, "store": store}
        return {**names, "list": listed.list, "now": self._clock.now()}


def _listed(tenant: str, media: str, row: Row) -> Listed:
    key = CourseKey(tenant, row["course"], row["bucket"])
    return Listed(tenant, media, row["place"], key, row["list"], row["objects"], row["bytes"])


def _read(row: Row, kind: type[T], *times: str) -> T:
    """A row as one of these; `times` are the columns of it that are told as text."""
    values = {name: row[name] for name in kind.__struct_fields__ if name != "wrong"}
    values |= {name: iso(values[name]) for name in times if values[name] is not None}
    return msgspec.convert({**values, "wrong": _wrong(row)}, kind)


def _wrong(row: Row) -> Wrong:
    return msgspec.json.decode(row["wrong"], type=Wrong) if row["wrong"] else Wrong()
