"""What operators ask of alerts and say to them; the command and the HTTP calls are two ways to it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import NotFound, WorkerError
from atomic_guide.operations.alerts.checking import CONSOLE
from atomic_guide.operations.alerts.export import rules_file
from atomic_guide.operations.alerts.notice import Notice, Told, fingerprint, made, told
from atomic_guide.operations.alerts.promql import Scope
from atomic_guide.operations.alerts.replay import Replayed, replayed
from atomic_guide.operations.alerts.routes import Routes
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.silences import Silence, Silenced, Silences
from atomic_guide.operations.alerts.store import Deed, Entry, Evaluated, Reading, note
from atomic_guide.operations.scaling.series import Series

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.operations.alerts.channels.channel import Channel
    from atomic_guide.operations.alerts.grouping import Group
    from atomic_guide.operations.alerts.rule import Rule
    from atomic_guide.operations.alerts.settings import AlertSettings
    from atomic_guide.operations.alerts.state import Alert

STALE_SECONDS = 60.0
"""Four ticks without an evaluation."""

_TEST_SECONDS = 30.0


class AlertShown(msgspec.Struct, frozen=True):
    """An alert that is there: `pending`, `firing` or `silenced`. Times are ISO 8601."""

    rule: str
    state: str
    severity: str
    labels: dict[str, str]
    title: str
    description: str
    runbook: str
    value: float | None
    since: str
    fired_at: str | None
    silences: list[str]
    fingerprint: str


class RuleShown(msgspec.Struct, frozen=True):
    """A rule: `firing`, `pending`, `inactive`, `unknown` (nothing is measured of it, or nobody evaluates), or `off`."""

    name: str
    title: str
    state: str
    severity: str
    condition: str
    limit: float | None
    for_seconds: float
    keep_firing_seconds: float
    unknown_since: str | None
    shipped: bool
    runbook: str


class ChannelShown(msgspec.Struct, frozen=True):
    """A channel: messages that it has not taken, and why the last one was not, if so."""

    name: str
    kind: str
    pending: int
    error: str


class Standing(msgspec.Struct, frozen=True):
    """How alerts stand; `at` is the last evaluation, null where there never was one, `stale` where it is long ago."""

    at: str | None
    stale: bool
    alerts: list[AlertShown]
    rules: list[RuleShown]
    channels: list[ChannelShown]
    silences: int
    dropped: int


class Tried(msgspec.Struct, frozen=True):
    """How a channel took a test message."""

    channel: str
    taken: bool
    why: str = ""


class Desk:
    """The desk of one process. `channels` makes them, for tests of channels only: messages go out from the leader."""

    def __init__(
        self, settings: AlertSettings, zone: tzinfo, directory: Database, clock: Clock,
        channels: Callable[[], Sequence[Channel]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._zone = zone
        self._directory = directory
        self._clock = clock
        self._channels = channels
        self._rules = rules_of(settings.rules, settings.runbooks).rules
        self._reading = Reading(directory)

    @property
    def limits(self) -> dict[str, float | None]:
        """The number in the condition of each rule, None where it has none."""
        return {name: rule.given.limit for name, rule in self._rules.items()}

    async def standing(self) -> Standing:
        """How everything stands now."""
        now = self._clock.now()
        alerts, evaluated = await self._reading.alerts(), await self._reading.evaluated()
        groups, silences = await self._reading.groups(), await self.silences().active()
        silenced = Silenced()
        shown = [self._alert(alert, silenced, silences, now) for alert in alerts.values()]
        shown.sort(key=lambda one: (one.state == "pending", one.rule, one.since))
        return Standing(
            at=iso(evaluated.at) if evaluated.at else None,
            stale=now - evaluated.at > STALE_SECONDS,
            alerts=shown,
            rules=[self._rule(rule, alerts.values(), evaluated, now) for rule in self._rules.values()],
            channels=self._shown_channels(list(groups.values())),
            silences=len(silences),
            dropped=evaluated.dropped,
        )

    async def history(self, since: float, rule: str, what: str, limit: int) -> list[Entry]:
        """What happened, the newest first."""
        return await self._reading.entries(since=since, rule=rule, what=what, limit=limit)

    def silences(self, who: str = "operator") -> Silences:
        """Silences, as changed by somebody."""
        return Silences(self._directory, self._clock, who, self._settings.most_silences)

    def export(self, matchers: str = "") -> str:
        """The rules in force as a rules file of Prometheus."""
        day = datetime.fromtimestamp(self._clock.now(), UTC).date().isoformat()
        enabled = [rule for rule in self._rules.values() if rule.given.enabled]
        return rules_file(enabled, Scope(matchers, self._zone, day))

    async def replay(self, name: str, seconds: float) -> Replayed:
        """What a rule would have said of so many seconds until now. Raises `NotFound`, or `Invalid` for too many."""
        now = self._clock.now()
        return await replayed(self.rule(name), Series(self._directory), self._zone, now - seconds, now)

    def rule(self, name: str) -> Rule:
        """A rule by its name or title. Raises `NotFound`."""
        found = self._rules.get(name) or next((one for one in self._rules.values() if one.given.title == name), None)
        if found is None:
            raise NotFound(f"there is no rule {name}; `atomic-guide alerts list --rules` lists them")
        return found

    async def test(self, name: str, who: str) -> list[Tried]:
        """Send a message that is marked as a test, to a channel or to where a rule's alerts go. Raises `NotFound`.

        The console is left out: it is the log of whoever leads, and takes everything.
        """
        channels = {channel.name: channel for channel in self._channels() if channel.name != CONSOLE}
        now = self._clock.now()
        names = [one for one in channels if one.partition("/")[0] == name]
        if names:
            labels = {"alertname": "test", "severity": "info"}
            alert = Told(fingerprint(labels), "firing", labels, "Test", "Nothing is wrong.", "", None, now)
        else:
            alert = self._example(self.rule(name), now)
            routes = Routes(self._settings, channels)
            names = list(dict.fromkeys(stop.channel for stop in routes.stops(alert.labels)))
        notice = made(("test", secrets.token_hex(8)), {"alertname": alert.name}, [alert], [])
        marked = msgspec.structs.replace(notice, test=True)
        outcomes = await asyncio.gather(*(_tried(channels[one], marked) for one in names))
        await self._note(now, who, name, outcomes)
        return list(outcomes)

    def _example(self, rule: Rule, now: float) -> Told:
        labels = {**dict.fromkeys(rule.condition.labels, "test"), **rule.labels}
        return Told(
            fingerprint(labels), "firing", labels, rule.given.title, "Nothing is wrong; this is a test of the rule's"
            " channels.", rule.given.runbook, rule.given.limit, now,
        )  # fmt: skip

    async def _note(self, now: float, who: str, name: str, outcomes: Sequence[Tried]) -> None:
        details: dict[str, Any] = {"channels": {one.channel: one.why or "taken" for one in outcomes}}

        async def work(tx: Transaction) -> None:
            await note(tx, now, who, Deed("tested", name, details=details))

        await self._directory.write(work)

    def _alert(self, alert: Alert, silenced: Silenced, silences: Sequence[Silence], now: float) -> AlertShown:
        one = told(alert, self._rules)
        by = silenced.by(silences, one.labels, now)
        return AlertShown(
            rule=alert.rule,
            state="silenced" if by and alert.state == "firing" else alert.state,
            severity=one.severity,
            labels=one.own,
            title=one.title,
            description=one.description,
            runbook=one.runbook,
            value=alert.value,
            since=iso(alert.active_at),
            fired_at=iso(alert.fired_at) if alert.fired_at is not None else None,
            silences=by,
            fingerprint=one.fingerprint,
        )

    def _rule(self, rule: Rule, alerts: Collection[Alert], evaluated: Evaluated, now: float) -> RuleShown:
        given = rule.given
        states = {alert.state for alert in alerts if alert.rule == rule.name}
        since = evaluated.unknown.get(rule.name)
        # That nothing was found wrong long ago, or never looked for, says nothing of now.
        unknown = since is not None or now - evaluated.at > STALE_SECONDS
        state = next((one for one in ("firing", "pending") if one in states), "unknown" if unknown else "inactive")
        return RuleShown(
            name=rule.name,
            title=given.title,
            state=state if given.enabled else "off",
            severity=given.severity,
            condition=given.condition,
            limit=given.limit,
            for_seconds=given.for_seconds,
            keep_firing_seconds=given.keep_firing_seconds,
            unknown_since=iso(since) if since and given.enabled else None,
            shipped=given.shipped,
            runbook=given.runbook,
        )

    def _shown_channels(self, groups: Sequence[Group]) -> list[ChannelShown]:
        found = []
        for one in self._settings.channels:
            mine = [group for group in groups if group.channel.partition("/")[0] == one.name]
            waiting = sum(group.pending is not None for group in mine)
            error = next((group.error for group in mine if group.error), "")
            found.append(ChannelShown(one.name, one.kind, waiting, error))
        return found


async def _tried(channel: Channel, notice: Notice) -> Tried:
    try:
        async with asyncio.timeout(_TEST_SECONDS):
            await channel.send(notice)
    except TimeoutError:
        return Tried(channel.name, taken=False, why=f"no answer within {_TEST_SECONDS:g} s")
    except WorkerError as error:
        return Tried(channel.name, taken=False, why=error.message)
    return Tried(channel.name, taken=True)
