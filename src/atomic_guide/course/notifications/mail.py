"""The job that mails a notification: at least once, under one Message-ID.

The job holds no text and no address: both are read when it runs. So it mails nobody who has read the notification in
the page meanwhile, wants no e-mail any more, or was erased.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.course.notifications.feed import MAIL, QUERIES
from atomic_guide.course.notifications.kept import IDLE_SECONDS
from atomic_guide.course.notifications.message import Envelope, compose
from atomic_guide.course.notifications.notice import read_notification
from atomic_guide.course.notifications.smtp import MailServer
from atomic_guide.course.notifications.texts import language_of
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import Permanent

if TYPE_CHECKING:
    from atomic_guide.course.notifications.contacts import Contacts
    from atomic_guide.course.notifications.settings import MailSettings
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.lease import Lease
    from atomic_guide.resilience import GuardSettings


class MailJob(Unmourned):
    """Mails one notification to its person.

    Of a dead letter: nothing depends on an e-mail; it says why it could not be sent.
    """

    def __init__(
        self, shards: Shards, contacts: Contacts, settings: MailSettings, bounds: GuardSettings | None = None
    ) -> None:
        self._shards = shards
        self._contacts = contacts
        self._settings = settings
        self._server = MailServer(settings, bounds, idle=IDLE_SECONDS)
        self.guard = self._server.guard

    async def run(self, lease: Lease) -> None:
        """Send it, unless it has become needless. Raises `Permanent` or `RetryLater` by the mail server's answer."""
        if not self._settings.on:
            raise Permanent("e-mail is switched off; set mail.host, then replay this")
        job = lease.job
        key, user = job.key, str(job.payload["user"])
        database, who = self._shards.of(key), {**key.columns, "user": user}
        row = await database.one(QUERIES["find_notification"], {**who, "id": str(job.payload["notification"])})
        contact = await database.one(QUERIES["find_contact"], who)
        if row is None or row["read_at"] is not None:
            return
        if contact is None or not contact["address"] or contact["off_at"] is not None:
            return
        course = await database.one(QUERIES["find_course"], key.columns)
        envelope = Envelope(
            sender=self._settings.sender or "",
            sender_name=self._settings.sender_name,
            recipient=contact["address"],
            course=course["title"] if course else "",
            course_url=course["return_url"] if course else None,
            stop_url=self._contacts.stop_url(key, user),
        )
        language = language_of(contact["language"], contact["locale"])
        message = compose(key, user, read_notification(row), envelope, language)
        await self._server.send(message, envelope.recipient)

    async def close(self) -> None:
        """End the connections that are kept for the next e-mail."""
        await self._server.close()


def handlers(job: MailJob) -> dict[str, Handler]:
    """What runs the jobs about notifications."""
    return {MAIL: job}
