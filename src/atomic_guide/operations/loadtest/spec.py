"""What a load test is to send, as people declare it: a TOML or JSON file, options of the command, or both.

    [load]
    rps = 200            # arrivals a second: scenarios begun, whatever became of those before
    duration = "10m"     # in all, the ramp included
    ramp = "2m"
    arrivals = "poisson" # or "constant"

    [mix]                # shares of the arrivals
    launch = 5
    message = 70

    [slo]
    objectives = ["p95=300ms", "errors=1%", "launch:p99=2s"]

`SCENARIOS` says what each name of the mix does, docs/load-tests.md the rest. What cannot be read, or cannot be, is
refused with its line and the reason.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.loadtest import slo
from atomic_guide.operations.loadtest.arrivals import Pattern

SCENARIOS: dict[str, str] = {
    "launch": "a login, a signed launch, the code for a session (POST /lti/init, POST /lti/launch, POST /api/session)",
    "message": "a message into the person's course (POST /api/chat/message)",
    "frame": "the same by an open socket, until it is acknowledged",
    "upload": "a short video as a form (POST /api/video/upload)",
    "scores": "twenty scores of a course (POST /api/analytics/performance)",
    "performance": "the figures of the person's course (GET /api/analytics/performance)",
}
"""What can be mixed, and what one arrival of it does."""

MIX: dict[str, float] = {"launch": 5, "message": 70, "scores": 4.9, "performance": 20, "upload": 0.1}
"""A live lecture: people come in, talk, look at their figures; a lecture is uploaded for every thousand acts."""

OBJECTIVES = ("p95=500ms", "errors=1%")
"""Where none are declared: what people feel as at once, and one in a hundred."""

PERSON_SOCKETS = 5
"""What the product lets one person open."""

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)?")

Duration = str | float
Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the file."""


class Load(_Section, frozen=True):
    """How fast arrivals come. `steps` in place of `rps`: rates that are held one after the other."""

    rps: Positive | None = None
    steps: tuple[Positive, ...] = ()
    duration: Duration = "10m"
    ramp: Duration | None = None
    settle: Duration | None = None
    arrivals: Pattern = "poisson"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32)] = 1


class People(_Section, frozen=True):
    """Who takes part; what is not given follows from the rate (`plan.py`)."""

    count: Annotated[int, msgspec.Meta(ge=1, le=200_000)] | None = None
    courses: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None


class Sockets(_Section, frozen=True):
    """Sockets that are held open over the whole test."""

    count: Annotated[int, msgspec.Meta(ge=0)] = 0


class Bounds(_Section, frozen=True):
    """When an answer is given up, and how many may be waited for: beyond `in_flight` arrivals are not begun.

    Where one in a hundred arrivals begins more than `late` after it was due, the tester is the limit.
    """

    timeout: Duration = "10s"
    late: Duration = "50ms"
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None


class Objectives(_Section, frozen=True):
    """What must be kept."""

    objectives: tuple[str, ...] = OBJECTIVES


class Spec(_Section, frozen=True):
    """A load test as declared."""

    load: Load = Load()
    mix: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = msgspec.field(default_factory=lambda: dict(MIX))
    think: dict[str, Duration] = {}
    people: People = People()
    sockets: Sockets = Sockets()
    limits: Bounds = Bounds()
    slo: Objectives = Objectives()


_LONGEST_SPEC, _LONGEST_LINE = 65_536, 1000
"""Characters; a key of thousands of parts takes the parser of TOML minutes."""


def parse_spec(text: str, name: str) -> Spec:
    """The spec in the text of the file `name`: JSON where that ends in .json, else TOML.

    Raises `Invalid` with name, line and reason.
    """
    _check_form(text, name)
    try:
        tree = msgspec.json.decode(text) if name.endswith(".json") else tomllib.loads(text)
    except RecursionError as error:
        raise Invalid(f"{name} is nested too deep for a spec") from error
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{name}: {error}") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{name}, {_json_place(text, error)}: {error}") from error
    try:
        return checked(msgspec.convert(tree, Spec, strict=True))
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        keys = [key for key in re.split(r"[.\[\]`]+", at) if key and key != "..."]
        unknown = re.search(r"unknown field `(.+?)`", reason)
        line = _line(text, [*keys, *([unknown[1]] if unknown else [])])
        raise Invalid(f"{name}, line {line}: {'.'.join(keys) or 'the whole'}: {reason}") from error
    except Invalid as error:
        line = _line(text, str(error.details.get("key", "")).split("."))
        raise Invalid(f"{name}, line {line}: {error.message}") from error


def _check_form(text: str, name: str) -> None:
    if len(text) > _LONGEST_SPEC:
        raise Invalid(f"{name}: a spec has at most {_LONGEST_SPEC:,} characters")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST_LINE and not name.endswith(".json"):
            raise Invalid(f"{name}, line {number}: a line has at most {_LONGEST_LINE:,} characters")


