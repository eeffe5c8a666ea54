"""What a shard owns, the functions that refuse the rest, and a job's bookmark.

Expands only, but is the first that knows a floor: a program of 0001 refuses it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# 1096040772 is "ATAD": a class of advisory locks of our own; a bucket is one of its locks, -1 the whole shard.
_FENCE_WRITE = """
CREATE FUNCTION fence_write(b integer, t text, c text, e bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1096040772, b);
  -- A statement of its own after the lock: it sees what a mover has committed meanwhile.
  RETURN coalesce((
    SELECT o.state = 'owned' AND o.epoch >= e FROM bucket_owner AS o
    WHERE o.bucket = b AND (o.tenant = '' OR o.tenant = t AND o.course = c)
    ORDER BY o.tenant DESC LIMIT 1), false);
END $$
"""

# Stable, so that it sees the snapshot that the rows are read in, and is asked once for each scan of an index.
_FENCE_READ = """
CREATE FUNCTION fence_read(b integer, t text, c text, e bigint) RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  IF coalesce((
    SELECT o.state IN ('owned', 'fenced') AND o.epoch >= e FROM bucket_owner AS o
    WHERE o.bucket = b AND (o.tenant = '' OR o.tenant = t AND o.course = c)
    ORDER BY o.tenant DESC LIMIT 1), false)
  THEN RETURN b; END IF;
  RAISE EXCEPTION USING ERRCODE = 'AG001', MESSAGE = 'bucket ' || b || ' is not read here at epoch ' || e;
END $$
"""


def upgrade() -> None:
    """Add ownership."""
    op.create_table(
        "bucket_owner",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "tenant", "course"),
    )
    op.create_table(
        "schema_floor",
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "tenant", "course"),
    )
    op.execute("INSERT INTO schema_floor (bucket, tenant, course, revision) VALUES (-1, '', '', '0002')")
    op.add_column("jobs", sa.Column("bookmark", sa.Text(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute(_FENCE_WRITE)
        op.execute(_FENCE_READ)
