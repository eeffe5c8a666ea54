"""The order of jobs as one column, an index for each state, and a place of their own for jobs that have ended.

Expands: a program of before goes on taking jobs, in the order that it knows; what it ends stays in `jobs` until it is
swept into `ended_jobs`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_INDEXES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("jobs_ready", ("queue", "rank", "id"), "state = 'queued'"),
    ("jobs_delayed", ("queue", "run_after"), "state = 'delayed'"),
    ("jobs_leased", ("queue", "lease_until"), "state = 'running'"),
    ("jobs_finished", ("finished_at",), "finished_at IS NOT NULL"),
    ("jobs_tags", ("queue", "tenant", "boost", "tag"), "tag IS NOT NULL"),
    ("jobs_order", ("bucket", "tenant", "course", "order_key", "id"), "order_key IS NOT NULL"),
)

# A row of this table lives for seconds and is written three times. Room on its page keeps notes of progress off the
# indexes, and the vacuum comes after so many dead rows, not after a share of a table that is nearly empty; it does not
# pause, because the table is small enough to be in memory.
_HOT = (
    "ALTER TABLE jobs SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,"
    " autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000)"
)
_ARCHIVE = (
    "ALTER TABLE ended_jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,"
    " autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,"
    " autovacuum_vacuum_cost_delay = 0)"
)


def upgrade() -> None:
    """Add what queues need, and put the jobs that have ended into their own table."""
    _archive()
    for name in ("jobs_next", "jobs_finished"):
        op.drop_index(name, "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint("jobs_unique", type_="unique")
        jobs.add_column(sa.Column("why", sa.Text(), nullable=True))
        for name in ("boost", "rank", "spacing"):
            jobs.add_column(sa.Column(name, sa.Double(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("tag", sa.Double(), nullable=True))
        jobs.add_column(sa.Column("kept_key", sa.Text(), nullable=True))
        jobs.add_column(sa.Column("order_key", sa.Text(), nullable=True))
    # Those of before are in the order of their arrival, and none of them was worth more than another.
    op.execute("UPDATE jobs SET rank = created_at")
    op.execute("UPDATE jobs SET state = 'delayed' WHERE state = 'queued' AND run_after > created_at")
    held = sa.text("unique_key IS NOT NULL")
    columns = ["bucket", "tenant", "course", "unique_key"]
    op.create_index("jobs_unique", "jobs", columns, unique=True, sqlite_where=held, postgresql_where=held)
    for name, names, condition in _INDEXES:
        where = sa.text(condition)
        op.create_index(name, "jobs", list(names), sqlite_where=where, postgresql_where=where)
    if op.get_context().dialect.name == "postgresql":
        op.execute(_HOT)
        op.execute(_ARCHIVE)


def _archive() -> None:
    op.create_table(
        "ended_jobs",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "tenant", "course", "subject", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ended_jobs_age", "ended_jobs", ["ended_at"])
    op.execute(
        "INSERT INTO ended_jobs"
        " (bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, ended_at)"
        " SELECT bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, finished_at"
        " FROM jobs WHERE state IN ('done', 'cancelled') AND finished_at IS NOT NULL"
    )
    op.execute("DELETE FROM jobs WHERE state IN ('done', 'cancelled')")
