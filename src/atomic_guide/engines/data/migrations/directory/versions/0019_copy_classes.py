"""The storage class of copies in other stores.

Expands only: who does not know the column leaves copies in the class in which they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the class of a copy."""
    op.add_column("asset_replicas", sa.Column("cool", sa.Text(), server_default="", nullable=False))
