"""When a message was deleted, who read education records, when retention looked at a course."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what keeping and forgetting needs."""
    op.add_column("messages", sa.Column("deleted_at", sa.Double(), nullable=True))
    op.create_table(
        "record_reads",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "tenant", "course", "at", "reader", "call", "subject"),
    )
    op.create_table(
        "retention_marks",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "tenant", "course"),
    )
