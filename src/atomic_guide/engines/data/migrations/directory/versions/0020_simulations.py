"""The last simulations of policies, with what came out.

Expands only: who does not know the table keeps none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the table of simulations."""
    op.create_table(
        "simulations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ends_by", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("called_off_by", sa.Text(), nullable=True),
    )
