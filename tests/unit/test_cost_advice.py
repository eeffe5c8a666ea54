"""Recommendations: when they are made, when not, against what they never go, and what they save together."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.cli.costs.advice import explained
from atomic_guide.operations.costs.advise.assemble import Window, assemble, changed
from atomic_guide.operations.costs.advise.fewer import fewer
from atomic_guide.operations.costs.advise.fleets import fleets
from atomic_guide.operations.costs.advise.model import (
    Advices,
    Bounds,
    Considered,
    Draft,
    Effect,
    Facts,
    FleetFacts,
    RoomFacts,
    StoreFacts,
)
from atomic_guide.operations.costs.advise.replicas import replicas
from atomic_guide.operations.costs.advise.storage import caching, classes
from atomic_guide.operations.costs.assembly import Explained
from atomic_guide.operations.costs.prices import Item, Prices
from atomic_guide.operations.costs.pricing import difference, priced
from atomic_guide.operations.costs.shipped import shipped
from atomic_guide.operations.costs.state import COOL, HOT, State, Units
from atomic_guide.operations.scaling.model import WEB, WORKERS, Mode
from tests.costs_recorded import lectures_week

STEP = 300.0
BEGIN = 1_793_577_600.0
WINDOW = Window("2026-11-27T00:00:00Z", "2026-10-30T00:00:00Z", Decimal(28 * 24))
DEMAND = np.array([lectures_week(BEGIN + number * STEP) for number in range(8 * 288)])
AWS = shipped("aws-us-east-1")
STATE = State(
    fleets={WEB: Units(Decimal(3), Decimal(1), Decimal("0.5")), WORKERS: Units(Decimal(1), Decimal(2), Decimal(2))},
    stored={HOT: 10**12}, reads=10**8, writes=10**6,
)  # fmt: skip


def fleet(name: str = WEB, least: int = 3, units: str = "3.0021", **more: Any) -> FleetFacts:
    made = FleetFacts(name, Bounds("auto", least, 6, 1), Decimal(units), 0.8 if name == WEB else 8.0, 90.0, STEP, BEGIN,
                      DEMAND if name == WEB else DEMAND * 2)  # fmt: skip
    return made._replace(**more)


def store(**more: Any) -> StoreFacts:
    made = StoreFacts(reads=50.0, writes=0.5, repeats=30.0, idle_bytes=None, idle_days=180, recalled=0, cool_class=None)
    return made._replace(**more)


def facts(*known: FleetFacts, **more: Any) -> Facts:
    made = Facts(STATE, {one.fleet: one for one in known}, {}, None, store(), {}, {})
    return made._replace(**more)


def advised(found: Sequence[Draft | Considered], state: State = STATE, prices: Prices = AWS) -> Advices:
    return assemble(state, prices, found, WINDOW)


def test_a_fleet_that_never_needs_its_fewest_gets_fewer_without_a_minute_more_over_capacity() -> None:
    web = fleet()
    found = fewer(web, None)
    assert found.least == 1
    assert found.now is not None
    assert found.then is not None
    assert found.then.minutes <= found.now.minutes
    assert Decimal(1) <= found.units < web.units
    advice = advised(list(fleets(facts(web), {WEB: found}))).recommendations[0]
    after = priced(STATE.with_units(WEB, found.units), AWS)
    assert advice.saving == difference(priced(STATE, AWS), after) > 0
    assert advice.change is not None
    assert (advice.change.fleet, advice.change.least, advice.change.former) == (WEB, 1, 3)
    assert advice.confidence == "high"
    assert any(figure.series == "web.demand" for figure in advice.evidence)


def test_nothing_is_recommended_that_would_be_over_capacity_more_often() -> None:
    # From nothing to all in one slot, at some hour of a day that nobody can know: who has fewer is late.
    jumps = np.full(8 * 288, 0.1)
    jumps[np.random.default_rng(3).choice(len(jumps), 8, replace=False)] = 2.3
    found = fewer(fleet(demand=jumps), None)
    assert found.least is None
    assert "over capacity for" in found.why


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"always": 2.0}, "the forecast's p95 needs 3 in every hour of the next week"),
        ({"bounds": Bounds("shadow", 3, 6, 1)}, "mode shadow"),
        ({"bounds": Bounds("auto", 1, 6, 1)}, "fewest are 1 already"),
        ({"demand": np.full(4000, np.nan)}, "measured in less than half"),
    ],
)
def test_it_goes_against_nothing_that_scaling_wants(more: dict[str, Any], why: str) -> None:
    found = fewer(fleet(**more), None)
    assert found.least is None
    assert why in found.why
    considered = list(fleets(facts(fleet(**more)), {WEB: found}))
    assert all(isinstance(one, Considered) for one in considered)


def test_few_sockets_never_fight_the_rule_on_full_rooms() -> None:
    # On the mean 40 sockets a process, and now and then a lecture of 1,700: with fewer the rule would add them again.
    rooms = RoomFacts(mean=120.0, most=1000.0, largest=1700.0, limit=600.0)
    found = fewer(fleet(), rooms)
    assert found.least is None
    assert "more than the 600 at which the rule full-room is clear" in found.why
    (size, few) = fleets(facts(fleet(), rooms=rooms), {WEB: found})
    assert isinstance(size, Considered)
    assert isinstance(few, Considered)
    assert few.trigger == "few-sockets"
    # With smaller rooms it is taken down to where the rule is clear, and no further.
    smaller = fewer(fleet(), rooms._replace(largest=1100.0))
    assert smaller.least == 2
    # An operator's own rule counts; one that is switched off does not.
    assert fewer(fleet(), rooms._replace(limit=1800.0)).least == 1
    assert fewer(fleet(), rooms._replace(limit=None)).least == 1


def test_triggers_that_come_to_the_same_change_are_one_recommendation() -> None:
    rooms = RoomFacts(mean=60.0, most=200.0, largest=150.0, limit=600.0)
    known = fleet()
    found = advised(list(fleets(facts(known, rooms=rooms), {WEB: fewer(known, rooms)})))
    assert len(found.recommendations) == 1
    assert found.recommendations[0].triggers == ("right-size", "few-sockets")
    assert found.saving == found.recommendations[0].saving


def test_idle_queues_cost_nothing_by_themselves() -> None:
    workers = fleet(WORKERS, least=1, units="1")
    known = facts(workers, queues={"mail": 0.01, "video": 0.5, "rosters": 0.0})
    found = list(fleets(known, {WORKERS: fewer(workers, None)}))
    idle = [one for one in found if one.trigger == "idle-queues"]
    assert isinstance(idle[0], Considered)
    assert "2 queues are idle; a queue costs nothing by itself" in idle[0].why
    assert not advised(found).recommendations
    # Where workers can go for it, that is what is saved, and not so much for each queue.
    many = fleet(WORKERS, least=3, units="3")
    less = list(fleets(facts(many, queues={"mail": 0.01}), {WORKERS: fewer(many, None)}))
    assert {one.id for one in less if isinstance(one, Draft)} == {"workers-fewest-1"}


def test_a_worker_that_is_paid_for_as_the_first_web_process_is_not_saved_twice() -> None:
    workers = fleet(WORKERS, least=2, units="2", shared=Decimal(1))
    state = msgspec.structs.replace(STATE, fleets={**STATE.fleets, WORKERS: Units(Decimal(1), Decimal(2), Decimal(2))})
    draft = next(one for one in fleets(facts(workers), {WORKERS: fewer(workers, None)}) if isinstance(one, Draft))
    assert draft.effect.units < Decimal("0.5")
    advice = advised([draft], state).recommendations[0]
    assert advice.saving <= priced(state, AWS).of(WORKERS)
    assert advice.change is not None
    assert advice.change.shared == 1


@pytest.mark.parametrize(
    ("reads", "writes", "made"), [(50.0, 0.0, True), (50.0, 6.0, False), (0.0, 0.0, False), (50.0, 4.9, True)]
)
def test_reads_over_writes_ask_for_a_cache_also_without_any_write(reads: float, writes: float, made: bool) -> None:  # noqa: FBT001
    found = list(caching(facts(store=store(reads=reads, writes=writes))))
    assert bool(found) == made
    if made:
        (draft,) = found
        assert isinstance(draft, Draft)
        ratio = draft.evidence[0]
        assert (ratio.value is None) == (writes == 0)
        advice = advised(found).recommendations[0]
        # 30 repeated reads a second for a month, and no others, at 0.40 a million.
        saved = Decimal(round(30.0 * 730 * 3600)) / 10**6 * Decimal("0.40")
        assert abs(advice.saving - saved) <= Decimal("0.01")
        assert advice.change is None


def test_no_recommendation_is_made_where_the_prices_are_the_same() -> None:
    found = list(caching(facts()))
    free = msgspec.structs.replace(AWS, items=tuple(
        msgspec.structs.replace(item, price=Decimal(0)) if item.what == "requests.read" else item for item in AWS.items
    ))  # fmt: skip
    told = advised(found, prices=free)
    assert not told.recommendations
    assert "the two states cost the same to the cent" in told.considered[0].why
    assert told.saving == 0


@pytest.mark.parametrize(
    ("least", "mode", "p95", "busy", "made", "said"),
    [
        (2, "approve", 0.02, 0.2, True, ""),
        (2, "approve", 0.3, 0.2, False, ""),
        (2, "approve", 0.02, 0.5, False, "the others would be 75% busy"),
        (2, "shadow", 0.02, 0.2, False, "in mode shadow nobody acts"),
        (0, "auto", 0.02, 0.2, False, "for the rule quick-reads: it does that by itself"),
    ],
)
def test_a_replica_fewer_is_recommended_only_below_the_fewest_and_where_the_others_have_room(
    least: int, mode: Mode, p95: float, busy: float, made: bool, said: str,  # noqa: FBT001
) -> None:  # fmt: skip
    name = "replicas/s1"
    two = fleet(units="2")._replace(fleet=name, bounds=Bounds(mode, least, 4, 0))
    state = msgspec.structs.replace(STATE, fleets={**STATE.fleets, name: Units(Decimal(2), Decimal(2), Decimal(8))})
    found = list(replicas(facts(two, reads_p95={"s1": p95}, busy={"s1": busy})))
    if not made:
        assert all(isinstance(one, Considered) for one in found)
        assert said in "".join(one.why for one in found if isinstance(one, Considered))
        return
    advice = advised(found, state).recommendations[0]
    assert advice.saving == difference(priced(state, AWS), priced(state.with_units(name, Decimal(1)), AWS)) > 0
    assert advice.change is not None
    assert (advice.change.fleet, advice.change.least) == (name, 1)


def test_reads_of_a_database_are_considered_and_save_nothing() -> None:
    found = list(caching(facts(store=store(reads=0.0), databases={"shard-0": (1000.0, 0.0), "shard-1": (10.0, 5.0)})))
    assert [type(one) for one in found] == [Considered]
    assert "shard-0" in found[0].evidence[0].what


def test_old_lectures_move_only_where_the_list_and_the_store_have_a_class() -> None:
    idle = store(idle_bytes=4 * 10**11, cool_class="STANDARD_IA", recalled=10**9)
    (draft,) = classes(facts(store=idle), AWS)
    assert isinstance(draft, Draft)
    advice = advised([draft]).recommendations[0]
    after = STATE.moved(4 * 10**11, COOL, 10**9)
    assert advice.saving == difference(priced(STATE, AWS), priced(after, AWS)) > 0
    for cool_class, why in ((None, "the store is a directory, which has no classes"), ("", "says no cool_class")):
        (without,) = classes(facts(store=idle._replace(cool_class=cool_class)), AWS)
        assert isinstance(without, Considered)
        assert why in without.why
    (unpriced,) = classes(facts(store=idle), shipped("own-hardware"))
    assert isinstance(unpriced, Considered)
    assert "the price list has no storage.cool and no recall.cool" in unpriced.why
    assert not list(classes(facts(store=store(idle_bytes=0)), AWS))


EFFECTS = st.one_of(
    st.builds(Effect, kind=st.just("units"), fleet=st.sampled_from([WEB, WORKERS, "replicas/s"]),
              units=st.decimals(0, 5, places=4)),
    st.builds(Effect, kind=st.just("reads"), amount=st.integers(0, 10**9)),
    st.builds(Effect, kind=st.just("class"), amount=st.integers(0, 2 * 10**12), target=st.just(COOL),
              recalled=st.integers(0, 10**12)),
)  # fmt: skip


@given(effects=st.lists(EFFECTS, min_size=1, max_size=6), prices=st.sampled_from(["aws-us-east-1", "hetzner-fsn1"]))
def test_each_saving_and_that_of_the_set_is_a_difference_of_priced_states(effects: list[Effect], prices: str) -> None:
    known = shipped(prices)
    drafts = [Draft(f"a{number}", "t", "t", (), effect, "r", "b", ()) for number, effect in enumerate(effects)]
    found = advised(drafts, prices=known)
    before = priced(STATE, known)
    for one in found.recommendations:
        after = priced(changed(STATE, one.effects), known)
        assert one.saving == before.shown - after.shown == one.before - one.after
        assert one.saving > 0
        assert one.saving == one.saving.quantize(Decimal("0.01"))
    whole = priced(changed(STATE, [effect for one in found.recommendations for effect in one.effects]), known)
    assert found.saving == found.before - found.after == before.shown - whole.shown
    # Nothing is lost: what is not recommended was considered, with the reason.
    assert len(found.recommendations) + len(found.considered) == len(drafts)


def test_two_changes_of_one_fleet_do_not_add_up() -> None:
    drafts = [
        Draft(f"web-{count}", "t", "t", (), Effect("units", fleet=WEB, units=Decimal(count)), "r", "b", ())
        for count in (1, 2)
    ]
    found = advised(drafts)
    assert [one.overlaps for one in found.recommendations] == [("web-2",), ("web-1",)]
    assert found.saving == max(one.saving for one in found.recommendations)
    assert found.saving < sum(one.saving for one in found.recommendations)


def test_a_price_list_with_tiers_prices_the_set_and_not_its_parts() -> None:
    reads = Item(what="requests.read", unit="million requests", price=Decimal(1), free=Decimal(90))
    prices = Prices(version="1", provider="p", region="r", currency="EUR", date="", source="",
                    items=(reads,))  # fmt: skip
    drafts = [Draft(name, "t", "t", (), Effect("reads", amount=8 * 10**6), "r", "b", ()) for name in ("a", "b")]
    found = advised(drafts, prices=prices)
    # A hundred million reads, ninety of them free: two times eight fewer save ten, and not sixteen.
    assert [one.saving for one in found.recommendations] == [Decimal("8.00"), Decimal("8.00")]
    assert found.saving == Decimal("10.00")


def test_what_nobody_can_apply_says_that_it_is_advice() -> None:
    found = assemble(STATE, AWS, caching(facts()), WINDOW)
    (one,) = found.recommendations
    assert one.change is None
    said = list(explained(Explained(one, None, "", None, [])))
    assert any(line.startswith("This is advice: `costs apply` cannot do it") for line in said)
