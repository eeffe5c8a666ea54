"""Moves that are not to be begun.

Expands only: who does not know the column begins them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add who holds a move."""
    op.add_column("moves", sa.Column("held_by", sa.Text(), nullable=True))
