"""Puts the parts of notifications together."""

from __future__ import annotations

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.notifications.contacts import Contacts, mail_key
from atomic_guide.course.notifications.feed import Feed
from atomic_guide.course.notifications.mail import MailJob
from atomic_guide.course.notifications.settings import MailSettings, NotificationSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.resilience import GuardSettings


class Notifications(msgspec.Struct, frozen=True):
    """Everything about notifications in one process."""

    feed: Feed
    contacts: Contacts
    mail: MailJob


async def build_notifications(
    shards: Shards,
    clock: Clock,
    queues: Queues,
    public_url: str,
    settings: tuple[NotificationSettings, MailSettings],
    bounds: GuardSettings | None = None,
) -> Notifications:
    """The parts; sockets are reached once `feed.on_tell` is set."""
    feed_settings, mail_settings = settings
    key = await mail_key(shards, clock)
    contacts = Contacts(shards, clock, key, public_url, on=mail_settings.on)
    feed = Feed(shards, clock, queues, feed_settings, mail_settings)
    return Notifications(feed, contacts, MailJob(shards, contacts, mail_settings, bounds))
