"""`atomic-guide scale simulate|forecast`, without a server and without a data directory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "scale", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def answer(folder: Path, *arguments: str) -> Any:
    code, out, err = run(folder, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two hours by the minute: 500, then 1,500, with a minute that is not known."""
    values = [500 if minute < 60 else 1500 for minute in range(120)]
    lines = [f"{60 * minute},{'' if minute == 30 else value}" for minute, value in enumerate(values)]
    file = tmp_path / "trace.csv"
    file.write_text("\n".join(["timestamp,value", *lines, ""]))
    return file


def test_policies_are_compared_tick_by_tick(tmp_path: Path, trace: Path) -> None:
    chosen = ("--policy", "hpa-50", "--policy", "guide-thresholds", "--timeline")
    found = answer(tmp_path, "simulate", "--trace", "trace.csv", *chosen, "--picture", "p.svg")["policies"]
    assert [row["name"] for row in found] == ["hpa-50", "guide-thresholds"]
    hpa = found[0]
    assert len(hpa["timeline"]) == 480
    known = [row for row in hpa["timeline"] if row["demand"] is not None]
    assert len(known) == 476
    minutes = {row["timestamp"][:16] for row in known if row["demand"] > 100 * row["ready"]}
    assert hpa["violation_minutes"] == len(minutes) > 0
    assert hpa["violation_minutes_per_day"] == pytest.approx(12 * len(minutes))
    paid = sum(row["desired"] for row in known)
    assert hpa["cost_ratio"] == pytest.approx(paid / sum(-(-row["demand"] // 100) for row in known))
    assert hpa["timeline"][241]["reason"] == "utilisation over 50%"
    assert {path.name for path in tmp_path.iterdir()} == {"trace.csv", "p.svg"}
    assert "hpa-50" in (tmp_path / "p.svg").read_text()


def test_history_teaches_and_must_come_before(tmp_path: Path, trace: Path) -> None:
    earlier = tmp_path / "earlier.csv"
    earlier.write_text("timestamp,value\n" + "".join(f"{60 * minute - 7200},900\n" for minute in range(120)))
    one = ("simulate", "--trace", "trace.csv", "--policy", "guide-thresholds")
    assert answer(tmp_path, *one, "--history", "earlier.csv")["policies"][0]["events_per_day"] >= 0
    code, _, err = run(tmp_path, *one, "--history", "trace.csv")
    assert code == 1
    assert "after the trace begins" in err


def test_a_forecast_begins_with_the_hour_after_the_end(tmp_path: Path) -> None:
    lines = [f"{3600 * hour},{100 + hour % 24}" for hour in range(40 * 24)]
    (tmp_path / "t.csv").write_text("\n".join(["timestamp,value", *lines]))
    found = answer(tmp_path, "forecast", "--trace", "t.csv", "--horizon", "48h", "--time-zone", "Europe/Berlin")
    assert len(found["rows"]) == 48
    assert found["rows"][0]["timestamp"] == "1970-02-10T00:00:00Z"
    assert found["rows"][0]["p50"] == pytest.approx(100, abs=1)
    assert found["rows"][0]["p95"] >= found["rows"][0]["p50"]
    assert set(found["backtest"]) == {"mase", "pinball_95", "coverage_95", "origins"}
    assert found["backtest"]["origins"] == 2
    assert 0 < found["fit_ms"] < 1000


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("simulate", "--trace", "trace.csv", "--policy", "best"), 1, "there is no policy best"),
        (("simulate", "--trace", "trace.csv", "--start-delay", "soon"), 2, "is no duration"),
        (("simulate", "--trace", "trace.csv", "--min", "5", "--max", "4"), 1, "--min 5 is over --max 4"),
        (("simulate", "--trace", "trace.csv", "--tick", "0s"), 1, "--tick is 1s to 1h"),
        (("simulate", "--trace", "nothing.csv"), 2, "nothing.csv"),
        (("forecast", "--trace", "trace.csv"), 1, "14 days"),
        (("forecast", "--trace", "trace.csv", "--time-zone", "Mars/Phobos"), 1, "no time zone Mars/Phobos"),
        (("forecast", "--trace", "trace.csv", "--horizon", "1s"), 1, "a horizon is 1h to"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, trace: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    got, _, err = run(tmp_path, *arguments)
    assert got == code
    assert says in err
    assert "Traceback" not in err
