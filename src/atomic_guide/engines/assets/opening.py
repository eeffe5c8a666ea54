"""Which store an installation keeps its lectures in: the one place where that is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.remote import RemoteStore

if TYPE_CHECKING:
    from pathlib import Path

    from atomic_guide.engines.assets.settings import AssetSettings
    from atomic_guide.engines.assets.store import Store

OBJECTS, SCRATCH = "objects", "work"


def open_store(data: Path, settings: AssetSettings) -> Store:
    """The bucket that the settings name, with its passing files below the data directory; else `objects/` there."""
    bucket = settings.main_store
    if bucket is None:
        return DirectoryStore(data / OBJECTS, settings)
    return BucketStore(RemoteStore(bucket, settings.copies), data / SCRATCH, settings)


def opened_stores(store: Store, settings: AssetSettings) -> dict[str, RemoteStore]:
    """The declared stores by name, of which the main one is open already."""
    main = store.remote if isinstance(store, BucketStore) else None
    return {
        one.name: main if main is not None and main.name == one.name else RemoteStore(one, settings.copies)
        for one in settings.stores
    }
