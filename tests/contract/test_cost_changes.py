"""Changes that save, on both engines: nothing half done, nothing done twice, and taken back without a trace."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import MetaData, Table

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Database, Params, Row, Transaction, Work
from atomic_guide.engines.data.queries import Query, parse_queries
from atomic_guide.engines.data.schema.directory import directory_metadata
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, NotFound
from atomic_guide.operations.costs.advise.model import Advice
from atomic_guide.operations.costs.assembly import Costs
from atomic_guide.operations.costs.changes import Changes
from atomic_guide.operations.costs.settings import CostSettings
from atomic_guide.operations.costs.terms import made_terms
from atomic_guide.operations.scaling.controls import Controls
from atomic_guide.operations.scaling.loop import Counted
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from tests.costs_recorded import DAY, lectures_week, record, stand
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

T = TypeVar("T")
BEGIN = 1_793_577_600.0
DAYS = 10
AUDITS = {"costs_audit", "scaling_audit"}


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def measured(units: float = 3.0) -> Any:
    def values(at: float) -> dict[Key, float]:
        return {
            Key("costs", "units", "web"): units,
            Key("web", "demand"): lectures_week(at),
            Key("rooms", "sockets"): 50.0,
            Key("rooms", "largest_room"): 20.0,
        }

    return values


async def saving(shards: Shards, **scaling: Any) -> tuple[Costs, ManualClock]:
    """A server that keeps three web processes and needs one, with ten days on record."""
    now = BEGIN + DAYS * DAY
    await record(shards.directory, BEGIN, now, measured())
    await stand(shards.directory, now, {"web": Counted(3, 0, 1, 6, 0.8, "auto")})
    web = FleetSettings(mode="auto", min=3, max=6, unit_price=0.10, **scaling)
    clock = ManualClock(now)
    return Costs(shards, clock, made_terms(ScalingSettings(web=web), CostSettings(look_back_days=DAYS))), clock


async def tables(directory: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the directory."""
    found = {}
    metadata: MetaData = directory_metadata
    table: Table
    for table in metadata.sorted_tables:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        text = f"-- name: q\n-- purpose: All rows.\nSELECT {columns} FROM {table.name}"
        rows = await directory.scan(parse_queries(text, "here")["q"])
        found[table.name] = sorted((tuple(row[column.name] for column in table.columns) for row in rows), key=repr)
    return found


def without(found: dict[str, list[tuple[Any, ...]]], names: set[str]) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in found.items() if name not in names}


async def advised(costs: Costs) -> Advice:
    found = await costs.recommendations(fresh=True)
    assert [one.id for one in found.recommendations] == ["web-fewest-1"]
    return found.recommendations[0]


async def test_applied_and_rolled_back_leaves_no_trace_but_the_audit(shards: Shards) -> None:
    costs, clock = await saving(shards)
    # Other operators' settings are there before, and stay as they are.
    await Controls(shards.directory).pause("workers", 3600, "a film is made")
    await Controls(shards.directory).set_bounds("workers", 2, None)
    before = await tables(shards.directory)
    assert "scaling_bounds" in before
    planned = await costs.apply("web-fewest-1", "anna", approved=False)
    assert not planned.applied
    assert without(await tables(shards.directory), set()) == before
    clock.advance(10)
    done = await costs.apply("web-fewest-1", "anna", approved=True)
    assert (done.applied, done.who) == (True, "anna")
    assert (await Controls(shards.directory).look())["web"].least == 1
    clock.advance(3600)
    assert await costs.rollback("web-fewest-1", "ben")
    after = await tables(shards.directory)
    assert without(after, AUDITS) == without(before, AUDITS)
    assert len(after["costs_audit"]) == 2
    entries = await Changes(shards.directory, clock).entries("web-fewest-1")
    assert [(one.who, one.what) for one in entries] == [("ben", "rolled back"), ("anna", "applied")]


