"""The names of conditions are the metrics that sources declare, and the guide's."""

from atomic_guide.app.sources.declared import DECLARED
from atomic_guide.operations.alerts.names import NAMES, Measured, resolve
from atomic_guide.operations.alerts.tree import Matcher, Name

GUIDES = {"scaling_success_rate", "resource_utilization", "daily_cost", "scaling_events_per_hour"}


def test_every_metric_has_a_name_and_every_name_a_metric() -> None:
    declared = {}
    for metric in DECLARED:
        for quantile in ("", "_p50", "_p95", "_p99") if metric.kind == "durations" else ("",):
            name = f"{metric.name}{quantile}"
            declared[f"{metric.component}_{name}"] = Measured(
                metric.component, name, metric.part.partition(",")[0], daily=metric.name == "daily"
            )
    assert {name: one for name, one in NAMES.items() if name not in {"resource_utilization", "daily_cost"}} == declared
    assert NAMES.keys() >= GUIDES


def test_utilisation_is_of_each_kind_of_resource() -> None:
    """Rather than one number for all of them."""
    selector = resolve(Name("resource_utilization", (Matcher("component", "!=", "disk", 1),), 1))
    measured = [metric for metric in DECLARED if metric.name == "utilisation"]
    assert {metric.component for metric in measured} == {"web", "workers", "database", "disk"}
    assert [selector.takes(metric.component, "") for metric in measured].count(False) == 1
    assert selector.place("database", "shard-1") == ("database", "shard-1")


def test_earlier_days_are_names_too() -> None:
    day, week = resolve(Name("previous_day_cost", (), 1)), resolve(Name("previous_week_queues_oldest", (), 1))
    assert (day.when, day.measured) == ("previous_day", NAMES["daily_cost"])
    assert (week.when, week.free) == ("previous_week", ("queue",))
