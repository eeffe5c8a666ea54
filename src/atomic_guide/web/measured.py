"""What was measured, over HTTP, for operators. The same values as `atomic-guide scale metrics`."""

from __future__ import annotations

import msgspec

from atomic_guide import errors
from atomic_guide.clock import from_iso
from atomic_guide.operations.scaling.series import LEVELS, Series
from atomic_guide.operations.scaling.showing import Asked, Shown, measured
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_HOUR = 3600.0
_TEXT = {"type": "string", "maxLength": 200}
_RESOLUTIONS = [level.resolution for level in LEVELS]


class Measurements(msgspec.Struct, frozen=True):
    """Recorded series."""

    series: list[Shown]


@calls.add(
    "GET",
    "/api/ops/scaling/metrics",
    access="operator",
    reply=Measurements,
    failures=(400, 401, 503),
    parameters=(
        Parameter("component", _TEXT, "Only of this component, such as web or queues."),
        Parameter("metric", _TEXT, "Only this metric, such as demand or latency."),
        Parameter("part", _TEXT, "Only of this part: a queue, a shard, a feature."),
        Parameter("since", {"type": "string", "format": "date-time"}, "From when; an hour ago if not given."),
        Parameter(
            "resolution", {"type": "integer", "enum": _RESOLUTIONS}, "Seconds of one value; by the time, if not given."
        ),
    ),
)
async def list_measurements(call: Call[None]) -> Measurements:
    """Give what was measured, null where nothing was; what each metric is stands in docs/metrics.md."""
    asked = call.request.query_params
    now = call.tool.clock.now()
    resolution = call.whole_number("resolution", default=None, least=_RESOLUTIONS[0], most=_RESOLUTIONS[-1])
    if resolution is not None and resolution not in _RESOLUTIONS:
        raise errors.Invalid(
            f"resolution is one of {', '.join(map(str, _RESOLUTIONS))}", details={"parameter": "resolution"}
        )
    names = {name: asked.get(name, "") for name in ("component", "metric", "part")}
    wanted = Asked(_since(asked.get("since"), now), now, **names, resolution=resolution)
    found = await measured(Series(call.tool.shards.directory), wanted)
    return Measurements([one.shown() for one in found])


def _since(text: str | None, now: float) -> float:
    if not text:
        return now - _HOUR
    oldest = now - LEVELS[-1].kept
    try:
        return min(max(from_iso(text), oldest), now)
    except (ValueError, OverflowError) as error:
        raise errors.Invalid("since is an ISO 8601 time", details={"parameter": "since"}) from error
