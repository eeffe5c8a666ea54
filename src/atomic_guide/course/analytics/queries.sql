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
-- purpose: How often a course's scores have changed, and when they last did.
SELECT version, updated_at FROM gradebooks WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: read_attempts
-- purpose: The attempts of the students after one, each student's in order of activity and time.
SELECT "user", activity, at, score / maximum AS share FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" > :after
ORDER BY "user", activity, at, id LIMIT :limit

-- name: read_own_attempts
-- purpose: One student's attempts in order of activity and time.
SELECT activity, at, score, maximum FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
ORDER BY activity, at, id LIMIT 10000

-- name: read_people
-- purpose: Everybody who has opened the course.
SELECT "user", name, role FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY "user"
