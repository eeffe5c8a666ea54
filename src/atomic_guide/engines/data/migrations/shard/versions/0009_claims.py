"""What keeps claims and ends of jobs on the right index, whatever the planner knows of the tables."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_UNSETTLED = sa.text("state <> 'owned'")


def upgrade() -> None:
    """Find buckets that are not simply owned without reading all, and jobs of a subject by the subject first."""
    op.create_index(
        "bucket_owner_unsettled", "bucket_owner", ["state"], sqlite_where=_UNSETTLED, postgresql_where=_UNSETTLED
    )
    # From now on an owner is there exactly while a job runs.
    op.execute("UPDATE jobs SET lease_owner = '' WHERE state <> 'running' AND lease_owner <> ''")
    op.drop_index("jobs_subject", "jobs")
    op.create_index("jobs_subject", "jobs", ["subject", "bucket", "tenant", "course"])
