"""The schema, once, for both engines (SQLAlchemy Core metadata): the directory's tables and a shard's."""

from atomic_guide.engines.data.schema.directory import directory_metadata
from atomic_guide.engines.data.schema.shard import shard_metadata

__all__ = ["directory_metadata", "shard_metadata"]
