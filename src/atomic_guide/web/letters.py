"""Dead letters over HTTP, for operators: find, replay, drop, and who did what. As `atomic-guide dead-letters`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import msgspec

from atomic_guide import errors
from atomic_guide.engines.queues.actions import Action
from atomic_guide.engines.queues.deadletter import Wanted
from atomic_guide.engines.queues.dryrun import Plan
from atomic_guide.engines.queues.edit import Edit
from atomic_guide.engines.queues.many import Task
from atomic_guide.engines.queues.paging import FAR
from atomic_guide.operations.jobs.letters import Deed, LetterPage, LetterWhole, Outcome
from atomic_guide.web.paging import AFTER, TEXT, Limit
from atomic_guide.web.routing import Call, Calls, Parameter, moment

calls = Calls()

_LIMIT = Limit(100, 500)
_MOST_NAMED = 500
"""Letters that one call names: as many as a page of them shows at most."""

_LOOKED_AT = 10_000
"""Letters that a dry run over HTTP looks at: 5 s of a server, half a millisecond each. The command looks at all."""

_SECONDS = 20.0
"""After which a run breaks off, to be gone on with by the next call: proxies give up answers after 30 to 60 s."""

_Short = Annotated[str, msgspec.Meta(max_length=200)]
_Helps = Literal["", "again", "fix"]


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    """Which letters; what is empty is left open. `q` is looked for in ids, subjects, courses, kinds and reasons."""

    queue: _Short = ""
    kind: _Short = ""
    tenant: _Short = ""
    course: _Short = ""
    reason: _Short = ""
    q: _Short = ""
    helps: _Helps = ""
    since: _Short = ""
    until: _Short = ""


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """A value for a field of what the job carries; the path of a field in an object has dots."""

    field: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    value: Any


_Ids = Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=100)]], msgspec.Meta(max_length=_MOST_NAMED)]
_Rate = Annotated[float, msgspec.Meta(ge=0, le=10_000)]


class Drop(msgspec.Struct, forbid_unknown_fields=True):
    """Which letters: `ids`, or all of a `filter`. `run` goes on with one that broke off; `rate` is letters a second."""

    ids: _Ids = []
    filter: Filter | None = None
    dry_run: bool = False
    rate: _Rate = 0.0
    run: _Short | None = None


class Replay(Drop, forbid_unknown_fields=True):
    """The same, and what is changed of what the jobs carry."""

    edits: Annotated[list[Change], msgspec.Meta(max_length=20)] = []


class Done(msgspec.Struct, frozen=True):
    """What would be done, of a dry run; what was done otherwise."""

    plan: Plan | None
    done: Outcome | None


class Log(msgspec.Struct, frozen=True):
    """Who replayed or dropped what, the newest first."""

    actions: list[Action]
    complete: bool
    missing: dict[str, str]


_CHANGING: dict[str, Any] = {
    "access": "operator",
    "reply": Done,
    "failures": (400, 401, 404, 409, 413, 415, 503, 507),
}


@calls.add(
    "GET",
    "/api/ops/dead-letters",
    access="operator",
    reply=LetterPage,
    failures=(400, 401, 503),
    parameters=(
        *(Parameter(name, TEXT, f"Only of this {name}.") for name in ("queue", "kind", "tenant", "course")),
        Parameter("reason", TEXT, "Only those whose reason holds this text."),
        Parameter("q", TEXT, "A whole id, subject, tenant or course, or a part of the kind or the reason."),
        Parameter(
            "helps", {"type": "string", "enum": ["again", "fix"]}, "Only those that another try, or a fix, helps."
        ),
        Parameter("since", {"type": "string", "format": "date-time"}, "Only what died since."),
        Parameter("until", {"type": "string", "format": "date-time"}, "Only what died before."),
        AFTER,
        _LIMIT.parameter,
    ),
)
async def list_letters(call: Call[None]) -> LetterPage:
    """List jobs that failed for good, the newest first, with what helps them as far as their end tells."""
    asked = call.request.query_params
    helps = asked.get("helps", "")
    if helps not in {"", "again", "fix"}:
        raise errors.Invalid("helps is again or fix", details={"parameter": "helps"})
    texts = {name: asked.get(name, "") for name in Filter.__struct_fields__ if name != "helps"}
    limit = _LIMIT.of(call)
    return await call.tool.letters.page(
        _wanted(Filter(**texts, helps=cast("_Helps", helps))), asked.get("after"), limit
    )


@calls.add(
    "GET",
    "/api/ops/dead-letters/audit",
    access="operator",
    reply=Log,
    failures=(400, 401, 503),
    parameters=(
        Parameter("job", TEXT, "Only what was done to this job."),
        _LIMIT.parameter,
    ),
)
async def list_actions(call: Call[None]) -> Log:
    """List who replayed or dropped what, and when, the newest first."""
    limit = _LIMIT.of(call)
    actions, missing = await call.tool.letters.audit(call.request.query_params.get("job", ""), limit)
    return Log(actions, not missing, missing)


@calls.add("GET", "/api/ops/dead-letters/{id}", access="operator", reply=LetterWhole, failures=(401, 404, 503))
async def show_letter(call: Call[None]) -> LetterWhole:
    """Show one dead letter with what it carries, and what was done to it before."""
    return await call.tool.letters.show(call.request.path_params["id"])


@calls.add("POST", "/api/ops/dead-letters/replay", body=Replay, **_CHANGING)
async def replay_letters(call: Call[Replay]) -> Done:
    """Queue dead letters again with all their attempts, or say what that would come to."""
    edits = [Edit(one.field, one.value) for one in call.body.edits]
    return await _done(call, "replay", edits)


@calls.add("POST", "/api/ops/dead-letters/drop", body=Drop, **_CHANGING)
async def drop_letters(call: Call[Drop]) -> Done:
    """Take dead letters out for good, or say which those would be; the log keeps them for a while."""
    return await _done(call, "drop", None)


async def _done(call: Call[Any], deed: Deed, edits: list[Edit] | None) -> Done:
    asked: Drop = call.body
    wanted = _wanted(asked.filter or Filter())
    if bool(asked.ids) == (asked.filter is not None):
        raise errors.Invalid("name letters by ids, or choose them by a filter")
    if not asked.ids and wanted.everything:
        raise errors.Invalid("a filter chooses something, such as a queue, a kind or a reason")
    if asked.dry_run:
        return Done(await call.tool.letters.plan(asked.ids, wanted, edits, _LOOKED_AT), None)
    task = Task(deed, call.operator.name, wanted, edits or [], asked.rate, asked.ids, _SECONDS)
    return Done(None, await call.tool.letters.do(task, asked.run))


def _wanted(asked: Filter) -> Wanted:
    texts = {name: getattr(asked, name) for name in ("queue", "kind", "tenant", "course", "reason", "helps")}
    since, until = moment("since", asked.since or None), moment("until", asked.until or None, FAR)
    return Wanted(**texts, since=since, until=until, text=asked.q)
