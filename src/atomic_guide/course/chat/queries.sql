-- name: lock_course
-- purpose: Read a course's newest sequence number and keep other writers of the course out until the commit.
-- dialect: sqlite
SELECT last_seq FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: lock_course
-- dialect: postgresql
SELECT last_seq FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course FOR UPDATE

-- name: add_course
-- purpose: Make the row of a course that no launch has described yet.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, '', '', 0, :now)
ON CONFLICT DO NOTHING;

-- name: find_message
-- purpose: The message that an author has already sent under an id.
SELECT seq, content, created_at FROM messages
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND author = :author AND id = :id;

-- name: add_messages
-- purpose: Store messages under their sequence numbers.
-- dialect: sqlite
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
VALUES (:bucket, :tenant, :course, :seq, :author, :id, :content, :now)

-- name: add_messages
-- dialect: postgresql
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
SELECT bucket, tenant, course, seq, author, id, content, :now::float8
FROM unnest(:bucket::int4[], :tenant::text[], :course::text[], :seq::int8[], :author::text[], :id::text[],
            :content::text[]) AS given(bucket, tenant, course, seq, author, id, content)

-- name: set_last_seqs
-- purpose: Move the courses' newest sequence numbers on.
-- dialect: sqlite
UPDATE courses SET last_seq = :last_seq WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: set_last_seqs
-- dialect: postgresql
UPDATE courses SET last_seq = given.last_seq
FROM unnest(:bucket::int4[], :tenant::text[], :course::text[], :last_seq::int8[])
     AS given(bucket, tenant, course, last_seq)
WHERE courses.bucket = given.bucket AND courses.tenant = given.tenant AND courses.course = given.course

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