def checked(spec: Spec) -> Spec:
    """The same spec; raises `Invalid` naming the key where it cannot be."""
    _check_times(spec.load)
    for section, names in (("mix", spec.mix), ("think", spec.think)):
        for name in names:
            if name not in SCENARIOS:
                raise _wrong(f"{section}.{name}", f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    if not sum(spec.mix.values()) > 0:
        raise _wrong("mix", "no scenario has a share above 0")
    for name, pause in spec.think.items():
        seconds_of(f"think.{name}", pause)
    if seconds_of("limits.timeout", spec.limits.timeout) <= 0:
        raise _wrong("limits.timeout", "a time limit is above 0")
    seconds_of("limits.late", spec.limits.late)
    if spec.mix.get("frame", 0) and not spec.sockets.count:
        raise _wrong("mix.frame", "frames need sockets; give sockets.count")
    try:
        objectives(spec)
    except Invalid as error:
        raise _wrong("slo.objectives", error.message) from error
    return spec


def _check_times(load: Load) -> None:
    if load.rps is not None and load.steps:
        raise _wrong("load.steps", "give rps or steps, not both")
    whole = seconds_of("load.duration", load.duration)
    ramp, settle = ramp_of(load), settle_of(load)
    each = whole / len(load.steps) if load.steps else whole
    if whole <= 0 or ramp + settle >= each:
        what = f"a step of {each:g} s" if load.steps else f"a duration of {whole:g} s"
        raise _wrong("load.duration", f"{what} leaves no time to hold the rate after {ramp + settle:g} s of ramp")


def objectives(spec: Spec) -> list[slo.Objective]:
    """The objectives of a spec. Raises `Invalid`."""
    mixed = [name for name, share in spec.mix.items() if share > 0]
    return slo.parse(",".join(spec.slo.objectives), mixed)


def ramp_of(load: Load) -> float:
    """Seconds on the way to the rate; where none are declared, a fifth of the time, as the guide has it."""
    if load.ramp is not None:
        return seconds_of("load.ramp", load.ramp)
    whole = seconds_of("load.duration", load.duration)
    return whole / len(load.steps) / 10 if load.steps else whole / 5


def settle_of(load: Load) -> float:
    """Seconds of each step that are not judged; a tenth of a step where none are declared, none without steps."""
    if load.settle is not None:
        return seconds_of("load.settle", load.settle) if load.steps else 0.0
    return seconds_of("load.duration", load.duration) / len(load.steps) / 10 if load.steps else 0.0


def seconds_of(key: str, value: Duration) -> float:
    """Seconds of a number, or of a text such as 10m. Raises `Invalid` naming the key."""
    if isinstance(value, int | float):
        if not 0 <= value < 1e9:  # noqa: PLR2004 - thirty years
            raise _wrong(key, f"{value} is no duration")
        return float(value)
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise _wrong(key, f"{value!r} is no duration; write such as 90s, 10m or 1.5h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def parse_mix(text: str) -> dict[str, float]:
    """The mix of a text such as `launch=5,message=70`. Raises `Invalid` naming the part."""
    mix: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, share = part.partition("=")
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not equals or not 0 <= value < 1e9:  # noqa: PLR2004 - a share of a sum
            raise Invalid(f"mix {part!r}: write such as launch=5,message=70; shares are 0 or more")
        mix[name.strip()] = value
    return mix


def merged(spec: Spec, given: Mapping[str, Mapping[str, Any]]) -> Spec:
    """The spec with what the options say in place of it. Raises `Invalid`."""
    tree = {name: msgspec.structs.asdict(getattr(spec, name)) for name in _SECTIONS}
    for section, values in given.items():
        known = {name: value for name, value in values.items() if value is not None}
        if section in {"mix", "think"}:
            spec = msgspec.structs.replace(spec, **{section: known}) if known else spec
        else:
            tree[section] |= known
    if given.get("load", {}).get("steps"):
        tree["load"]["rps"] = given["load"].get("rps")
    elif given.get("load", {}).get("rps"):
        tree["load"]["steps"] = ()
    whole = {**{name: tree[name] for name in _SECTIONS}, "mix": spec.mix, "think": spec.think}
    try:
        return checked(msgspec.convert(whole, Spec))
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$.")
        raise Invalid(f"{at.rstrip('`')}: {reason}") from error


_SECTIONS = ("load", "people", "sockets", "limits", "slo")


def _wrong(key: str, why: str) -> Invalid:
    return Invalid(f"{key}: {why}", details={"key": key})


def _line(text: str, keys: list[str]) -> int:
    """The line on which a key stands; of its section where it has none of its own, else 1.

    The last of the keys is sought below the one before it, as both TOML and JSON are written by people.
    """
    lines = text.splitlines()
    found = 0
    for key in keys:
        if not key or key.isdigit():
            continue
        name = re.escape(key)
        wanted = re.compile(rf"""(?:^|[{{,])\s*(?:\[\s*{name}\s*\]|["']?{name}["']?\s*[=:])""")
        found = next((number for number in range(found, len(lines)) if wanted.search(lines[number])), found)
    return found + 1


def _json_place(text: str, error: msgspec.DecodeError) -> str:
    at = re.search(r"byte (\d+)", str(error))
    before = text.encode()[: int(at[1])] if at else text.encode()
    return f"line {before.count(bytes([10])) + 1}"
