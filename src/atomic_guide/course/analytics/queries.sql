-- name: add_scores
-- purpose: Store attempts known by student, activity and time; the same time with another score corrects it.
-- dialect: sqlite
INSERT INTO scores (bucket, tenant, course, "user", activity, at, id, score, maximum)
VALUES (:bucket, :tenant, :course, :user, :activity, :at, '', :score, :maximum)
ON CONFLICT (bucket, tenant, course, "user", activity, at, id) DO UPDATE
SET score = excluded.score, maximum = excluded.maximum
WHERE scores.score <> excluded.score OR scores.maximum <> excluded.maximum

-- name: add_scores
-- dialect: postgresql
INSERT INTO scores (bucket, tenant, course, "user", activity, at, id, score, maximum)
SELECT :bucket::int4, :tenant::text, :course::text, "user", activity, at, '', score, maximum
FROM unnest(:user::text[], :activity::text[], :at::float8[], :score::float8[], :maximum::float8[])
AS given("user", activity, at, score, maximum)
ON CONFLICT (bucket, tenant, course, "user", activity, at, id) DO UPDATE
SET score = excluded.score, maximum = excluded.maximum
WHERE scores.score <> excluded.score OR scores.maximum <> excluded.maximum

-- name: add_identified_scores
-- purpose: Store attempts that have an id of their own, each once in a course.
-- dialect: sqlite
INSERT INTO scores (bucket, tenant, course, "user", activity, at, id, score, maximum)
VALUES (:bucket, :tenant, :course, :user, :activity, :at, :id, :score, :maximum)
ON CONFLICT DO NOTHING

-- name: add_identified_scores
-- dialect: postgresql
INSERT INTO scores (bucket, tenant, course, "user", activity, at, id, score, maximum)
SELECT :bucket::int4, :tenant::text, :course::text, "user", activity, at, id, score, maximum
FROM unnest(:user::text[], :activity::text[], :at::float8[], :id::text[], :score::float8[], :maximum::float8[])
AS given("user", activity, at, id, score, maximum)
ON CONFLICT DO NOTHING

-- name: bump_gradebook
-- purpose: Count a change of the course's scores.
INSERT INTO gradebooks (bucket, tenant, course, version, updated_at) VALUES (:bucket, :tenant, :course, 1, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE
SET version = gradebooks.version + 1, updated_at = excluded.updated_at
RETURNING version

-- name: read_gradebook
-- purpose: How often a course's scores have changed, and when they last did; how often its people have.
-- batch: yes
SELECT version, updated_at, people FROM gradebooks WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: read_attempts
-- purpose: The attempts of the students after one, each student's in order of activity and time.
SELECT "user", activity, at, score / maximum AS share, (SELECT version FROM gradebooks AS g
  WHERE g.bucket = :bucket AND g.tenant = :tenant AND g.course = :course) AS version
FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" > :after
ORDER BY "user", activity, at, id LIMIT :limit

-- name: read_latest_of
-- purpose: The latest attempt of one student in each activity, in order of activity, time and id.
SELECT s."user", s.activity, s.at, s.score / s.maximum AS share, (SELECT version FROM gradebooks AS g
  WHERE g.bucket = :bucket AND g.tenant = :tenant AND g.course = :course) AS version
FROM (SELECT activity, max(at) AS at FROM scores
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user GROUP BY activity) AS l
JOIN scores AS s ON s.bucket = :bucket AND s.tenant = :tenant AND s.course = :course AND s."user" = :user
  AND s.activity = l.activity AND s.at = l.at
ORDER BY s.activity, s.at, s.id

-- name: read_own_latest
-- purpose: What one student got in each activity at last, in order of activity, time and id.
SELECT s.activity, s.at, s.score, s.maximum
FROM (SELECT activity, max(at) AS at FROM scores
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user GROUP BY activity) AS l
JOIN scores AS s ON s.bucket = :bucket AND s.tenant = :tenant AND s.course = :course AND s."user" = :user
  AND s.activity = l.activity AND s.at = l.at
ORDER BY s.activity, s.at, s.id LIMIT 10000

-- name: read_people
-- purpose: Everybody who has opened the course.
SELECT "user", name, role FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY "user"

-- name: read_teachers_and
-- purpose: The instructors who have opened the course, and one other person.
SELECT "user", name, role FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND (role = 'instructor' OR "user" = :user)
ORDER BY "user"

-- name: count_learners
-- purpose: How many learners have opened the course.
SELECT count(*) AS learners FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND role <> 'instructor'

-- name: count_students
-- purpose: How many students have a score, counted no further than a limit.
SELECT count(*) AS students FROM (
  SELECT DISTINCT "user" FROM scores WHERE bucket = :bucket AND tenant = :tenant AND course = :course LIMIT :limit
) AS counted

-- name: read_import
-- purpose: How far the import of a file has come.
SELECT form, name, size, position, line, accepted, duplicates, rejected_count, rejected, started_at, updated_at,
  finished_at
FROM score_imports
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND fingerprint = :fingerprint AND form = :form

-- name: note_import
-- purpose: Note how far an import has come, unless another process has moved it on meanwhile.
INSERT INTO score_imports (bucket, tenant, course, fingerprint, form, name, size, position, line, accepted, duplicates,
  rejected_count, rejected, started_at, updated_at, finished_at)
VALUES (:bucket, :tenant, :course, :fingerprint, :form, :name, :size, :position, :line, :accepted, :duplicates,
  :rejected_count, :rejected, :started_at, :updated_at, :finished_at)
ON CONFLICT (bucket, tenant, course, fingerprint, form) DO UPDATE
SET name = excluded.name, position = excluded.position, line = excluded.line, accepted = excluded.accepted,
  duplicates = excluded.duplicates, rejected_count = excluded.rejected_count, rejected = excluded.rejected,
  started_at = excluded.started_at, updated_at = excluded.updated_at, finished_at = excluded.finished_at
WHERE score_imports.position = :before AND score_imports.updated_at = :noted_at

-- name: list_imports
-- purpose: Imports over all courses of a shard, the newest first.
SELECT i.tenant, i.course, c.context, i.fingerprint, i.form, i.name, i.size, i.position, i.line, i.accepted, i.duplicates,
  i.rejected_count, i.rejected, i.started_at, i.updated_at, i.finished_at
FROM score_imports AS i LEFT JOIN courses AS c
  ON c.bucket = i.bucket AND c.tenant = i.tenant AND c.course = i.course
WHERE {{readable i}} ORDER BY i.updated_at DESC LIMIT :limit
