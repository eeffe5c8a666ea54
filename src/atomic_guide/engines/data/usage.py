"""How much a process uses of the limits of databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.limit import Used


def used(shards: Shards) -> Iterator[Used]:
    """Of every database that this process has open."""
    yield from shards.directory.used()
    for whole in shards.all():
        shard = whole.shard
        yield from shard.primary.used()
        if shard.replicas is not None:
            yield from shard.replicas.used()
