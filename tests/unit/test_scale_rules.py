"""Declared rules: what they note, when they hold and let go, whose fleet they speak for, and what they say."""

from typing import Any

import pytest

from atomic_guide.operations.scaling.decide.decider import quantile_of
from atomic_guide.operations.scaling.decide.memory import State
from atomic_guide.operations.scaling.decide.rules import Read, Rules, fleet_of
from atomic_guide.operations.scaling.decide.shipped import SHIPPED, rules_in_force
from atomic_guide.operations.scaling.decide.wish import Heard, Leave, Wish
from atomic_guide.operations.scaling.model import Expected, Key, Seen
from atomic_guide.operations.scaling.settings import RuleSettings
from tests.scaling_units import UNITS

TICK, BEGIN = 15.0, 90_000.0
ERRORS = RuleSettings("errors", "web", "web", "errors", "add_process", above=0.05, clear=0.02, for_seconds=60.0,
                      units=2, urgency="high")  # fmt: skip
IDLE = RuleSettings("idle", "web", "web", "utilisation", "remove_process", below=0.2, clear=0.4, for_seconds=60.0)
LOCKED = RuleSettings("locked", "replicas/", "database", "query", "add_read_replica", part="*", above=1.0,
                      for_seconds=60.0, cause="reads", quantile=0.95)  # fmt: skip


def read(rule: RuleSettings, part: str, value: float, *, holds: bool | None = True) -> Read:
    """A rule as it was read."""
    return Read(rule, part, holds, value)


class Desk:
    """Rules that are told values, tick by tick."""

    def __init__(self, *rules: RuleSettings) -> None:
        self.rules, self.state, self.at = Rules(rules, TICK, quantile_of, UNITS), State(), BEGIN

    def tick(self, values: dict[Key, float], histograms: dict[Key, dict[int, int]] | None = None) -> list[Read]:
        seen = Seen(self.at, values, {}, histograms or {})
        self.state.at = self.at
        self.rules.note(seen, self.state)
        found = list(self.rules.read(seen, self.state))
        self.at += TICK
        return found

    def holds(self, key: Key, *values: float) -> list[bool | None]:
        return [one.holds for value in values for one in self.tick({key: value})]


def test_a_rule_holds_beyond_its_limit_until_it_is_back_beyond_where_it_clears() -> None:
    errors, busy = Key("web", "errors"), Key("web", "utilisation")
    low, high, between = [0.01] * 5, [0.06] * 5, [0.03] * 5
    assert Desk(ERRORS).holds(errors, *low) == [None, None, None, False, False]
    assert Desk(ERRORS).holds(errors, *[0.05] * 5)[-1] is False, "at the limit is not beyond it"
    desk = Desk(ERRORS)
    assert desk.holds(errors, *high)[-1] is True
    assert desk.holds(errors, *between)[-1] is True
    assert desk.holds(errors, *[0.02] * 5)[-1] is False
    assert desk.holds(errors, *between)[-1] is False
    desk = Desk(IDLE)
    assert desk.holds(busy, *[0.2] * 5)[-1] is False
    assert desk.holds(busy, *[0.1] * 5)[-1] is True
    assert desk.holds(busy, *[0.3] * 5)[-1] is True
    assert desk.holds(busy, *[0.4] * 5)[-1] is False
    assert desk.holds(busy, *[0.3] * 5)[-1] is False


def test_without_a_limit_to_clear_at_the_limit_itself_ends_it() -> None:
    desk, key = Desk(RuleSettings("errors", "web", "web", "errors", "add_process", above=0.05)), Key("web", "errors")
    assert desk.holds(key, *[0.06] * 5)[-1] is True
    assert desk.holds(key, *[0.05] * 5)[-1] is False


def test_a_rule_reads_its_own_series_and_one_of_all_parts_reads_each_by_itself() -> None:
    desk = Desk(LOCKED, ERRORS)
    values = {Key("database", "query", "s1"): 2.0, Key("database", "query", "s2"): 0.5,
              Key("database", "query"): 9.0, Key("database", "write", "s1"): 9.0, Key("web", "errors", "p1"): 9.0,
              Key("web", "errors"): 0.01}  # fmt: skip
    for _ in range(5):
        found = desk.tick(values)
    assert [(one.rule.name, one.part, one.holds, one.value) for one in found] == [
        ("locked", "s1", True, 2.0), ("locked", "s2", False, 0.5), ("errors", "", False, 0.01)
    ]  # fmt: skip


