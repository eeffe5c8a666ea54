"""The schema of a shard: everything about its courses. Times are seconds since the epoch.

Every row and primary key begins with (bucket, tenant, course), so that a bucket can be copied by a row filter.
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

shard_metadata = MetaData()


def _course_key() -> list[Column[Any]]:
    """The columns that every row and every primary key of a shard begin with."""
    return [
        Column("bucket", Integer, primary_key=True, autoincrement=False),
        Column("tenant", Text, primary_key=True),
        Column("course", Text, primary_key=True),
    ]


def _where(condition: str) -> dict[str, Any]:
    """An index over some of the rows, on both engines."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# --- ownership ------------------------------------------------------------------------------

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
    # Which buckets are not simply owned; usually none.
    Index("bucket_owner_unsettled", "state", **_where("state <> 'owned'")),
)

Table(
    "schema_floor",
    shard_metadata,
    # As in the directory; the first columns are those of every table of a shard.
    *_course_key(),
    Column("revision", Text, nullable=False),
)

# --- course and members ---------------------------------------------------------------------

Table(
    "courses",
    shard_metadata,
    *_course_key(),
    Column("context", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("return_url", Text),
    Column("last_seq", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    # Counts the changes of the room: deletions, mutes, closing and opening, live sessions.
    Column("room_revision", BigInteger, nullable=False, server_default="0"),
    # What of the room's rate is spent, as a time (engines/rooms/budget.py).
    Column("room_mark", Double, nullable=False, server_default="0"),
    # Set while only instructors may write.
    Column("closed_at", Double),
    # How many rows of `mutes` there may be; 0 saves the look.
    Column("muted", Integer, nullable=False, server_default="0"),
    # The live session: its row in `moderation`, and when it ends by itself. Both NULL where there is none.
    Column("live_revision", BigInteger),
    Column("live_until", Double),
    Index(
        "courses_live",
        "live_until",
        sqlite_where=text("live_until IS NOT NULL"),
        postgresql_where=text("live_until IS NOT NULL"),
    ),
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

# --- chat (owner: course/chat) --------------------------------------------------------------

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
    # Set in a tombstone: nobody is shown its author or content, and the number stays taken. One that was deleted in
    # the room keeps author and id, so that it is not posted a second time, and its content while that is under legal
    # hold; erasure and retention empty all three.
    Column("deleted_at", Double),
    # The course's room_revision when it was deleted.
    Column("revision", BigInteger),
    UniqueConstraint("bucket", "tenant", "course", "author", "id", name="messages_once"),
    Index(
        "messages_deleted",
        "bucket",
        "tenant",
        "course",
        "revision",
        sqlite_where=text("revision IS NOT NULL"),
        postgresql_where=text("revision IS NOT NULL"),
    ),
)

Table(
    "posting_marks",
    shard_metadata,
    # What of a person's rate of messages is spent, as a time (engines/rooms/budget.py), over all processes.
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("mark", Double, nullable=False),
    sqlite_with_rowid=False,
)

Table(
    "mutes",
    shard_metadata,
    # Who may not write: until a time, or until it is lifted.
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("until", Double),
    Column("at", Double, nullable=False),
)

Table(
    "moderation",
    shard_metadata,
    # Who did what in a room and when, one row for each of its revisions that a person made; never what was said.
    *_course_key(),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("moderator", Text, nullable=False),
    # deleted, muted, unmuted, closed, opened, live or ended
    Column("action", Text, nullable=False),
    # Whose message was deleted, or who was muted; empty otherwise.
    Column("subject", Text, nullable=False),
    # The deleted message's number.
    Column("seq", BigInteger),
    # Until when somebody was muted, or a live session lasts.
    Column("until", Double),
)

# --- jobs (owner: engines/queues) -----------------------------------------------------------

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
    # queued, delayed (until run_after), blocked (by an earlier one of its order_key), running or dead
    Column("state", Text, nullable=False),
    # What the facts are worth (engines/queues/priority.py) and, as JSON, which facts those were.
    Column("priority", Double, nullable=False),
    Column("why", Text),
    # The seconds by which the priority moves the job forward, and its place in the order that results: smaller first.
    Column("boost", Double, nullable=False, server_default="0"),
    Column("rank", Double, nullable=False, server_default="0"),
    # Where the tenant's next job of this queue and boost may begin; NULL once the job waits no more.
    Column("tag", Double),
    Column("spacing", Double, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("run_after", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("lease_owner", Text, nullable=False),
    # The fence: grows with every claim, so that the result of a worker that lost its lease is refused.
    Column("token", BigInteger, nullable=False),
    # How often trouble of the machine has put it off, which is no attempt.
    Column("troubles", Integer, nullable=False, server_default="0"),
    Column("progress", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    # When it died; jobs that ended otherwise are in `ended_jobs`.
    Column("finished_at", Double),
    Column("error", Text),
    # What its publisher had written or seen, as a signed bookmark, so that its worker sees that too.
    Column("bookmark", Text),
    # The span that published it, as a W3C traceparent.
    Column("trace", Text),
    # Set while the job lives; a dead one keeps it in `kept_key`, so that the same work may be asked for again.
    Column("unique_key", Text),
    Column("kept_key", Text),
    # Jobs of a course with the same one run one after the other, as they were published.
    Column("order_key", Text),
    # Each index holds the jobs of one state, so that it stays as small as what it is asked for.
    Index("jobs_unique", "bucket", "tenant", "course", "unique_key", unique=True, **_where("unique_key IS NOT NULL")),
    Index("jobs_ready", "queue", "rank", "id", **_where("state = 'queued'")),
    Index("jobs_delayed", "queue", "run_after", **_where("state = 'delayed'")),
    Index("jobs_leased", "queue", "lease_until", **_where("state = 'running'")),
    Index("jobs_finished", "finished_at", **_where("finished_at IS NOT NULL")),
    Index("jobs_tags", "queue", "tenant", "boost", "tag", **_where("tag IS NOT NULL")),
    Index("jobs_order", "bucket", "tenant", "course", "order_key", "id", **_where("order_key IS NOT NULL")),
    # Every job has a subject. The condition keeps the index from statements that name none: PostgreSQL's planner, where
    # it saw the table empty, takes it for a job's key, and so goes through all jobs of the course for each of them.
    Index("jobs_subject", "subject", "bucket", "tenant", "course", postgresql_where=text("subject IS NOT NULL")),
)

Table(
    "ended_jobs",
    shard_metadata,
    # What is told of jobs that were done or cancelled, without what they carried. The key finds a subject's.
    *_course_key(),
    Column("subject", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # done or cancelled
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Index("ended_jobs_age", "ended_at"),
    sqlite_with_rowid=False,
)

Table(
    "operator_actions",
    shard_metadata,
    # What an operator did to something of a course, in the transaction that did it. Ids order by time.
    *_course_key(),
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    # dead-letter.replayed or dead-letter.dropped
    Column("action", Text, nullable=False),
    # To what, such as a job's id, and of which kind that is.
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Which call did it, where one did it to many; empty otherwise.
    Column("run", Text, nullable=False),
    # JSON: what was changed about it.
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    # SHA-256 of what it carried.
    Column("digest", Text, nullable=False),
    # JSON: the whole of what was dropped, for a while.
    Column("kept", Text),
    Index("operator_actions_subject", "bucket", "tenant", "course", "subject"),
    Index("operator_actions_at", "at"),
)

# --- videos and uploads (owner: course/video) -----------------------------------------------

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
    # Where its files are: "COURSE/VIDEO" of a lecture that it was copied from; empty for its own.
    Column("origin", Text, nullable=False, server_default=""),
    # JSON: the small pictures along the seek bar; NULL where there are none.
    Column("preview", Text),
    # JSON: what has been made of the next set of qualities while the present one plays; NULL where none is made.
    Column("remaking", Text),
)

Table(
    "uploads",
    shard_metadata,
    # A resumable upload that is not complete; its bytes are in the spool under the same id, or in the bucket's `parts`.
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
    # Set once it has expired: the row is empty then, and says for some days that the upload is gone.
    Column("dropped_at", Double),
    # START-SIZE-TOKEN of each object that holds some of it, with a space after each.
    Column("parts", Text, nullable=False, server_default=""),
    Index("uploads_expiry", "expires_at"),
)

Table(
    "lecture_rules",
    shard_metadata,
    # What instructors have set for the lectures of their course.
    *_course_key(),
    Column("captions_required", Boolean, nullable=False),
    Column("updated_at", Double, nullable=False),
    # The courses that the LMS copied this one from, by their ids here, once their lectures were asked for.
    Column("copied", Text, nullable=False, server_default=""),
)

# --- scores (owner: course/analytics) -------------------------------------------------------

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
    # Counts the changes of a course's scores, and of its people's names and roles, so that every process knows when its
    # figures are old. A course without scores has version 0.
    *_course_key(),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("people", BigInteger, nullable=False, server_default=text("0")),
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

# --- notifications (owner: course/notifications) --------------------------------------------

Table(
    "notifications",
    shard_metadata,
    # What a person is told in the page; the id is made from the cause, so that a cause tells once.
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    # What it is about, such as a video's id; empty where that is the course.
    Column("subject", Text, nullable=False),
    # JSON: what its sentence needs besides.
    Column("data", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("read_at", Double),
    Index("notifications_newest", "bucket", "tenant", "course", "user", "created_at", "id"),
    Index("notifications_subject", "bucket", "tenant", "course", "subject"),
)

Table(
    "mail_contacts",
    shard_metadata,
    # Where people get e-mail; filled only while the settings name a mail server.
    *_course_key(),
    Column("user", Text, primary_key=True),
    # Empty where the LMS told none.
    Column("address", Text, nullable=False),
    # The LMS's language for the person, and the one chosen in the page, empty where none was.
    Column("locale", Text, nullable=False),
    Column("language", Text, nullable=False),
    # Set while the person wants no e-mail about this course.
    Column("off_at", Double),
    Column("updated_at", Double, nullable=False),
)

# --- events (owner: course/watching) --------------------------------------------------------

Table(
    "event_streams",
    shard_metadata,
    # How far a course's events are taken and counted; writers of either take turns at this row.
    *_course_key(),
    # The number of the last event that was taken, and of the last one that is counted.
    Column("taken", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False),
    # When a job was asked for that counts what waits; 0 where none is. `hurried`: one that counts at once, too.
    Column("asked_at", Double, nullable=False),
    Column("hurried", Integer, nullable=False),
)

Table(
    "events",
    shard_metadata,
    # What people did with lectures, until it is counted and can come no second time.
    *_course_key(),
    Column("user", Text, primary_key=True),
    # Chosen by the sender; counts once for the person and the course.
    Column("id", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("learner", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("at", Double, nullable=False),
    # Empty, or 0, where the event does not say it.
    Column("video", Text, nullable=False),
    Column("position", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("lang", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Index("events_order", "bucket", "tenant", "course", "number"),
    Index("events_received", "received_at"),
    sqlite_with_rowid=False,
)

Table(
    "lecture_progress",
    shard_metadata,
    # One person and one lecture: where to go on, which seconds were seen (course/watching/spans.py).
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("video", Text, primary_key=True),
    Column("position", Double, nullable=False),
    Column("position_at", Double, nullable=False),
    Column("seconds", Text, nullable=False),
    Column("watched", Integer, nullable=False),
    Column("rewatched", Integer, nullable=False),
    Column("views", Integer, nullable=False),
    Column("finished_at", Double),
    Column("last_at", Double, nullable=False),
    Index("lecture_progress_video", "bucket", "tenant", "course", "video", "last_at"),
)

Table(
    "student_activity",
    shard_metadata,
    # When a person was last there.
    *_course_key(),
    Column("user", Text, primary_key=True),
    Column("last_at", Double, nullable=False),
    Column("opened", Integer, nullable=False),
)

Table(
    "lecture_figures",
    shard_metadata,
    # Sums over all learners; they name nobody and stay when somebody is erased.
    *_course_key(),
    Column("video", Text, primary_key=True),
    Column("views", BigInteger, nullable=False),
    Column("viewers", BigInteger, nullable=False),
    Column("finished", BigInteger, nullable=False),
    Column("captions", BigInteger, nullable=False),
    Column("watched", BigInteger, nullable=False),
    Column("rewatched", BigInteger, nullable=False),
    Column("last_at", Double, nullable=False),
)

Table(
    "lecture_curves",
    shard_metadata,
    # A minute of a lecture: how many saw each second of it, and how often it was played, as JSON.
    *_course_key(),
    Column("video", Text, primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("viewers", Text, nullable=False),
    Column("plays", Text, nullable=False),
)

# --- keeping (owner: course/keeping) --------------------------------------------------------

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
