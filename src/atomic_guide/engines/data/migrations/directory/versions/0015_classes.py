"""Storage classes of lectures in the main bucket.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the class of a lecture's files, and how many bytes are in it."""
    op.add_column("asset_sets", sa.Column("cool", sa.Text(), server_default="", nullable=False))
    op.add_column("asset_sets", sa.Column("cooled", sa.BigInteger(), server_default="0", nullable=False))
