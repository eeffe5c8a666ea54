"""What operators did to dead letters, and what they dropped."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_COURSE = ("bucket", "tenant", "course")


def upgrade() -> None:
    """Add the log of operators' actions."""
    op.create_table(
        "operator_actions",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(*_COURSE, "id"),
    )
    op.create_index("operator_actions_subject", "operator_actions", [*_COURSE, "subject"])
    op.create_index("operator_actions_at", "operator_actions", ["at"])
