"""What a tenant stores of lectures: reserved before bytes come, counted as they are made, given back when they go.

The account is in the directory, the lectures are in shards, and no transaction spans the two. So:

- Space is reserved before an upload's row is written. A crash between the two leaves a reservation that nothing
  stands for; the sweep (sweep.py) gives it back.
- Every change first takes hold of the tenant's row, so that two uploads cannot share the last bytes.
- Files go when the last lecture that shows them goes. Whoever begins to show them notes that first and reads their
  lecture's row afterwards; whoever removes a lecture removes the row first and looks for notes afterwards. So either
  the one sees the row gone, or the other sees the note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.limits import TENANT_BYTES
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import OutOfSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.course.video.settings import VideoSettings
    from atomic_guide.course.video.spread.spread import Spread
    from atomic_guide.engines.assets.store import Store
    from atomic_guide.engines.data.database import Database, Row, Transaction

QUERIES = load_queries(__package__)

_UNITS = ("kB", "MB", "GB", "TB", "PB")


class Standing(NamedTuple):
    """Bytes that a tenant uses and may use."""

    used: int
    allowed: int


class Counted(NamedTuple):
    """A lecture or upload as its row has it; `origin` is "COURSE/VIDEO" where it shows another's files."""

    key: CourseKey
    video: str
    origin: str
    bytes: int


class Account:
    """The accounts of all tenants; without state of its own, so that every part may have one."""

    def __init__(
        self, directory: Database, store: Store, settings: VideoSettings, clock: Clock, spread: Spread | None = None
    ) -> None:
        self._directory = directory
        self._store = store
        self._settings = settings
        self._clock = clock
        self._spread = spread

    async def standing(self, tenant: str) -> Standing | None:
        """What a tenant uses and may use; None for one that has never been counted."""
        row = await self._directory.one(QUERIES["read_space"], {"tenant": tenant})
        return self._standing(row) if row is not None else None

    async def reserve(self, key: CourseKey, video: str, wanted: int) -> None:
        """Set `wanted` bytes aside for an upload. Raises `OutOfSpace` where they do not fit."""

        async def work(tx: Transaction) -> None:
            standing = await self._held(tx, key.tenant)
            _check(standing, wanted)
            await self._put(tx, key, video, wanted)

        await self._directory.write(work)

    async def resize(self, key: CourseKey, video: str, size: int, *, checked: bool = False) -> None:
        """Count `size` bytes for a lecture from now on; `checked` raises `OutOfSpace` where that is too much."""
        found = await self._directory.one(QUERIES["find_file"], {"tenant": key.tenant, "media": video})
        if found is not None and found["bytes"] == size:
            return

        async def work(tx: Transaction) -> None:
            held = await tx.one(QUERIES["hold_space"], {"tenant": key.tenant})
            if held is None:
                # Never counted: whoever counts the tenant finds this lecture, too.
                return
            standing = self._standing(held)
            row = await tx.one(QUERIES["find_file"], {"tenant": key.tenant, "media": video})
            if checked:
                _check(standing, size - (row["bytes"] if row is not None else 0))
            await self._put(tx, key, video, size)

        await self._directory.write(work)

    async def measure(self, key: CourseKey, video: str) -> int:
        """Count what a lecture really has in the store; how much that is."""
        size = sum((await self._store.names(prefix_of(key, video))).values())
        await self.resize(key, video, size)
        return size

    async def expand(self, key: CourseKey, video: str, more: int) -> None:
        """Set `more` bytes aside beside what a lecture has in the store. Raises `OutOfSpace` where they do not fit."""
        size = sum((await self._store.names(prefix_of(key, video))).values())
        await self.resize(key, video, size + more, checked=True)

    async def check(self, tenant: str, wanted: int) -> None:
        """Raise `OutOfSpace` where `wanted` bytes more would not fit now; nothing is set aside."""
        standing = await self.standing(tenant)
        if standing is not None:
            _check(standing, wanted)

    async def add(self, tenant: str, found: Sequence[Counted]) -> None:
        """Count lectures of a tenant that are not counted yet, by what their rows say."""

        async def work(tx: Transaction) -> None:
            await self._held(tx, tenant)
            for one in found:
                row = await tx.one(QUERIES["find_file"], {"tenant": tenant, "media": one.video})
                if row is None:
                    # A copy's own files are its captions; the sweep measures them.
                    await self._put(tx, one.key, one.video, 0 if one.origin else one.bytes)
                await self._use(tx, one.key, one.video, one.video)
                if one.origin:
                    await self._use(tx, one.key, one.origin.rpartition("/")[2], one.video)

        await self._directory.write(work)

    async def uncounted(self, found: Sequence[Counted]) -> list[Counted]:
        """Those of some lectures that are not counted, or not with all that they show; one read for all."""
        asked = [
            {**one.key.columns, "video": one.video, "media": media}
            for one in found
            for media in (one.video, one.origin.rpartition("/")[2] or one.video)
        ]
        known = await self._directory.read_each(QUERIES["find_use"], asked)
        return [one for number, one in enumerate(found) if not (known[2 * number] and known[2 * number + 1])]

    async def uses(self, tenant: str, media: str) -> list[Row]:
        """The lectures that show files: bucket, course, video, since when."""
        return await self._directory.read(QUERIES["read_uses"], {"tenant": tenant, "media": media})

    async def let_go(self, key: CourseKey, video: str, origin: str = "") -> None:
        """Remove what a lecture, whose row is gone, leaves in the store, except what others show; give its space back.

        Safe to repeat.
        """
        await self._let_go(key, video, key, video)
        if origin:
            course, _, media = origin.rpartition("/")
            await self._let_go(CourseKey(key.tenant, course, 0), media, key, video)

    async def forget_use(self, tenant: str, media: str, use: Row) -> None:
        """Forget that a lecture shows files, because it is gone; the last one takes them along."""
        owner = await self._directory.one(QUERIES["find_file"], {"tenant": tenant, "media": media})
        at = CourseKey(tenant, use["course"], use["bucket"])
        course = owner["course"] if owner is not None else at.course
        await self._let_go(CourseKey(tenant, course, 0), media, at, use["video"])

    async def recount(self, tenant: str) -> None:
        """Make the sum right."""

        async def work(tx: Transaction) -> None:
            await tx.one(QUERIES["hold_space"], {"tenant": tenant})
            await tx.execute(QUERIES["recount_space"], {"tenant": tenant})

        await self._directory.write(work)

    async def _let_go(self, place: CourseKey, media: str, key: CourseKey, video: str) -> None:
        prefix = prefix_of(place, media)
        mine = (key.bucket, key.course, video)
        others = [one for one in await self.uses(key.tenant, media) if _identity(one) != mine]
        if not others:
            if self._spread is None or not await self._spread.forget(place, media):
                await self._store.delete_prefix(prefix)
        elif (place.course, media) == (key.course, video):
            # Captions are a lecture's own, even where others show what it shows.
            await self._store.delete_prefix(f"{prefix}/captions")
            if self._spread is not None:
                at = CourseKey(key.tenant, others[0]["course"], others[0]["bucket"])
                await self._spread.note(at, place.course, media)

        async def work(tx: Transaction) -> bool:
            await tx.one(QUERIES["hold_space"], {"tenant": key.tenant})
            names = {"tenant": key.tenant, "media": media, **key.columns, "video": video}
            await tx.execute(QUERIES["drop_use"], names)
            if await tx.read(QUERIES["read_uses"], {"tenant": key.tenant, "media": media}):
                return True
            row = await tx.one(QUERIES["find_file"], {"tenant": key.tenant, "media": media})
            if row is not None:
                await tx.execute(QUERIES["drop_file"], {"tenant": key.tenant, "media": media})
                await tx.execute(QUERIES["add_used"], {"tenant": key.tenant, "bytes": -row["bytes"]})
            return False

        if await self._directory.write(work):
            await self.measure(place, media)

    async def _held(self, tx: Transaction, tenant: str) -> Standing:
        row = await tx.one(QUERIES["lock_space"], {"tenant": tenant})
        return self._standing(row) if row is not None else Standing(0, self._settings.tenant_quota_bytes)

    async def _put(self, tx: Transaction, key: CourseKey, media: str, size: int) -> None:
        """Count files, in the transaction that holds the account."""
        names = {"tenant": key.tenant, "media": media}
        row = await tx.one(QUERIES["find_file"], names)
        now = self._clock.now()
        await tx.execute(QUERIES["put_file"], {**names, "course": key.course, "bytes": size, "now": now})
        await tx.execute(
            QUERIES["add_used"], {"tenant": key.tenant, "bytes": size - (row["bytes"] if row is not None else 0)}
        )
        if row is None:
            await self._use(tx, key, media, media)

    async def _use(self, tx: Transaction, key: CourseKey, media: str, video: str) -> None:
        names = {"media": media, **key.columns, "video": video, "now": self._clock.now()}
        await tx.execute(QUERIES["put_use"], names)

    def _standing(self, row: Row) -> Standing:
        allowed = row["allowed"]
        return Standing(max(0, row["used"]), self._settings.tenant_quota_bytes if allowed is None else allowed)


