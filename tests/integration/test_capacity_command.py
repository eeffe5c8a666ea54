"""`atomic-guide capacity`: over a recorded directory, over a trace alone, beside a server, and what it refuses."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.operations.scaling.model import Key
from tests.recorded import record_into, slots, usual, week
from tests.running import running_server
from tests.synthetic import systems

POINTS = "concurrency,throughput\n1,95\n5,410\n10,700\n20,1100\n40,1500\n80,1700\n120,1650\n"


def run(*arguments: str, data: Path | None = None) -> tuple[int, str, str]:
    where = ("--data", str(data)) if data is not None else ()
    done = subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "capacity", *arguments, *where],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def answer(*arguments: str, data: Path | None = None) -> Any:
    code, out, err = run(*arguments, "--json", data=data)
    assert code == 0, err
    return json.loads(out)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nine recorded weeks and a load test."""
    folder = tmp_path_factory.mktemp("recorded")
    asyncio.run(record_into(folder, time.time(), 63))
    report(folder, "01", [(n, x) for n, x in rows(POINTS)])
    return folder


def rows(text: str) -> list[tuple[float, float]]:
    pairs = (line.split(",") for line in text.splitlines()[1:])
    return [(float(first), float(second)) for first, second in pairs]


def report(folder: Path, name: str, points: list[tuple[float, float]], **more: Any) -> Path:
    """A stored load test, as `loadtest run` leaves it."""
    place = folder / "loadtests" / name
    place.mkdir(parents=True)
    made = [
        {"rate": x, "throughput": x, "concurrency": n, "p95": 0.1, "utilisation": 0.5, "seconds": 60, "errors": 0.0,
         "valid": True} | more for n, x in points
    ]  # fmt: skip
    document = {"format": 1, "id": name, "target": "http://127.0.0.1:8000", "points": made}
    (place / "report.json").write_text(json.dumps(document))
    return place / "report.json"


def test_a_plan_over_a_record(data: Path) -> None:
    plan = answer("plan", "--growth", "3x/year", "--horizon", "12m", data=data)
    components = {one["name"]: one for one in plan["components"]}
    assert set(components) == {
        "web", "web requests", "workers", "rooms", "sockets", "database shard-0 writes", "database shard-0 reads",
        "storage", "memory",
    }  # fmt: skip
    assert components["web"]["units"] == 4
    assert 1.6 < components["web"]["need_now"]["low"] < components["web"]["need_now"]["high"] < 3.0
    assert 1600 < components["web requests"]["capacity"]["low"] < components["web requests"]["capacity"]["high"] < 1800
    assert components["workers"]["need_now"]["middle"] >= 5
    assert any("Erlang C" in note for note in components["workers"]["notes"])
    assert plan["first"]["component"] in {"web", "database shard-0 writes"}
    assert {act["component"] for act in plan["actions"]} >= {"web", "database shard-0 writes"}
    assert all(act["begin_by"] < act["runs_out"]["low"] for act in plan["actions"] if act["lead_days"])
    assert plan["missing"] == {"nats": "how busy NATS is, is not measured"}
    assert plan["cost"] is None, "without a price there is no cost"
    assert len(plan["components"][0]["months"]) in {12, 13}


def test_measured_growth_goes_as_far_as_it_was_measured(data: Path, tmp_path: Path) -> None:
    plan = answer("plan", "--growth", "measured", data=data)
    assert all(one["growth_measured"] for one in plan["components"])
    assert all("days were measured, which is enough for 6" in one["unsupported"] for one in plan["components"])
    storage = next(one for one in plan["components"] if one["name"] == "storage")
    assert storage["months"][0]["need"]["middle"] < 6.2e9, "what comes in stays as it was"
    asyncio.run(record_into(tmp_path, time.time(), 28))
    code, _, err = run("plan", "--growth", "measured", data=tmp_path)
    assert code == 0, "storage grows by what comes in"
    assert "at least 8 usual weeks" in run("plan", "--growth", "measured", data=tmp_path)[1]
    assert not err


def test_what_each_socket_takes_and_what_a_process_may_hold(data: Path) -> None:
    components = {one["name"]: one for one in answer("plan", data=data)["components"]}
    assert components["memory"]["need_now"]["middle"] == pytest.approx(6e8 + 6000 * 1700, rel=0.01)
    assert any("a socket takes 6,000 bytes" in note for note in components["memory"]["notes"])
    assert components["sockets"]["unit_size"]["middle"] == 20_000
    assert components["memory"]["runs_out"]["chance"] == 0
    assert components["memory"]["per_driver"] is None, "nobody has come to a course here"


