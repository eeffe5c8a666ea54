"""Which objects of a copy are not what they should be.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column("asset_replicas", sa.Column("wrong", sa.Text(), nullable=True))
