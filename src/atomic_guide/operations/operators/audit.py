"""What operators did: an entry for each act, written before it begins and completed with its answer.

So an act whose process died is there too, with no status. Bodies are not kept, as secrets may be in them: of a body,
the ids and numbers that `NAMED` lists, and why it was done. What alerts, costs, scaling and others keep of their own is
with them; here is who asked for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.operators.model import Operator, Role, Source

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.operations.operators.settings import OperatorSettings

QUERIES = load_queries(__package__)

NAMED = frozenset(
    {
        *(
            "approved",
            "bucket",
            "candidate",
            "channel",
            "component",
            "course",
            "dry_run",
            "event",
            "everything",
            "fleet",
        ),
        *(
            "id",
            "job",
            "kind",
            "max",
            "min",
            "mode",
            "most",
            "operator",
            "policy",
            "queue",
            "rate",
            "region",
            "replica",
        ),
        *("role", "rule", "run", "seconds", "shard", "space", "state", "store", "target", "tenant", "to", "trace"),
        *("units", "video", "abandon", "by", "limit", "zone"),
    }
)
"""Fields of a body whose value says what was done, and is never a secret."""

_TEXT = 200
_WHY = 500
_MOST_OBJECTS = 12


class Act(msgspec.Struct, frozen=True):
    """What is done: the call, and what to. `why` is empty where nobody said it."""

    method: str
    action: str
    objects: dict[str, str] = {}
    why: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An act. `status` is that of the answer, null where there was none: it goes on, or its process died."""

    number: int
    at: str
    operator: str
    who: str
    role: Role
    source: Source
    method: str
    action: str
    objects: dict[str, str]
    why: str
    status: int | None


class Page(msgspec.Struct, frozen=True):
    """Entries, the newest first. `before` is what to ask for the ones before them with, null where that is all."""

    entries: list[Entry]
    before: int | None


class Asked(msgspec.Struct, frozen=True):
    """Which entries: older than number `before`, of whom by name or id, whose action has `what` in its name."""

    limit: int = 100
    before: int | None = None
    who: str = ""
    what: str = ""


class Audit:
    """The audit log of operators."""

    def __init__(self, directory: Database, clock: Clock, settings: OperatorSettings) -> None:
        self._directory = directory
        self._clock = clock
        self._settings = settings

    async def begin(self, operator: Operator, act: Act) -> int:
        """Write down what is about to be done; the entry's number."""
        row = _row(operator, act) | {"at": self._clock.now(), "status": 0}

        async def work(tx: Transaction) -> int:
            noted = await tx.one(QUERIES["note_act"], row)
            return int(noted["number"]) if noted else 0

        return await self._directory.write(work)

    async def finish(self, number: int, act: Act, status: int) -> None:
        """Write down how it was answered, and what it was about."""
        row = {"number": number, "objects": _written(act.objects), "why": act.why[:_WHY], "status": status}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["finish_act"], row)

        await self._directory.write(work)

    async def note(self, operator: Operator, act: Act, status: int = 200) -> None:
        """Write down what has been done."""
        row = _row(operator, act) | {"at": self._clock.now(), "status": status}

        async def work(tx: Transaction) -> None:
            await tx.one(QUERIES["note_act"], row)

        await self._directory.write(work)

    async def page(self, asked: Asked) -> Page:
        """Entries, the newest first."""
        params = {
            "before": asked.before if asked.before is not None else 2**62,
            "who": asked.who.lower(),
            "what": _pattern(asked.what.lower()),
            "limit": asked.limit + 1,
        }
        rows = await self._directory.read(QUERIES["list_acts"], params)
        entries = [
            Entry(
                **{name: row[name] for name in ("number", "operator", "who", "role", "source", "method", "action")},
                at=iso(row["at"]),
                objects=msgspec.json.decode(row["objects"]),
                why=row["why"],
                status=row["status"] or None,
            )
            for row in rows[: asked.limit]
        ]
        return Page(entries, entries[-1].number if len(rows) > asked.limit else None)

    async def prune(self) -> None:
        """Forget what is old, and the oldest where there is too much."""
        before = self._clock.now() - self._settings.audit_days * 86_400
        params = {"before": before, "most": self._settings.audit_entries}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["prune_acts"], params)

        await self._directory.write(work)


def objects_of(named: dict[str, Any], body: Any) -> dict[str, str]:
    """What a call was about: the ids of its address, and of its body what `NAMED` lists."""
    found = {**named}
    if isinstance(body, msgspec.Struct):
        found |= {name: getattr(body, name) for name in body.__struct_fields__ if name in NAMED}
    plain = {name: value for name, value in found.items() if isinstance(value, str | int | float) and value != ""}
    return {name: _said(value) for name, value in list(plain.items())[:_MOST_OBJECTS]}


def why_of(body: Any) -> str:
    """Why it was done, where the body says so."""
    for name in ("why", "comment", "reason"):
        if isinstance(said := getattr(body, name, None), str) and said:
            return said[:_WHY]
    return ""


def _said(value: str | float) -> str:
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode())[:_TEXT]


def _written(objects: dict[str, str]) -> str:
    return msgspec.json.encode(objects).decode()


def _row(operator: Operator, act: Act) -> dict[str, Any]:
    return {
        "operator": operator.id,
        "who": operator.name,
        "role": operator.role,
        "source": operator.source,
        "method": act.method,
        "action": act.action,
        "objects": _written(act.objects),
        "why": act.why[:_WHY],
    }


def _pattern(text: str) -> str:
    """A LIKE pattern for text that stands somewhere."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
