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
