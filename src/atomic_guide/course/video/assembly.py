"""Puts the parts of lecture videos together."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.video import jobs
from atomic_guide.course.video.announce import Announce
from atomic_guide.course.video.playback import Playback
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.uploads import Uploads
from atomic_guide.course.video.videos import QUERIES, Parts, Videos
from atomic_guide.engines.assets.sign import Signer
from atomic_guide.engines.assets.store import Store
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.claim import release_leases
from atomic_guide.engines.queues.handlers import Handler
from atomic_guide.engines.queues.jobs import Queues


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about videos in one process."""

    settings: VideoSettings
    store: Store
    queues: Queues
    videos: Videos
    uploads: Uploads
    playback: Playback
    parts: Parts
    announce: Announce
    directory: Path

    async def recover(self, *, alone: bool) -> int:
        """Make good what a crash left: free dead workers' leases, drop half received bytes. How many jobs that frees.

        Only for the process that holds the data directory, before it serves or works. Unless it is `alone` with the
        databases, other machines are at work on them: then leases and uploads end by their times.
        """
        await asyncio.to_thread(jobs.clear, self.directory / "work")
        if not alone:
            return 0
        await self.uploads.clear()
        return await release_leases(self.parts.shards)

    def handlers(self, memory_mb: int) -> dict[str, Handler]:
        """What runs the jobs about videos, each program of theirs within so much memory."""
        return jobs.handlers(self.parts, self.announce, self.directory / "work", memory_mb)

    @property
    def origins(self) -> list[str]:
        """Where pages get lectures from beside this server."""
        return self.parts.spread.origins if self.parts.spread is not None else []

    async def tend_copies(self) -> None:
        """Look whether copies are where they should be; for a root task."""
        if self.parts.spread is not None:
            await self.parts.spread.tend()

    async def scrub_copies(self, seconds: float) -> None:
        """Have copies read again, within the budget; for a root task."""
        if self.parts.spread is not None:
            await self.parts.spread.scrub(seconds)

    async def tend_classes(self) -> None:
        """Look whether lectures are in the storage class where they should be; for a root task."""
        if self.parts.spread is not None:
            await self.parts.spread.cooling.turn()

    def copying(self) -> dict[str, Handler]:
        """What runs the jobs about copies in other stores."""
        return self.parts.spread.handlers() if self.parts.spread is not None else {}


def build_media(directory: Path, parts: Parts, signer: Signer, announce: Announce) -> Media:
    """The parts over a data directory: `uploads/` and `work/` beside the store, on its file system."""
    videos = Videos(parts)
    return Media(
        settings=parts.settings,
        store=parts.store,
        queues=parts.queues,
        videos=videos,
        uploads=Uploads(parts, directory / "uploads", announce),
        playback=Playback(videos, signer, parts),
        parts=parts,
        announce=announce,
        directory=directory,
    )


async def media_key(shards: Shards, clock: Clock) -> bytes:
    """The installation's key for signed addresses, made at first use and the same in every process."""
    row = {"name": "media", "value": secrets.token_hex(32), "created_at": clock.now()}

    async def work(tx: Transaction) -> str:
        await tx.execute(QUERIES["add_media_key"], row)
        kept = await tx.one(QUERIES["find_media_key"], {"name": row["name"]})
        return str(kept["value"]) if kept else ""

    return bytes.fromhex(await shards.directory.write(work))
