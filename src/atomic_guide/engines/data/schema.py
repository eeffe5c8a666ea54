"""The schema, once, for both engines (SQLAlchemy Core metadata).

`directory_metadata` is the one database that every process reads: registrations, one-time codes, the bucket
map. `shard_metadata` is each shard: everything about a course, every row and primary key beginning with
(bucket, tenant, course), so that a bucket can be copied by a row filter. Times are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text, UniqueConstraint

directory_metadata = MetaData()
shard_metadata = MetaData()

# --- directory: placement -----------------------------------------------------------------------

Table(
    "bucket_map",
    directory_metadata,
    Column("zone", Text, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("shard", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
)

Table(
    "bucket_overrides",
    directory_metadata,
    Column("tenant", Text, primary_key=True),
    Column("course", Text, primary_key=True),
    Column("shard", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
)

# --- directory: sessions and one-time codes --------------------------------------------------------

Table(
    "one_time_codes",
    directory_metadata,
    # Only a digest is kept: who reads the database cannot use a code.
    Column("kind", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("payload", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    # A retry with the same Idempotency-Key within the code's life is answered again.
    Column("used_by", Text),
    Index("one_time_codes_expiry", "expires_at"),
)

Table(
    "secrets",
    directory_metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

# --- directory: LTI (owner: course/lti) ------------------------------------------------------------

# --- shard: course and members ---------------------------------------------------------------------

Table(
    "courses",
    shard_metadata,
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, primary_key=True),
    Column("course", Text, primary_key=True),
    Column("context", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("return_url", Text),
    Column("last_seq", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
)

Table(
    "members",
    shard_metadata,
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, primary_key=True),
    Column("course", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
)

Table(
    "idempotency",
    shard_metadata,
    # The answer to a POST that carried an Idempotency-Key, kept for a day.
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, primary_key=True),
    Column("course", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("call", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("idempotency_expiry", "expires_at"),
)

# --- shard: chat (owner: course/chat) --------------------------------------------------------------

# --- shard: jobs (owner: engines/queues) -----------------------------------------------------------

# --- shard: videos and uploads (owner: course/video) -----------------------------------------------

# --- shard: scores (owner: course/analytics) -------------------------------------------------------

__all__ = ["Boolean", "UniqueConstraint", "directory_metadata", "shard_metadata"]
