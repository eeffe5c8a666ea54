"""Looking whether the bucket that lectures are kept in does what it has to: write, read, list, delete."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.opening import OBJECTS, open_store
from atomic_guide.engines.assets.snapshot import names_in
from atomic_guide.errors import GuideError

if TYPE_CHECKING:
    from atomic_guide.config import Settings

_FOLDER = "doctor"


async def tried(settings: Settings) -> str | None:
    """Store something in the main bucket, have it back, and remove it: what went wrong; None where nothing did."""
    store = open_store(Path(settings.data), settings.assets)
    if not isinstance(store, BucketStore):
        return None
    name, content = f"{_FOLDER}/{secrets.token_hex(8)}", secrets.token_bytes(64)
    try:
        await store.put(name, content)
        if await store.read(name) != content or name not in await store.names(_FOLDER):
            return "it does not give back what was stored"
        await store.delete(name)
    except GuideError as error:
        return error.message
    return None


def left_behind(settings: Settings) -> bool:
    """Whether the data directory has objects still that the main bucket ought to have."""
    return next(names_in(Path(settings.data) / OBJECTS), None) is not None
