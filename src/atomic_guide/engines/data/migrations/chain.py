"""Running a chain of revisions, all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import context
from sqlalchemy import create_engine, event, pool

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData


def run(metadata: MetaData) -> None:
    """Run what Alembic was asked for in one transaction, so that a process that dies half way leaves no half schema.

    Without a connection, write it down as statements for PostgreSQL; whoever sends them does so in one transaction.
    """
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
        # Not in `begin_transaction`, which would write BEGIN and COMMIT.
        context.run_migrations()
        return
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
    if engine.dialect.name == "sqlite":
        # The driver begins a transaction before INSERT and its like only: tables would be made one by one.
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
