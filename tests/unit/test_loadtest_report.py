"""What is kept of a load test and shown of it: the store, the page, its pictures, the seal between testers."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.cli.loadtest.reports import list_tests, show
from atomic_guide.durations import seconds_of
from atomic_guide.errors import NotFound
from atomic_guide.operations.loadtest import slo
from atomic_guide.operations.loadtest.counts import Cell, Second
from atomic_guide.operations.loadtest.page import draw_page
from atomic_guide.operations.loadtest.picture import Line, Over, picture, spectrum
from atomic_guide.operations.loadtest.plan import make_plan
from atomic_guide.operations.loadtest.report import Report, make_report
from atomic_guide.operations.loadtest.runner.seal import BadSeal, Seal
from atomic_guide.operations.loadtest.running import Heard
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.loadtest.spec import Spec, merged
from atomic_guide.operations.loadtest.store import REPORT, STALE_SECONDS, STATE, Store
from atomic_guide.operations.loadtest.watching import Observed, Used


def a_report(lasted: int = 20, *, stopped: bool = False) -> Report:
    spec = merged(Spec(), {"load": {"steps": (10.0, 20.0), "duration": 20}, "sockets": {"count": 5}})
    plan = make_plan(spec, "https://guide.example.edu", LoadtestSettings())
    heard = Heard(began_at=1_700_000_000.0, faults=["<script>alert(1)</script>"], stopped=stopped)
    for number in range(1, lasted + 1):
        stage = next(stage for stage, begin in reversed(list(enumerate(plan.profile.begins()))) if begin < number)
        cells = [
            Cell(stage, "message", 10, {"http_503": 1}, {-40: 10}, 0.2),
            Cell(stage, "delivery", 50, {}, {-30: 50}, 3.0),
        ]
        lag = {-60: 11}
        told = Second(
            part=0, second=number, cells=cells, due={stage: 11}, dropped={}, late={stage: lag}, in_flight=1,
            sockets=5, cpu=0.1, span=1.0,
        )  # fmt: skip
        heard.totals.add(told)
    event = {"id": "e", "at": "2023-11-14T22:13:30.000Z", "fleet": "web", "before": 1, "after": 2, "state": "done",
             "reason": "a < b & c"}  # fmt: skip
    seen = Observed(cpus=2, processes=1, used=[Used(float(at), 0.5) for at in range(1, 20, 2)], events=[event])
    objectives = slo.parse("p95=300ms,errors=1%", plan.mix)
    return make_report(("20231114-221320-abcd", "0123456789ab", "t1"), plan, objectives, heard, seen, 1)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - it is our own


def test_a_report_survives_being_kept() -> None:
    report = a_report()
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    assert report.histograms["message"] == [(seconds_of(-40), 10 * 16)]


def test_a_rate_of_a_test_that_was_ended_early_is_over_the_time_that_it_lasted() -> None:
    whole, cut = a_report(), a_report(9, stopped=True)
    assert cut.seconds == 9
    assert cut.steady.seconds == 9 - 2, "of the first step's 8, after two for its ramp and settling"
    assert cut.steady.all.throughput == pytest.approx(whole.steady.all.throughput)


def test_the_page_loads_and_runs_nothing_and_says_what_was_found() -> None:
    page = draw_page(a_report())
    assert "<script" not in page
    assert not re.findall(r"(?:src|href|url)\s*[=(]", page)
    assert not re.findall(r"\son\w+=|\sstyle=", page)
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a &lt; b &amp; c" in page
    for text in ("missed", "http_503", "delivery", "10/s", "20/s", "1 to 2", "Latency from when an arrival was due"):
        assert text in page, text


def test_the_style_is_the_one_that_the_policy_lets_in() -> None:
    page = draw_page(a_report())
    style = page[page.index("<style>") + 7 : page.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page


def test_each_picture_is_well_formed() -> None:
    figures = re.findall(r"<figure>.*?</figure>", draw_page(a_report()), re.DOTALL)
    assert len(figures) == 6
    for figure in figures:
        assert parsed(figure).find("svg") is not None


@given(
    values=st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=1500),
    logarithmic=st.booleans(),
)
def test_lines_stay_within_their_picture(values: list[float | None], *, logarithmic: bool) -> None:
    over = Over(range(1, len(values) + 1), float(len(values)), [(0.0, 1.0)], [(0.5, "x")])
    drawn = picture("t", "s", [Line("n", "a", values)], over, logarithmic=logarithmic)
    path = parsed(drawn).find("svg/path")
    assert path is not None
    points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d", ""))
    assert bool(points) == any(value is not None for value in values)
    assert all(56 <= float(x) <= 1016.1 and 8 <= float(y) <= 208 for x, y in points)


@given(pairs=st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(1, 10**6)), min_size=1, max_size=60))
def test_percentiles_rise_within_their_picture(pairs: list[tuple[float, int]]) -> None:
    path = parsed(spectrum("t", {"n": sorted(pairs)})).find("svg/path")
    assert path is not None
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d", ""))]
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    assert all(56 <= x <= 1016.1 and 8 <= y <= 208 for x, y in points)


def test_the_oldest_reports_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = [store.begin(1_700_000_000.0 + number, kept=3).id for number in range(5)]
    assert store.ids() == made[:1:-1]
    assert store.find("last").id == made[-1]


@pytest.mark.parametrize("name", ["", "..", "../..", "20231114-221320-zzzz", "20231114-221320-abcd/..", "nobody"])
def test_only_tests_are_found(tmp_path: Path, name: str) -> None:
    Store(tmp_path).begin(1_700_000_000.0, kept=3)
    with pytest.raises(NotFound):
        Store(tmp_path).find(name)


def test_a_test_that_was_killed_does_not_run(tmp_path: Path) -> None:
    place = Store(tmp_path).begin(1_700_000_000.0, kept=3)
    place.note({"phase": "sending"})
    written = (place.folder / STATE).stat().st_mtime
    assert place.state(written + 1) == {"phase": "sending"}
    assert place.state(written + STALE_SECONDS + 1) is None
    place.note(None)
    assert place.state(written) is None
    assert place.read(REPORT) is None


def test_a_seal_is_opened_by_whoever_knows_the_secret_for_what_it_was_made_for() -> None:
    seal = Seal("known-to-all-testers", b"nonce-1")
    closed = seal.close("order", b"what to send")
    assert Seal("known-to-all-testers", b"nonce-1").open("order", closed) == b"what to send"
    for other in (Seal("known-to-nobody-else", b"nonce-1"), Seal("known-to-all-testers", b"nonce-2")):
        with pytest.raises(BadSeal):
            other.open("order", closed)
    for kind, sealed in (("halt", closed), ("order", closed[:-1] + bytes([closed[-1] ^ 1])), ("order", b"")):
        with pytest.raises(BadSeal):
            seal.open(kind, sealed)


def test_planning_and_reports_need_nothing_of_the_extra() -> None:
    program = (
        "import sys; sys.modules['locust'] = sys.modules['gevent'] = None\n"
        "from atomic_guide.cli.loadtest import command\n"
        "from atomic_guide.operations.loadtest import conduct, page, report\n"
        "command(['plan', '--rps', '10', '--data', sys.argv[1]])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    done = subprocess.run(
        [sys.executable, "-c", program, "/nonexistent"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "10/s" in done.stdout


@pytest.mark.parametrize(
    "held", [b"[1]", b"{", b'{"target": 5}', b'{"verdict": "met"}', b'{"steady": {"all": []}}', b""]
)
def test_a_report_that_is_none_hides_no_other_one(tmp_path: Path, held: bytes) -> None:
    store = Store(tmp_path)
    good, bad = store.begin(1_800_000_000.0, 10), store.begin(1_800_000_001.0, 10)
    good.write(REPORT, b'{"target": "https://a.example", "verdict": {"result": "met"}, "of": "another version"}')
    bad.write(REPORT, held)
    bad.write(STATE, held)
    shown = CliRunner().invoke(list_tests, ["--data", str(tmp_path), "--json"])
    assert shown.exit_code == 0, shown.output
    rows = json.loads(shown.output)["loadtests"]
    assert [(row["id"], row["target"], row["result"]) for row in rows] == [
        (bad.id, None if held != b'{"target": 5}' else 5, None),
        (good.id, "https://a.example", "met"),
    ]
    assert CliRunner().invoke(show, ["--data", str(tmp_path), bad.id]).exit_code == 1
