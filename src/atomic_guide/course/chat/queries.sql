-- name: lock_course
-- purpose: Read a course's newest sequence number and keep other writers of the course out until the commit.
UPDATE courses SET last_seq = last_seq
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
RETURNING last_seq;

-- name: add_course
-- purpose: Make the row of a course that no launch has described yet.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, '', '', 0, :now)
ON CONFLICT DO NOTHING;

-- name: find_message
-- purpose: The message that an author has already sent under an id.
SELECT seq, content, created_at FROM messages
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND author = :author AND id = :id;

-- name: add_message
-- purpose: Store one message under its sequence number.
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
VALUES (:bucket, :tenant, :course, :seq, :author, :id, :content, :created_at);

-- name: set_last_seq
-- purpose: Move a course's newest sequence number on.
UPDATE courses SET last_seq = :last_seq
WHERE bucket = :bucket AND tenant = :tenant AND course = :course;

-- name: read_last_seq
-- purpose: A course's newest sequence number.
-- batch: yes
SELECT last_seq FROM courses
WHERE bucket = :bucket AND tenant = :tenant AND course = :course;

-- name: messages_after
-- purpose: The first messages that follow a sequence number, with their authors' names.
SELECT m.seq, m.id, m.author, m.content, m.created_at, m.deleted_at,
       COALESCE(p.name, '') AS name, COALESCE(p.role, 'learner') AS role
FROM messages AS m
LEFT JOIN members AS p
  ON p.bucket = m.bucket AND p.tenant = m.tenant AND p.course = m.course AND p."user" = m.author
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m.seq > :after
ORDER BY m.seq
LIMIT :limit;

-- name: messages_before
-- purpose: The last messages that precede a sequence number, newest first, with their authors' names.
SELECT m.seq, m.id, m.author, m.content, m.created_at, m.deleted_at,
       COALESCE(p.name, '') AS name, COALESCE(p.role, 'learner') AS role
FROM messages AS m
LEFT JOIN members AS p
  ON p.bucket = m.bucket AND p.tenant = m.tenant AND p.course = m.course AND p."user" = m.author
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m.seq < :before
ORDER BY m.seq DESC
LIMIT :limit;

-- name: deleted_since
-- purpose: The numbers of messages that were deleted since a moment.
SELECT seq FROM messages
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND deleted_at >= :since ORDER BY seq LIMIT 10000;