def test_without_a_load_test_the_record_shows_what_is_borne_and_no_limit(tmp_path: Path) -> None:
    now = time.time()
    times = slots(now, 56)
    asyncio.run(record_into(tmp_path, now, 56, usual(times) | {Key("rooms", "sockets"): week(times, 12.0, seed=7)}))
    components = {one["name"]: one for one in answer("plan", data=tmp_path)["components"]}
    requests = components["web requests"]
    assert "the busiest hours on record" in requests["what"]
    assert requests["capacity"] is None
    assert requests["runs_out"]["low"] is None
    assert any(note.startswith("at least ") for note in requests["notes"])
    (few,) = components["memory"]["notes"]
    assert few.startswith("never were more than 1")
    assert few.endswith("sockets connected, too few to say what one of them takes")


def test_doubled_growth_comes_earlier_and_costs_more(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMIC_GUIDE_SCALING_WEB_UNIT_PRICE", "0.05")
    once, twice = (
        answer("plan", "--growth", growth, "--horizon", "6m", data=data) for growth in ("2x/year", "4x/year")
    )
    first, second = (plan["components"][0]["runs_out"] for plan in (once, twice))
    assert second["low"] < first["low"]
    costs = [[month["middle"] for month in plan["cost"]["months"]] for plan in (once, twice)]
    assert costs[0][0] == pytest.approx(2.5 * 0.05 * 730), "what was paid for in the mean, and of files no replicas"
    assert all(dear >= cheap for cheap, dear in zip(*costs, strict=True))
    assert costs[1][-1] > costs[0][-1]


def test_the_text_and_the_picture(data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plan.svg"
    code, out, err = run("plan", "--picture", str(picture), data=data)
    assert code == 0, err
    assert "runs out first" in out
    assert "what to do" in out
    assert picture.read_text("utf-8").startswith("<svg")


def test_a_record_that_is_empty_says_what_is_missing(tmp_path: Path) -> None:
    asyncio.run(record_into(tmp_path, time.time(), 3))
    code, _, err = run("plan", data=tmp_path)
    assert code == 1
    assert "there is nothing to plan from" in err
    assert "web, web requests, workers: there are not two weeks of it on record" in err
    assert "or give demand as --trace FILE.csv" in err
    code, _, err = run("plan", data=tmp_path / "none")
    assert code == 1
    assert "there is no installation at" in err
    for place in (tmp_path, tmp_path / "none"):
        code, _, err = run("plan", "--growth", "2x/yr", data=place)
        assert code == 1
        assert "growth, column 4: 'yr' is none of day, week, month, quarter, year" in err


def test_a_plan_of_a_trace_alone(tmp_path: Path) -> None:
    times = slots(time.time(), 42)
    lines = [f"{at},{value:.3f}" for at, value in zip(times.tolist(), week(times, 900.0).tolist(), strict=True)]
    file = tmp_path / "demand.csv"
    file.write_text("\n".join(["timestamp,value", *lines]))
    plan = answer("plan", "--trace", str(file), "--units", "12", "--unit-price", "0.2")
    assert plan["components"][0]["name"] == "trace"
    assert plan["cost"]["months"][0]["middle"] >= 9 * 0.2 * 730


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("plan", "--growth", "2x/fortnight"), 1, "growth, column 4: 'fortnight' is none of"),
        (("plan", "--growth", "users=9**9**9/year"), 1, "growth, column 8"),
        (("plan", "--horizon", "12h"), 1, "'12h' is no horizon of 1 to 36 months"),
        (("plan", "--units", "3"), 2, "go with --trace"),
        (("plan", "--growth", "+5 users/month"), 1, "how many there are today is not known"),
        (("queue", "--rate", "8"), 2, "Give --rate and --service"),
        (("queue", "--rate", "8", "--service", "1", "--servers", "8"), 1, "at least 9 are needed"),
        (("queue", "--name", "nothing"), 1, "no run of a job of a queue nothing"),
        (("fit", "--at", "4000"), 1, "more than 2.5 times the highest that was measured (120)"),
    ],
)
def test_refusals(data: Path, arguments: tuple[str, ...], code: int, why: str) -> None:
    found, out, err = run(*arguments, data=data)
    assert (found, out) == (code, "")
    assert why in err
    assert len(err.strip().splitlines()) == 1 or code == 2


