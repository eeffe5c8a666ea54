"""`atomic-guide scale metrics`, and replaying what was recorded."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.clock import iso
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from tests.running import running_server

HOUR = 3600


def run(data: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "scale", *arguments, "--data", str(data)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def answer(data: Path, *arguments: str) -> Any:
    code, out, err = run(data, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of demand and latency up to now, with ten minutes that nothing was measured in."""
    folder = tmp_path_factory.mktemp("recorded")

    async def fill() -> None:
        shards = await open_embedded(folder)
        series, now = Series(shards.directory), time.time()
        spread = Histogram()
        for value in (0.1, 0.1, 0.1, 1.0):
            spread.add(value)
        for tick in range(240):
            if not 80 <= tick < 120:
                at = now - HOUR + 15 * tick
                demand = [Sample(Key(fleet, "demand"), 2.0 + tick % 4) for fleet in ("web", "workers")]
                await series.store(at, [*demand, Sample(Key("web", "latency"), spread.total, spread.counts)])
        await shards.close()

    asyncio.run(fill())
    return folder


def test_what_was_not_measured_is_null_and_quantiles_are_of_all_durations(data: Path) -> None:
    rows = answer(data, "metrics", "--since", "2h", "--component", "web")["series"]
    demand, latency = rows
    assert [row["metric"] for row in rows] == ["demand", "latency"]
    known = [point["value"] for point in demand["points"] if point["value"] is not None]
    assert demand["resolution"] == 15
    assert len(demand["points"]) in {480, 481}
    assert 195 <= len(known) <= 200
    assert latency["p50"] == pytest.approx(0.1, rel=0.05)
    assert latency["p95"] == pytest.approx(1.0, rel=0.05)
    assert demand["p50"] is None
    by_minute = answer(
        data, "metrics", "--since", "1h", "--metric", "demand", "--component", "web", "--resolution", "60s"
    )
    assert max(point["most"] or 0 for point in by_minute["series"][0]["points"]) == 5
    code, out, _ = run(data, "metrics", "--since", "2h")
    assert code == 0
    assert "workers demand" in out


def test_the_record_is_replayed_from_its_file_and_from_the_data_directory(data: Path, tmp_path: Path) -> None:
    code, out, err = run(data, "metrics", "--since", "2h", "--component", "web", "--metric", "demand", "--csv")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "timestamp,value"
    assert any(line.endswith(",") for line in lines)
    trace = tmp_path / "web.csv"
    trace.write_text(out)
    terms = ("--policy", "hpa-50", "--timeline", "--max", "200")
    by_file = answer(data, "simulate", "--fleet", "web", "--since", "2h", *terms)["policies"][0]
    done = subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "scale", "simulate", "--trace", str(trace), *terms, "--json",
         "--unit-capacity", "1"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    known = [row["demand"] for row in json.loads(done.stdout)["policies"][0]["timeline"] if row["demand"] is not None]
    assert known == [row["demand"] for row in by_file["timeline"] if row["demand"] is not None]
    assert max(row["ready"] for row in by_file["timeline"]) >= 8


def test_series_are_drawn(data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "demand.svg"
    code, _, err = run(data, "metrics", "--since", "2h", "--metric", "demand", "--picture", str(picture))
    assert code == 0, err
    text = picture.read_text()
    assert text.count("<path") == 2
    assert "workers demand" in text
    # The gap, and the time before the first measurement, begin a line anew.
    assert text.count("M") - text.count("Metric") >= 4


def test_operators_are_shown_the_same_over_http(data: Path) -> None:
    with running_server(data) as server:
        token = (data / "operator-token").read_text().strip()
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=20) as client:
            asked = {"component": "web", "metric": "latency", "since": iso(time.time() - HOUR)}
            (latency,) = client.get("/api/ops/scaling/metrics", params=asked).raise_for_status().json()["series"]
            assert latency["p95"] == pytest.approx(1.0, rel=0.05)
            assert {point["value"] is None for point in latency["points"]} == {True, False}
            hourly = client.get("/api/ops/scaling/metrics", params={**asked, "resolution": 3600}).json()["series"][0]
            assert hourly["resolution"] == 3600
            for wrong in ({"resolution": 17}, {"since": "soon"}):
                refused = client.get("/api/ops/scaling/metrics", params=wrong)
                assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        assert httpx.get(f"{server.url}/api/ops/scaling/metrics").status_code == 401


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("metrics", "--component", "moon"), 1, "nothing of that kind was measured"),
        (("metrics", "--csv"), 1, "--csv is for one series"),
        (("metrics", "--since", "400d", "--resolution", "15s"), 1, "coarser resolution"),
        (("simulate", "--fleet", "web", "--since", "20s"), 1, "measurements of the demand of web are recorded"),
        (("simulate",), 2, "either --trace FILE or --fleet NAME"),
        (("forecast", "--fleet", "workers"), 1, "14 days"),
    ],
)
def test_what_cannot_be_shown_is_said(data: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    got, _, err = run(data, *arguments)
    assert (got, says in err, "Traceback" in err) == (code, True, False), err
