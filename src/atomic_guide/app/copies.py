"""Opens the copies of lectures over a data directory's engines, for servers and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.course.keeping.key import seal
from atomic_guide.course.video.spread.deleting import Seals
from atomic_guide.course.video.spread.parts import SpreadParts
from atomic_guide.course.video.spread.spread import Spread

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.course.video.spread.parts import Engines


def made_spread(settings: Settings, engines: Engines, clock: Clock, key: bytes) -> Spread:
    """The copies; `key` is the installation's, which seals receipts."""
    main = settings.assets.main_store
    region = main.region if main is not None else ""
    parts = SpreadParts(engines, clock, settings.assets, region or settings.databases.region)
    return Spread(parts, made_seals(key), sources=settings.video.keep_source)


def made_seals(key: bytes) -> Seals:
    """The key at work, apart from its other uses."""
    return Seals(
        lambda folder: seal(key, "deleted folder", folder.encode())[:40],
        lambda content: seal(key, "deletion", content),
    )
