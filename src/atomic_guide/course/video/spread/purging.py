"""Telling a CDN that a folder is gone: a signed call to the address of the settings, repeated until it is taken.

Lectures are private, and no shared cache keeps this server's answers. A CDN comes into it where it is the `public`
address of a store: then what it may hold of a deleted lecture has to go, too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.engines.assets.bucket import FOLDER
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.operations.alerts.channels.posting import Poster
from atomic_guide.operations.alerts.channels.webhook import signature

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.queues.lease import Lease

PURGE = "assets.purge"


def purge_job(number: str, folder: str) -> NewJob:
    """What has a deletion's folder purged."""
    return NewJob(
        queue=QUEUE,
        kind=PURGE,
        subject=f"deletion {number}",
        payload={"deletion": number, "folder": folder},
        unique_key=f"{PURGE}:{number}",
    )


def prefixes(parts: SpreadParts, folder: str) -> list[str]:
    """The folder at the public address of every bucket that has one, without a scheme, as CDNs name prefixes."""
    return [
        f"{urlsplit(store.public).netloc}/{store.bucket}/{place}/"
        for store in parts.settings.stores
        if store.bucket is not None and store.public is not None
        for place in (folder, *([f"{FOLDER}/{folder}"] if store.name == parts.settings.main else []))
    ]


class Purge(Unmourned):
    """Calls the CDN.

    Of a dead letter: operators see it, and replay it.
    """

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts
        cdn = parts.settings.cdn
        self._token = cdn.token or ""
        self._poster = Poster(cdn.purge_url, cdn.seconds) if cdn.purge_url is not None else None

    async def run(self, lease: Lease) -> None:
        """Call; safe to repeat. Raises as `Poster.post`."""
        payload = lease.job.payload
        where = prefixes(self._parts, str(payload["folder"]))
        if self._poster is None or not where:
            return
        number, at = str(payload["deletion"]), int(time.time())
        body = msgspec.json.encode({"id": number, "prefixes": where})
        headers = {"webhook-id": number, "webhook-timestamp": str(at), "Idempotency-Key": number}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
            headers["webhook-signature"] = signature(self._token.encode(), number, at, body)
        await self._poster.post(body, headers)
        self._parts.purged += 1
