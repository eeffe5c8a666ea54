"""The trace that a job was published in, for its worker to go on with.

Expands only: a program from before writes none, and reads none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column."""
    op.add_column("jobs", sa.Column("trace", sa.Text(), nullable=True))
