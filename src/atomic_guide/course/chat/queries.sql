-- name: lock_course
-- purpose: Read where a course's room stands and keep other writers of the course out until the commit.
-- dialect: sqlite
SELECT last_seq, room_revision, room_mark, closed_at, muted, live_revision, live_until FROM courses
WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: lock_course
-- dialect: postgresql
SELECT last_seq, room_revision, room_mark, closed_at, muted, live_revision, live_until FROM courses
WHERE bucket = :bucket AND tenant = :tenant AND course = :course FOR UPDATE

-- name: add_course
-- purpose: Make the row of a course that no launch has described yet.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, '', '', 0, :now)
ON CONFLICT DO NOTHING;

-- name: find_draft
-- purpose: The message that an author has already sent under an id, if any, and what is spent of the author's rate.
SELECT m.seq, m.created_at, m.deleted_at,
       CASE WHEN m.deleted_at IS NULL THEN m.content ELSE '' END AS content, COALESCE(b.mark, 0.0) AS mark
FROM (SELECT 1 AS one) AS x
LEFT JOIN messages AS m
  ON m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m.author = :author AND m.id = :id
LEFT JOIN posting_marks AS b
  ON b.bucket = :bucket AND b.tenant = :tenant AND b.course = :course AND b."user" = :author;

-- name: find_mute
-- purpose: Until when somebody is muted: no row where they are not, NULL until it is lifted.
SELECT until FROM mutes
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
  AND (until IS NULL OR until > :now);

-- name: find_role
-- purpose: The role of a member as the LMS last told it.
SELECT role, name FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user;

-- name: add_messages
-- purpose: Store messages under their numbers; on PostgreSQL with what follows from it, in the same round trip.
-- dialect: sqlite
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
VALUES (:bucket, :tenant, :course, :seq, :author, :id, :content, :now)

-- name: add_messages
-- dialect: postgresql
WITH given AS (
  SELECT * FROM unnest(:bucket::int4[], :tenant::text[], :course::text[], :seq::int8[], :author::text[], :id::text[],
                       :content::text[], :mark::float8[], :room_mark::float8[])
                AS rows(bucket, tenant, course, seq, author, id, content, mark, room_mark)
), stored AS (
  INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
  SELECT bucket, tenant, course, seq, author, id, content, :now::float8 FROM given
), spent AS (
  INSERT INTO posting_marks (bucket, tenant, course, "user", mark)
  SELECT bucket, tenant, course, author, max(mark) FROM given GROUP BY bucket, tenant, course, author
  ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET mark = excluded.mark
)
UPDATE courses SET last_seq = newest.seq, room_mark = newest.mark
FROM (SELECT bucket, tenant, course, max(seq) AS seq, max(room_mark) AS mark
      FROM given GROUP BY bucket, tenant, course) AS newest
WHERE courses.bucket = newest.bucket AND courses.tenant = newest.tenant AND courses.course = newest.course

-- name: move_courses
-- purpose: Move the courses' newest numbers and their rooms' rates on.
-- dialect: sqlite
UPDATE courses SET last_seq = :last_seq, room_mark = :room_mark
WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: spend_marks
-- purpose: Note what is spent of authors' rates.
-- dialect: sqlite
INSERT INTO posting_marks (bucket, tenant, course, "user", mark)
VALUES (:bucket, :tenant, :course, :user, :mark)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET mark = excluded.mark

-- name: read_standing
-- purpose: A course's newest sequence number, and how often its room was changed.
-- batch: yes
SELECT last_seq, room_revision FROM courses
WHERE bucket = :bucket AND tenant = :tenant AND course = :course;

-- name: messages_after
-- purpose: The first messages that follow a sequence number, with their authors' names.
SELECT m.seq, m.created_at, m.deleted_at,
       CASE WHEN m.deleted_at IS NULL THEN m.id ELSE 'deleted-' || m.seq END AS id,
       CASE WHEN m.deleted_at IS NULL THEN m.author ELSE '' END AS author,
       CASE WHEN m.deleted_at IS NULL THEN m.content ELSE '' END AS content,
       COALESCE(p.name, '') AS name, COALESCE(p.role, 'learner') AS role
FROM messages AS m
LEFT JOIN members AS p
  ON p.bucket = m.bucket AND p.tenant = m.tenant AND p.course = m.course AND p."user" = m.author
  AND m.deleted_at IS NULL
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m.seq > :after
ORDER BY m.seq
LIMIT :limit;

