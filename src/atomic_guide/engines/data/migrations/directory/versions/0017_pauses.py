"""When the pause of a queue ends by itself.

Expands only: who does not know the column sees a pause that lasts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the end of a pause."""
    op.add_column("queue_controls", sa.Column("resumes_at", sa.Double(), nullable=True))
