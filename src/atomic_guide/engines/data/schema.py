"""The schema, once, for both engines (SQLAlchemy Core metadata).

`directory_metadata` is the one database that every process reads: registrations, one-time codes, the bucket
map. `shard_metadata` is each shard: everything about a course, every row and primary key beginning with
(bucket, tenant, course), so that a bucket can be copied by a row filter. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

directory_metadata = MetaData()
shard_metadata = MetaData()


def _course_key() -> list[Column[Any]]:
    """The columns that every row and every primary key of a shard begin with."""
    return [
        Column("bucket", Integer, primary_key=True, autoincrement=False),
        Column("tenant", Text, primary_key=True),
        Column("course", Text, primary_key=True),
    ]


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
    # The course's, so that a bucket's move passes over the courses that are not with it.
    Column("bucket", Integer, nullable=False, server_default="-1"),
)

Table(
    "map_changes",
    directory_metadata,
    # One row, counted up with every change of map, shards or zones, so that processes notice it with one cheap read.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

Table(
    "shards",
    directory_metadata,
    Column("name", Text, primary_key=True),
    Column("zone", Text, nullable=False),
    # joining (its buckets are not yet its own), active, draining (its buckets are to leave) or drained
    Column("state", Text, nullable=False),
    # The share of its zone's load that it is to carry, beside the other shards' weights.
    Column("weight", Double, nullable=False),
    Column("added_at", Double, nullable=False),
)

Table(
    "tenant_zones",
    directory_metadata,
    # Tenants whose data must stay in a zone other than the default one.
    Column("tenant", Text, primary_key=True),
    Column("zone", Text, nullable=False),
)

Table(
    "moves",
    directory_metadata,
    # A bucket, or one course of it (tenant and course are set), that goes from one shard to another.
    Column("id", Text, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("course", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    # The epoch that the target will own it at.
    Column("epoch", BigInteger, nullable=False),
    # planned, copying, fencing, flipped, cleaning, done, aborting or aborted
    Column("state", Text, nullable=False),
    # The mover's lease and its fence: grows with every mover that takes the move over.
    Column("owner", Text, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    # How long writes of the bucket had to wait.
    Column("pause_ms", Double, nullable=False),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("moves_state", "state", "created_at"),
    # A bucket and its courses move one after the other.
    Index(
        "moves_one",
        "zone",
        "bucket",
        unique=True,
        sqlite_where=text("state NOT IN ('done', 'aborted')"),
        postgresql_where=text("state NOT IN ('done', 'aborted')"),
    ),
)

Table(
    "schema_floor",
    directory_metadata,
    # One row: the oldest revision whose programs may use this database; a contracting revision raises it.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Text, nullable=False),
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

Table(
    "lti_platforms",
    directory_metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("auth_url", Text, nullable=False),
    Column("token_url", Text, nullable=False),
    Column("keyset_url", Text, nullable=False),
    # The audience of client assertions where it is not the token URL.
    Column("auth_audience", Text),
    # More origins whose pages may frame the tool, separated by spaces.
    Column("origins", Text, nullable=False, server_default=""),
    Column("active", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("issuer", "client_id"),
)

Table(
    "lti_deployments",
    directory_metadata,
    Column("tenant", Text, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("platform", "deployment_id"),
)

Table(
    "lti_changes",
    directory_metadata,
    # One row, counted up with every change of a registration, so that processes notice it with one cheap read.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

Table(
    "lti_logins",
    directory_metadata,
    # Counts up: the newest rows are kept when there are too many.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # Only digests of what must not be guessed are kept.
    Column("state", Text, nullable=False, unique=True),
    Column("nonce", Text, nullable=False),
    Column("binding", Text, nullable=False),
    Column("platform", Text, nullable=False),
    # The parameters of the login request as JSON, to begin it again in another window.
    Column("request", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Index("lti_logins_nonce", "nonce"),
    Index("lti_logins_expiry", "expires_at"),
)

Table(
    "lti_invitations",
    directory_metadata,
    Column("digest", Text, primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
)

# --- directory: keeping (owner: course/keeping) -----------------------------------------------------

Table(
    "erasures",
    directory_metadata,
    Column("id", Text, primary_key=True),
    # person or tenant
    Column("kind", Text, nullable=False),
    # Digests with the installation's key; `person` is empty where a whole tenant was erased.
    Column("tenant", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("videos", Boolean, nullable=False),
    # pending or done
    Column("state", Text, nullable=False),
    # Whom to erase, as JSON, to go on after a crash; empty as soon as it is done.
    Column("target", Text, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("finished_at", Double),
    # JSON, sealed; empty while pending.
    Column("receipt", Text, nullable=False),
    Index("erasures_changed", "changed_at"),
)

Table(
    "legal_holds",
    directory_metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    # Both empty for the whole tenant; one of them otherwise.
    Column("course", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_at", Double, nullable=False),
    Column("lifted_at", Double),
)

# --- shard: ownership ------------------------------------------------------------------------------

Table(
    "bucket_owner",
    shard_metadata,
    # What this shard may answer for (ownership.py); tenant and course are empty for a bucket as a whole.
    *_course_key(),
    Column("epoch", BigInteger, nullable=False),
    # owned, fenced, arriving or gone
    Column("state", Text, nullable=False),
    # The fence of movers: one whose move was taken over changes nothing.
    Column("token", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
)

Table(
    "schema_floor",
    shard_metadata,
    # As in the directory; the first columns are those of every table of a shard.
    *_course_key(),
    Column("revision", Text, nullable=False),
)

# --- shard: course and members ---------------------------------------------------------------------

Table(
    "courses",
    shard_metadata,
    *_course_key(),
    Column("context", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("return_url", Text),
    Column("last_seq", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
)

Table(
    "members",
    shard_metadata,
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
)

Table(
    "course_services",
    shard_metadata,
    # What the LMS offered for the course at its last launch; an empty text where it offered nothing.
    *_course_key(),
    Column("roster_url", Text, nullable=False),
    Column("line_items_url", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
    # When the roster was last asked for; 0 for never.
    Column("roster_at", Double, nullable=False, server_default="0"),
)

Table(
    "idempotency",
    shard_metadata,
    # The answer to a POST that carried an Idempotency-Key, kept for a day.
    *_course_key(),
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

Table(
    "messages",
    shard_metadata,
    # `seq` counts from 1 without gaps within a course; courses.last_seq is its newest.
    *_course_key(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # Set in a tombstone: author and content are empty, the number stays taken.
    Column("deleted_at", Double),
    UniqueConstraint("bucket", "tenant", "course", "author", "id", name="messages_once"),
)

# --- shard: jobs (owner: engines/queues) -----------------------------------------------------------

Table(
    "jobs",
    shard_metadata,
    *_course_key(),
    Column("id", Text, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # What the job is about, such as a video's id: one subject's jobs are found and cancelled by it.
    Column("subject", Text, nullable=False),
    Column("payload", Text, nullable=False),
    # queued, running, done, dead or cancelled
    Column("state", Text, nullable=False),
    Column("priority", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("run_after", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("lease_owner", Text, nullable=False),
    # The fence: grows with every claim, so that the result of a worker that lost its lease is refused.
    Column("token", BigInteger, nullable=False),
    Column("progress", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("error", Text),
    # What its publisher had written or seen, as a signed bookmark, so that its worker sees that too.
    Column("bookmark", Text),
    # Set while the job is queued or running; NULL afterwards, so that the same work may be asked for again.
    Column("unique_key", Text),
    UniqueConstraint("bucket", "tenant", "course", "unique_key", name="jobs_unique"),
    Index("jobs_next", "queue", "state", "priority", "created_at"),
    Index("jobs_finished", "state", "finished_at"),
    Index("jobs_subject", "bucket", "tenant", "course", "subject"),
)

# --- shard: videos and uploads (owner: course/video) -----------------------------------------------

Table(
    "videos",
    shard_metadata,
    *_course_key(),
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("uploader", Text, nullable=False),
    # queued, processing, playable, ready or failed
    Column("status", Text, nullable=False),
    Column("progress", Double, nullable=False),
    Column("reason", Text),
    Column("size", BigInteger, nullable=False),
    # Bytes of what was made from the source: renditions and poster.
    Column("derived", BigInteger, nullable=False),
    Column("duration", Double),
    # JSON: the steps, renditions, captions and chapters are small and always read together.
    Column("steps", Text, nullable=False),
    Column("renditions", Text, nullable=False),
    Column("captions", Text, nullable=False),
    Column("chapters", Text, nullable=False),
    Column("poster", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ready_at", Double),
)

Table(
    "uploads",
    shard_metadata,
    # A resumable upload that is not complete; its bytes are in the spool under the same id.
    *_course_key(),
    Column("id", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    # How many bytes are on disk for certain.
    Column("received", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("uploads_expiry", "expires_at"),
)

# --- shard: scores (owner: course/analytics) -------------------------------------------------------

Table(
    "scores",
    shard_metadata,
    # The key's order is the order in which figures read a course: each student's attempts, the latest last.
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("activity", Text, primary_key=True),
    Column("at", Double, primary_key=True),
    # Empty where the sender gave none; then user, activity and time are the identity.
    Column("id", Text, primary_key=True, server_default=""),
    Column("score", Double, nullable=False),
    Column("maximum", Double, nullable=False),
    Index(
        "scores_id",
        "bucket",
        "tenant",
        "course",
        "id",
        unique=True,
        sqlite_where=text("id <> ''"),
        postgresql_where=text("id <> ''"),
    ),
    sqlite_with_rowid=False,
)

Table(
    "gradebooks",
    shard_metadata,
    # Counts the changes of a course's scores, so that every process knows when its figures are old.
    *_course_key(),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", Double, nullable=False),
)

Table(
    "score_imports",
    shard_metadata,
    # How far a file has been taken in; written in the transaction of each of its batches.
    *_course_key(),
    # SHA-256 of the file's content, and the form that it was read as.
    Column("fingerprint", Text, primary_key=True),
    Column("form", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # Bytes, or rows of a Parquet file; everything before `position` and `line` is decided.
    Column("size", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("rejected_count", BigInteger, nullable=False),
    # The first rejected rows as JSON.
    Column("rejected", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
)

# --- shard: keeping (owner: course/keeping) --------------------------------------------------------

Table(
    "record_reads",
    shard_metadata,
    # Who on the staff read students' education records; one row for each minute, reader, call and subject.
    *_course_key(),
    Column("at", Double, primary_key=True),
    Column("reader", Text, primary_key=True),
    Column("call", Text, primary_key=True),
    # The student; empty for every student of the course.
    Column("subject", Text, primary_key=True),
    Column("reads", Integer, nullable=False),
)

Table(
    "retention_marks",
    shard_metadata,
    # When retention has last done everything in a course.
    *_course_key(),
    Column("checked_at", Double, nullable=False),
)
