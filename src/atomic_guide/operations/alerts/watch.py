"""Watches over a server: evaluates at each tick, plans what is to be told, has it delivered. Only while it leads.

Everything that must outlast this process is in the directory before it has an effect. A tick is two short writes at
most, and none of it holds the sampling up: it runs beside it, on what was seen last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.limit import Used
from atomic_guide.operations.alerts import grouping
from atomic_guide.operations.alerts.earlier import Earlier, load
from atomic_guide.operations.alerts.evaluation import Turn, evaluated
from atomic_guide.operations.alerts.grouping import Firing, Group
from atomic_guide.operations.alerts.limits import ALERTS, GROUPS
from atomic_guide.operations.alerts.notice import told
from atomic_guide.operations.alerts.routes import Inhibitions, Routes
from atomic_guide.operations.alerts.rule import KEPT_UNMEASURED, Labels, Rule
from atomic_guide.operations.alerts.sights import Sights
from atomic_guide.operations.alerts.silences import Silence, Silenced
from atomic_guide.operations.alerts.state import GRACE, Alert, Moment
from atomic_guide.operations.alerts.store import Deed, Evaluated
from atomic_guide.operations.alerts.traces import LOOKBACK, Traces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from atomic_guide.clock import Clock
    from atomic_guide.operations.alerts.delivery import Delivery
    from atomic_guide.operations.alerts.settings import AlertSettings
    from atomic_guide.operations.alerts.silences import Silences
    from atomic_guide.operations.alerts.store import Lead, Store
    from atomic_guide.operations.scaling.model import Key
    from atomic_guide.operations.scaling.series import Series

_PRUNE_SECONDS = 3600.0


class Parts(NamedTuple):
    """What a watch stands on."""

    store: Store
    silences: Silences
    delivery: Delivery
    series: Series
    lead: Lead
    clock: Clock


class Watch:
    """The watch of one process."""

    def __init__(self, rules: Sequence[Rule], settings: AlertSettings, zone: tzinfo, parts: Parts) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.alerts: dict[tuple[str, Labels], Alert] = {}
        self.groups: dict[grouping.Key, Group] = {}
        self.standing = Evaluated()
        self.evaluations = 0
        """For metrics, as those above; of this process only, and none while another leads."""
        self._settings = settings
        self._parts = parts
        self._routes = Routes(settings, parts.delivery.channels)
        self._inhibitions = Inhibitions(settings.inhibitions)
        self._quiet = [name for name, channel in parts.delivery.channels.items() if not channel.tells_ends]
        self._silenced = Silenced()
        self._zone = zone
        self._token = 0
        self._began_at = 0.0
        self._pruned_at = -_PRUNE_SECONDS
        self._traces = Traces()
        self._selectors = {selector for rule in rules for selector in rule.condition.selectors}
        self._earlier = Earlier(parts.series, self._selectors, zone)

    @property
    def leading(self) -> bool:
        """Whether this process watches now."""
        return self._parts.lead.leading and self._token == self._parts.lead.token

    def used(self) -> Iterator[Used]:
        """Alerts and groups, while this process leads."""
        if self.leading:
            yield Used(ALERTS, len(self.alerts) + self.standing.dropped)
            yield Used(GROUPS, len(self.groups))

    async def tick(self, at: float, values: Mapping[Key, float]) -> None:
        """Evaluate every rule on what was measured at a moment, and write down what has changed."""
        await self._follow(at)
        self._traces.forget(at - KEPT_UNMEASURED - LOOKBACK, at)
        for series, value in values.items():
            self._traces.note(at, series, value)
        await self._earlier.look(at)
        sights = Sights(self._traces, self._earlier.traces, self._zone).at(at)
        moment = Moment(at, max(0.0, at - (self.standing.at or at)), at - self._began_at < GRACE)
        turn = evaluated(list(self.rules.values()), sights, self.alerts, moment, self._settings.most_alerts)
        ALERTS.refused += turn.dropped
        await self._save(turn, at)
        self.evaluations += 1

    async def beat(self) -> None:
        """Plan what is to be told by now, and have it delivered."""
        now = self._parts.clock.now()
        if not self.leading:
            return
        delivery = self._parts.delivery
        silences = await self._parts.silences.active()
        async with delivery.changing:
            firing, most = self._firing(silences, now), self._settings.most_groups
            changed = grouping.planned(self.groups, firing, self._routes, self._quiet, now, most)
            if changed:
                await self._parts.store.put(changed, now)
                for key, group in changed.items():
                    if group is None:
                        self.groups.pop(key, None)
                    else:
                        self.groups[key] = group
        delivery.deliver(self.groups)
        if self._parts.clock.monotonic() - self._pruned_at >= _PRUNE_SECONDS:
            self._pruned_at = self._parts.clock.monotonic()
            await self._parts.store.prune(now, self._settings.most_entries)

    async def _follow(self, at: float) -> None:
        """With a new lead, go on from what the last leader has written down."""
        if self._token == self._parts.lead.token:
            return
        token, store = self._parts.lead.token, self._parts.store
        self.alerts, self.groups = await store.alerts(), await store.groups()
        self.standing = await store.evaluated()
        self._traces = Traces()
        for measured in {selector.measured for selector in self._selectors if selector.when == "now"}:
            await load(self._parts.series, self._traces, measured, at - KEPT_UNMEASURED, at)
        self._began_at = at
        self._token = token

    async def _save(self, turn: Turn, at: float) -> None:
        before = self.alerts
        changed = [alert for key, alert in turn.alerts.items() if before.get(key) != alert]
        gone = [key for key in before if key not in turn.alerts]
        fired = [alert for alert in changed if alert.state == "firing" and _state(before, alert) != "firing"]
        deeds = [_deed("fired", alert) for alert in fired] + [_deed("resolved", alert) for alert in turn.resolved]
        unknown = {name: self.standing.unknown.get(name, at) for name in sorted(turn.unknown)}
        standing = Evaluated(at, unknown, turn.dropped)
        await self._parts.store.save(changed, gone, standing, deeds)
        self.alerts, self.standing = turn.alerts, standing

    def _firing(self, silences: Sequence[Silence], now: float) -> list[Firing]:
        """Every alert that fires, with whether it is kept quiet."""
        firing = [alert for alert in self.alerts.values() if alert.state == "firing"]
        labels = [dict(alert.labels) for alert in firing]
        inhibited = self._inhibitions.muted(labels)
        return [
            Firing(told(alert, self.rules), alert.fired_at or now,
                   muted or bool(self._silenced.by(silences, own, now)))
            for alert, own, muted in zip(firing, labels, inhibited, strict=True)
        ]  # fmt: skip


def _state(before: Mapping[tuple[str, Labels], Alert], alert: Alert) -> str:
    known = before.get(alert.key)
    return known.state if known is not None else ""


def _deed(what: str, alert: Alert) -> Deed:
    details = {"value": alert.value, "since": alert.active_at}
    return Deed(what, alert.rule, dict(alert.labels), details)
