"""The loop when things go wrong: nothing that is not known takes a unit away, and everything has a stated reason."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from atomic_guide import errors
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Engine
from atomic_guide.operations.scaling import acting, audit, loop
from atomic_guide.operations.scaling.events import Wanted
from atomic_guide.operations.scaling.leader import LEASE_SECONDS
from atomic_guide.operations.scaling.loop import Observer, recall_standing
from atomic_guide.operations.scaling.model import Decision, Expected, Key, Mode, Sample, Seen
from atomic_guide.operations.scaling.troubles import JUMP_REST_SECONDS
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_acts import Controller, RecordingTarget, TwoClocks, decision

DEMAND = Key("workers", "demand")


@pytest.fixture(params=ENGINES)
async def directory(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> TwoClocks:
    return TwoClocks()


async def led(controller: Controller) -> Controller:
    await controller.leader.campaign()
    return controller


def fewer(number: int, before: int = 3, after: int = 2, fleet: str = "workers") -> Decision:
    return decision(number, before, after, fleet)


async def states(controller: Controller) -> dict[str, str]:
    return {record.id: record.event.state for record in await controller.events.select(Wanted())}


@pytest.mark.parametrize("source", ["workers", "queues", "queues/video/backlog", "sampler"])
async def test_what_is_not_measured_takes_nothing_away_for_half_an_hour(
    directory: Engine, clock: TwoClocks, source: str
) -> None:
    target = RecordingTarget(ready=3)
    one = await led(Controller(directory, clock, target))
    one.sampler.make = lambda at: Seen(at, {}, {source: "no answer within 5 s"})
    for number in range(120):
        clock.advance(15)
        await one.leader.campaign()
        await one.decide(fewer(number))
    assert target.calls == []
    assert len(one.mind.withdrawn) == 120, "what is not done blocks nothing else"
    events = await one.events.select(Wanted())
    assert len(events) == 1, "it is told once, not 120 times"
    assert (
        events[0].event.error
        == f"nothing is taken away while something is not known (source {source}): no answer within 5 s"
    )
    one.sampler.make = lambda at: Seen(at, {DEMAND: 1.0})
    await one.decide(fewer(1000))
    assert target.calls == [(2, "d1000")]
    noted = [entry.what for entry in await audit.entries(directory, limit=1000) if "trouble" in entry.what]
    assert noted == ["trouble over", "trouble"]


async def test_what_another_fleet_is_judged_by_may_be_missing(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(ready=3)
    one = await led(Controller(directory, clock, target))
    one.sampler.make = lambda at: Seen(at, {}, {"database": "no answer within 5 s"})
    await one.decide(fewer(1))
    assert target.calls == [(2, "d1")]


async def test_more_is_added_although_something_is_not_known(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(ready=1)
    one = await led(Controller(directory, clock, target))
    one.sampler.make = lambda at: Seen(at, {}, {"workers": "no answer"})
    await one.decide(decision(1))
    assert target.calls == [(3, "d1")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
async def test_what_is_no_number_is_not_measured(directory: Engine, clock: TwoClocks, value: float) -> None:
    target = RecordingTarget(ready=3)
    one = await led(Controller(directory, clock, target))
    one.sampler.make = lambda at: Seen(at, {DEMAND: value, Key("web", "demand"): 2.0})
    await one.decide(fewer(1))
    assert target.calls == []
    assert one.mind.seen[-1].values == {Key("web", "demand"): 2.0}
    assert one.mind.seen[-1].missing == {"workers/demand": f"workers/demand was given as {value}, which cannot be"}
    standing = await recall_standing(one.events)
    assert standing is not None
    assert [(trouble.kind, trouble.subject) for trouble in standing.troubles] == [("source", "workers/demand")]


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
async def test_after_a_clock_has_jumped_nothing_is_taken_away_for_a_while(
    directory: Engine, clock: TwoClocks, jump: float
) -> None:
    target = RecordingTarget(ready=3)
    one = await led(Controller(directory, clock, target))
    await one.decide()
    clock.advance(15)
    clock.day += jump
    await one.leader.campaign()
    await one.decide(fewer(1))
    assert target.calls == []
    [held] = await one.events.select(Wanted())
    assert f"the clock jumped by {jump:+.0f} s" in held.event.error
    await one.decide(decision(2, 3, 4))
    assert target.calls == [(4, "d2")], "more may be added"
    clock.advance(JUMP_REST_SECONDS)
    await one.leader.campaign()
    await one.decide(fewer(3, 4, 3))
    assert target.calls[-1] == (3, "d3")


async def test_a_clock_that_jumps_in_an_act_neither_ends_nor_lengthens_it(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision(1))
    clock.day += 86_400
    clock.advance(20)
    await one.leader.campaign()
    await one.loop.beat()
    assert (await states(one))["d1"] == "acting"
    clock.day -= 2 * 86_400
    for _ in range(2):
        clock.advance(45)
        await one.leader.campaign()
        await one.loop.beat()
    assert (await states(one))["d1"] == "rolled_back"


async def test_a_policy_that_fails_changes_nothing_and_is_told_of(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(ready=3)
    one = await led(Controller(directory, clock, target))
    one.mind.fails = ZeroDivisionError("division by zero")
    await one.decide(fewer(1))
    assert target.calls == []
    entry, leads = await audit.entries(directory)
    assert (leads.what, leads.details) == ("leads", {"owner": one.leader.owner})
    assert (entry.what, entry.details["kind"], entry.details["why"]) == ("trouble", "policy", "division by zero")


async def test_sources_and_targets_that_hang_cost_no_more_than_their_time(
    directory: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAMPLE_SECONDS", 0.05)
    monkeypatch.setattr(loop, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(acting, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(acting, "ASK_SECONDS", 0.05)
    blind, deaf, well = RecordingTarget("web", ready=2), RecordingTarget(), RecordingTarget("replicas/s", ready=0)
    one = await led(Controller(directory, SystemClock(), blind, deaf, well))
    one.sampler.hangs = blind.hangs_looking = deaf.hangs = True
    async with asyncio.timeout(20):
        await one.decide(fewer(1, 2, 1, "web"), decision(2), decision(3, 0, 1, "replicas/s"))
    await one.loop.beat()
    assert blind.calls == []
    assert well.done == [(1, "d3")]
    assert await states(one) == {"d2": "acting", "d3": "done"}
    standing = await recall_standing(one.events)
    assert standing is not None
    assert {(one.kind, one.subject) for one in standing.troubles} == {("source", "sampler"), ("target", "web")}
    deaf.hangs, deaf.hangs_after_taking = False, True
    await one.loop.beat()
    deaf.hangs_after_taking = False
    await one.loop.beat()
    assert (await states(one))["d2"] == "done"
    assert deaf.done == [(3, "d2")], "asked three times under one key, done once"


async def test_a_new_leader_goes_on_with_what_the_old_one_knew(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    old = await led(Controller(directory, clock, target, name="old"))
    old.mind.memory = b'{"learnt":7}'
    await old.decide(decision(1))
    new = Controller(directory, clock, target, name="new")
    await new.leader.campaign()
    clock.advance(LEASE_SECONDS + 1)
    await new.leader.campaign()
    target.finish()
    await new.decide()
    assert new.mind.memory == b'{"learnt":7}'
    assert [(event.decision.id, event.state) for event in new.mind.heard] == [("d1", "done")]


async def test_who_does_not_lead_does_nothing(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = Controller(directory, clock, target)
    await one.decide(decision(1))
    await one.loop.beat()
    assert target.calls == []
    assert one.mind.seen == []
    assert await one.events.select(Wanted()) == []


async def test_an_act_outside_of_the_bounds_is_held_back(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target))
    await one.decide(decision(1, 1, 11))
    assert target.calls == []
    [held] = await one.events.select(Wanted())
    assert held.event.error == "11 units are outside 0 to 10"
    assert held.event.decision.rejected[0].what == "add_consumer: 1 to 11 units"


async def test_an_act_is_judged_when_its_windows_have_passed(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target))
    backlog, ended = Key("queues", "backlog", "video"), Key("queues", "throughput", "video")
    start = clock.now()

    async def live(seconds: int, jobs: float) -> None:
        for _ in range(seconds // 15):
            await one.series.store(clock.now(), [Sample(backlog, jobs), Sample(ended, 2.0)])
            clock.advance(15)
            await one.leader.campaign()

    await live(300, 12_000)
    await one.decide(
        msgspec.structs.replace(
            decision(1, at=clock.now()), expected=Expected("queues", "backlog", 1000, 120, part="video")
        )
    )
    await one.loop.beat()
    await live(285, 400)
    await one.decide()
    assert (await one.events.find("d1")).event.verdict is None
    await live(45, 400)
    await one.decide()
    verdict = (await one.events.find("d1")).event.verdict
    assert verdict is not None
    assert (verdict["outcome"], verdict["success"], verdict["cost_per_hour"]) == ("met", True, 1.0)
    assert verdict["before"]["value"] == 12_000
    assert verdict["after"]["value"] == 400
    assert verdict["before"]["load"] == 2.0
    assert verdict["before"]["since"] == start
    assert verdict["load_ratio"] == 1.0
    assert verdict["after"]["response_mean"] is None


async def test_what_is_only_watched_is_judged_by_the_demand(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(ready=1)
    one = await led(Controller(directory, clock, target, mode="shadow"))
    await one.decide(decision(1, at=clock.now()))
    for tick in range(64):
        await one.series.store(clock.now(), [Sample(DEMAND, 1.5 if tick == 10 else 0.5)])
        clock.advance(15)
        await one.leader.campaign()
    await one.decide()
    found = await one.events.find("d1")
    assert found.event.state == "shadowed"
    assert found.event.verdict is not None
    assert found.event.verdict["outcome"] == "met"
    assert target.calls == []


class Hearing(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def decided(self, decision: Decision, mode: Mode) -> None:
        self.heard.append(f"{decision.id} {decision.action} {mode}")

    def led(self, *, leading: bool) -> None:
        self.heard.append("leads" if leading else "follows")


async def test_the_loop_runs_on_whatever_happens(directory: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "BEAT_SECONDS", 0.01)
    hearing = Hearing()
    target = RecordingTarget()
    one = Controller(directory, SystemClock(), target, observers=[hearing])
    one.mind.next = [decision(1)]
    one.sampler.pause = 0.03
    running = asyncio.gather(one.leader.keep(), one.loop.run())
    try:
        async with asyncio.timeout(20):
            await until(lambda: bool(target.done))
            with monkeypatch.context() as patch:
                patch.setattr(one.events, "pending", broken)
                await asyncio.sleep(0.2)
            ticks = len(one.mind.seen)
            await until(lambda: len(one.mind.seen) > ticks + 2)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert "d1 add_consumer auto" in hearing.heard
    assert "leads" in hearing.heard


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.01)


async def broken() -> None:
    raise errors.DataUnavailable("the directory is away")


async def test_old_events_and_entries_are_forgotten(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target))
    await one.decide(decision(1, at=clock.now()))
    await one.loop.beat()
    await one.decide(decision(2, 3, 4, at=clock.now() + audit.KEPT_SECONDS))
    clock.advance(audit.KEPT_SECONDS + 60)
    await one.leader.campaign()
    await one.decide()
    assert set(await states(one)) == {"d2"}
    assert await audit.entries(directory, event="d1") == []
