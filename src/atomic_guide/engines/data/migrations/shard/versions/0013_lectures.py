"""Lectures that share their files, previews, a second set of qualities, expired uploads and rules of a course.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add what lectures need; one of before has its own files and no preview."""
    op.add_column("videos", sa.Column("origin", sa.Text(), nullable=False, server_default=""))
    op.add_column("videos", sa.Column("preview", sa.Text(), nullable=True))
    op.add_column("videos", sa.Column("remaking", sa.Text(), nullable=True))
    op.add_column("uploads", sa.Column("dropped_at", sa.Double(), nullable=True))
    op.create_table(
        "lecture_rules",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("captions_required", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("copied", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("bucket", "tenant", "course"),
    )
