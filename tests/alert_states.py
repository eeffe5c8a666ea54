"""How alerts come and go here and by promtool's own evaluation of the exported rules, tick by tick."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from atomic_guide.operations.alerts.export import rules_file
from atomic_guide.operations.alerts.promql import MEASUREMENT
from atomic_guide.operations.alerts.rule import Rule
from atomic_guide.operations.alerts.traces import Traces
from tests.alert_day import programs
from tests.alerting import TICK, Series, Ticked, run


class States(NamedTuple):
    """What was evaluated here, how many states of alerts were compared, and what promtool says where they differ."""

    ticks: list[Ticked]
    compared: int
    said: str


def compared_states(
    rules: Sequence[Rule], series: Mapping[Series, Sequence[float | None]], folder: Path, limit: float
) -> States:
    """Evaluate rules over series of a value (or None) for each tick, here and by `promtool test rules`.

    Time begins at 0, as promtool's does; so rules must not look at earlier days.
    """
    traces = Traces()
    inputs = []
    for (component, metric, part), values in series.items():
        for number, value in enumerate(values):
            if value is not None:
                traces.note(TICK * number, (component, metric, part), value)
        name = f'{MEASUREMENT}{{component="{component}",metric="{metric}",part="{part}"}}'
        inputs.append({"series": name, "values": " ".join("_" if value is None else repr(value) for value in values)})
    count = max(map(len, series.values()))
    ticks = run(rules, traces, [TICK * number for number in range(count)])
    expected = [
        {
            "expr": "ALERTS",
            "eval_time": f"{int(tick.at)}s",
            "exp_samples": [
                {"labels": _sample(dict(alert.labels), alert.state), "value": 1} for alert in tick.turn.alerts.values()
            ],
        }
        for tick in ticks
    ]
    (folder / "rules.yml").write_text(rules_file(rules), encoding="utf-8")
    test = {"interval": "15s", "input_series": inputs, "promql_expr_test": expected}
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    (folder / "tests.yml").write_text(json.dumps(whole), encoding="utf-8")
    found = programs()
    assert found is not None
    done = subprocess.run(
        [found[1], "test", "rules", str(folder / "tests.yml")], capture_output=True, text=True, check=False,
        timeout=limit,
    )  # fmt: skip
    said = "" if done.returncode == 0 else (done.stdout + done.stderr)[:3000]
    return States(ticks, sum(len(tick.turn.alerts) for tick in ticks), said)


def _sample(labels: Mapping[str, str], state: str) -> str:
    whole = {"alertstate": state, **labels}
    return "ALERTS{" + ",".join(f'{name}="{value}"' for name, value in sorted(whole.items())) + "}"
