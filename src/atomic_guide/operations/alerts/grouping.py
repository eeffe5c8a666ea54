"""What has to be told to whom now: groups of alerts against what each receiver has taken. Pure.

A receiver is told of a group when there is an alert that it has not taken yet, when one that it has taken has ended,
or when `repeat` has passed; no sooner than `wait` after the group's first alert, and `interval` after it was last
looked at. What it has taken is what it said it has, so that a message that was lost, or replaced by a newer one before
it went out, is made up for by the next.

An alert that is silenced or inhibited is not told. That it has ended is told nevertheless to whoever was told that it
fires: a receiver that opened something is to close it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from atomic_guide.operations.alerts.notice import Notice, Told, ended, made
from atomic_guide.operations.alerts.routes import Patience, Routes, Stop
from atomic_guide.operations.alerts.settings import MOST_GROUPS

Key = tuple[str, str]
"""A channel and a group of it."""


class Group(msgspec.Struct, frozen=True):
    """How a group stands with one channel. Times are s since the epoch."""

    channel: str
    id: str
    labels: tuple[tuple[str, str], ...]
    flush_at: float
    taken: dict[str, Told] = {}
    """The alerts that the receiver knows to fire, by fingerprint."""
    taken_at: float = 0.0
    pending: Notice | None = None
    """What it is to be told, until it has taken it."""
    offered: dict[str, Told] = {}
    """What it will know to fire when it has taken that."""
    version: int = 0
    attempts: int = 0
    began_at: float = 0.0
    next_at: float = 0.0
    error: str = ""

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return self.channel, self.id


class Firing(NamedTuple):
    """An alert that fires, since when, and whether it is silenced or inhibited."""

    told: Told
    fired_at: float
    muted: bool


class _Members(NamedTuple):
    stop: Stop
    firing: list[Firing]


def planned(
    groups: Mapping[Key, Group], firing: Sequence[Firing], routes: Routes, quiet: Iterable[str], now: float,
    most: int = MOST_GROUPS,
) -> dict[Key, Group | None]:  # fmt: skip
    """The groups that change, None for those that end; there are so many at most, and others wait.

    Channels in `quiet` are not told that something has ended.
    """
    silent = set(quiet)
    members: dict[Key, _Members] = {}
    for one in firing:
        for stop in routes.stops(one.told.labels):
            members.setdefault((stop.channel, stop.group), _Members(stop, [])).firing.append(one)
    changed: dict[Key, Group | None] = {}
    room = most - len(groups)
    for key, (stop, inside) in members.items():
        group = groups.get(key)
        if group is None:
            if room <= 0:
                continue
            room -= 1
            since = min(one.fired_at for one in inside)
            group = changed[key] = Group(*key, stop.labels, max(now, since + stop.patience.wait))
        if now >= group.flush_at:
            changed[key] = _flushed(group, inside, stop.patience, now, tells_ends=stop.channel not in silent)
    for key, group in groups.items():
        if key not in members and now >= group.flush_at:
            after = _flushed(group, [], Patience(0, 0, 0), now, tells_ends=group.channel not in silent)
            # Nothing of it fires: it is over once its end was taken.
            changed[key] = after if after.pending is not None else None
    return changed


def delivered(group: Group, sent: Group, now: float) -> Group:
    """The receiver has taken what was pending in `sent`; a newer message that came up meanwhile stays pending."""
    after = msgspec.structs.replace(group, taken=sent.offered, taken_at=now, error="", attempts=0)
    if group.version == sent.version:
        return msgspec.structs.replace(after, pending=None, offered={})
    return msgspec.structs.replace(after, began_at=now, next_at=now)


def put_off(group: Group, error: str, delay: float, now: float) -> Group:
    """The receiver has not taken it; it is tried again after so many seconds."""
    return msgspec.structs.replace(group, attempts=group.attempts + 1, next_at=now + delay, error=error)


def given_up(group: Group, error: str) -> Group:
    """It is not tried again: when its group is looked at next, what is to be told then is made anew.

    That everything has ended is not made again: it would be tried for ever.
    """
    known = group.taken if group.offered else {}
    return msgspec.structs.replace(group, taken=known, pending=None, offered={}, attempts=0, error=error)


def _flushed(group: Group, inside: Sequence[Firing], patience: Patience, now: float, *, tells_ends: bool) -> Group:
    there = {one.told.fingerprint for one in inside}
    firing = [one.told for one in inside if not one.muted]
    gone = [ended(one, now) for name, one in group.taken.items() if name not in there]
    kept = {name: one for name, one in group.taken.items() if name in there}
    new = any(one.fingerprint not in group.taken for one in firing)
    again = bool(firing and group.taken) and now - group.taken_at >= patience.repeat
    flush_at = now + patience.interval
    if not tells_ends:
        group, gone = msgspec.structs.replace(group, taken=kept), []
    if not (new or gone or again):
        return msgspec.structs.replace(group, flush_at=flush_at, pending=None, offered={})
    # Those that it knows and that are muted now go on being known.
    still = [one for name, one in kept.items() if name not in {each.fingerprint for each in firing}]
    offered = {one.fingerprint: one for one in (*firing, *still)}
    fresh = group.pending is None
    if not fresh and _same(group, offered, gone):
        return msgspec.structs.replace(group, flush_at=flush_at)
    version = group.version + 1
    identity = (group.channel, group.id, f"{version}", f"{now}")
    notice = made(identity, dict(group.labels), list(offered.values()), gone)
    return msgspec.structs.replace(
        group,
        flush_at=flush_at,
        pending=notice,
        offered=offered,
        version=version,
        attempts=0 if fresh else group.attempts,
        began_at=now if fresh else group.began_at,
        next_at=now if fresh else group.next_at,
    )


def _same(group: Group, offered: Mapping[str, Told], gone: Sequence[Told]) -> bool:
    """Whether what is pending says that already."""
    said = {one.fingerprint for one in group.taken.values()} - offered.keys()
    return group.offered.keys() == offered.keys() and said == {one.fingerprint for one in gone}
