"""Which queues are paused, and what is left of their rates.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add what all processes must agree on about a queue."""
    op.create_table(
        "queue_controls",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.Double(), nullable=True),
        sa.Column("tokens", sa.Double(), nullable=True),
        sa.Column("filled_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("queue"),
    )