def test_a_rule_of_one_part_reads_no_other() -> None:
    desk = Desk(RuleSettings("video", "workers", "queues", "backlog", "add_consumer", part="video", above=1.0))
    for _ in range(5):
        found = desk.tick({Key("queues", "backlog", "video"): 7.0, Key("queues", "backlog", "mail"): 9.0})
    assert [(one.part, one.value) for one in found] == [("video", 7.0)]
    assert desk.tick({})[0].value == 7.0


def test_counted_durations_are_read_from_their_histograms() -> None:
    desk, key = Desk(LOCKED), Key("database", "query", "s1")
    for _ in range(5):
        found = desk.tick({key: 0.001}, {key: {10: 50}})
    assert found[0].holds is True
    assert found[0].value == quantile_of({10: 1}, 0.95)


def test_of_a_part_that_has_brought_nothing_nothing_is_said_and_after_a_day_it_is_forgotten() -> None:
    desk, key = Desk(ERRORS), Key("web", "errors")
    for _ in range(5):
        desk.tick({key: 0.06})
    assert "errors/" in desk.state.windows
    desk.at = BEGIN + 60.0 + 86_400.0
    desk.tick({})
    assert "errors/" in desk.state.windows
    desk.at = BEGIN + 61.0 + 86_400.0
    assert desk.tick({}) == []
    assert desk.state.windows == {}


def test_what_causes_are_judged_by_is_noted_for_five_minutes() -> None:
    desk = Desk(LOCKED)
    values = {Key(component, metric, "x"): 1.0 for component, metric in (
        ("database", "write_share"), ("database", "lock_wait"), ("database", "utilisation"), ("queues", "backlog"),
        ("queues", "throughput"), ("queues", "oldest"), ("workers", "utilisation"), ("workers", "demand"))}  # fmt: skip
    desk.tick(values)
    assert set(desk.state.windows) == {
        "cause:database.write_share/x", "cause:database.lock_wait/x", "cause:database.utilisation/x",
        "cause:queues.backlog/x", "cause:queues.throughput/x", "cause:queues.oldest/x", "cause:workers.utilisation/x",
    }  # fmt: skip
    for _ in range(40):
        desk.tick(values)
    assert len(desk.state.windows["cause:queues.oldest/x"].times) == 21


def heard(rule: RuleSettings, value: float, part: str = "", fleet: str = "web", **more: Any) -> Heard:
    desk = Desk(rule)
    desk.state.at = BEGIN
    return desk.rules.heard([read(rule, part, value)], fleet, 4, 90.0, more.get("state", desk.state))


def test_a_rule_that_holds_asks_for_so_many_more_and_says_what_it_expects() -> None:
    assert heard(ERRORS, 0.0612345) == Heard((
        Wish(6, "errors", "the median of web.errors is 6.12% and has been over 5% for 60 s", "high", "add_process",
             {"web.errors": 0.0612345}, Expected("web", "errors", 0.02, 90.0 + 60.0 + 600.0), ""),
    ))  # fmt: skip
    plain = RuleSettings("errors", "web", "web", "errors", "add_process", above=0.05)
    (wish,) = heard(plain, 0.06).wishes
    assert wish.units == 5
    assert wish.expected == Expected("web", "errors", 0.05, 90.0 + 60.0 + 600.0)


