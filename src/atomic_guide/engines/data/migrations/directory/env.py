"""Alembic's entry for the directory chain."""

from alembic import context
from sqlalchemy import create_engine, pool

from atomic_guide.engines.data.schema import directory_metadata

engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=directory_metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
