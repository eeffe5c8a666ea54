"""What every plan of moves keeps, and the figures that the pages promise."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.data.placement import BUCKETS, CourseKey, assign, bucket_of
from atomic_guide.engines.data.plan import Member, Pin, Plan, State, Zone, plan_zone
from atomic_guide.errors import Conflict

FOUR = [f"shard-{number}" for number in range(4)]
FIVE = [Member(f"shard-{number}") for number in range(5)]


def carried_out(zone: Zone, plan: Plan) -> Zone:
    owners, pins = list(zone.owners), list(zone.pins)
    for move in plan.moves:
        if move.course:
            at = next(number for number, pin in enumerate(pins) if pin.key.course == move.course)
            assert pins[at].shard == move.source
            pins[at] = pins[at]._replace(shard=move.target)
        else:
            assert owners[move.bucket] == move.source
            owners[move.bucket] = move.target
    return zone._replace(owners=owners, pins=pins)


@st.composite
def zones(draw: st.DrawFn, *, draining: bool = True) -> Zone:
    names = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    states: st.SearchStrategy[State] = st.sampled_from(["active", "draining", "drained"] if draining else ["active"])
    weights = st.floats(0.01, 100, allow_nan=False)
    members = [Member(name, draw(weights), draw(states)) for name in names]
    members[0] = members[0]._replace(state="active")
    size = draw(st.integers(1, 60))
    owners = draw(st.lists(st.sampled_from(names), min_size=size, max_size=size))
    load = st.one_of(st.integers(0, 5), st.integers(0, 10**12))
    loads = draw(st.one_of(st.none(), st.lists(load, min_size=size, max_size=size)))
    pins = [
        Pin(CourseKey(f"t{number % 3}", f"c{number}", number % size), shard, draw(load) if loads else 0)
        for number, shard in enumerate(draw(st.lists(st.sampled_from(names), max_size=5)))
    ]
    return Zone(members, owners, loads, pins)


@given(zones(), st.sampled_from([0.0, 0.05, 0.5]))
def test_a_second_plan_after_the_first_is_empty(zone: Zone, tolerance: float) -> None:
    first = plan_zone(zone, tolerance)
    after = carried_out(zone, first)
    assert plan_zone(after, tolerance).moves == ()
    assert first == plan_zone(zone, tolerance)
    for share in first.shares:
        fixed = sum(pin.load for pin in after.pins if pin.shard == share.name)
        loads = zone.loads or [1] * len(zone.owners)
        held = [loads[bucket] for bucket, owner in enumerate(after.owners) if owner == share.name]
        assert (share.buckets_after, share.load_after) == (len(held), fixed + sum(held))


@given(zones(), st.sampled_from([0.0, 0.05]))
def test_draining_shards_end_empty_and_pinned_courses_stay_elsewhere(zone: Zone, tolerance: float) -> None:
    plan = plan_zone(zone, tolerance)
    after = carried_out(zone, plan)
    leaving = {member.name for member in zone.shards if not member.stays}
    assert not leaving.intersection([*after.owners, *(pin.shard for pin in after.pins)])
    targets: dict[str, set[str]] = {}
    for before, now in zip(zone.pins, after.pins, strict=True):
        assert before.shard == now.shard or before.shard in leaving
        if before.shard in leaving:
            targets.setdefault(before.key.tenant, set()).add(now.shard)
    assert all(len(found) == 1 for found in targets.values())


@given(zones(draining=False), st.sampled_from([0.0, 0.05]))
def test_no_move_crosses_a_target(zone: Zone, tolerance: float) -> None:
    plan = plan_zone(zone, tolerance)
    shares = {share.name: share for share in plan.shares}
    # A target is kept as a fraction of the unit where loads were measured.
    slack = 1e-6 * max(1.0, *(share.target for share in plan.shares))
    for move in plan.moves:
        assert shares[move.source].load_after >= shares[move.source].target - slack
        assert shares[move.target].load_after <= shares[move.target].target + slack
    assert not {move.source for move in plan.moves} & {move.target for move in plan.moves}


@given(zones(draining=False))
def test_what_stays_over_a_target_is_less_than_any_bucket_that_could_go(zone: Zone) -> None:
    plan = plan_zone(zone, 0.0)
    after = carried_out(zone, plan)
    loads = zone.loads or [1] * len(zone.owners)
    room = max(share.target - share.load_after for share in plan.shares)
    for share in plan.shares:
        given = [loads[bucket] for bucket, owner in enumerate(after.owners) if owner == share.name]
        over = share.load_after - share.target
        if over > 0 and room > 0 and given:
            assert min(given) > min(over, room) * (1 - 1e-9)


@given(st.integers(1, 12), st.integers(1, 12))
def test_equal_shards_differ_by_one_bucket_and_the_fewest_move(before: int, added: int) -> None:
    names = [f"shard-{number:02d}" for number in range(before + added)]
    zone = Zone([Member(name) for name in names], assign(names[:before]))
    plan = plan_zone(zone)
    counts = Counter(carried_out(zone, plan).owners)
    assert sum(counts.values()) == BUCKETS
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(plan.moves) == sum(counts[name] for name in names[before:])


@pytest.mark.parametrize("measured", [False, True])
def test_from_four_to_five_shards_a_fifth_of_the_courses_moves(measured: bool) -> None:  # noqa: FBT001 - parametrized
    buckets = [bucket_of(f"tenant-{number % 40}", f"course-{number}") for number in range(100_000)]
    courses = Counter(buckets)
    loads = [250_000 * (1 + courses[bucket]) for bucket in range(BUCKETS)] if measured else None
    plan = plan_zone(Zone(FIVE, assign(FOUR), loads))
    moved = sum(courses[move.bucket] for move in plan.moves) / 100_000
    assert abs(moved - 0.2) <= 0.005
    assert {move.target for move in plan.moves} == {"shard-4"}
    assert abs(len(plan.moves) - BUCKETS / 5) <= 1
    # What the sketch did.
    assert sum(value % 4 != value % 5 for value in range(100_000)) / 100_000 == pytest.approx(0.8, abs=0.001)


def test_equal_loads_move_in_runs() -> None:
    plan = plan_zone(Zone(FIVE, assign(FOUR)))
    moved = sorted(move.bucket for move in plan.moves)
    runs = 1 + sum(later != earlier + 1 for earlier, later in itertools.pairwise(moved))
    assert runs == 4


def test_weights_divide_the_load() -> None:
    members = [Member("small"), Member("large", 3.0)]
    plan = plan_zone(Zone(members, assign(["small", "large"])))
    assert [share.buckets_after for share in plan.shares] == [3072, 1024]
    loads = [100 + bucket % 7 for bucket in range(BUCKETS)]
    large, small = plan_zone(Zone(members, assign(["small", "large"]), loads)).shares
    assert large.load_after / small.load_after == pytest.approx(3, abs=0.01)
    assert large.buckets_after / small.buckets_after == pytest.approx(3, abs=0.05)


def test_a_small_imbalance_moves_nothing() -> None:
    zone = Zone([Member("a"), Member("b")], ["a"] * 2098 + ["b"] * 1998)
    assert plan_zone(zone).moves == ()
    assert len(plan_zone(zone, tolerance=0.01).moves) == 50


def test_a_hot_bucket_keeps_its_shard_and_the_others_leave_it() -> None:
    loads = [10_000, *[10] * 99, *[10] * 100]
    plan = plan_zone(Zone([Member("a"), Member("b")], ["a"] * 100 + ["b"] * 100, loads))
    assert 0 not in {move.bucket for move in plan.moves}
    assert [share.buckets_after for share in plan.shares] == [1, 199]
    assert [share.name for share in plan.over] == ["a"]


def test_a_pinned_course_weighs_on_its_shard() -> None:
    pins = [Pin(CourseKey("t", "hot", 7), "b", 1000)]
    plan = plan_zone(Zone([Member("a"), Member("b")], ["a", "b"] * 50, [10] * 100, pins))
    assert [share.buckets_after for share in plan.shares] == [100, 0]
    assert {move.source for move in plan.moves} == {"b"}


def test_draining_spreads_by_room_and_leaves_the_rest_alone() -> None:
    members = [Member("a"), Member("b"), Member("c", state="draining")]
    plan = plan_zone(Zone(members, assign(["a", "b", "c"])))
    assert [share.buckets_after for share in plan.shares] == [2048, 2048, 0]
    assert {move.source for move in plan.moves} == {"c"}


def test_what_drains_goes_where_there_is_room_and_nowhere_else() -> None:
    owners = ["full"] * 30 + ["free"] * 20 + ["leaving"] * 10
    plan = plan_zone(Zone([Member("full"), Member("free"), Member("leaving", state="draining")], owners))
    assert Counter(move.target for move in plan.moves) == {"free": 10}


def test_what_drains_is_given_away_from_the_heaviest_on() -> None:
    members = [Member("a"), Member("b"), Member("leaving", state="draining")]
    plan = plan_zone(Zone(members, ["a", "b", "leaving", "leaving", "leaving"], [5, 5, 1, 1, 2]))
    assert [share.load_after for share in plan.shares] == [7, 7, 0]


def test_moves_that_empty_a_shard_come_first_then_the_heaviest_then_by_bucket() -> None:
    members = [Member("a"), Member("b"), Member("leaving", state="draining")]
    owners = ["a"] * 6 + ["b", "leaving", "leaving", "leaving"]
    plan = plan_zone(Zone(members, owners, [1, 9, 9, 4, 30, 6, 12, 1, 8, 1]))
    assert [(move.source, move.bucket, move.load) for move in plan.moves] == [
        ("leaving", 8, 8), ("leaving", 7, 1), ("leaving", 9, 1), ("a", 1, 9), ("a", 2, 9)
    ]  # fmt: skip


def test_a_shard_of_hardly_any_weight_counts_as_a_thousandth() -> None:
    loads = [1_001_000 + number for number in range(100)]
    plan = plan_zone(Zone([Member("large"), Member("tiny", 0.000_01)], ["large"] * 100, loads))
    large, tiny = plan.shares
    assert large.target / tiny.target == pytest.approx(1000, rel=1e-6)


def test_numbers_of_buckets_are_levelled_along_with_loads() -> None:
    """Courses to come are spread over buckets, and not over the loads of today."""
    chance = random.Random(3)
    loads = [chance.randrange(100, 1000) for _ in range(1000)]
    owners = ["a"] * 910 + ["b"] * 30 + ["c"] * 30 + ["d"] * 30
    plan = plan_zone(Zone([Member(name) for name in "abcd"], owners, loads))
    assert plan.over == []
    counts = [share.buckets_after for share in plan.shares]
    assert max(counts) - min(counts) <= 10


def test_a_zone_without_a_shard_that_takes_buckets_is_refused() -> None:
    with pytest.raises(Conflict, match=r"^the zone has no active shard .* `atomic-guide shards add`$"):
        plan_zone(Zone([Member("a", state="draining")], assign(["a"])))


def test_zones_never_mix() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        plan_zone(Zone([Member("a")], assign(["a", "elsewhere"])))


def test_the_bucket_that_cannot_be_divided_stays_where_it_is() -> None:
    owners = ["a"] * 1365 + ["b"] * 1365 + ["c"] * 1366
    assert plan_zone(Zone([Member(name) for name in "abc"], owners), tolerance=0).moves == ()


def test_big_buckets_are_placed_while_there_is_room_for_them() -> None:
    chance = random.Random(1)
    loads = [262_144 + int(chance.paretovariate(1.2) * 100_000) for _ in range(BUCKETS)]
    plan = plan_zone(Zone([Member(f"shard-{number}") for number in range(64)], assign(FOUR), loads))
    assert max(loads) > 0.9 * plan.shares[0].target
    assert max(share.load_after / share.target for share in plan.shares) < 1.05
