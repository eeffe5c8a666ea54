"""Delivers what is pending, at least once, each channel by itself: one that hangs does not hold up another.

A message counts as taken only when its receiver has said so; the directory is told then, and a crash in between sends
it again under the same id. Only the leader sends: a send takes less time than the lead is sure for, and is cancelled
with it, so that two processes that live never send the same message.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import structlog

from atomic_guide.errors import MachineTrouble, Permanent, RetryLater, Unavailable, WorkerError
from atomic_guide.operations.alerts.checking import CONSOLE
from atomic_guide.operations.alerts.grouping import Group, Key, delivered, given_up, put_off
from atomic_guide.operations.alerts.store import Deed
from atomic_guide.resilience import Breaker

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.alerts.channels.channel import Channel
    from atomic_guide.operations.alerts.notice import Notice
    from atomic_guide.operations.alerts.store import Lead, Store

_log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 300.0
"""Seconds between two attempts: at most twice as many each time, with jitter, up to five minutes."""

_REST = 30.0
_FAILURES = 5
"""After so many failures in a row a channel rests for so many seconds, however many groups wait for it."""

_LOST = RetryLater("the lead was lost meanwhile")

_AT_ONCE = 20
"""Messages of one channel in one turn."""


class Count(NamedTuple):
    """How an attempt to deliver went: taken, retried or failed."""

    channel: str
    outcome: str


class Delivery:
    """Delivers for one process while it leads; `groups` is what the watch keeps, and is changed here."""

    def __init__(
        self, channels: Iterable[Channel], store: Store, lead: Lead, clock: Clock, limits: tuple[float, float]
    ) -> None:
        self.channels = {channel.name: channel for channel in channels}
        self.counts: dict[Count, int] = {}
        """For metrics."""
        self.changing = asyncio.Lock()
        """Held while groups are read, written down and put back: by this, and by whoever plans what is to be told."""
        self._store = store
        self._lead = lead
        self._clock = clock
        self._timeout, self._budget = limits
        self._breakers = {name: Breaker(f"alerts {name}", failures=_FAILURES, rest=_REST) for name in self.channels}
        self._sending: dict[str, asyncio.Task[None]] = {}

    def deliver(self, groups: dict[Key, Group]) -> None:
        """Begin to send what is due, to each channel that is not busy."""
        now = self._clock.now()
        due: dict[str, list[Key]] = {}
        for key, group in groups.items():
            if group.pending is not None and group.next_at <= now:
                due.setdefault(group.channel, []).append(key)
        for name, keys in due.items():
            task = self._sending.get(name)
            if task is not None and not task.done():
                continue
            if name in self._breakers and not self._breakers[name].allows():
                continue
            keys.sort(key=lambda key: groups[key].began_at)
            self._sending[name] = asyncio.create_task(self._send_all(name, keys[:_AT_ONCE], groups))

    async def stop(self) -> None:
        """Cancel what is under way; it is sent again by whoever leads next."""
        tasks = [task for task in self._sending.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, name: str, keys: list[Key], groups: dict[Key, Group]) -> None:
        for key in keys:
            group = groups.get(key)
            if group is None or group.pending is None:
                continue
            token = self._lead.token
            if not self._leads(token):
                return
            outcome = await self._send(name, group.pending)
            if outcome is _LOST or not self._leads(token):
                return
            try:
                async with self.changing:
                    await self._note(key, group, outcome, groups)
            except Exception:  # noqa: BLE001 - the directory is away, or another leads: it is sent again
                _log.warning("what became of a message could not be written down; it is sent again", channel=name)
                return
            if isinstance(outcome, MachineTrouble):
                return

    def _leads(self, token: int) -> bool:
        return self._lead.leading and self._lead.token == token

    async def _send(self, name: str, notice: Notice) -> WorkerError | None:
        channel = self.channels.get(name)
        if channel is None:
            return Permanent("there is no such channel any more")
        breaker = self._breakers[name]
        try:
            await self._lead.while_leading(channel.send(notice), self._timeout)
        except TimeoutError:
            outcome: WorkerError = RetryLater(f"it was not taken within {self._timeout:g} s")
        except WorkerError as error:
            outcome = error
        except Unavailable:
            return _LOST
        except Exception as error:  # noqa: BLE001 - a defect of one channel must not end the others
            _log.exception("a channel failed", channel=name)
            outcome = RetryLater(f"the channel failed with {type(error).__name__}")
        else:
            breaker.succeeded()
            return None
        if not isinstance(outcome, Permanent):
            breaker.failed()
        return outcome

    async def _note(self, key: Key, sent: Group, outcome: WorkerError | None, groups: dict[Key, Group]) -> None:
        group, now = groups.get(key, sent), self._clock.now()
        if outcome is None:
            after, what = delivered(group, sent, now), "taken"
        elif isinstance(outcome, Permanent) or now - sent.began_at >= self._budget:
            after, what = given_up(group, outcome.message), "failed"
        else:
            after, what = put_off(group, outcome.message, _pause(outcome, group.attempts), now), "retried"
        count = Count(sent.channel, what)
        self.counts[count] = self.counts.get(count, 0) + 1
        # The console's messages are the entries themselves; of many attempts the first one is told.
        silent = sent.channel == CONSOLE or (what == "retried" and bool(sent.error))
        deeds = [] if silent else [_deed(sent, what, outcome)]
        if what == "failed":
            _log.warning("a message about alerts was not taken", channel=sent.channel, why=after.error)
        await self._store.put({key: after}, now, deeds)
        if key in groups:
            groups[key] = after


def _pause(outcome: WorkerError, attempts: int) -> float:
    given = outcome.delay if isinstance(outcome, RetryLater | MachineTrouble) else None
    if given is not None:
        return given
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempts) * random.uniform(0.5, 1.0)


def _deed(sent: Group, what: str, outcome: WorkerError | None) -> Deed:
    details: Mapping[str, object] = {
        "channel": sent.channel,
        "message": sent.pending.id if sent.pending else "",
        "headline": sent.pending.headline if sent.pending else "",
        **({"why": outcome.message} if outcome else {}),
    }
    return Deed(
        {"taken": "told", "failed": "not told"}.get(what, "retrying"), labels=dict(sent.labels), details=details
    )
