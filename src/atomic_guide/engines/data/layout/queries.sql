-- name: measure_buckets
-- purpose: Rows of every kind for each bucket, and those written lately; messages by their dense numbers, not by reading them.
SELECT bucket, 'courses' AS kind, count(*) AS rows FROM courses GROUP BY bucket
UNION ALL SELECT bucket, 'messages', CAST(sum(last_seq) AS BIGINT) FROM courses GROUP BY bucket
UNION ALL SELECT bucket, 'members', count(*) FROM members GROUP BY bucket
UNION ALL SELECT bucket, 'scores', count(*) FROM scores GROUP BY bucket
UNION ALL SELECT bucket, 'jobs', count(*) FROM jobs GROUP BY bucket
UNION ALL SELECT bucket, 'videos', count(*) FROM videos GROUP BY bucket
UNION ALL SELECT bucket, 'idempotency', count(*) FROM idempotency GROUP BY bucket
UNION ALL SELECT bucket, 'writes', count(*) FROM members WHERE seen_at > :since GROUP BY bucket
UNION ALL SELECT bucket, 'writes', count(*) FROM jobs WHERE created_at > :since GROUP BY bucket
UNION ALL SELECT bucket, 'writes', count(*) FROM ended_jobs WHERE ended_at > :since GROUP BY bucket
UNION ALL SELECT c.bucket, 'writes', count(*) FROM courses AS c
  JOIN messages AS n ON n.bucket = c.bucket AND n.tenant = c.tenant AND n.course = c.course AND n.seq = c.last_seq
    AND n.created_at > :since
  JOIN messages AS m ON m.bucket = c.bucket AND m.tenant = c.tenant AND m.course = c.course
    AND m.seq > c.last_seq - :most AND m.created_at > :since
  GROUP BY c.bucket

-- name: measure_course
-- purpose: The same for one course.
SELECT 'courses' AS kind, count(*) AS rows FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'messages', coalesce(max(last_seq), 0) FROM courses
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'members', count(*) FROM members WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'scores', count(*) FROM scores WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'jobs', count(*) FROM jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'videos', count(*) FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'idempotency', count(*) FROM idempotency
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course
UNION ALL SELECT 'writes', count(*) FROM members
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seen_at > :since
UNION ALL SELECT 'writes', count(*) FROM jobs
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND created_at > :since
UNION ALL SELECT 'writes', count(*) FROM ended_jobs
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND ended_at > :since
UNION ALL SELECT 'writes', count(*) FROM messages
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND created_at > :since
    AND seq > (SELECT max(c.last_seq) FROM courses AS c
               WHERE c.bucket = :bucket AND c.tenant = :tenant AND c.course = :course) - :most

-- name: largest_courses
-- purpose: The courses with the most messages and scores, for a person who wonders which one weighs.
SELECT c.bucket, c.tenant, c.course, c.context, c.title, c.last_seq + coalesce(s.scores, 0) AS rows
FROM courses AS c
LEFT JOIN (SELECT bucket, tenant, course, count(*) AS scores FROM scores GROUP BY bucket, tenant, course) AS s
  ON s.bucket = c.bucket AND s.tenant = c.tenant AND s.course = c.course
WHERE {{readable c}}
ORDER BY rows DESC, c.tenant, c.course LIMIT :limit

-- name: busiest_courses
-- purpose: The courses with the newest messages: those that are written to now are among them.
SELECT c.bucket, c.tenant, c.course, c.context, c.title, m.created_at
FROM courses AS c
JOIN messages AS m ON m.bucket = c.bucket AND m.tenant = c.tenant AND m.course = c.course AND m.seq = c.last_seq
WHERE m.created_at > :since AND {{readable c}}
ORDER BY m.created_at DESC, c.tenant, c.course LIMIT :limit

-- name: remove_shard
-- purpose: Forget a drained shard that nothing leads to.
DELETE FROM shards WHERE name = :name AND state = 'drained'
  AND NOT EXISTS (SELECT 1 FROM bucket_map AS b WHERE b.shard = :name)
  AND NOT EXISTS (SELECT 1 FROM bucket_overrides AS o WHERE o.shard = :name)
  AND NOT EXISTS (SELECT 1 FROM moves AS m WHERE :name IN (m.source, m.target) AND m.state NOT IN ('done', 'aborted'))

-- name: courses_of_tenant
-- purpose: Every course of a tenant that this shard has.
SELECT c.bucket, c.tenant, c.course FROM courses AS c WHERE c.tenant = :tenant AND {{readable c}}
ORDER BY c.bucket, c.course LIMIT :limit

-- name: find_course
-- purpose: Whether a shard has a course.
SELECT 1 AS found FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: read_pins
-- purpose: Courses that have a place of their own, with their buckets.
SELECT tenant, course, bucket, shard FROM bucket_overrides WHERE bucket >= 0 ORDER BY tenant, course

-- name: rejoin_shard
-- purpose: A shard that was draining or drained takes buckets again once it has been told what it owns.
UPDATE shards SET state = 'joining' WHERE name = :name AND state IN ('draining', 'drained')

-- name: set_shard_weight
-- purpose: The share of its zone's load that a shard is to carry, beside the others' weights.
UPDATE shards SET weight = :weight WHERE name = :name

-- name: set_zone
-- purpose: Give a tenant a residency zone.
INSERT INTO tenant_zones (tenant, zone) VALUES (:tenant, :zone)
ON CONFLICT (tenant) DO UPDATE SET zone = excluded.zone

-- name: remove_zone
-- purpose: Leave a tenant in the default zone.
DELETE FROM tenant_zones WHERE tenant = :tenant

-- name: hold_bucket_of_course
-- purpose: Where a bucket is, held until the transaction ends, so that no move of it begins meanwhile.
-- dialect: sqlite
SELECT shard, epoch FROM bucket_map WHERE zone = :zone AND bucket = :bucket

-- name: hold_bucket_of_course
-- dialect: postgresql
SELECT shard, epoch FROM bucket_map WHERE zone = :zone AND bucket = :bucket FOR UPDATE

-- name: find_move
-- purpose: Whether a bucket, or a course of it, is to move.
SELECT id FROM moves WHERE zone = :zone AND bucket = :bucket AND state NOT IN ('done', 'aborted')

-- name: find_pin
-- purpose: Whether a course has a place of its own.
SELECT shard FROM bucket_overrides WHERE tenant = :tenant AND course = :course

-- name: add_pin
-- purpose: A course stays on the shard where its bucket is now.
INSERT INTO bucket_overrides (tenant, course, shard, epoch, bucket) VALUES (:tenant, :course, :shard, :epoch, :bucket)
ON CONFLICT DO NOTHING

-- name: remove_pin
-- purpose: A course goes with its bucket again.
DELETE FROM bucket_overrides WHERE tenant = :tenant AND course = :course

-- name: drop_course_entry
-- purpose: In a shard, a course goes by its bucket's entry again.
DELETE FROM bucket_owner
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND state = 'owned' AND course <> ''
