"""How alerts come and go, over restarts and over figures that are missing; and who keeps whom quiet."""

from collections.abc import Mapping, Sequence

import pytest

from atomic_guide.operations.alerts.routes import Inhibitions, Routes
from atomic_guide.operations.alerts.settings import (
    AlertSettings,
    ChannelSettings,
    InhibitionSettings,
    RouteSettings,
    RuleSettings,
)
from atomic_guide.operations.alerts.state import Alert, Moment, Terms, advanced, begun
from atomic_guide.operations.alerts.traces import Traces
from tests.alerting import MONDAY, TICK, ended, fill, first, rules, run, ticks

TERMS = Terms(hold=60.0, keep=45.0)
LABELS = (("alertname", "a"),)


def went(verdicts: Sequence[bool | None], *, grace: int = 0, gaps: Mapping[int, float] | None = None) -> list[str]:
    """The state after each verdict, a tick apart; `gaps` are seconds in which nothing was evaluated before one."""
    alert: Alert | None = None
    states: list[str] = []
    at = 0.0
    for number, holds in enumerate(verdicts):
        passed = TICK + (gaps or {}).get(number, 0.0)
        at += passed
        moment = Moment(at, passed, number < grace)
        if alert is None:
            alert = begun("a", LABELS, TERMS, moment) if holds else None
        else:
            alert = advanced(alert, holds, TERMS, moment)
        states.append(alert.state if alert else "")
        if alert is not None and alert.state == "resolved":
            alert = None
    return states


def test_it_fires_when_it_has_held_for_long_enough_without_a_break() -> None:
    assert went([True] * 6) == ["pending"] * 4 + ["firing"] * 2
    assert went([True] * 4 + [False] + [True] * 4) == ["pending"] * 4 + [""] + ["pending"] * 4
    assert went([True] * 4 + [None] + [True] * 4) == ["pending"] * 4 + [""] + ["pending"] * 4


def test_one_that_comes_and_goes_stays_one_alert() -> None:
    assert went([True] * 5 + [False, False, True, False, False, False]) == ["pending"] * 4 + ["firing"] * 7
    assert went([True] * 5 + [False] * 4)[-4:] == ["firing"] * 3 + ["resolved"]


def test_a_restart_counts_neither_for_nor_against_it() -> None:
    assert went([True] * 5, gaps={3: 3600.0}) == ["pending"] * 4 + ["firing"]
    assert went([True, True, True, None, None, True, True], grace=7) == ["pending"] * 6 + ["firing"]
    assert went([True] * 5 + [None] * 4, grace=9) == ["pending"] * 4 + ["firing"] * 5
    assert went([True] * 3 + [False], grace=9) == ["pending"] * 3 + [""], "what is known counts at once"
    assert went([True] * 5 + [False] + [None] * 4 + [False] * 3, grace=10)[-3:] == ["firing", "firing", "resolved"]


def test_a_firing_alert_goes_on_for_a_quarter_of_an_hour_without_figures_unless_its_rule_says_otherwise() -> None:
    kept = RuleSettings(name="kept", condition="queues_oldest > 60")
    let = RuleSettings(name="let", condition="queues_oldest > 60", unmeasured="resolve")
    traces = Traces()
    fill(traces, {("queues", "oldest", "video"): lambda _at: 100.0}, ticks(MONDAY, MONDAY + 300))
    found = run(rules(kept, let, only=["kept", "let"]), traces, ticks(MONDAY, MONDAY + 3000))
    assert first(found, "kept video", "firing") == first(found, "let video", "firing") == MONDAY
    last = MONDAY + 300 - TICK
    assert ended(found, "let video") == last + 3 * TICK
    assert ended(found, "kept video") == last + 900 + TICK


@pytest.mark.parametrize(
    ("firing", "muted"),
    [
        ([{"severity": "critical", "shard": "a"}, {"severity": "warning", "shard": "a"}], [False, True]),
        ([{"severity": "critical", "shard": "a"}, {"severity": "warning", "shard": "b"}], [False, False]),
        ([{"severity": "critical"}, {"severity": "warning"}], [False, True]),
        ([{"severity": "warning", "shard": "a"}], [False]),
    ],
)
def test_the_worse_one_keeps_the_other_quiet_where_labels_are_equal(
    firing: list[dict[str, str]], muted: list[bool]
) -> None:
    rule = InhibitionSettings(source=("severity=critical",), target=("severity=warning",), equal=("shard",))
    assert Inhibitions([rule]).muted(firing) == muted


def test_no_alert_keeps_itself_or_its_like_quiet() -> None:
    same = InhibitionSettings(source=("team=a",), target=("team=a",))
    assert Inhibitions([same]).muted([{"team": "a"}, {"team": "a"}]) == [False, False]


def test_an_alert_goes_to_the_first_route_that_takes_it_and_further_where_that_says_so() -> None:
    channels = tuple(ChannelSettings(name=name, kind="webhook", url="https://x.test/") for name in ("a", "b", "c"))
    settings = AlertSettings(
        channels=channels,
        routes=(
            RouteSettings(matchers=("severity=critical",), channels=("a",), go_on=True, group_wait=5),
            RouteSettings(matchers=("queue=~.+",), channels=("b", "console"), group_by=("queue",)),
            RouteSettings(matchers=("queue=video",), channels=("c",)),
        ),
    )
    routes = Routes(settings, ["console", "a", "b/1", "b/2", "c"])

    def stops(**labels: str) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        return [(stop.channel, stop.labels) for stop in routes.stops({"alertname": "x", **labels})]

    name, queue = (("alertname", "x"),), (("queue", "video"),)
    assert stops(severity="critical", queue="video") == [
        ("console", name), ("a", name), ("b/1", queue), ("b/2", queue), ("console", queue),
    ]  # fmt: skip
    assert stops() == [(each, name) for each in ("console", "a", "b/1", "b/2", "c")], "what no route takes"
    [first_stop] = [stop for stop in routes.stops({"severity": "critical"}) if stop.channel == "a"]
    assert first_stop.patience == (5.0, 300.0, 14400.0)