async def test_bounds_that_an_operator_had_set_come_back_to_the_second(shards: Shards) -> None:
    costs, clock = await saving(shards)
    await Controls(shards.directory).set_bounds("web", 2, 5)
    before = await tables(shards.directory)
    clock.advance(100)
    await costs.apply("web-fewest-1", "anna", approved=True)
    control = (await Controls(shards.directory).look())["web"]
    assert (control.least, control.most) == (1, 5)
    assert await costs.rollback("web-fewest-1", "anna")
    assert without(await tables(shards.directory), AUDITS) == without(before, AUDITS)


async def test_doing_it_again_changes_nothing(shards: Shards) -> None:
    costs, clock = await saving(shards)
    before = await tables(shards.directory)
    first = await costs.apply("web-fewest-1", "anna", approved=True)
    once = await tables(shards.directory)
    clock.advance(5)
    again = await costs.apply("web-fewest-1", "ben", approved=True)
    assert (again.applied_at, again.who) == (first.applied_at, "anna")
    assert await tables(shards.directory) == once
    assert await costs.rollback("web-fewest-1", "anna")
    assert not await costs.rollback("web-fewest-1", "anna")
    assert without(await tables(shards.directory), AUDITS) == without(before, AUDITS)


class Crash(Exception):
    """The process dies here."""


class _Broken:
    """A transaction whose `survives`th statement is the last that the process sends."""

    def __init__(self, tx: Transaction, survives: int) -> None:
        self._tx = tx
        self._left = survives

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tx, name)
        if name == "dialect":
            return method

        async def counted(query: Query, params: Params | None = None) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Crash
            return await method(query, params)

        return counted


class Dying:
    """A database, behind which the process dies within its next unit of work."""

    def __init__(self, database: Database, survives: int) -> None:
        self._database = database
        self._survives = survives
        self.name, self.target = database.name, database.target

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        return await self._database.one(query, params)

    async def write(self, work: Work[T]) -> T:
        def broken(tx: Transaction) -> Awaitable[T]:
            return work(_Broken(tx, self._survives))

        return await self._database.write(broken)


async def test_a_crash_between_any_two_steps_leaves_all_or_nothing(shards: Shards) -> None:
    costs, clock = await saving(shards)
    advice = await advised(costs)
    before = await tables(shards.directory)
    survived = 0
    while True:
        dying: Any = Dying(shards.directory, survived)
        try:
            await Changes(dying, clock, "anna").apply(advice)
        except Crash:
            assert await tables(shards.directory) == before
            survived += 1
            continue
        break
    assert survived > 5
    applied = await tables(shards.directory)
    steps = 0
    while True:
        dying = Dying(shards.directory, steps)
        try:
            await Changes(dying, clock, "anna").rollback(advice.id)
        except Crash:
            assert await tables(shards.directory) == applied
            steps += 1
            continue
        break
    assert steps > 4
    assert without(await tables(shards.directory), AUDITS) == without(before, AUDITS)


async def test_on_one_fleet_one_change_at_a_time_and_nobodys_bounds_are_overwritten(shards: Shards) -> None:
    costs, clock = await saving(shards)
    advice = await advised(costs)
    changes = Changes(shards.directory, clock, "anna")
    await changes.apply(advice)
    other = msgspec.structs.replace(advice, id="web-fewest-2")
    with pytest.raises(Conflict, match="web has the change web-fewest-1 already"):
        await changes.apply(other)
    await Controls(shards.directory).set_bounds("web", 2, None)
    with pytest.raises(Conflict, match="somebody has set other bounds of web since web-fewest-1"):
        await changes.rollback(advice.id)
    with pytest.raises(NotFound, match="there is no change web-fewest-9"):
        await changes.rollback("web-fewest-9")
    by_hand = msgspec.structs.replace(advice, id="by-hand", change=None)
    with pytest.raises(Conflict, match="is advice: it cannot be done at run time; do it by hand"):
        await changes.apply(by_hand)
    with pytest.raises(NotFound, match="nonsense is not recommended; there are: "):
        await costs.apply("nonsense", "anna", approved=True)