-- name: messages_before
-- purpose: The last messages that precede a sequence number, newest first, with their authors' names.
SELECT m.seq, m.created_at, m.deleted_at,
       CASE WHEN m.deleted_at IS NULL THEN m.id ELSE 'deleted-' || m.seq END AS id,
       CASE WHEN m.deleted_at IS NULL THEN m.author ELSE '' END AS author,
       CASE WHEN m.deleted_at IS NULL THEN m.content ELSE '' END AS content,
       COALESCE(p.name, '') AS name, COALESCE(p.role, 'learner') AS role
FROM messages AS m
LEFT JOIN members AS p
  ON p.bucket = m.bucket AND p.tenant = m.tenant AND p.course = m.course AND p."user" = m.author
  AND m.deleted_at IS NULL
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m.seq < :before
ORDER BY m.seq DESC
LIMIT :limit;

-- name: deleted_after
-- purpose: The newest deletions of a course after one of its room's revisions, the newest first.
SELECT revision, seq, deleted_at FROM messages
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND revision > :after
ORDER BY revision DESC, seq DESC LIMIT :limit;

-- name: read_room
-- purpose: How a course's room is, and who began its live session.
SELECT c.room_revision, c.closed_at, c.muted, c.live_until, l.at AS live_since, l.moderator, p.name
FROM courses AS c
LEFT JOIN moderation AS l
  ON l.bucket = c.bucket AND l.tenant = c.tenant AND l.course = c.course AND l.revision = c.live_revision
LEFT JOIN members AS p
  ON p.bucket = c.bucket AND p.tenant = c.tenant AND p.course = c.course AND p."user" = l.moderator
WHERE c.bucket = :bucket AND c.tenant = :tenant AND c.course = :course;

-- name: read_mutes
-- purpose: Who is muted in a course at a moment, with their names; those who were muted first come first.
SELECT m."user", m.until, COALESCE(p.name, '') AS name FROM mutes AS m
LEFT JOIN members AS p
  ON p.bucket = m.bucket AND p.tenant = m.tenant AND p.course = m.course AND p."user" = m."user"
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND (m.until IS NULL OR m.until > :now)
ORDER BY m.at, m."user" LIMIT 10000;

-- name: find_numbered
-- purpose: Who wrote a message and when, and whether it was deleted.
SELECT author, created_at, deleted_at FROM messages
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq = :seq;

-- name: delete_message
-- purpose: Turn a message into a tombstone that keeps its author and id, and under legal hold its content.
UPDATE messages SET content = CASE WHEN :held = 1 THEN content ELSE '' END, deleted_at = :now, revision = :revision
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq = :seq;

-- name: change_room
-- purpose: Say how a course's room is from a revision on.
UPDATE courses SET room_revision = :revision, closed_at = :closed_at, muted = :muted,
live_revision = :live_revision, live_until = :live_until
WHERE bucket = :bucket AND tenant = :tenant AND course = :course;

-- name: note_action
-- purpose: Note what a moderator did.
INSERT INTO moderation (bucket, tenant, course, revision, at, moderator, action, subject, seq, until)
VALUES (:bucket, :tenant, :course, :revision, :now, :moderator, :action, :subject, :seq, :until);

-- name: list_actions
-- purpose: What moderators of a course did, the newest first.
SELECT revision, at, moderator, action, subject, seq, until FROM moderation
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND revision < :before
ORDER BY revision DESC LIMIT :limit;

-- name: put_mute
-- purpose: Mute somebody until a time, or until it is lifted.
INSERT INTO mutes (bucket, tenant, course, "user", until, at)
VALUES (:bucket, :tenant, :course, :user, :until, :now)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET until = excluded.until, at = excluded.at;

-- name: drop_mutes
-- purpose: Let somebody write again, and forget mutes that have ended.
DELETE FROM mutes WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND ("user" = :user OR until <= :now);

-- name: count_mutes
-- purpose: How many people are muted in a course.
SELECT count(*) AS found FROM mutes WHERE bucket = :bucket AND tenant = :tenant AND course = :course;

-- name: find_live
-- purpose: Until when a course's live session lasts at most, if there is one.
-- batch: yes
SELECT live_until FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course;
