"""What is kept of alerts in the directory: those that are there, what each channel knows, silences, what happened.

What the leader writes is refused with the lead's own error once another leads, all in one unit of work each time; what
operators do needs no lead.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.alerts.grouping import Group, Key
from atomic_guide.operations.alerts.rule import Labels
from atomic_guide.operations.alerts.state import Alert

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Row, Transaction

T = TypeVar("T")

QUERIES = load_queries(__package__)

KEPT_SECONDS = 400 * 86_400.0
"""How long entries are kept: as long as the measurements that explain them."""

_MOST_READ = 40_000
"""Alerts or groups: twice the most that settings let there be."""

_EVALUATED = "evaluated"
LEADER = "leader"


class Lead(Protocol):
    """What makes this process the only one that writes, and tells (operations/scaling/leader.py)."""

    @property
    def leading(self) -> bool:
        """Whether nobody else can lead at this moment."""
        ...

    @property
    def token(self) -> int:
        """Grows with every new lead; 0 without one."""
        ...

    async def while_leading(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """The answer of `work`, cancelled when the lead is lost. Raises the lead's error, or TimeoutError."""
        ...

    async def fence(self, tx: Transaction) -> int:
        """Keep the lead until the unit of work ends. Raises where another one leads."""
        ...


class Evaluated(msgspec.Struct, frozen=True):
    """The last evaluation: since when a rule has been unknown, how many alerts there was no room for."""

    at: float = 0.0
    unknown: dict[str, float] = {}
    dropped: int = 0


class Entry(msgspec.Struct, frozen=True):
    """Something that happened: an alert fired or resolved, a message was taken or not, somebody did something."""

    number: int
    at: str
    who: str
    what: str
    rule: str
    labels: dict[str, str]
    details: dict[str, Any]


class Deed(NamedTuple):
    """What is to be written of something that happens."""

    what: str
    rule: str = ""
    labels: Mapping[str, str] = {}
    details: Mapping[str, Any] = {}


class Reading:
    """What anybody may read."""

    def __init__(self, directory: Database) -> None:
        self._directory = directory

    async def alerts(self) -> dict[tuple[str, Labels], Alert]:
        """Those that are pending or firing."""
        rows = await self._directory.read(QUERIES["list_active"], {"limit": _MOST_READ})
        return {alert.key: alert for alert in map(_alert, rows)}

    async def evaluated(self) -> Evaluated:
        """The last evaluation."""
        row = await self._directory.one(QUERIES["read_standing"], {"name": _EVALUATED})
        return Evaluated() if row is None else msgspec.json.decode(row["value"], type=Evaluated)

    async def groups(self) -> dict[Key, Group]:
        """What each channel knows, and what it is to be told."""
        rows = await self._directory.read(QUERIES["list_groups"], {"limit": _MOST_READ})
        groups = [msgspec.json.decode(row["state"], type=Group) for row in rows]
        return {group.key: group for group in groups}

    async def entries(self, *, since: float = 0.0, rule: str = "", what: str = "", limit: int = 100) -> list[Entry]:
        """What happened, the newest first."""
        asked = {"since": since, "rule": rule, "what": what, "limit": limit}
        return [_entry(row) for row in await self._directory.read(QUERIES["list_entries"], asked)]


class Store(Reading):
    """What the leader writes; each call raises the lead's error where another leads."""

    def __init__(self, directory: Database, lead: Lead) -> None:
        super().__init__(directory)
        self._lead = lead

    async def save(
        self, changed: Sequence[Alert], gone: Sequence[tuple[str, Labels]], told: Evaluated, deeds: Sequence[Deed]
    ) -> None:
        """What an evaluation has changed."""
        rows = [_row(alert) for alert in changed]
        standing = {"name": _EVALUATED, "at": told.at, "value": msgspec.json.encode(told).decode()}

        async def work(tx: Transaction) -> None:
            await self._lead.fence(tx)
            for row in rows:
                await tx.execute(QUERIES["put_active"], row)
            for rule, labels in gone:
                await tx.execute(QUERIES["drop_active"], {"rule": rule, "labels": _text(labels)})
            await tx.execute(QUERIES["put_standing"], standing)
            for deed in deeds:
                await note(tx, told.at, LEADER, deed)

        await self._directory.write(work)

    async def put(self, changed: Mapping[Key, Group | None], at: float, deeds: Sequence[Deed] = ()) -> None:
        """Groups as they are now; None ends one."""
        rows = {key: None if one is None else msgspec.json.encode(one).decode() for key, one in changed.items()}

        async def work(tx: Transaction) -> None:
            await self._lead.fence(tx)
            for (channel, group), state in rows.items():
                place = {"channel": channel, "id": group}
                if state is None:
                    await tx.execute(QUERIES["drop_group"], place)
                else:
                    await tx.execute(QUERIES["put_group"], {**place, "state": state})
            for deed in deeds:
                await note(tx, at, LEADER, deed)

        if rows or deeds:
            await self._directory.write(work)

    async def prune(self, now: float, most: int) -> None:
        """Forget what is older than thirteen months, and the oldest of more entries than `most`."""

        async def work(tx: Transaction) -> None:
            await self._lead.fence(tx)
            await tx.execute(QUERIES["prune_entries"], {"before": now - KEPT_SECONDS, "most": most})
            await tx.execute(QUERIES["prune_silences"], {"before": now - KEPT_SECONDS})

        await self._directory.write(work)


async def note(tx: Transaction, at: float, who: str, deed: Deed) -> None:
    """Write an entry, inside the unit of work that does what it tells of."""
    row = {"at": at, "who": who, "what": deed.what, "rule": deed.rule}
    texts = {name: msgspec.json.encode(dict(value)).decode() for name, value in
             (("labels", deed.labels), ("details", deed.details))}  # fmt: skip
    await tx.execute(QUERIES["add_entry"], {**row, **texts})


def _row(alert: Alert) -> dict[str, Any]:
    row = {name: getattr(alert, name) for name in ("rule", "state", "active_at", "fired_at", "keeping_since", "value")}
    return {**row, "labels": _text(alert.labels)}


def _text(labels: Labels) -> str:
    return msgspec.json.encode(dict(labels)).decode()


def _alert(row: Row) -> Alert:
    labels = msgspec.json.decode(row["labels"], type=dict[str, str])
    times = {name: row[name] for name in ("active_at", "fired_at", "keeping_since", "value")}
    return Alert(row["rule"], tuple(sorted(labels.items())), row["state"], **times)


def _entry(row: Row) -> Entry:
    own = {name: row[name] for name in ("number", "who", "what", "rule")}
    labels, details = (msgspec.json.decode(row[name]) for name in ("labels", "details"))
    return Entry(**own, at=iso(row["at"]), labels=labels, details=details)