async def test_two_operators_at_once_make_one_change(shards: Shards) -> None:
    costs, clock = await saving(shards)
    advice = await advised(costs)
    people = [Changes(shards.directory, clock, name) for name in ("anna", "ben", "carla", "dora")]
    made = await asyncio.gather(*(one.apply(advice) for one in people))
    assert len({(one.who, one.applied_at) for one in made if one is not None}) == 1
    entries = await Changes(shards.directory, clock).entries(advice.id)
    assert [entry.what for entry in entries] == ["applied"]
    taken = await asyncio.gather(*(one.rollback(advice.id) for one in people))
    assert sorted(taken) == [False, False, False, True]

    other = msgspec.structs.replace(advice, id="web-fewest-2")
    found = await asyncio.gather(*(one.apply(wanted) for one, wanted in zip(people, (advice, other) * 2, strict=True)),
                                 return_exceptions=True)  # fmt: skip
    refused = [one for one in found if isinstance(one, BaseException)]
    assert len(refused) == 2
    assert all(isinstance(one, Conflict) and "has the change web-fewest-" in one.message for one in refused), refused
    assert len(await Changes(shards.directory, clock).all()) == 1


async def test_what_was_really_saved_is_measured_against_what_would_have_run(shards: Shards) -> None:
    costs, clock = await saving(shards, quiet_share=1.0)
    advice = await advised(costs)
    await costs.apply(advice.id, "anna", approved=True)
    applied_at = clock.now()
    week = 7 * DAY

    def after(at: float) -> dict[Key, float]:
        # At night one process, by day two: what the record shows of the days after.
        return {**measured(2.0 if lectures_week(at) > 0.7 else 1.0)(at)}

    await record(shards.directory, applied_at, applied_at + week + DAY, after)
    clock.advance(week + 3600)
    explained = await costs.explain(advice.id)
    assert explained.verdict is not None
    assert explained.verdict.final
    units = explained.verdict.units
    assert 1 < units < 2
    assert explained.verdict.units_without == 3
    # What would have run less what ran, at ten cents an hour, for a week.
    expected = (3 - units) * Decimal("0.10") * 168
    assert abs(explained.verdict.saved - expected) <= Decimal("0.01")
    assert explained.verdict.outcome == ("hurt" if explained.verdict.minutes else "saved")
    await costs.tend()
    (kept,) = await costs.changes()
    assert kept.verdict == explained.verdict
    entries = await Changes(shards.directory, clock).entries(advice.id)
    assert [one.what for one in entries] == ["measured", "applied"]
    await costs.rollback(advice.id, "anna")
    assert (await Changes(shards.directory, clock).entries(advice.id))[0].details["verdict"][
        "outcome"
    ] == kept.verdict.outcome


async def test_a_change_that_hurts_is_told(shards: Shards) -> None:
    costs, clock = await saving(shards, quiet_share=1.0)
    advice = await advised(costs)
    await costs.apply(advice.id, "anna", approved=True)

    def jumps(at: float) -> dict[Key, float]:
        return {**measured(1.0)(at), Key("web", "demand"): 2.0 if at % DAY < 3600 else 0.1}

    await record(shards.directory, clock.now(), clock.now() + 2 * DAY, jumps)
    clock.advance(2 * DAY)
    verdict = (await costs.explain(advice.id)).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.final) == ("hurt", False)
    assert verdict.minutes > verdict.minutes_without == 0


async def test_too_little_on_record_and_no_prices_recommend_nothing(shards: Shards) -> None:
    costs, _ = await saving(shards)
    bare = Costs(shards, ManualClock(BEGIN + 2 * DAY), costs.settled)
    found = await bare.recommendations()
    assert "48.0 h were measured in the window, and a week (168 h) is needed" in found.why
    free = Costs(shards, ManualClock(BEGIN + DAYS * DAY), made_terms(ScalingSettings(), CostSettings()))
    assert "nothing has a price" in (await free.recommendations()).why