def test_a_rule_that_lets_go_says_so() -> None:
    assert heard(IDLE, 0.1) == Heard((), (
        Leave(3, "idle", "the median of web.utilisation is 10% and has been under 20% for 60 s", "remove_process",
              {"web.utilisation": 0.1}),
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "says"), [(0.0, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (150.0, "2.5 min"), (14_400.0, "4 h")]
)
def test_a_span_is_said_as_people_say_it(seconds: float, says: str) -> None:
    rule = RuleSettings(
        "backlog", "workers", "queues", "backlog", "add_consumer", part="*", above=1000.0, for_seconds=seconds,
        quantile=0.99,
    )  # fmt: skip
    (wish,) = heard(rule, 12_345.0, "video", "workers").wishes
    assert wish.reason == f"p99 of queues.backlog[video] is 12,345 jobs and has been over 1,000 jobs for {says}"


def test_figures_of_a_rule_have_the_unit_of_what_it_looks_at() -> None:
    """One that no source declares has none."""
    empty, slow = (next(rule for rule in SHIPPED if rule.name == name) for name in ("empty-rooms", "slow-reads"))
    assert heard(empty, 35.57).leaves[0].reason == (
        "p95 of rooms.fullest_process is 35.57 sockets and has been under 200 sockets for 30 min"
    )
    assert heard(slow, 1.62, "s1", "replicas/s1").wishes[0].reason == (
        "p95 of database.query[s1] is 1.62 s and has been over 1 s for 5 min"
    )
    own = RuleSettings("lights", "web", "hall", "lights", "add_process", above=2.0)
    assert heard(own, 3.5).wishes[0].reason == "the median of hall.lights is 3.5 and has been over 2 for 60 s"


def test_what_does_not_hold_or_is_of_another_fleet_is_not_heard() -> None:
    desk = Desk()
    for holds in (False, None):
        reads = [read(ERRORS, "", 0.5, holds=holds), read(IDLE, "", 0.5, holds=holds)]
        assert desk.rules.heard(reads, "web", 4, 90.0, desk.state) == Heard()
    reads = [read(IDLE, "", 0.1), read(LOCKED, "s1", 2.0), read(ERRORS, "", 0.5)]
    assert [one.rule for one in desk.rules.heard(reads, "replicas/s1", 1, 90.0, desk.state).wishes] == ["locked"]
    both = desk.rules.heard(reads, "web", 1, 90.0, desk.state)
    assert ([one.rule for one in both.wishes], [one.rule for one in both.leaves]) == (["errors"], ["idle"])
    assert desk.rules.heard(reads, "replicas/s2", 1, 90.0, desk.state) == Heard()


def test_a_rule_with_a_cause_is_refused_with_what_would_help_by_medians_of_five_minutes() -> None:
    desk, key = Desk(LOCKED), Key("database", "lock_wait", "s1")
    for number in range(21):
        desk.tick({key: 0.9 if number > 9 else 0.0})
    (wish,) = desk.rules.heard([read(LOCKED, "s1", 2.0)], "replicas/s1", 1, 300.0, desk.state).wishes
    assert wish.refused == (
        "90% of the time goes into waiting for locks, and a replica takes no lock away;"
        " what would help: find the transaction that holds them: `atomic-guide doctor` names the slow ones"
    )
    assert wish.inputs == {"database.query[s1]": 2.0, "database.write_share": None, "database.lock_wait": 0.9,
                           "database.utilisation": None}  # fmt: skip
    assert wish.expected == Expected("database", "query", 1.0, 300.0 + 60.0 + 600.0, "s1")
    desk.state.at += 301.0
    (wish,) = desk.rules.heard([read(LOCKED, "s1", 2.0)], "replicas/s1", 1, 300.0, desk.state).wishes
    assert "is not measured" in wish.refused


def test_a_rule_whose_cause_stands_is_not_refused() -> None:
    drain = RuleSettings("backlog", "workers", "queues", "backlog", "add_consumer", part="*", above=5.0, cause="drain")
    desk = Desk(drain)
    desk.state.at = BEGIN
    (wish,) = desk.rules.heard([read(drain, "video", 9.0)], "workers", 1, 30.0, desk.state).wishes
    assert (wish.refused, wish.units) == ("", 2)
    for _ in range(5):
        desk.tick({Key("queues", "backlog", "video"): 9.0, Key("queues", "throughput", "video"): 9.0})
    (wish,) = desk.rules.heard([read(drain, "video", 9.0)], "workers", 1, 30.0, desk.state).wishes
    assert wish.refused == "9 jobs at 9.0 a second are done within 1 s"


def test_a_rule_of_each_shard_is_for_the_fleet_of_its_part() -> None:
    assert fleet_of(LOCKED, "s1") == "replicas/s1"
    assert fleet_of(ERRORS, "p1") == "web"


def test_own_rules_come_beside_the_shipped_ones_or_in_their_place() -> None:
    assert rules_in_force(()) == SHIPPED
    own = RuleSettings("full-room", "web", "rooms", "fullest_room", "increase_sharding", above=5.0)
    off = RuleSettings("backlog", "workers", "queues", "backlog", "add_consumer", above=5.0, enabled=False)
    found = {rule.name: rule for rule in rules_in_force((own, off, ERRORS))}
    assert set(found) == {rule.name for rule in SHIPPED} - {"backlog"} | {"errors"}
    assert found["full-room"] is own