async def forget_tenant(directory: Database, tenant: str) -> None:
    """Forget the account of a tenant that was erased, with its limit."""

    async def work(tx: Transaction) -> None:
        for query in ("drop_tenant_uses", "drop_tenant_files", "drop_tenant_space"):
            await tx.execute(QUERIES[query], {"tenant": tenant})

    await directory.write(work)


def size_text(size: int) -> str:
    """Bytes for people: 4.2 GB."""
    shown, unit = float(size), "bytes"
    for larger in _UNITS:
        if shown < 1000:  # noqa: PLR2004 - a thousand of one are one of the next
            break
        shown, unit = shown / 1000, larger
    return f"{shown:.0f} {unit}" if unit == "bytes" else f"{shown:.1f} {unit}"


def _identity(use: Row) -> tuple[int, str, str]:
    return use["bucket"], use["course"], use["video"]


def _check(standing: Standing, wanted: int) -> None:
    if wanted > 0 and standing.used + wanted > standing.allowed:
        message = (
            f"your institution may keep {size_text(standing.allowed)} of lectures and has"
            f" {size_text(standing.used)}; {size_text(wanted)} more do not fit. Delete a lecture, or ask the server's"
            " operator for more space"
        )
        details = {"scope": "tenant", "used": standing.used, "allowed": standing.allowed, "wanted": wanted}
        raise TENANT_BYTES.over(OutOfSpace(message, details=details))
