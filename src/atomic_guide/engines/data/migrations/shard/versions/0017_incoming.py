"""Which parts of an unfinished upload lie in the main bucket.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the column."""
    op.add_column("uploads", sa.Column("parts", sa.Text(), nullable=False, server_default=""))
