"""How often trouble of the machine has put a job off, which is no attempt of the job.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the count, and let waiting jobs of before be found under the names that their queues have now."""
    op.add_column("jobs", sa.Column("troubles", sa.Integer(), nullable=False, server_default="0"))
    for before, now in (("media", "video"), ("courses", "rosters")):
        op.execute(f"UPDATE jobs SET queue = '{now}' WHERE queue = '{before}'")  # noqa: S608 - the names above
