"""Each shipped rule fires and clears on what it is about, and none where nothing is wrong or nothing is known."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from atomic_guide.operations.alerts.shipped import SHIPPED
from atomic_guide.operations.alerts.traces import Traces
from tests.alerting import DAY, HOUR, MONDAY, TICK, Series, Shape, ended, fill, first, rules, run, ticks

NOON = MONDAY + 12 * HOUR
DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"


def bad(good: float, wrong: float) -> Shape:
    """Wrong for an hour and a half from 12:10."""
    return lambda at: wrong if NOON + 600 <= at < NOON + 6000 else good


def steady(value: float) -> Shape:
    return lambda _at: value


def of_day(hourly: float, extra: float = 0.0) -> Shape:
    """What a day has cost so far; on this Monday from eleven o'clock on something costs more."""

    def cost(at: float) -> float:
        dear = max(0.0, at - MONDAY - 11 * HOUR) if MONDAY <= at < MONDAY + 14 * HOUR else 0.0
        return ((at - MONDAY) % DAY * hourly + dear * extra) / HOUR

    return cost


CASES: dict[str, tuple[str, Mapping[Series, Shape]]] = {
    "scaling-event-failed": ("", {("scaling", "success_rate", ""): bad(1.0, 0.5)}),
    "resource-utilization-high": (" database shard-1", {
        ("database", "utilisation", "shard-1"): bad(0.4, 0.95), ("database", "utilisation", "shard-0"): steady(0.4),
        ("web", "utilisation", ""): steady(0.89),
    }),
    "cost-spike": ("", {("costs", "daily", ""): of_day(1.0, extra=20.0)}),
    "scaling-too-frequent": ("", {("scaling", "events_per_hour", ""): bad(5.0, 6.0)}),
    "forecast-wrong": (" workers", {("scaling", "forecast_wrong", "workers"): bad(0.0, 1.0),
                                    ("scaling", "forecast_wrong", "web"): steady(0.0)}),
    "queue-stalled": (" video", {("queues", "oldest", "video"): bad(5.0, 1000.0),
                                 ("queues", "oldest", "analytics"): steady(900.0)}),
    "dead-letters-growing": (" video", {("queues", "dead_letters", "video"): bad(40.0, 51.0),
                                        ("queues", "dead_letters", "analytics"): steady(500.0)}),
    "errors-high": ("", {("web", "errors", ""): bad(0.0, 0.2), ("web", "throughput", ""): steady(3.0)}),
    "latency-high": ("", {("web", "latency_p95", ""): bad(0.1, 3.0), ("web", "throughput", ""): steady(3.0)}),
    "replica-lags": (" shard-1", {("database", "lag", "shard-1"): bad(0.1, 45.0),
                                  ("database", "lag", "shard-0"): steady(30.0)}),
    "writes-wait": (" shard-0", {("database", "lock_wait", "shard-0"): bad(0.1, 0.8),
                                 ("database", "write_p95", "shard-0"): steady(0.4),
                                 ("database", "lock_wait", "shard-1"): steady(0.8),
                                 ("database", "write_p95", "shard-1"): steady(0.01)}),
    "limit-near": (" rooms.room_sockets", {("limit", "usage", "rooms.room_sockets"): bad(0.5, 0.9),
                                           ("limit", "usage", ""): bad(0.5, 0.9),
                                           ("limit", "usage", "chat.frame_bytes"): steady(0.8)}),
    "disk-full": ("", {("disk", "utilisation", ""): bad(0.8, 0.97)}),
    "cache-unheard": ("", {("cache", "unheard", ""): bad(0.0, 2.0)}),
    "backup-late": ("", {("backups", "overdue", ""): bad(0.5, 2.5)}),
    "region-away": (" eu-north", {("regions", "away", "eu-north"): bad(0.0, 0.9),
                                  ("regions", "away", "us-east"): steady(0.1)}),
    "region-refused": ("", {("regions", "refused", ""): bad(0.0, 0.5)}),
    "copy-late": (" bucket-us", {("assets", "behind", "bucket-us"): bad(60, 30_000)}),
}  # fmt: skip


def filled(series: Mapping[Series, Shape]) -> Traces:
    """Measured on this day from eleven on, and at the same hours of the day and the week before."""
    traces = Traces()
    for days in (7, 1, 0):
        since = MONDAY - days * DAY + 11 * HOUR
        fill(traces, series, ticks(since, since + 6 * HOUR))
    return traces


@pytest.mark.parametrize("name", CASES)
def test_a_shipped_rule_fires_and_clears_where_it_should(name: str) -> None:
    labels, series = CASES[name]
    [rule] = rules(only=[name])
    found = run([rule], filled(series), ticks(MONDAY + 11 * HOUR, MONDAY + 17 * HOUR - TICK))
    alert = name + labels
    fired, cleared = first(found, alert, "firing"), ended(found, alert)
    assert fired is not None
    assert cleared is not None
    assert {one for each in found for one in each.states()} == {alert}, "nothing else of it"
    if name != "cost-spike":
        assert fired == NOON + 600 + rule.given.for_seconds
        assert cleared == NOON + 6000 + rule.given.keep_firing_seconds


