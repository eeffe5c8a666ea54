"""Alerts of a server: its watch and its channels, put together for the process that may lead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from atomic_guide import tracing
from atomic_guide.app.alert_metrics import AlertMetrics
from atomic_guide.course.notifications.smtp import MailServer
from atomic_guide.errors import GuideError, Permanent
from atomic_guide.operations.alerts.channels.console import ConsoleChannel
from atomic_guide.operations.alerts.channels.email import EmailChannel, Sender
from atomic_guide.operations.alerts.channels.posting import Poster
from atomic_guide.operations.alerts.channels.slack import SlackChannel
from atomic_guide.operations.alerts.channels.webhook import WebhookChannel
from atomic_guide.operations.alerts.checking import CONSOLE
from atomic_guide.operations.alerts.delivery import Delivery
from atomic_guide.operations.alerts.desk import Desk
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.silences import Silences
from atomic_guide.operations.alerts.store import Store
from atomic_guide.operations.alerts.watch import Parts, Watch
from atomic_guide.operations.scaling.marked import demo_present
from atomic_guide.operations.scaling.settings import zone_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from typing import Any

    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.alerts.channels.channel import Channel
    from atomic_guide.operations.alerts.notice import Notice
    from atomic_guide.operations.alerts.settings import ChannelSettings
    from atomic_guide.operations.scaling.leader import Leader
    from atomic_guide.operations.scaling.sampler import Sampler
    from atomic_guide.web.tool import Tool

_log = structlog.get_logger(__name__)

_BEAT_SECONDS = 1.0
_LIMIT_SECONDS = 10.0
"""What a turn may take; the next sample comes in fifteen."""


class Alerting:
    """Evaluates what the sampler has seen, and tells; only while this process leads."""

    def __init__(self, watch: Watch, delivery: Delivery, sampler: Sampler, leader: Leader) -> None:
        self._watch = watch
        self._delivery = delivery
        self._sampler = sampler
        self._leader = leader
        self._seen_at: float | None = None

    def root_tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs until the end."""
        return [self._run()]

    async def end(self) -> None:
        """Leave what is not sent yet to the next leader."""
        await self._delivery.stop()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            if not self._leader.leading:
                continue
            try:
                async with asyncio.timeout(_LIMIT_SECONDS):
                    await self._turn()
            except (GuideError, TimeoutError) as error:
                _log.warning("a turn of alerts could not be finished", error=str(error) or "no answer in time")
            except Exception:  # noqa: BLE001 - whatever goes wrong in one turn, the next one is due
                _log.exception("a turn of alerts failed")

    async def _turn(self) -> None:
        seen = self._sampler.last
        if seen is not None and seen.at != self._seen_at:
            self._seen_at = seen.at
            with tracing.span("alerts turn", parent=tracing.ROOT):
                await self._watch.tick(seen.at, seen.values)
        await self._watch.beat()


def built_alerting(settings: Settings, tool: Tool, sampler: Sampler, leader: Leader) -> Alerting | None:
    """The alerts of a supervisor that takes part in scaling; None where they are switched off."""
    own = settings.alerts
    if not own.enabled:
        return None
    directory, clock, zone = tool.shards.directory, tool.clock, zone_of(settings.scaling)
    store = Store(directory, leader)
    limits = (own.timeout_seconds, own.retry_seconds)
    channels = [_within(directory, channel) for channel in made_channels(settings, clock)]
    delivery = Delivery(channels, store, leader, clock, limits)
    silences = Silences(directory, clock, most=own.most_silences)
    parts = Parts(store, silences, delivery, sampler.series, leader, clock)
    watch = Watch(rules_of(own.rules, own.runbooks).enabled, own, zone, parts)
    tool.bounds.add(watch.used)
    tool.health.registry.register(AlertMetrics(watch, delivery, zone, clock))
    return Alerting(watch, delivery, sampler, leader)


class Within:
    """A channel to the outside that tells nothing while demo data is here: what fires may be made up."""

    def __init__(self, directory: Database, channel: Channel) -> None:
        self.name = channel.name
        self.tells_ends = channel.tells_ends
        self._directory = directory
        self._channel = channel

    async def send(self, notice: Notice) -> None:
        """Raises as the channel does, and `Permanent` where there is demo data."""
        if await demo_present(self._directory):
            raise Permanent("demo data is here, of which nothing is told outside; `atomic-guide demo remove` ends that")
        await self._channel.send(notice)


def _within(directory: Database, channel: Channel) -> Channel:
    return channel if channel.name == CONSOLE else Within(directory, channel)


def made_desk(settings: Settings, directory: Database, clock: Clock) -> Desk:
    """What operators ask of alerts."""
    zone = zone_of(settings.scaling)
    return Desk(settings.alerts, zone, directory, clock, lambda: made_channels(settings, clock))


def made_channels(settings: Settings, clock: Clock) -> list[Channel]:
    """Every receiver of the settings, and the console."""
    made: list[Channel] = [ConsoleChannel()]
    for one in settings.alerts.channels:
        made += _channel(one, settings, clock)
    return made


def _channel(one: ChannelSettings, settings: Settings, clock: Clock) -> Iterator[Channel]:
    seconds, ends = settings.alerts.timeout_seconds, one.send_resolved
    if one.kind == "email":
        mail = settings.mail
        send = MailServer(mail, settings.resilience.mail).send
        sender = Sender(mail.sender or "", mail.sender_name)
        for number, address in enumerate(one.to, 1):
            name = one.name if len(one.to) == 1 else f"{one.name}/{number}"
            yield EmailChannel(name, address, sender, send, clock, tells_ends=ends)
        return
    poster = Poster(one.url or "", seconds)
    if one.kind == "slack":
        yield SlackChannel(one.name, poster, tells_ends=ends)
    else:
        yield WebhookChannel(one.name, poster, one.secret, clock, tells_ends=ends)
