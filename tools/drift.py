"""Whether the migrations add up to the schema: a new file brought up by them is compared with it. Runs in `.venv`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, pool

from atomic_guide.engines.data import migrations, schema


def _other_default(*compared: Any) -> bool:
    """Compare two defaults but for the quotes and brackets, which SQLite keeps and the schema does not have."""
    stands, demanded = (text if text is None else text.strip("()'") for text in (compared[3], compared[5]))
    return bool(stands != demanded)


def differences(path: Path, metadata: MetaData) -> Iterator[str]:
    """Yield what Alembic would still change in the SQLite file at `path`."""
    engine = create_engine(f"sqlite:///{path}", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": _other_default}
        )
        found: list[Any] = compare_metadata(context, metadata)
    # Changes of one column come as a list, all others as a tuple.
    yield from (str(change) for change in found)


def problems() -> Iterator[str]:
    """Yield each difference between schema and migrations, with the database it is in."""
    kinds: tuple[tuple[migrations.Kind, MetaData], ...] = (
        ("directory", schema.directory_metadata),
        ("shard", schema.shard_metadata),
    )
    with tempfile.TemporaryDirectory() as folder:
        for kind, metadata in kinds:
            path = Path(folder) / f"{kind}.sqlite3"
            migrations.upgrade_file(path, kind)
            yield from (f"{kind}: {change}" for change in differences(path, metadata))
