"""`atomic-guide migrate`: bring the databases to this program's schema."""

from __future__ import annotations

import click

from atomic_guide.cli.options import Context, data_options
from atomic_guide.engines.data.embedded import migrate_embedded


@click.command()
@data_options
def command(context: Context) -> None:
    """Bring every database to the schema of this program. Embedded ones also do so by themselves."""
    changed = migrate_embedded(context.data, context.settings.databases)
    text = "\n".join(f"migrated {name}" for name in changed) or "every database is up to date"
    context.emit({"changed": changed}, text)
