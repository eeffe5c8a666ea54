"""How load tests are declared: files, options, mixes, objectives, and what is refused, with the line and the reason."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.errors import Invalid
from atomic_guide.operations.loadtest import slo
from atomic_guide.operations.loadtest.plan import holders, make_plan, members, warnings
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.loadtest.spec import SCENARIOS, Spec, merged, parse_mix, parse_spec, ramp_of, settle_of

WHOLE = """
[load]
rps = 200
duration = "10m"
ramp = "2m"
arrivals = "constant"

[mix]
launch = 5
message = 70

[think]
launch = "500ms"

[people]
count = 300
courses = 6

[sockets]
count = 1000

[limits]
timeout = 5

[slo]
objectives = ["p95=300ms", "errors=1%", "message:p99.9=2s"]
"""


def test_a_file_says_it_all() -> None:
    plan = make_plan(parse_spec(WHOLE, "lecture.toml"), "https://guide.example.edu/", LoadtestSettings())
    assert plan.target == "https://guide.example.edu"
    assert [(stage.kind, stage.seconds, stage.last) for stage in plan.profile.stages] == [
        ("ramp", 120, 200),
        ("hold", 480, 200),
    ]
    assert plan.shares == pytest.approx({"launch": 5 / 75, "message": 70 / 75})
    assert (plan.people, plan.courses, plan.sockets, plan.timeout, plan.think) == (300, 6, 1000, 5, {"launch": 0.5})
    # All that a server which answers nothing leaves in flight, and a quarter more.
    assert plan.in_flight == 200 * 5 * 1.25


def test_json_says_the_same() -> None:
    spec = parse_spec('{"load": {"steps": [50, 100], "duration": 60}, "mix": {"message": 1}}', "a.json")
    assert spec.load.steps == (50, 100)
    # A tenth of each step on the way to it, and a tenth until it has settled.
    assert (ramp_of(spec.load), settle_of(spec.load)) == (3, 3)


def test_options_win_over_the_file() -> None:
    spec = merged(parse_spec(WHOLE, "a.toml"), {"load": {"steps": (10.0, 20.0), "ramp": "5s"}, "mix": {"message": 1}})
    assert (spec.load.rps, spec.load.steps, spec.load.duration, spec.mix) == (None, (10, 20), "10m", {"message": 1})
    assert merged(spec, {"load": {"rps": 7.0, "steps": None}}).load.steps == ()
    assert merged(spec, {"slo": {"objectives": ("p50=1s",)}}).slo.objectives == ("p50=1s",)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[load]\nrps = 200\nrpm = 3\n", 3, "unknown field"),
        ("[load]\nrps = 200\n\n[mix]\nlaunch = 1\nlunch = 2\n", 6, "no scenario 'lunch'"),
        ('[load]\nduration = "10 minutes"\n', 2, "'10 minutes' is no duration"),
        ('[load]\nduration = "10s"\nramp = "10s"\n', 2, "leaves no time to hold"),
        ("[load]\nrps = -1\n", 2, "> 0"),
        ('[load]\nrps = "many"\n', 2, "Expected `float | null`"),
        ("[load]\nrps = 1\nsteps = [1, 2]\n", 3, "not both"),
        ("[load]\nrps = 1\n[mix]\nmessage = 0\n", 3, "no scenario has a share above 0"),
        ("[mix]\nframe = 1\n", 2, "frames need sockets"),
        ('[load]\narrivals = "bursty"\n', 2, "Invalid enum value 'bursty'"),
        ('[load]\nrps = 1\n[slo]\nobjectives = ["p95=soon"]\n', 4, "'soon' is no duration"),
        ("[limits]\ntimeout = 0\n", 2, "above 0"),
        ("[people]\ncount = 0\n", 2, ">= 1"),
        ("[load]\nrps = 200\nrps = 100\n", 3, "Cannot overwrite a value"),
        ("[load\n", 1, "Expected ']'"),
        ("[loads]\nrps = 1\n", 1, "unknown field"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_spec(text, "broken.toml")
    assert "broken.toml" in refused.value.message
    assert f"line {line}" in refused.value.message
    assert reason in refused.value.message


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("a." * 60_000 + "b = 1", "a.toml", "at most 65,536 characters"),
        ("a." * 600 + "b = 1", "a.toml", "line 1: a line has at most 1,000 characters"),
        ('{"load":' * 8000, "a.json", "nested too deep"),
        ("a = " + "[" * 900, "a.toml", "nested too deep"),
    ],
)
def test_a_bomb_is_refused(text: str, name: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        parse_spec(text, name)


def test_broken_json_is_refused_with_its_line() -> None:
    with pytest.raises(Invalid, match=r"broken\.json, line 3: JSON is malformed"):
        parse_spec('{"load":\n {"rps": 1},\n oops}', "broken.json")
    with pytest.raises(Invalid, match=r"broken\.json, line 2: load: .*unknown field `rpm`"):
        parse_spec('{"load":\n {"rpm": 1}}', "broken.json")


@pytest.mark.parametrize("text", ["launch", "launch=", "launch=-1", "launch=x", "launch=nan", "launch=1e99"])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="write such as launch=5,message=70"):
        parse_mix(text)


def test_a_mix_is_read() -> None:
    assert parse_mix("launch=5, message=70,") == {"launch": 5, "message": 70}


def test_objectives_are_read() -> None:
    found = slo.parse("p95=300ms,errors=1%,message:p99.9=1.5s,delivery:mean=20ms,throughput=190", ["message"])
    assert [(one.about, one.metric, one.bound, one.quantile) for one in found] == [
        ("all", "latency", 0.3, 0.95),
        ("all", "errors", 0.01, 0.0),
        ("message", "latency", 1.5, pytest.approx(0.999)),
        ("delivery", "mean", 0.02, 0.0),
        ("all", "throughput", 190, 0.0),
    ]
    assert ",".join(one.text for one in found) == (
        "p95=300ms,errors=1%,message:p99.9=1.5s,delivery:mean=20ms,throughput=190/s"
    )


@pytest.mark.parametrize(
    "text",
    ["p95", "p95=300", "p100=1s", "p0=1s", "p95=0ms", "errors=101%", "errors=-1", "errors=x", "lunch:p95=1s",
     "throughput=fast", "p95=9**9**9ms", "__import__('os')=1", "=1", "p95=1s=2s"],
)  # fmt: skip
def test_objectives_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="objective "):
        slo.parse(text, SCENARIOS)


def test_an_objective_that_was_not_measured_is_not_met() -> None:
    (objective,) = slo.parse("p95=300ms", [])
    assert not slo.judge(objective, None).met
    assert slo.judge(objective, 0.3).met
    assert slo.judge(objective, 0.31).text == "p95=300ms: 310ms, MISSED"


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"load": {"rps": 2001.0}}, "loadtest.most_rps"),
        ({"load": {"rps": 1.0, "duration": "3h"}}, "loadtest.most_seconds"),
        ({"load": {"rps": 1.0}, "sockets": {"count": 20_001}}, "loadtest.most_sockets"),
    ],
)
def test_more_than_the_settings_let_be_is_refused_naming_them(
    given: dict[str, dict[str, object]], setting: str
) -> None:
    with pytest.raises(Invalid, match=setting):
        make_plan(merged(Spec(), given), "http://localhost", LoadtestSettings())


def test_a_plan_keeps_to_the_limits_of_the_product_where_people_are_its_own_to_choose() -> None:
    plan = make_plan(merged(Spec(), {"load": {"rps": 200.0}}), "http://localhost", LoadtestSettings())
    assert plan.people == 280
    assert warnings(plan) == []


def test_a_plan_that_runs_into_limits_says_so() -> None:
    given: dict[str, dict[str, Any]] = {
             "load": {"rps": 300.0}, "people": {"count": 20, "courses": 1}, "sockets": {"count": 200},
             "mix": {"launch": 10.0, "message": 90.0}}  # fmt: skip
    told = warnings(make_plan(merged(Spec(), given), "http://localhost", LoadtestSettings()))
    assert [text.partition(",")[0] for text in told] == [
        "each of 20 people says 810 messages a minute",
        "each of 1 courses has 16200 messages a minute",
        "one address begins 1800 logins a minute",
        "each of 20 people has 10.0 sockets",
    ]


@given(people=st.integers(1, 60), courses=st.integers(1, 12), sockets=st.integers(0, 200), parts=st.integers(1, 5))
def test_testers_share_people_by_courses_and_sockets_by_people(
    people: int, courses: int, sockets: int, parts: int
) -> None:
    courses = min(courses, people)
    parts = min(parts, courses)
    sizes: dict[str, dict[str, Any]] = {
        "load": {"rps": 1.0}, "people": {"count": people, "courses": courses}, "sockets": {"count": sockets},
    }  # fmt: skip
    plan = make_plan(merged(Spec(), sizes), "http://localhost", LoadtestSettings(), parts)
    let_in = [members(plan, part, parts) for part in range(parts)]
    assert sorted(number for mine in let_in for number in mine) == list(range(people))
    assert all(mine for mine in let_in)
    # Whole courses, each with whoever teaches it.
    assert all(number % courses in mine for mine in let_in for number in mine)
    held = [holders(plan, part, parts) for part in range(parts)]
    assert all(set(theirs) <= set(mine) for theirs, mine in zip(held, let_in, strict=True))
    counts = Counter(number for theirs in held for number in theirs)
    assert counts.total() == sockets
    assert max(counts.values(), default=0) <= -(-sockets // people)


def test_each_tester_has_a_course() -> None:
    spec = merged(Spec(), {"load": {"rps": 10.0}})
    assert make_plan(spec, "http://localhost", LoadtestSettings(), testers=4).courses == 4
    with pytest.raises(Invalid, match="each tester needs a course"):
        make_plan(merged(spec, {"people": {"courses": 2}}), "http://localhost", LoadtestSettings(), testers=4)
