"""Alembic's entry for the shard chain."""

from atomic_guide.engines.data.migrations.chain import run
from atomic_guide.engines.data.schema import shard_metadata

run(shard_metadata)
