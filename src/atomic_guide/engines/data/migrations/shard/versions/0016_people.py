"""Counts the changes of a course's people, so that figures with their names are kept until there is one.

Expands only: a program from before counts none; the names that it changes show when the figures end.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column."""
    op.add_column("gradebooks", sa.Column("people", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
