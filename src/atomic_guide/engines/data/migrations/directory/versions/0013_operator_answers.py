"""Answers to operators' requests with an Idempotency-Key.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table of answers to operators."""
    op.create_table(
        "operator_answers",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("call", "key"),
    )
    op.create_index("operator_answers_expiry", "operator_answers", ["expires_at"], unique=False)
