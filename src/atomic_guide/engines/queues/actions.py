"""The log of what operators did to jobs, written in the transaction that did it."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.queues.jobs import QUERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.edit import Change

Deed = Literal["dead-letter.replayed", "dead-letter.dropped"]


class Act(NamedTuple):
    """Who does something and when; `run` is the call that does it to many, by which it can go on after a break."""

    actor: str
    now: float
    run: str = ""


class Action(msgspec.Struct, frozen=True):
    """An entry of the log. `at` is ISO 8601; `kept` is the whole of what was dropped, None once that is forgotten."""

    id: str
    at: str
    actor: str
    action: str
    subject: str
    kind: str
    tenant: str
    course: str
    run: str
    before: dict[str, Any]
    after: dict[str, Any]
    digest: str
    kept: dict[str, Any] | None


class Actions(NamedTuple):
    """Entries of the shards that answered; why the others' are missing, by shard."""

    actions: list[Action]
    missing: dict[str, str]


async def note_action(
    tx: Transaction, key: CourseKey, act: Act, deed: Deed, letter: Row, changes: Sequence[Change] = ()
) -> None:
    """Note, inside the unit of work that does it, what is done to a dead letter."""
    before: dict[str, Any] = {"reason": letter["error"], "attempts": letter["attempts"]}
    row = {
        **key.columns,
        "id": f"a{int(act.now * 1000):012x}{secrets.token_hex(6)}",
        "at": act.now,
        "actor": act.actor,
        "action": deed,
        "subject": letter["id"],
        "kind": letter["kind"],
        "run": act.run,
        "before": _text(before | {change.field: change.before for change in changes}),
        "after": _text({change.field: change.after for change in changes}),
        "digest": hashlib.sha256(str(letter["payload"]).encode()).hexdigest(),
        "kept": _text(_whole(letter)) if deed == "dead-letter.dropped" else None,
    }
    await tx.execute(QUERIES["note_action"], row)


async def done_in_run(tx: Transaction, key: CourseKey, job: str, run: str) -> bool:
    """Whether a run has already done its deed to a job, which may have died again since."""
    params = {**key.columns, "subject": job, "run": run}
    return bool(run) and await tx.one(QUERIES["find_action_of_run"], params) is not None


async def list_actions(shards: Shards, subject: str, limit: int) -> Actions:
    """The newest entries over all shards; only those about a subject where it is not empty."""
    params = {"subject": subject, "limit": limit}
    found = await scatter(shards.all(), QUERIES["list_actions"], params, short=True)
    actions = sorted((_action(row) for _, row in found.rows), key=lambda one: one.id, reverse=True)
    return Actions(actions[:limit], found.missing)


def _action(row: Row) -> Action:
    values = {name: row[name] for name in Action.__struct_fields__}
    for name in ("before", "after", "kept"):
        values[name] = msgspec.json.decode(row[name]) if row[name] else {} if name != "kept" else None
    return Action(**{**values, "at": iso(row["at"])})


def _whole(letter: Row) -> dict[str, Any]:
    # Its payload as JSON and not as a text that holds some: who is named in it is looked for as JSON names them.
    whole = {name: letter[name] for name in letter.keys()}  # noqa: SIM118 - a row of SQLite iterates over its values
    return whole | {"payload": msgspec.json.decode(letter["payload"])}


def _text(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
