"""Looking over copies: every object of a list is read in a store and compared with its SHA-256, and put right.

What is altered, truncated or missing is replaced by a copy from another store, which is read and compared while it
passes: from here first, then from the stores that were verified. What is put back is read back. Objects that no list
names are strays, such as those of a copy that was broken off; they are removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from atomic_guide.course.video.spread.jobs import content_of
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.engines.assets.copying import Content, check, copy, verified
from atomic_guide.engines.assets.manifest import Entry, list_place, place_of
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import ChecksumMismatch, NotFound, RetryLater, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.course.video.spread.catalog import Listed
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.assets.copying import Readable
    from atomic_guide.engines.assets.remote import RemoteStore
    from atomic_guide.engines.queues.lease import Lease

SCRUB = "assets.scrub"
_LIST = "the list"
_log = structlog.get_logger(__name__)


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with an object: missing, truncated, altered or stray; the store that it was healed from."""

    store: str
    name: str
    outcome: str
    healed_from: str | None = None


class Looked(msgspec.Struct, frozen=True):
    """What was read of a lecture in a store, and what was wrong with it."""

    tenant: str
    media: str
    store: str
    objects: int
    bytes: int
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        """Whether all is as it should be by now."""
        return all(one.healed_from is not None for one in self.findings)


def scrub_job(media: str, store: str) -> NewJob:
    """What looks over a lecture's copy in a store, and puts it right."""
    return NewJob(
        queue=QUEUE,
        kind=SCRUB,
        subject=f"files {media}",
        payload={"media": media, "store": store},
        unique_key=f"{SCRUB}:{media}:{store}",
    )


class Scrub(Unmourned):
    """Looks over one copy.

    Of a dead letter: the catalogue shows it.
    """

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts

    async def run(self, lease: Lease) -> None:
        """Read and heal. Raises `RetryLater` where something could not be healed."""
        payload = lease.job.payload
        listed = await self._parts.catalog.find(lease.job.key.tenant, str(payload["media"]))
        if listed is None:
            return
        looked = await look(self._parts, listed, str(payload["store"]), heal=True)
        for one in looked.findings:
            _log.warning("a copy was not what it should be", store=one.store, media=looked.media, outcome=one.outcome,
                         healed_from=one.healed_from)  # fmt: skip
        if not looked.sound:
            raise RetryLater("no store has a good copy of some objects; `atomic-guide assets verify` names them")


async def look(parts: SpreadParts, listed: Listed, store: str, *, heal: bool) -> Looked:
    """Read a lecture's copy in a store whole. Raises `Unavailable` for a store that is away, `NotFound` for no list."""
    manifest = await parts.manifest(listed)
    findings: list[Finding] = []
    entries = [*manifest.entries, *([Entry(_LIST, listed.list, len(manifest.encode()))] if store != LOCAL else [])]
    for entry in {_place(listed, store, entry): entry for entry in entries}.values():
        content = _content(entry)
        outcome = await check(_readable(parts, store), _place(listed, store, entry), content, parts.pace)
        if outcome != "ok":
            source = await _healed(parts, listed, store, entry) if heal else None
            findings.append(Finding(store, entry.name, outcome, source))
            parts.found[outcome, "healed" if source else "open"] += 1
    findings += [one async for one in _strays(parts, listed, store, heal=heal)]
    looked = Looked(listed.tenant, listed.media, store, len(entries), manifest.size, findings)
    if looked.sound:
        await parts.catalog.checked(listed, store)
    else:
        await parts.catalog.fail(listed, store, _summary(findings), _open(findings))
    return looked


async def _healed(parts: SpreadParts, listed: Listed, store: str, entry: Entry) -> str | None:
    """Replace an object by a good copy; where that came from, None where there is none."""
    for source in await _sources(parts, listed, store):
        good = (_readable(parts, source), _place(listed, source, entry))
        try:
            if store == LOCAL:
                name = _place(listed, store, entry)
                await parts.store.restore(name, verified(*good, _content(entry), parts.pace), entry.size)
            else:
                await copy(good, parts.remotes[store], _place(listed, store, entry), _content(entry), parts.pace)
        except (ChecksumMismatch, NotFound, Unavailable):
            continue
        return source
    return None


async def _sources(parts: SpreadParts, listed: Listed, store: str) -> list[str]:
    held = [one.store for one in await parts.catalog.replicas(listed.tenant, listed.media) if one.held is not None]
    return [name for name in (LOCAL, *held) if name != store and (name == LOCAL or name in parts.remotes)]


async def _strays(parts: SpreadParts, listed: Listed, store: str, *, heal: bool) -> AsyncIterator[Finding]:
    """What a store has and no list names, as long as nobody is copying there."""
    if store == LOCAL or not await _still(parts, listed, store):
        return
    remote = _remote(parts, store)
    kept = {listed.list, *(entry.sha256 for entry in (await parts.manifest(listed)).entries)}
    kept |= await _earlier(parts, listed)
    found = [name async for name, _ in remote.names(listed.prefix) if name.rpartition("/")[2] not in kept]
    if found and await _still(parts, listed, store):
        if heal:
            await remote.delete(found)
        for name in found:
            yield Finding(store, name.rpartition("/")[2], "stray", "removed" if heal else None)


async def _earlier(parts: SpreadParts, listed: Listed) -> set[str]:
    """The list before this one and what it names, which somebody may be watching still: all lists that are here."""
    kept: set[str] = set()
    folder = list_place(listed.prefix, listed.list).rpartition("/")[0]
    for path in await parts.store.names(folder):
        digest = path.rpartition("/")[2].removesuffix(".json")
        try:
            kept |= {digest, *(entry.sha256 for entry in (await parts.manifest(listed, digest)).entries)}
        except (NotFound, ChecksumMismatch):
            continue
    return kept


async def _still(parts: SpreadParts, listed: Listed, store: str) -> bool:
    """Whether a copy is complete, by the list that it is compared with."""
    found = {one.store: one for one in await parts.catalog.replicas(listed.tenant, listed.media)}.get(store)
    return found is not None and found.held == listed.list and found.state in {"verified", "failed"}


def _readable(parts: SpreadParts, store: str) -> Readable:
    return parts.store if store == LOCAL else _remote(parts, store)


def _remote(parts: SpreadParts, store: str) -> RemoteStore:
    found = parts.remotes.get(store)
    if found is None:
        raise NotFound(f"store {store} is not declared in assets.stores")
    return found


def _content(entry: Entry) -> Content:
    return Content(entry.sha256, entry.size, "application/json") if entry.name == _LIST else content_of(entry)


def _place(listed: Listed, store: str, entry: Entry) -> str:
    if store != LOCAL:
        return place_of(listed.prefix, entry.sha256)
    return list_place(listed.prefix, listed.list) if entry.name == _LIST else f"{listed.prefix}/{entry.name}"


def _open(findings: list[Finding]) -> dict[str, str]:
    """The objects of the list that are still wrong, with what they are."""
    return {one.name: one.outcome for one in findings if one.healed_from is None and one.outcome != "stray"}


def _summary(findings: list[Finding]) -> str:
    left = [one for one in findings if one.healed_from is None]
    counts = {
        outcome: sum(one.outcome == outcome for one in left) for outcome in dict.fromkeys(o.outcome for o in left)
    }
    return ", ".join(f"{count} objects {outcome}" for outcome, count in counts.items())
