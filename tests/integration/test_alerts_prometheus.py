"""Rules mean the same in a real Prometheus: a part of a day, replayed in both. A whole day: `dev.py bench alerts`."""

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from atomic_guide.operations.alerts.export import rules_file
from atomic_guide.operations.alerts.promql import Scope
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.settings import RuleSettings
from tests.alert_day import OWN, compared, made_day, programs, prometheus, write_openmetrics
from tests.alert_states import compared_states
from tests.alerting import rules

pytestmark = pytest.mark.skipif(programs() is None, reason="prometheus and promtool are not installed")

TOOL = (programs() or ("", ""))[1]
BERLIN = ZoneInfo("Europe/Berlin")
CONDITIONS = tuple(RuleSettings(name=f"own-{number}", condition=text) for number, text in enumerate(OWN))


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("begin", "zone"),
    [("2026-06-10T11:30", ZoneInfo("UTC")), ("2026-03-30T21:30", BERLIN), ("2026-10-25T21:30", BERLIN)],
)
def test_every_rule_says_the_same_here_and_in_prometheus(begin: str, zone: ZoneInfo, tmp_path: Path) -> None:
    """True, false and unknown at each tick, over gaps, restarts, and nights in which clocks are changed."""
    day = made_day(int(datetime.fromisoformat(begin).replace(tzinfo=zone).timestamp()), 2.0, zone)
    file = tmp_path / "day.om"
    write_openmetrics(day, file)
    judged = rules_of(CONDITIONS).enabled
    with prometheus(tmp_path, file) as client:
        found = {rule.name: compared(rule, day, client) for rule in judged}
    assert [one for each in found.values() for one in each.differ] == []
    assert min(each.verdicts for each in found.values()) >= len(day.ticks) * 0.5
    for count in (sum(each.true for each in found.values()), sum(each.false for each in found.values()),
                  sum(each.unknown for each in found.values())):  # fmt: skip
        assert count > 500, "it happens that rules are true, false and unknown"


def test_the_exported_file_is_one_that_promtool_takes(tmp_path: Path) -> None:
    for zone in (UTC, BERLIN):
        file = tmp_path / "rules.yml"
        file.write_text(rules_file(rules_of(CONDITIONS, "https://x.test/a").enabled, Scope('job="guide"', zone)))
        done = subprocess.run([TOOL, "check", "rules", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


STEPS = 480
"""Two hours of ticks."""

WAVES: dict[str, Sequence[tuple[float | None, int]]] = {
    # Values for so many ticks; None is not measured.
    "long": [(0.0, 20), (9.0, 60), (0.0, 100), (9.0, 10), (0.0, 30), (9.0, 200), (0.0, 60)],
    "flapping": [(9.0, 25), (0.0, 5)] * 16,
    "gaps": [(9.0, 18), (None, 2), (9.0, 30), (None, 3), (9.0, 10), (None, 30), (9.0, 20), (0.0, 7), (None, 50),
             (9.0, 70), (None, 120), (0.0, 30), (9.0, 90)],
    "never": [(0.0, 480)],
    "nothing": [(None, 480)],
    "restarts": [(float(value), 1) for value in (*range(12), *range(9), *range(15))] * 14,
}  # fmt: skip


def test_alerts_are_pending_firing_and_over_at_the_same_ticks(tmp_path: Path) -> None:
    """`for`, `keep_firing_for`, what is kept unmeasured and what is told of that, by promtool's own evaluation."""
    settings = (
        RuleSettings(name="plain", condition="queues_oldest > 5", for_="5m", unmeasured="resolve"),
        RuleSettings(name="at-once", condition="queues_oldest > 5", unmeasured="resolve"),
        RuleSettings(name="damped", condition="queues_oldest > 5", for_="2m", keep_firing_for="4m",
                     unmeasured="resolve"),
        RuleSettings(name="kept", condition="queues_oldest > 5", for_="5m", unmeasured_after="6m"),
        RuleSettings(name="both", condition="queues_oldest > 5", for_="1m", keep_firing_for="3m"),
        RuleSettings(name="one", condition='queues_oldest{queue="gaps"} > 5', for_="1m", unmeasured_after="2m"),
    )  # fmt: skip
    judged = rules(*settings, only=[one.name for one in settings])
    series = {
        ("queues", "oldest", queue): [value for value, count in spans for _each in range(count)][:STEPS]
        for queue, spans in WAVES.items()
    }
    found = compared_states(judged, series, tmp_path, 50)
    assert found.said == ""
    assert {alert.state for tick in found.ticks for alert in tick.turn.alerts.values()} == {"pending", "firing"}
    fired = {alert.rule for tick in found.ticks for alert in tick.turn.alerts.values() if alert.state == "firing"}
    assert fired >= {"plain", "at-once", "damped", "kept", "both", "one", "one-unmeasured"}
