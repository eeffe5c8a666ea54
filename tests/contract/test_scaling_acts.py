"""Decisions carried out through a target, on both engines: once, watched, taken back once, by whichever leader."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.database import Engine
from atomic_guide.operations.scaling import audit
from atomic_guide.operations.scaling.events import Record, Wanted
from atomic_guide.operations.scaling.leader import LEASE_SECONDS, Deposed
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_acts import SETTINGS, Controller, RecordingTarget, TwoClocks, decision, refusal


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


async def taken_over(old: Controller, new: Controller, clock: TwoClocks) -> None:
    await new.leader.campaign()
    clock.advance(LEASE_SECONDS + 1)
    assert await new.leader.campaign()
    assert not old.leader.leading


async def state(controller: Controller, event: str = "d1") -> Record:
    return await controller.events.find(event)


async def test_a_decision_is_done_once_and_told_of(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision())
    assert (await state(one)).event.state == "acting"
    await one.loop.beat()
    target.finish()
    clock.advance(5)
    await one.loop.beat()
    found = await state(one)
    assert found.event.state == "done"
    assert found.event.started_at == found.event.ended_at - 5 if found.event.ended_at else False
    assert target.calls == [(3, "d1")]
    assert [event.state for event in one.mind.heard] == ["done"]
    await one.decide(decision())
    assert target.calls == [(3, "d1")], "its id is its key"
    assert [entry.what for entry in await audit.entries(directory, event="d1")] == ["done", "acting"]


async def test_a_second_act_on_a_fleet_waits_for_the_first(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision(1))
    await one.decide(decision(2, 3, 5))
    assert one.mind.under_way[-1] == {"workers": decision(1)}
    assert (await state(one, "d2")).event.state == "refused"
    assert (await state(one, "d2")).event.error == "an act on the fleet is under way"
    assert not await one.acting.begin(decision(3, 3, 5), "auto")
    with pytest.raises(errors.NotFound):
        await state(one, "d3")
    assert target.calls == [(3, "d1")]


async def test_what_is_not_ready_in_time_is_taken_back_once(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision())
    for _ in range(8):
        clock.advance(10)
        await one.leader.campaign()
        await one.loop.beat()
    found = await state(one)
    assert found.event.state == "rolled_back"
    assert found.event.error == "1 ready and 2 starting of 3 after 60 s"
    assert target.done == [(3, "d1"), (1, "d1/back")]
    assert target.wanted == 1


async def test_a_target_that_refuses_has_changed_nothing(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    target.refuses = refusal()
    one = await led(Controller(directory, clock, target))
    await one.decide(decision())
    found = await state(one)
    assert (found.event.state, found.event.error) == ("failed", "the target refused: there is no room for another")
    assert target.calls == [(3, "d1")]
    assert [event.state for event in one.mind.heard] == ["failed"]


async def test_a_target_that_does_not_answer_is_asked_again_under_the_same_key(
    directory: Engine, clock: TwoClocks
) -> None:
    target = RecordingTarget()
    target.refuses = errors.Unavailable("no connection")
    one = await led(Controller(directory, clock, target))
    await one.decide(decision())
    assert (await state(one)).step == "asking"
    target.refuses = None
    await one.loop.beat()
    await one.loop.beat()
    assert (await state(one)).event.state == "done"
    assert {key for _, key in target.calls} == {"d1"}


async def test_a_target_that_is_away_until_the_end_leaves_a_failure_with_its_reason(
    directory: Engine, clock: TwoClocks
) -> None:
    target = RecordingTarget()
    target.refuses = errors.Unavailable("no connection")
    one = await led(Controller(directory, clock, target))
    await one.decide(decision())
    target.blind = errors.Unavailable("no connection")
    for _ in range(13):
        clock.advance(10)
        await one.leader.campaign()
        await one.loop.beat()
    found = await state(one)
    assert found.event.state == "failed"
    assert "could not be looked at for 120 s" in found.event.error


async def test_what_somebody_else_has_changed_is_left_alone(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision())
    target.wanted = target.ready = 0
    await one.loop.beat()
    found = await state(one)
    assert found.event.state == "failed"
    assert "somebody else has changed the fleet: 0 units" in found.event.error
    assert target.calls == [(3, "d1")]


@pytest.mark.parametrize("asked", [False, True])
async def test_a_new_leader_finishes_what_the_old_one_began(
    directory: Engine, clock: TwoClocks, *, asked: bool
) -> None:
    target = RecordingTarget(at_once=False)
    old = await led(Controller(directory, clock, target, name="old"))
    await old.events.record(decision(), "auto", "acting")
    if asked:
        await old.acting.carry_on(await old.events.pending())
    new = Controller(directory, clock, target, name="new")
    await taken_over(old, new, clock)
    await new.loop.beat()
    target.finish()
    await new.loop.beat()
    assert (await state(new)).event.state == "done"
    assert target.done == [(3, "d1")]
    await old.loop.tick()
    assert target.done == [(3, "d1")]


async def test_a_new_leader_goes_back_where_the_time_is_over(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    old = await led(Controller(directory, clock, target, name="old"))
    await old.decide(decision())
    new = Controller(directory, clock, target, name="new")
    clock.advance(SETTINGS.act_seconds)
    await taken_over(old, new, clock)
    await new.loop.beat()
    assert (await state(new)).step == "returning"
    await new.loop.beat()
    assert (await state(new)).event.state == "rolled_back"
    assert target.done == [(3, "d1"), (1, "d1/back")]
    assert target.ready == 1


async def test_a_new_leader_asks_back_once_more_before_it_says_so(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    old = await led(Controller(directory, clock, target, name="old"))
    await old.events.record(decision(), "auto", "acting")
    await old.events.advance(await state(old), "returning", "no answer")
    new = Controller(directory, clock, target, name="new")
    await taken_over(old, new, clock)
    await new.loop.beat()
    await new.loop.beat()
    assert (await state(new)).event.state == "rolled_back"
    await target.scale(3, "d1")
    assert target.ready == 1, "the old leader's wish comes late, and is nothing any more"


async def test_the_old_leader_cannot_end_what_the_new_one_has(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(at_once=False)
    slow = TwoClocks()
    old = await led(Controller(directory, slow, target, name="old"))
    await old.decide(decision())
    new = Controller(directory, clock, target, name="new")
    await new.leader.campaign()
    clock.advance(LEASE_SECONDS + 1)
    await new.leader.campaign()
    assert old.leader.leading
    record = await state(old)
    with pytest.raises(Deposed):
        await old.events.end(record, "done")
    with pytest.raises(Deposed):
        await old.loop.tick()
    assert (await state(new)).event.state == "acting"


async def test_a_target_that_forgot_a_wish_with_its_server_is_asked_again(directory: Engine, clock: TwoClocks) -> None:
    old = await led(Controller(directory, clock, RecordingTarget(at_once=False), name="old"))
    await old.decide(decision())
    await old.leader.step_down()
    again = RecordingTarget()
    new = await led(Controller(directory, clock, again, name="new"))
    await new.loop.beat()
    await new.loop.beat()
    assert (await state(new)).event.state == "done"
    assert again.calls == [(3, "d1")]


async def test_an_act_begins_from_what_is_counted_and_goes_back_there(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget(ready=1, at_once=False)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision(1, 2, 3))
    for _ in range(8):
        clock.advance(10)
        await one.leader.campaign()
        await one.loop.beat()
    assert (await state(one)).event.state == "rolled_back"
    assert target.done == [(3, "d1"), (1, "d1/back")]


@pytest.mark.parametrize("units", [3, 5])
async def test_what_is_so_already_or_beyond_is_left_alone(directory: Engine, clock: TwoClocks, units: int) -> None:
    target = RecordingTarget(ready=units)
    one = await led(Controller(directory, clock, target))
    await one.decide(decision(1, 2, 3))
    assert target.calls == []
    found = await state(one)
    assert (found.event.state, found.event.error) == (
        "refused", f"the fleet has {units} units now, and the decision was made for 2"
    )  # fmt: skip
    assert one.mind.withdrawn == ["d1"]


async def test_operators_agree_refuse_or_do_not_answer(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target, mode="approve"))
    await one.decide(decision(1, at=clock.now()))
    await one.loop.beat()
    assert target.calls == []
    await one.controls.approve("d1")
    await one.controls.approve("d1")
    await one.loop.beat()
    await one.loop.beat()
    assert (await state(one)).event.state == "done"
    await one.decide(decision(2, 3, 4, at=clock.now()))
    refused = await one.controls.refuse("d2", "the term is over")
    assert (refused.event.state, refused.event.error) == ("refused", "refused by ada: the term is over")
    with pytest.raises(errors.Conflict):
        await one.controls.approve("d2")
    await one.decide(decision(3, 3, 5, at=clock.now()))
    clock.advance(SETTINGS.approval_seconds + 1)
    await one.leader.campaign()
    await one.loop.beat()
    assert (await state(one, "d3")).event.state == "expired"
    assert target.calls == [(3, "d1")]
    assert [event.state for event in one.mind.heard] == ["done", "refused", "expired"]
    assert {(entry.who, entry.what) for entry in await audit.entries(directory)} >= {
        ("ada", "approved"), ("ada", "refused"), ("leader", "awaiting"), ("leader", "expired")
    }  # fmt: skip


async def test_what_was_agreed_to_for_another_count_is_not_done(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target, mode="approve"))
    await one.decide(decision(at=clock.now()))
    target.ready = target.wanted = 2
    await one.controls.approve("d1")
    await one.loop.beat()
    found = await state(one)
    assert found.event.state == "expired"
    assert "2 units now, and the decision was made for 1" in found.event.error


async def test_a_newer_decision_takes_the_place_of_one_that_waits(directory: Engine, clock: TwoClocks) -> None:
    one = await led(Controller(directory, clock, RecordingTarget(), mode="approve"))
    await one.decide(decision(1, at=clock.now()))
    await one.decide(decision(2, at=clock.now()))
    await one.decide(decision(3, 1, 4, at=clock.now()))
    assert [(each.id, each.event.state) for each in await one.events.select(Wanted())] == [
        ("d3", "awaiting"), ("d1", "expired")
    ]  # fmt: skip


async def test_a_paused_fleet_is_left_alone_until_the_pause_ends(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target))
    await one.controls.pause("workers", 3600, "a lecture is filmed")
    await one.decide(decision(1))
    assert (await state(one)).event.error == "the fleet is paused: a lecture is filmed"
    assert one.mind.controls[-1]["workers"].mode == "shadow", "it goes on telling what it would do"
    assert target.calls == []
    assert await one.controls.resume("workers")
    assert not await one.controls.resume("workers")
    await one.decide(decision(2))
    assert target.calls == [(3, "d2")]
    with pytest.raises(errors.Invalid):
        await one.controls.pause("workers", 365 * 86_400, "for ever")
    with pytest.raises(errors.Invalid):
        await one.controls.pause("workers", 60, "  ")


async def test_a_pause_ends_by_the_clock_of_the_database(directory: Engine, clock: TwoClocks) -> None:
    one = await led(Controller(directory, clock, RecordingTarget()))
    await one.controls.pause("workers", 3600, "maintenance")
    clock.day += 10 * 86_400
    assert (await one.controls.look())["workers"].paused_until is not None


async def test_modes_of_operators_hold_before_those_of_settings(directory: Engine, clock: TwoClocks) -> None:
    target = RecordingTarget()
    one = await led(Controller(directory, clock, target))
    await one.controls.set_mode("workers", "shadow")
    await one.decide(decision(1))
    await one.controls.set_mode("workers", "off")
    await one.decide(decision(2))
    assert target.calls == []
    assert [(each.id, each.event.state) for each in await one.events.select(Wanted())] == [("d1", "shadowed")]
    await one.controls.set_mode("workers", None)
    await one.decide(decision(3))
    assert target.calls == [(3, "d3")]
    with pytest.raises(errors.Invalid):
        await one.controls.set_mode("workers", "sometimes")  # type: ignore[arg-type]
