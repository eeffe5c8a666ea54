"""Whether directory and shards agree on who owns what, and whether moves have left anything behind.

Buckets that move, or have moved while this looked, are passed over. `repair` does what loses nothing: the only rows
that it removes are copies that were still arriving, which nobody has answered from or written to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock, SystemClock
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.moves.judge import Entry, Finding, Key, Verdict, Zone, judge_entries, judge_rows
from atomic_guide.engines.data.moves.ledger import QUERIES, Ledger, Override
from atomic_guide.engines.data.moves.move import Move, Scope
from atomic_guide.engines.data.moves.rows import Rows, buckets_of, courses_of, tables
from atomic_guide.engines.data.moves.side import Side
from atomic_guide.engines.data.ownership import QUERIES as MAP
from atomic_guide.engines.data.shard import Shard
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase

_REMEDY = "`atomic-guide shards verify --repair` removes it"


async def verify(shards: Shards, *, repair: bool = False, clock: Clock | None = None) -> Sequence[Finding]:
    """Every finding, by shard; with `repair`, those that were put right say so.

    Raises `DataUnavailable` where a database does not answer, `Unavailable` where a shard is not configured.
    """
    inspector = _Inspector(shards, clock or SystemClock())
    before = await inspector.read_directory()
    verdicts = await inspector.look(before)
    after = await inspector.read_directory()
    moved = before.moving | after.moving | {key[:2] for key in _changed(before, after)}
    found = [each for each in verdicts if (each.zone, each.verdict.key[0]) not in moved]
    findings = [await inspector.settled(each, after, repair=repair) for each in found]
    return [*findings, *await inspector.leftovers(repair=repair)]


class _Directory(NamedTuple):
    """What the directory says: where everything is, by zone, and which buckets are moving, by zone and bucket."""

    places: dict[str, dict[Key, tuple[str, int]]]
    overrides: dict[tuple[str, int], list[Override]]
    moving: set[tuple[str, int]]


class _Located(NamedTuple):
    zone: str
    verdict: Verdict
    token: int


def _changed(before: _Directory, after: _Directory) -> Iterator[tuple[str, int]]:
    for zone in before.places.keys() | after.places.keys():
        one, other = before.places.get(zone, {}), after.places.get(zone, {})
        for key in one.keys() | other.keys():
            if one.get(key) != other.get(key):
                yield zone, key[0]


class _Inspector:
    def __init__(self, shards: Shards, clock: Clock) -> None:
        self._shards = shards
        self._clock = clock
        self._ledger = Ledger(shards.directory, clock)

    async def read_directory(self) -> _Directory:
        """The directory's side, now."""
        found = _Directory({}, {}, {(move.scope.zone, move.scope.bucket) for move in await self._ledger.under_way()})
        for row in await self._shards.directory.read(MAP["read_map"]):
            found.places.setdefault(row["zone"], {})[row["bucket"], "", ""] = (row["shard"], row["epoch"])
        for row in await self._shards.directory.read(QUERIES["list_overrides"]):
            key = (row["bucket"], row["tenant"], row["course"])
            found.places.setdefault(row["zone"], {})[key] = (row["shard"], row["epoch"])
            override = Override(row["tenant"], row["course"], row["shard"], row["epoch"])
            found.overrides.setdefault((row["zone"], row["bucket"]), []).append(override)
        return found

    async def look(self, directory: _Directory) -> list[_Located]:
        """Every shard's side, beside the directory's."""
        found = []
        for name, places in sorted(directory.places.items()):
            zone = Zone(places, {shard.name: await _entries(shard.primary) for shard in self._of_zone(name)})
            for shard in self._of_zone(name):
                verdicts = list(judge_entries(zone, shard.name))
                for key in await _kept(shard.primary, zone):
                    verdicts += judge_rows(zone, shard.name, key)
                said = zone.entries[shard.name]
                tokens = {key[0]: entry.token for key, entry in said.items() if not key[2]}
                found += [_Located(name, each, tokens.get(each.key[0], 0)) for each in verdicts]
        return found

    async def settled(self, located: _Located, directory: _Directory, *, repair: bool) -> Finding:
        """A finding, put right where that is wanted and can be done."""
        finding = located.verdict.finding
        if not repair or located.verdict.act is None:
            return finding
        bucket, tenant, course = located.verdict.key
        scope = Scope(located.zone, bucket, tenant, course)
        overrides = directory.overrides.get((located.zone, bucket), [])
        try:
            await self._act(located, scope, overrides)
        except errors.GuideError as error:
            return msgspec.structs.replace(finding, remedy=f"could not be repaired: {error.message}")
        return msgspec.structs.replace(finding, repaired=True)

    async def leftovers(self, *, repair: bool) -> list[Finding]:
        """What moves have left on servers."""
        if all(isinstance(shard.primary, SqliteDatabase) for shard in self._all()):
            return []
        from atomic_guide.engines.data.moves.leftovers import things_of_moves  # noqa: PLC0415 - for servers only
        from atomic_guide.engines.data.postgres import PostgresDatabase  # noqa: PLC0415 - as above

        things = await things_of_moves([s.primary for s in self._all() if isinstance(s.primary, PostgresDatabase)])
        # Afterwards: what a move has set up meanwhile is not left over.
        under_way = {move.id for move in await self._ledger.under_way()}
        found = []
        for left in [each for each in things if each.move not in under_way]:
            text = f"has the {left.kind} {left.name} of a move that is not under way"
            finding = Finding("leftover", left.database.name, text, _REMEDY)
            if repair:
                try:
                    await left.remove()
                    finding = msgspec.structs.replace(finding, repaired=True)
                except errors.GuideError as error:
                    finding = msgspec.structs.replace(finding, remedy=f"could not be removed: {error.message}")
            found.append(finding)
        return found

    async def _act(self, located: _Located, scope: Scope, overrides: Sequence[Override]) -> None:
        shard = self._shards.named(located.verdict.finding.shard)
        place = (await self._ledger.bucket_owner(scope))[1]
        apart = next((each for each in overrides if (each.tenant, each.course) == (scope.tenant, scope.course)), None)
        side = Side(shard, _as_move(scope, shard, located.token, apart.epoch if apart else place), self._clock)
        act = located.verdict.act
        if act == "own":
            await side.unfence(apart=True)
        elif act == "let_go":
            await side.leave()
        elif act == "rejoin":
            await side.own(apart=False)
        elif await side.withdraw():
            await side.purge(Rows(scope, overrides))
            await side.forget()

    def _all(self) -> list[Shard]:
        return [each.shard for each in self._shards.all()]

    def _of_zone(self, zone: str) -> list[Shard]:
        return [shard for shard in self._all() if shard.zone == zone]


def _as_move(scope: Scope, shard: Shard, token: int, epoch: int) -> Move:
    """What a repair changes at a shard, under the token of the last mover that was there."""
    return Move("repair", scope, shard.name, shard.name, epoch, "cleaning", "", 0, token, 0, 0, None, None, 0, 0)


async def _entries(database: Database) -> dict[Key, Entry]:
    rows = await database.read(QUERIES["list_entries"])
    return {
        (row["bucket"], row["tenant"], row["course"]): Entry(row["state"], row["epoch"], row["token"]) for row in rows
    }


async def _kept(database: Database, zone: Zone) -> Collection[Key]:
    """What a shard has rows of: whole buckets; and of buckets with courses apart, each course."""
    apart = {key[0] for key in zone.places if key[2]}
    buckets: set[int] = set()
    for table in tables():
        buckets |= {row["bucket"] for row in await database.scan(buckets_of(table))}
    kept: set[Key] = {(bucket, "", "") for bucket in buckets - apart}
    for bucket in buckets & apart:
        for table in tables():
            rows = await database.scan(courses_of(table), {"bucket": bucket})
            kept |= {(bucket, row["tenant"], row["course"]) for row in rows}
    return sorted(kept)
