"""Which channels an alert goes to, in which group, and how patient the group is. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.operations.alerts.checking import CONSOLE
from atomic_guide.operations.alerts.matchers import Test, matching, read_matchers
from atomic_guide.operations.alerts.spans import seconds_of

if TYPE_CHECKING:
    from atomic_guide.operations.alerts.settings import AlertSettings, InhibitionSettings, RouteSettings


class Patience(NamedTuple):
    """Seconds: before a group's first message, between two of them, and until the same is said again."""

    wait: float
    interval: float
    repeat: float


class Route(NamedTuple):
    """One way to channels; `name` tells it from the others across restarts."""

    name: str
    takes: Test
    channels: tuple[str, ...]
    go_on: bool
    group_by: tuple[str, ...]
    patience: Patience


class Stop(NamedTuple):
    """Where an alert goes: the channel, its group there, and that group's labels and patience."""

    channel: str
    group: str
    labels: tuple[tuple[str, str], ...]
    patience: Patience


class Routes:
    """The ways of the settings. The console gets everything at once, beside whatever else is told."""

    def __init__(self, settings: AlertSettings, receivers: Iterable[str]) -> None:
        """`receivers` are the channels; one of several addresses has a number for each, as in `mail/2`."""
        spread: dict[str, list[str]] = {}
        for name in receivers:
            spread.setdefault(name.partition("/")[0], []).append(name)
        usual = Patience(settings.group_wait_seconds, settings.group_interval_seconds, settings.repeat_interval_seconds)
        every = tuple(channel.name for channel in settings.channels)
        self._spread = spread
        self._routes = [_route(number, one, settings.group_by, usual) for number, one in enumerate(settings.routes)]
        self._rest = Route("rest", matching(()), every, False, settings.group_by, usual)  # noqa: FBT003 - by its place
        at_once = usual._replace(wait=0.0)
        self._console = Route("console", matching(()), (CONSOLE,), True, settings.group_by, at_once)  # noqa: FBT003 - as above

    def stops(self, labels: Mapping[str, str]) -> Iterator[Stop]:
        """Every place where an alert with these labels is told."""
        for stop in self._ways(labels):
            for receiver in self._spread.get(stop.channel, ()):
                yield stop._replace(channel=receiver)

    def _ways(self, labels: Mapping[str, str]) -> Iterator[Stop]:
        yield from _stops(self._console, labels)
        taken = False
        for route in self._routes:
            if route.takes(labels):
                taken = True
                yield from _stops(route, labels)
                if not route.go_on:
                    return
        if not taken:
            yield from _stops(self._rest, labels)


class Inhibitions:
    """What is not told while something worse is."""

    def __init__(self, settings: Sequence[InhibitionSettings]) -> None:
        self._pairs = [
            (matching(read_matchers(one.source)), matching(read_matchers(one.target)), one.equal) for one in settings
        ]

    def muted(self, firing: Sequence[Mapping[str, str]]) -> list[bool]:
        """For the labels of each alert that fires, whether another one that fires keeps it quiet.

        One that is source and target of the same inhibition keeps nobody quiet who is both too, as in Alertmanager.
        """
        muted = [False] * len(firing)
        for source, target, equal in self._pairs:
            sides = [(source(labels), target(labels)) for labels in firing]
            only = {_values(labels, equal) for labels, (is_source, _) in zip(firing, sides, strict=True) if is_source}
            alone = {
                _values(labels, equal)
                for labels, (is_source, is_target) in zip(firing, sides, strict=True)
                if is_source and not is_target
            }
            for place, (labels, (is_source, is_target)) in enumerate(zip(firing, sides, strict=True)):
                if is_target and _values(labels, equal) in (alone if is_source else only):
                    muted[place] = True
        return muted


def _route(number: int, one: RouteSettings, group_by: tuple[str, ...], usual: Patience) -> Route:
    given = (one.group_wait, one.group_interval, one.repeat_interval)
    spans = (own if value is None else seconds_of(value) for own, value in zip(usual, given, strict=True))
    patience = Patience(*spans)
    by = group_by if one.group_by is None else one.group_by
    return Route(f"{number}", matching(read_matchers(one.matchers)), one.channels, one.go_on, by, patience)


def _stops(route: Route, labels: Mapping[str, str]) -> Iterator[Stop]:
    group = tuple((name, labels[name]) for name in route.group_by if name in labels)
    identity = hashlib.sha256(json.dumps([route.name, group]).encode()).hexdigest()[:16]
    for channel in route.channels:
        yield Stop(channel, identity, group, route.patience)


def _values(labels: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in names)
