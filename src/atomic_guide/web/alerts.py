"""Alerts over HTTP, for operators: what is wrong, which rules say so, silences. The same as `atomic-guide alerts`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from atomic_guide.operations.alerts.desk import Standing, Tried
from atomic_guide.operations.alerts.matchers import MOST, read_matchers
from atomic_guide.operations.alerts.replay import Replayed
from atomic_guide.operations.alerts.silences import MOST_SECONDS
from atomic_guide.operations.alerts.store import Entry
from atomic_guide.web.paging import TEXT, Limit
from atomic_guide.web.routing import Call, Calls, Media, Parameter, moment

calls = Calls()

_LIMIT = Limit(100, 1000)
_DAY = 86_400


class Silencing(msgspec.Struct):
    """Which alerts are kept quiet (a rule's name, or matchers), for how long, and why."""

    matchers: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(min_length=1, max_length=MOST)]
    seconds: Annotated[float, msgspec.Meta(ge=1, le=MOST_SECONDS)]
    comment: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class SilenceShown(msgspec.Struct, frozen=True):
    """A silence: `active`, or `expired` by its time or by somebody."""

    id: str
    matchers: list[str]
    state: str
    begins_at: str
    ends_at: str
    who: str
    comment: str


class SilencesShown(msgspec.Struct, frozen=True):
    """Silences, the next to end first."""

    silences: list[SilenceShown]


class Happened(msgspec.Struct, frozen=True):
    """What happened, the newest first."""

    entries: list[Entry]


class Try(msgspec.Struct):
    """The name of a channel, or of a rule whose channels are meant."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class TriedAll(msgspec.Struct, frozen=True):
    """How each channel took a test message."""

    channels: list[Tried]


_CHANGING: dict[str, Any] = {
    "access": "operator",
    "failures": (400, 401, 404, 409, 413, 415, 503, 507),
}


@calls.add("GET", "/api/ops/alerts", access="operator", reply=Standing, failures=(401, 503))
async def show_alerts(call: Call[None]) -> Standing:
    """Tell which alerts there are, how each rule stands, and what channels have not taken."""
    return await call.tool.alerts.standing()


@calls.add(
    "GET",
    "/api/ops/alerts/history",
    access="operator",
    reply=Happened,
    failures=(400, 401, 503),
    parameters=(
        Parameter("rule", TEXT, "Only of this rule."),
        Parameter("what", TEXT, "Only this: fired, resolved, told, not told, silenced, unsilenced, tested."),
        Parameter("since", {"type": "string", "format": "date-time"}, "Only since then."),
        _LIMIT.parameter,
    ),
)
async def list_history(call: Call[None]) -> Happened:
    """List what happened to alerts and who did what, the newest first."""
    asked = call.request.query_params
    limit = _LIMIT.of(call)
    since = moment("since", asked.get("since"))
    return Happened(await call.tool.alerts.history(since, asked.get("rule", ""), asked.get("what", ""), limit))


@calls.add(
    "GET",
    "/api/ops/alerts/rules/{name}/replay",
    access="operator",
    reply=Replayed,
    failures=(400, 401, 404, 503),
    parameters=(
        Parameter("seconds", {"type": "integer", "minimum": 15, "maximum": 14 * _DAY}, "How far back; a day."),
    ),
)
async def replay_rule(call: Call[None]) -> Replayed:
    """Evaluate a rule again over what is on record: when it would have fired."""
    seconds = call.whole_number("seconds", default=_DAY, least=15, most=14 * _DAY) or _DAY
    return await call.tool.alerts.replay(call.request.path_params["name"], float(seconds))


@calls.add(
    "GET",
    "/api/ops/alerts/prometheus",
    access="operator",
    reply=Media("text/plain"),
    failures=(400, 401),
    parameters=(Parameter("match", TEXT, 'More label matchers for every series, such as job="guide".'),),
)
async def export_rules(call: Call[None]) -> Response:
    """Give the rules in force as a rules file of Prometheus."""
    asked = call.request.query_params.get("match", "")
    matchers = ",".join(one.said for one in read_matchers(asked.split(",") if asked else ()))
    return Response(call.tool.alerts.export(matchers), media_type="text/plain")


@calls.add(
    "GET",
    "/api/ops/alerts/silences",
    access="operator",
    reply=SilencesShown,
    failures=(401, 503),
    parameters=(Parameter("expired", {"type": "boolean"}, "With those that ended within the last day."),),
)
async def list_silences(call: Call[None]) -> SilencesShown:
    """List the silences in force."""
    now = call.tool.clock.now()
    since = now - _DAY if call.request.query_params.get("expired") == "true" else now
    found = await call.tool.alerts.silences().ending_after(since)
    return SilencesShown([msgspec.convert(one.shown(now), SilenceShown) for one in found])


@calls.add("POST", "/api/ops/alerts/silences", body=Silencing, reply=SilenceShown, status=201, **_CHANGING)
async def add_silence(call: Call[Silencing]) -> SilenceShown:
    """Keep alerts quiet for a time; that they have ended is told to whoever was told that they fire."""
    asked = call.body
    desk = call.tool.alerts.silences(call.operator.name)
    made = await desk.add(asked.matchers, asked.seconds, asked.comment, call.idempotency_key)
    return msgspec.convert(made.shown(call.tool.clock.now()), SilenceShown)


@calls.add("POST", "/api/ops/alerts/silences/{id}/end", reply=SilenceShown, **_CHANGING)
async def end_silence(call: Call[None]) -> SilenceShown:
    """End a silence before its time; again is harmless."""
    ended = await call.tool.alerts.silences(call.operator.name).end(call.request.path_params["id"])
    return msgspec.convert(ended.shown(call.tool.clock.now()), SilenceShown)


@calls.add("POST", "/api/ops/alerts/test", body=Try, reply=TriedAll, **_CHANGING)
async def try_channels(call: Call[Try]) -> TriedAll:
    """Send a message that is marked as a test to a channel, or to where a rule's alerts go."""
    return TriedAll(await call.tool.alerts.test(call.body.name, call.operator.name))