def test_a_fit_of_stored_points_and_of_a_file(data: Path, tmp_path: Path) -> None:
    stored = answer("fit", data=data)
    file = tmp_path / "points.csv"
    file.write_text(POINTS)
    given = answer("fit", "--points", str(file), "--at", "100")
    assert stored["law"]["lambda"] == pytest.approx(given["law"]["lambda"], rel=0.05)
    assert stored["peak"]["low"] < stored["peak"]["middle"] < stored["peak"]["high"]
    assert [row["concurrency"] for row in given["throughput"]] == [100]


def test_without_a_bend_no_peak_is_told(tmp_path: Path) -> None:
    points = next(systems(1, 0.1)).points
    file = tmp_path / "points.csv"
    file.write_text("concurrency,throughput\n" + "".join(f"{point[0]},{point[1]}\n" for point in points))
    assert answer("fit", "--points", str(file))["peak"]["high"] is None
    assert "no evidence for a peak" in run("fit", "--points", str(file))[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: the header is concurrency,throughput, not empty"),
        ("a,b\n1,2\n", "line 1: the header is"),
        ("concurrency,throughput\n1,2\n2,x\n", "line 3: 'x' is no throughput"),
        ("concurrency,throughput\n1,nan\n", "line 2: throughput must be a number from"),
        ("concurrency,throughput\n1\n", "line 2: there is no throughput"),
        ("concurrency,throughput\n" + "1,2\n" * 1001, "line 1002: there are more than 1,000 points"),
        ("concurrency,throughput\n1,2\n2,3\n", "2 different concurrencies are too few"),
        ("{", "is no report of a load test"),
        ('{"points": 3}', "is no report of a load test"),
        ("\udcff", "is no text in UTF-8"),
    ],
)
def test_points_that_say_nothing(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "points"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    code, _, err = run("fit", "--points", str(file))
    assert code == 1
    assert why in err


def test_points_at_which_the_tester_was_the_limit_are_left_out(tmp_path: Path) -> None:
    report(tmp_path, "02", [*rows(POINTS)])
    limited = report(tmp_path, "03", [(200.0, 300.0)], valid=False)
    document = json.loads((tmp_path / "loadtests" / "02" / "report.json").read_text())
    document["points"] += json.loads(limited.read_text())["points"] + [
        {"throughput": 900.0, "concurrency": 300.0, "errors": 0.4}
    ]
    (tmp_path / "loadtests" / "02" / "report.json").write_text(json.dumps(document))
    limited.unlink()
    found = answer("fit", data=tmp_path)
    assert found["points"] == 7
    assert ["the tester was the limit" in found["left_out"][0], "40% failed" in found["left_out"][1]] == [True, True]
    report(tmp_path, "04", [(200.0, 300.0)] * 6, valid=False)
    code, _, err = run("fit", "--points", str(tmp_path / "loadtests" / "04" / "report.json"))
    assert code == 1
    assert "the tester was the limit" in err


def test_a_queue_asked_for_and_one_of_the_record(data: Path) -> None:
    found = answer("queue", "--rate", "1000", "--service", "0.05", "--wait", "0.05s")
    assert found["servers_needed"] == 53
    assert found["within"] >= 0.95
    code, out, _ = run("queue", "--rate", "8", "--service", "1", "--servers", "10")
    assert code == 0
    assert "40.9% wait" in out


def test_a_plan_beside_a_server_and_over_http(data: Path) -> None:
    with running_server(data) as server:
        token = (data / "operator-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{server.url}/api/ops/capacity/plan"
        assert httpx.get(address).status_code == 401
        found = httpx.get(address, params={"growth": "3x/year", "horizon": "6m"}, headers=headers, timeout=30)
        assert found.status_code == 200
        plan = found.json()
        beside = answer("plan", "--growth", "3x/year", "--horizon", "6m", data=data)
        assert [one["name"] for one in plan["components"]] == [one["name"] for one in beside["components"]]
        assert plan["growth"] == beside["growth"]
        for bad in ({"growth": "2x"}, {"horizon": "99y"}):
            refused = httpx.get(address, params=bad, headers=headers, timeout=30)
            assert refused.status_code == 400
            assert refused.json()["error"]["code"] == "VALIDATION_ERROR"