def test_that_nobody_leads_is_seen_from_outside() -> None:
    """The leader evaluates the rule, and so never sees itself missing; Prometheus evaluates it too."""
    [rule] = rules(only=["leader-missing"])
    leads: Shape = lambda at: None if NOON + 600 <= at < NOON + 6000 else 1.0  # noqa: E731 - as short as the others
    found = run([rule], filled({("scaling", "leader", ""): leads}), ticks(MONDAY + 11 * HOUR, MONDAY + 17 * HOUR))
    # Two ticks are bridged.
    assert first(found, "leader-missing-unmeasured", "firing") == NOON + 600 + 2 * TICK + 300
    assert ended(found, "leader-missing-unmeasured") == NOON + 6000
    assert all(one.states().keys() <= {"leader-missing-unmeasured"} for one in found)


def test_every_shipped_rule_has_its_case_here_and_its_paragraph_in_the_docs() -> None:
    names = {rule.name for rule in SHIPPED}
    assert names == CASES.keys() | {"leader-missing"}
    page = DOCS.read_text(encoding="utf-8")
    assert [name for name in sorted(names) if f"### {name}\n" not in page] == []


def test_where_nothing_is_measured_every_rule_is_unknown_and_nothing_fires() -> None:
    found = run(rules(), Traces(), ticks(MONDAY, MONDAY + HOUR))
    assert found[-1].turn.unknown == {rule.name for rule in SHIPPED}
    fired = {name for one in found for name in one.states()}
    assert fired == {"leader-missing-unmeasured"}, "which is the one that asks for it"


def test_no_act_yet_is_no_failed_act() -> None:
    """A success rate of nothing is not zero."""
    traces = Traces()
    fill(traces, {("scaling", "events_per_hour", ""): steady(0.0)}, ticks(MONDAY, MONDAY + HOUR))
    found = run(rules(only=["scaling-event-failed"]), traces, ticks(MONDAY, MONDAY + HOUR))
    assert found[-1].turn.unknown == {"scaling-event-failed"}
    assert not any(one.states() for one in found)


# A quiet Monday ------------------------------------------------------------------------------------------------


def ordinary(at: float) -> float:
    """Money an hour: twice as much from Monday to Friday as at the weekend, more by day."""
    day = int((at - MONDAY) // DAY) % 7
    hour = (at - MONDAY) % DAY / HOUR
    return (4.0 if day < 5 else 1.5) * (1.5 if 8 <= hour < 20 else 1.0)


def ordinary_daily(at: float) -> float:
    hour = (at - MONDAY) % DAY / HOUR
    day = (at - MONDAY) // DAY * DAY + MONDAY
    whole = [day + HOUR * number for number in range(int(hour))]
    return sum(map(ordinary, whole)) + ordinary(at) * (hour % 1)


def test_a_quiet_monday_stays_quiet() -> None:
    """It costs twice as much as the Sunday before, as every Monday does; and a part of it is no whole day."""
    traces = Traces()
    for days in (7, 1, 0):
        fill(traces, {
            ("costs", "daily", ""): ordinary_daily, ("costs", "hourly", "web"): ordinary,
            ("scaling", "leader", ""): steady(1.0), ("scaling", "events_per_hour", ""): steady(2.0),
            ("web", "utilisation", ""): steady(0.5), ("web", "errors", ""): steady(0.0),
            ("web", "throughput", ""): steady(5.0), ("web", "latency_p95", ""): steady(0.2),
            ("queues", "oldest", "video"): steady(3.0), ("queues", "dead_letters", "video"): steady(4.0),
            ("disk", "utilisation", ""): steady(0.5), ("database", "lock_wait", "shard-0"): steady(0.1),
            ("database", "write_p95", "shard-0"): steady(0.01),
        }, ticks(MONDAY - days * DAY, MONDAY - days * DAY + DAY))  # fmt: skip
    found = run(rules(), traces, ticks(MONDAY, MONDAY + DAY))
    assert {name for one in found for name in one.states()} == set()
    assert "cost-spike" not in found[-1].turn.unknown, "it was not quiet because nothing was known"


def test_a_yesterday_that_cost_nothing_or_was_not_measured_is_no_spike() -> None:
    dear = of_day(5.0)
    free: Shape = lambda at: 0.0 if at < MONDAY else dear(at)  # noqa: E731 - as above
    ratio = "daily_cost / previous_day_cost > 1.5"
    from atomic_guide.operations.alerts.settings import RuleSettings  # noqa: PLC0415

    judged = rules(RuleSettings(name="by-ratio", condition=ratio), only=["by-ratio", "cost-spike"])
    found = run(judged, filled({("costs", "daily", ""): free}), ticks(NOON, NOON + 600))
    assert found[-1].turn.unknown == {"by-ratio"}, "by zero is unknown"
    lost: Shape = lambda at: None if at < MONDAY else dear(at)  # noqa: E731 - as above
    found = run(judged, filled({("costs", "daily", ""): lost}), ticks(NOON, NOON + 600))
    assert found[-1].turn.unknown == {"by-ratio", "cost-spike"}
    assert not any(one.states() for one in found)
