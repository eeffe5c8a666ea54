"""Deciding: rules over windows, the cause before the remedy, tracking, bounds, what is under way, what is missing."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from atomic_guide.durations import bucket_of
from atomic_guide.operations.scaling.decide.decider import Decider, Outside
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.limits import FLEET, note_cuts
from atomic_guide.operations.scaling.mind import Mind
from atomic_guide.operations.scaling.model import Decision, Event, Key, Mode, Seen
from atomic_guide.operations.scaling.settings import FleetSettings, RuleSettings, ScalingSettings
from tests.scaling_units import UNITS

TICK = 15.0
START = 1_760_000_000.0
Values = dict[str, float]


def key(name: str) -> Key:
    series, _, part = name.partition("[")
    component, _, metric = series.partition(".")
    return Key(component, metric, part.rstrip("]"))


class Stage:
    """Fleets that do what is decided, after the time of a start, and a clock that the test moves."""

    def __init__(self, settings: ScalingSettings | None = None, **units: int) -> None:
        self.settings = settings or ScalingSettings(
            web=FleetSettings(mode="auto", max=50), workers=FleetSettings(mode="auto", min=0, max=50),
            replicas=FleetSettings(mode="auto", min=0, max=3, start_delay_seconds=300, up_cool_down_seconds=600),
        )  # fmt: skip
        self.decider = Decider(self.settings, UNITS)
        self.memory = Memory()
        self.at = START
        self.units = {name.replace("_", "/"): count for name, count in units.items()}
        self.due: list[tuple[float, str, int]] = []
        self.said: list[Decision] = []
        self.acts = True
        self.modes: dict[str, Mode] = {}

    def fleets(self) -> dict[str, Fleet]:
        starting: dict[str, int] = {}
        for _, name, count in self.due:
            starting[name] = starting.get(name, 0) + count
        return {name: Fleet(count, starting.get(name, 0), 0, 1000, 100.0) for name, count in self.units.items()}

    def tick(
        self, values: Values, *, slow: Mapping[str, int] | None = None, missing: dict[str, str] | None = None
    ) -> list[Decision]:
        """A tick with these values; `slow` are milliseconds of twenty reads, by series."""
        for due in [one for one in self.due if one[0] <= self.at]:
            self.due.remove(due)
            self.units[due[1]] += due[2]
        counts = {key(name): {bucket_of(ms / 1000): 20} for name, ms in (slow or {}).items()}
        every = {key(name): value for name, value in values.items()} | dict.fromkeys(counts, 1.0)
        seen = Seen(self.at, every, missing or {}, counts)
        made = self.decider.decide(seen, self.fleets(), self.memory, Outside(self.modes))
        for one in made:
            if one.action != "hold" and self.acts:
                self._do(one)
        self.said += made
        self.at += TICK
        return made

    def run(self, seconds: float, values: Values | Callable[[float], Values], **more: Any) -> list[Decision]:
        """Ticks for so many seconds; what was decided in them."""
        before, begin = len(self.said), self.at
        while self.at < begin + seconds:
            self.tick(values(self.at - begin) if callable(values) else values, **more)
        return self.said[before:]

    def _do(self, one: Decision) -> None:
        change = one.after - one.before
        if change > 0:
            self.due.append((self.at + self.settings.fleet(one.fleet).start_delay_seconds, one.fleet, change))
        else:
            self.units[one.fleet] += change


def acts(found: list[Decision]) -> list[tuple[str, int, int]]:
    return [(one.action, one.before, one.after) for one in found if one.action != "hold"]


def holds(found: list[Decision]) -> list[str]:
    return [f"{one.rule}: {one.reason}" for one in found if one.action == "hold"]


READS = {"database.write_share[s1]": 0.1, "database.lock_wait[s1]": 0.0, "database.utilisation[s1]": 0.9}


# --- the three rules


def test_slow_reads_add_a_replica_when_they_have_been_slow_for_five_minutes() -> None:
    stage = Stage(replicas_s1=0)
    assert stage.run(285, READS, slow={"database.query[s1]": 1500}) == []
    made = stage.run(60, READS, slow={"database.query[s1]": 1500})
    assert acts(made) == [("add_read_replica", 0, 1)]
    assert (made[0].fleet, made[0].rule, made[0].urgency) == ("replicas/s1", "slow-reads", "high")
    assert "p95 of database.query[s1] is 1." in made[0].reason
    assert made[0].inputs["database.write_share"] == 0.1
    assert made[0].expected is not None
    assert (made[0].expected.metric, made[0].expected.limit, made[0].expected.part) == ("query", 0.5, "s1")


def test_one_slow_minute_adds_nothing() -> None:
    stage = Stage(replicas_s1=0)
    stage.run(600, READS, slow={"database.query[s1]": 20})
    stage.run(15, READS, slow={"database.query[s1]": 9000})
    assert stage.run(600, READS, slow={"database.query[s1]": 20}) == []


@pytest.mark.parametrize(
    ("values", "says", "helps"),
    [
        ({"database.lock_wait[s1]": 0.4}, "waiting for locks", "doctor"),
        ({"database.write_share[s1]": 0.8}, "takes no writes", "shards rebalance"),
        ({"database.utilisation[s1]": 0.1}, "single statements are slow", "index"),
    ],
)
def test_slow_reads_of_another_cause_get_no_replica(values: Values, says: str, helps: str) -> None:
    stage = Stage(replicas_s1=0)
    made = stage.run(900, READS | values, slow={"database.query[s1]": 1500})
    assert acts(made) == []
    assert len(holds(made)) == 1
    assert says in holds(made)[0]
    assert f"what would help: {helps}" in holds(made)[0] or helps in holds(made)[0]


def test_where_the_cause_is_not_known_nothing_is_added_and_that_is_said() -> None:
    stage = Stage(replicas_s1=0)
    made = stage.run(900, {"database.lock_wait[s1]": 0.0}, slow={"database.query[s1]": 1500})
    assert acts(made) == []
    assert "database.write_share is not measured" in holds(made)[0]


def test_a_replica_under_way_is_not_asked_for_again_and_then_its_effect_is_awaited() -> None:
    stage = Stage(replicas_s1=0)
    made = stage.run(300 + 900 - 60, READS, slow={"database.query[s1]": 1500})
    assert acts(made) == [("add_read_replica", 0, 1)]
    assert acts(stage.run(300, READS, slow={"database.query[s1]": 1500})) == [("add_read_replica", 1, 2)]


def test_replicas_go_when_reads_have_been_quick_for_hours() -> None:
    stage = Stage(replicas_s1=2)
    made = stage.run(4.5 * 3600, READS, slow={"database.query[s1]": 20})
    assert acts(made)[0] == ("remove_read_replica", 2, 1)
    assert made[0].rule == "quick-reads"


JOBS = {"workers.demand": 50.0, "queues.throughput[video]": 1.0, "workers.utilisation": 1.0}


def test_a_backlog_adds_a_worker_and_says_whose_and_how_long_it_takes() -> None:
    stage = Stage(workers=1)
    made = stage.run(120, JOBS | {"queues.backlog[video]": 12000.0, "queues.backlog[rosters]": 3.0})
    assert acts(made) == [("add_consumer", 1, 2)]
    assert (made[0].rule, made[0].urgency) == ("backlog", "medium")
    assert made[0].inputs["queues.backlog[video]"] == 12000
    assert made[0].inputs["queues.throughput"] == 1.0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"queues.throughput[video]": 400.0}, "are done within 30 s"),
        ({"workers.utilisation": 0.1}, "paused or its rate or concurrency limited"),
    ],
)
def test_a_backlog_that_workers_do_not_cause_adds_none(values: Values, says: str) -> None:
    stage = Stage(workers=1)
    made = stage.run(600, JOBS | values | {"queues.backlog[video]": 12000.0})
    assert acts(made) == []
    assert says in holds(made)[0]


def test_a_room_near_its_limit_gets_another_process_whatever_the_average_is() -> None:
    stage = Stage(web=2)
    crowd = {"web.demand": 120.0, "rooms.fullest_room": 850.0, "rooms.sockets": 860.0}
    made = stage.run(60, crowd)
    assert acts(made) == [("increase_sharding", 2, 3)]
    assert (made[0].rule, made[0].urgency) == ("full-room", "high")
    assert acts(stage.run(60, crowd | {"rooms.fullest_room": 700.0})) == []


def test_hysteresis_holds_until_the_clear_limit() -> None:
    stage = Stage(web=2)
    stage.run(60, {"web.demand": 120.0, "rooms.fullest_room": 850.0})
    again = stage.run(600, {"web.demand": 120.0, "rooms.fullest_room": 650.0})
    assert [one[0] for one in acts(again)] == ["increase_sharding", "increase_sharding"]
    assert not [one for one in acts(stage.run(600, {"web.demand": 120.0, "rooms.fullest_room": 550.0}))
                if one[0] == "increase_sharding"]  # fmt: skip


def test_rules_of_the_settings_come_beside_the_shipped_ones_or_in_their_place() -> None:
    settings = ScalingSettings(
        web=FleetSettings(mode="auto", max=9),
        rules=(
            RuleSettings("full-room", "web", "rooms", "fullest_room", "increase_sharding", above=800, enabled=False),
            RuleSettings("errors", "web", "web", "errors", "add_process", above=0.05, for_seconds=30, units=2),
        ),
    )
    stage = Stage(settings, web=2)
    made = stage.run(120, {"web.demand": 120.0, "rooms.fullest_room": 990.0, "web.errors": 0.2})
    assert acts(made) == [("add_process", 2, 4)]
    assert made[0].rule == "errors"


# --- tracking and bounds


def test_demand_is_tracked_up_and_down_with_reasons() -> None:
    stage = Stage(web=2)
    up = stage.run(300, {"web.demand": 900.0})
    assert up[0].action == "add_process"
    assert up[0].rule == "target-tracking"
    assert "margin" in up[0].reason
    assert stage.units["web"] >= 10
    down = stage.run(5400, {"web.demand": 120.0})
    assert {one.action for one in down if one.action != "hold"} == {"remove_process"}
    assert stage.units["web"] <= 3


def test_more_than_the_most_is_held_and_said_once_an_hour() -> None:
    stage = Stage(ScalingSettings(web=FleetSettings(mode="auto", max=4)), web=2)
    made = stage.run(3500, {"web.demand": 5000.0})
    assert acts(made) == [("add_process", 2, 4)]
    assert len(holds(made)) == 1
    assert "at most 4 units are allowed" in holds(made)[0]
    assert [one.capped for one in made] == [True, True], "the most was in the way of the change, too"


@pytest.mark.parametrize("most", [1, 4])
def test_what_the_most_holds_back_is_counted_whatever_is_said_of_it(most: int) -> None:
    stage = Stage(ScalingSettings(web=FleetSettings(mode="auto", max=most)), web=most)
    before = FLEET.refused
    (held,) = stage.run(900, {"web.demand": 5000.0})
    note_cuts([held])
    assert FLEET.refused == before + 1
    note_cuts([msgspec.structs.replace(held, capped=False)])
    assert FLEET.refused == before + 1


def test_a_step_adds_the_double_at_most_and_takes_away_half_at_most() -> None:
    stage = Stage(web=2)
    up = acts(stage.run(900, {"web.demand": 3000.0}))
    assert up[0] == ("add_process", 2, 6)
    assert up[1][2] <= 12
    down = acts(stage.run(7200, {"web.demand": 10.0}))
    assert all(after >= before // 2 for _, before, after in down)


def test_the_budget_goes_before_every_wish_but_the_fewest() -> None:
    settings = ScalingSettings(
        budget_per_day=96.0, web=FleetSettings(mode="auto", min=1, max=50, unit_price=1.0),
        workers=FleetSettings(mode="auto", min=0, max=50, unit_price=1.0),
    )  # fmt: skip
    stage = Stage(settings, web=2, workers=1)
    made = stage.run(20 * 3600, {"web.demand": 1500.0, "workers.demand": 50.0})
    assert any("the budget of a day pays for" in text for text in holds(made) + [one.reason for one in made])
    assert sum(stage.memory.state.spent.values()) <= 97
    assert stage.units["web"] >= 1


def test_a_second_call_for_the_same_tick_decides_nothing() -> None:
    stage = Stage(web=2)
    seen = Seen(stage.at, {key("web.demand"): 5000.0})
    assert len(stage.decider.decide(seen, stage.fleets(), stage.memory)) == 1
    assert stage.decider.decide(seen, stage.fleets(), stage.memory) == []


# --- modes and what became of decisions


def test_in_shadow_it_goes_on_as_if_it_had_acted() -> None:
    stage = Stage(web=2)
    stage.modes["web"] = "shadow"
    stage.acts = False
    made = acts(stage.run(900, {"web.demand": 900.0}))
    assert made[0] == ("add_process", 2, 6)
    assert [one[1] for one in made[1:]] == [one[2] for one in made[:-1]]
    assert stage.units["web"] == 2


def test_in_shadow_a_rule_that_nothing_relieves_asks_once() -> None:
    stage = Stage(web=2)
    stage.modes["web"] = "shadow"
    stage.acts = False
    made = acts(stage.run(3600, {"web.demand": 120.0, "rooms.fullest_room": 990.0}))
    assert made == [("increase_sharding", 2, 3)]


def test_what_awaits_an_operator_is_not_asked_for_again() -> None:
    stage = Stage(web=2)
    stage.modes["web"] = "approve"
    stage.acts = False
    made = acts(stage.run(3500, {"web.demand": 450.0}))
    assert len(made) == 1


def test_an_act_that_has_come_about_between_two_ticks_is_reckoned_with_at_the_next() -> None:
    stage = Stage(web=2)
    stage.acts = False
    (made,) = stage.run(15, {"web.demand": 900.0})
    stage.units["web"] = made.after
    stage.memory.hear(Event(made, "done", "auto", stage.at, stage.at))
    assert [one.before for one in stage.run(60, {"web.demand": 2000.0})][:1] == [made.after]


def test_a_target_that_refuses_is_left_alone_for_longer_each_time() -> None:
    stage = Stage(web=2)
    stage.acts = False
    waits = []
    for _ in range(3):
        made = [one for one in stage.run(60, {"web.demand": 900.0}) if one.action != "hold"]
        stage.memory.hear(Event(made[0], "failed", "auto", stage.at, stage.at, "quota exceeded"))
        begin = stage.at
        while not [one for one in stage.run(15, {"web.demand": 900.0}) if one.action != "hold"]:
            assert stage.at < begin + 5000
        waits.append(stage.at - begin)
        assert any("quota exceeded" in text for text in holds(stage.said))
        stage.memory.state.fleet("web").asked = None
        stage.memory.state.fleet("web").changed_at = None
    assert waits[1] > 1.5 * waits[0]
    assert waits[2] > 1.5 * waits[1]


def test_the_memory_is_json_and_another_process_goes_on_from_it() -> None:
    stage, other = Stage(replicas_s1=0, web=2), Stage(replicas_s1=0, web=2)
    values = READS | {"web.demand": 700.0}
    for one in (stage, other):
        one.run(285, values, slow={"database.query[s1]": 1500})
    text = other.memory.saved()
    assert msgspec.json.decode(text)["version"] == 1
    other.memory = Memory.loaded(text)
    made = [one.run(900, values, slow={"database.query[s1]": 1500}) for one in (stage, other)]
    assert ("add_read_replica", 0, 1) in acts(made[0])
    assert [one.id for one in made[0]] == [one.id for one in made[1]]
    decided = made[0][0]
    assert msgspec.json.decode(msgspec.json.encode(decided), type=Decision) == decided


# --- what is not measured, and clocks


def test_lost_metrics_take_nothing_away_and_say_so() -> None:
    stage = Stage(web=2)
    stage.run(900, {"web.demand": 900.0})
    before = stage.units["web"]
    made = stage.run(1800, {}, missing={"web": "no answer within 5 s"})
    assert acts(made) == []
    assert stage.units["web"] == before
    assert len(holds(made)) == 1
    assert "web.demand is not measured (no answer within 5 s): nothing is taken away" in holds(made)[0]


@pytest.mark.parametrize("bad", [math.nan, -5.0, math.inf])
def test_what_cannot_be_a_measurement_is_none(bad: float) -> None:
    stage = Stage(web=2)
    stage.run(900, {"web.demand": 900.0})
    before = stage.units["web"]
    made = stage.run(1800, {"web.demand": bad, "rooms.fullest_room": bad})
    assert acts(made) == []
    assert stage.units["web"] == before
    assert "cannot be a measurement" in holds(made)[0]


@pytest.mark.parametrize("jump", [-3600.0, -1e6, 3600.0, 1e6])
def test_a_clock_that_jumps_changes_nothing(jump: float) -> None:
    stage = Stage(web=2)
    values = {"web.demand": 900.0, "rooms.fullest_room": 100.0}
    stage.run(3600, values)
    before = stage.units["web"]
    stage.at += jump
    assert acts(stage.run(1200, values)) == []
    stage.at -= jump
    assert acts(stage.run(1200, values)) == []
    assert stage.units["web"] == before


def test_a_rolling_update_without_load_adds_and_takes_nothing() -> None:
    stage = Stage(web=6)
    stage.run(3600, {"web.demand": 300.0})
    steady = stage.units["web"]
    stage.acts = False
    found: list[Decision] = []
    for number in range(24):
        # A new unit comes before an old one goes, or the other way round.
        stage.units["web"] = steady + (1, 0, -1, 0)[number % 4]
        found += stage.run(30, {"web.demand": 300.0})
    assert acts(found) == []


def test_a_fleet_that_cannot_be_looked_at_gets_no_decision() -> None:
    stage = Stage()
    assert stage.run(300, {"web.demand": 5000.0, "rooms.fullest_room": 990.0}) == []


# --- as the loop uses it


class Set(NamedTuple):
    """What an operator has set."""

    mode: Mode | None = None
    pinned: dict[str, Any] | None = None
    least: int | None = None
    most: int | None = None


def test_the_mind_asks_for_nothing_while_an_act_is_carried_out_and_goes_on_after_it() -> None:
    mind = Mind(ScalingSettings(web=FleetSettings(mode="auto", max=50)), UNITS)
    fleet = Fleet(2, 0, 1, 50, 100.0)
    act: dict[str, Decision] = {}
    found: list[Decision] = []
    for tick in range(40):
        seen = Seen(START + TICK * tick, {key("web.demand"): 900.0})
        made = mind.decide(seen, {"web": fleet}, act, {})
        found += made
        if acts(list(made)):
            act = {"web": made[0]}
        if tick == 20:
            act, fleet = {}, Fleet(found[0].after, 0, 1, 50, 100.0)
    assert [(one.before, one.after) for one in found] == [(2, 6), (6, 12)]


def test_a_pinned_candidate_is_used_and_one_that_there_is_not_is_passed_over() -> None:
    mind = Mind(ScalingSettings(), UNITS)
    fleets = {"web": Fleet(2, 0, 1, 50, 100.0)}
    for tick, (control, used) in enumerate([(Set(), 0), (Set(pinned={"candidate": 7}), 7),
                                            (Set(pinned={"candidate": 10**6}), 7), (Set(), 7)]):  # fmt: skip
        mind.decide(Seen(START + TICK * tick, {key("web.demand"): 150.0}), fleets, {}, {"web": control})
        assert mind.memory.policies["web"].chosen == used
    assert mind.memory.policies["web"].pinned is None


def test_what_the_nights_found_is_known_to_the_next_process() -> None:
    mind = Mind(ScalingSettings(web=FleetSettings(mode="auto", max=50)), UNITS)
    fleets = {"web": Fleet(9, 0, 1, 50, 100.0)}
    nights, day = [], 5761
    for tick in range(day):
        demand = 600 + 300 * math.sin(tick / 200) + 200 * (tick % 7 == 0)
        mind.decide(Seen(START + TICK * tick, {key("web.demand"): demand}), fleets, {}, {})
        if mind.studies:
            nights.append(mind.study(fleets)["web"])
    assert nights
    mind.decide(Seen(START + TICK * day, {key("web.demand"): 600.0}), fleets, {}, {})
    assert mind.memory.policies["web"].chosen == nights[-1].chosen
    chosen = mind.memory.policies["web"].chosen
    other = Mind(ScalingSettings(web=FleetSettings(mode="auto", max=50)), UNITS)
    other.load(mind.save())
    other.recall("web", np.full(4000, 600.0), nights[-1:])
    assert other.memory.policies["web"].chosen == chosen
    assert other.frontier("web") == mind.frontier("web")
    assert len(mind.save()) < 20_000


def test_what_was_withdrawn_blocks_nothing_that_follows() -> None:
    mind, fleets = (
        Mind(ScalingSettings(workers=FleetSettings(mode="auto", min=1, max=50)), UNITS),
        {"workers": Fleet(2, 0, 1, 50, 1.0)},
    )
    made: list[Decision] = []
    for tick in range(200):
        seen = Seen(START + tick * TICK, {key("workers.demand"): 40.0, key("queues.backlog[video]"): 50_000.0})
        now = mind.decide(seen, fleets, {}, {})
        for one in now:
            if one.action != "hold":
                made.append(one)
                mind.withdraw(one)
    state = mind.memory.state.fleet("workers")
    assert (state.asked, state.changed_at, state.grown_at) == (None, None, None)
    assert len(made) > 100, "it is wanted at each tick anew, as nothing of it is under way"
    assert len({one.id for one in made}) == len(made)


# --- shards

WRITES = {"database.write_share[s1]": 0.8, "database.lock_wait[s1]": 0.5, "database.utilisation[s1]": 0.9}


def test_writes_that_stay_slow_because_there_are_too_many_ask_for_one_more_shard() -> None:
    stage = Stage(shards=4)
    assert stage.run(570, WRITES, slow={"database.write[s1]": 900}) == []
    made = stage.run(60, WRITES, slow={"database.write[s1]": 900})
    assert acts(made) == [("increase_sharding", 4, 5)]
    assert (made[0].fleet, made[0].rule, made[0].urgency) == ("shards", "slow-writes", "medium")
    assert made[0].expected is not None
    assert (made[0].expected.metric, made[0].expected.limit, made[0].expected.part) == ("write", 0.25, "s1")
    # Its courses move for half an hour, and for hours afterwards its effect is awaited.
    assert acts(stage.run(4 * 3600, WRITES, slow={"database.write[s1]": 900})) == []
    assert acts(stage.run(86_400, WRITES, slow={"database.write[s1]": 5})) == [], "none is taken away by itself"


@pytest.mark.parametrize(
    ("values", "says", "helps"),
    [
        ({"database.utilisation[s1]": 0.2}, "not the load", "long transactions"),
        ({"database.write_share[s1]": 0.1}, "reads are what keeps the database busy", "read replica"),
    ],
)
def test_slow_writes_of_another_cause_get_no_shard(values: Values, says: str, helps: str) -> None:
    stage = Stage(shards=4)
    made = stage.run(1800, WRITES | values, slow={"database.write[s1]": 900})
    assert acts(made) == []
    assert says in holds(made)[0]
    assert helps in holds(made)[0]


def test_slow_writes_of_a_cause_that_is_not_measured_get_no_shard() -> None:
    stage = Stage(shards=4)
    made = stage.run(1800, {"database.lock_wait[s1]": 0.5}, slow={"database.write[s1]": 900})
    assert acts(made) == []
    assert "is not measured" in holds(made)[0]


def test_bounds_that_operators_set_go_before_those_of_the_settings_but_not_over_their_most() -> None:
    settings = ScalingSettings(web=FleetSettings(mode="auto", min=3, max=6), quiet_hours="")
    wanted = {}
    for name, limits in (("none", None), ("fewer", (1, None)), ("over", (8, 9)), ("most", (None, 2))):
        decider, memory = Decider(settings, UNITS), Memory()
        outside = Outside(bounds={} if limits is None else {"web": limits})
        at, units = START, 1
        for _ in range(8):
            seen = Seen(at, {Key("web", "demand"): 10.0})
            made = decider.decide(seen, {"web": Fleet(units, 0, 0, 6, 100.0)}, memory, outside)
            units = next((one.after for one in made if one.action != "hold"), units)
            at += TICK
        wanted[name] = units
    assert wanted == {"none": 3, "fewer": 1, "over": 6, "most": 2}
