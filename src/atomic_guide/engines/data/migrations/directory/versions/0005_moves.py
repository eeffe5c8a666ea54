"""One move of a bucket at a time, and the bucket of a course that has a place of its own.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Add what moves need. An override of before has no bucket; it is pinned anew where its bucket is to move."""
    op.add_column("bucket_overrides", sa.Column("bucket", sa.Integer(), server_default="-1", nullable=False))
    under_way = sa.text("state NOT IN ('done', 'aborted')")
    op.create_index(
        "moves_one", "moves", ["zone", "bucket"], unique=True, sqlite_where=under_way, postgresql_where=under_way
    )
