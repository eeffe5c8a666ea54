"""Alembic's entry for the directory chain."""

from atomic_guide.engines.data.migrations.chain import run
from atomic_guide.engines.data.schema import directory_metadata

run(directory_metadata)
