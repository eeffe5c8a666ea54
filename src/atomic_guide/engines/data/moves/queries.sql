-- name: plan_move
-- purpose: Write a move down; refused by `moves_one` while another of its bucket is under way.
INSERT INTO moves (id, zone, bucket, tenant, course, source, target, epoch, state, owner, lease_until, token, rows,
                   pause_ms, created_at, updated_at)
VALUES (:id, :zone, :bucket, :tenant, :course, :source, :target, :epoch, 'planned', '', 0, 0, 0, 0, :now, :now)

-- name: prune_moves
-- purpose: Moves that ended long ago; what they left behind, tokens and epochs, is with the shards and in the map.
DELETE FROM moves WHERE state IN ('done', 'aborted') AND updated_at < :before

-- name: read_move
-- purpose: One move.
SELECT id, zone, bucket, tenant, course, source, target, epoch, state, owner, lease_until, token, rows, pause_ms,
       error, held_by, created_at, updated_at
FROM moves WHERE id = :id

-- name: list_moves
-- purpose: The newest moves, those that are under way first.
SELECT id, zone, bucket, tenant, course, source, target, epoch, state, owner, lease_until, token, rows, pause_ms,
       error, held_by, created_at, updated_at
FROM moves ORDER BY CASE WHEN state IN ('done', 'aborted') THEN 1 ELSE 0 END, created_at DESC, id LIMIT :limit

-- name: list_moves_under_way
-- purpose: Moves that are not at their end, the oldest first.
SELECT id, zone, bucket, tenant, course, source, target, epoch, state, owner, lease_until, token, rows, pause_ms,
       error, held_by, created_at, updated_at
FROM moves WHERE state NOT IN ('done', 'aborted') ORDER BY created_at, id

-- name: list_moves_ended
-- purpose: Moves that are at their end, the latest first, from behind one of them on.
SELECT id, zone, bucket, tenant, course, source, target, epoch, state, owner, lease_until, token, rows, pause_ms,
       error, held_by, created_at, updated_at
FROM moves
WHERE state IN ('done', 'aborted') AND (updated_at < :at OR updated_at = :at AND id < :id)
ORDER BY updated_at DESC, id DESC LIMIT :limit

-- name: find_move_of_bucket
-- purpose: The move of a bucket, or of a course of it, that is under way.
SELECT id FROM moves WHERE zone = :zone AND bucket = :bucket AND state NOT IN ('done', 'aborted')

-- name: lock_bucket
-- purpose: Where a bucket is, held until the transaction ends, so that its moves begin and flip one after the other.
-- dialect: sqlite
SELECT shard, epoch FROM bucket_map WHERE zone = :zone AND bucket = :bucket

-- name: lock_bucket
-- dialect: postgresql
SELECT shard, epoch FROM bucket_map WHERE zone = :zone AND bucket = :bucket FOR UPDATE

-- name: find_bucket
-- purpose: Where a bucket is.
SELECT shard, epoch FROM bucket_map WHERE zone = :zone AND bucket = :bucket

-- name: find_override
-- purpose: Where one course is that has a place of its own.
SELECT shard, epoch FROM bucket_overrides WHERE tenant = :tenant AND course = :course

-- name: overrides_of_bucket
-- purpose: The courses of a bucket that have a place of their own.
SELECT o.tenant, o.course, o.shard, o.epoch FROM bucket_overrides AS o
WHERE o.bucket = :bucket AND coalesce((SELECT z.zone FROM tenant_zones AS z WHERE z.tenant = o.tenant), 'default') = :zone
ORDER BY o.tenant, o.course

-- name: lease_move
-- purpose: Take a move over: a new lease, and a token above every one there was. The clock is its floor, so that tokens
--   grow even over a directory that was put back from a backup.
UPDATE moves SET owner = :owner, lease_until = :lease_until, updated_at = :now,
  token = (SELECT CASE WHEN max(m.token) >= :floor THEN max(m.token) + 1 ELSE :floor END FROM moves AS m)
WHERE id = :id AND state NOT IN ('done', 'aborted') AND (lease_until <= :now OR owner = :owner)
RETURNING id

-- name: seize_move
-- purpose: Take a move over from whoever has it, as `lease_move` does once a lease has run out.
UPDATE moves SET owner = :owner, lease_until = :lease_until, updated_at = :now,
  token = (SELECT CASE WHEN max(m.token) >= :floor THEN max(m.token) + 1 ELSE :floor END FROM moves AS m)
WHERE id = :id AND state NOT IN ('done', 'aborted')
RETURNING id

-- name: hold_move
-- purpose: Have a move that was not begun not begun, in somebody's name, or again with none.
UPDATE moves SET held_by = :who WHERE id = :id AND state = 'planned' AND lease_until <= :now

-- name: renew_move
-- purpose: Its mover lives.
UPDATE moves SET lease_until = :lease_until WHERE id = :id AND token = :token AND state NOT IN ('done', 'aborted')

-- name: release_move
-- purpose: Its mover lets go, so that another need not wait for the lease.
UPDATE moves SET lease_until = 0, owner = '' WHERE id = :id AND token = :token

-- name: advance_move
-- purpose: The next state; repeatable, and refused once another mover has taken over.
UPDATE moves SET state = :after, rows = :rows, pause_ms = :pause_ms, error = :error, updated_at = :now
WHERE id = :id AND token = :token AND state IN (:before, :after)

-- name: flip_bucket
-- purpose: A bucket's new owner; repeatable.
UPDATE bucket_map SET shard = :target, epoch = :epoch
WHERE zone = :zone AND bucket = :bucket AND (shard = :source AND epoch < :epoch OR shard = :target AND epoch = :epoch)

-- name: flip_course
-- purpose: A course's new place, apart from its bucket; repeatable.
INSERT INTO bucket_overrides (tenant, course, shard, epoch, bucket) VALUES (:tenant, :course, :target, :epoch, :bucket)
ON CONFLICT (tenant, course) DO UPDATE SET shard = excluded.shard, epoch = excluded.epoch, bucket = excluded.bucket
WHERE bucket_overrides.shard = :source OR bucket_overrides.shard = excluded.shard

-- name: rejoin_course
-- purpose: A course goes back to its bucket.
DELETE FROM bucket_overrides WHERE tenant = :tenant AND course = :course

-- name: hold_token
-- purpose: In a shard, before anything else of a mover: its token is not below any that was here. The row stays locked
--   until the transaction ends. A shard that has nothing of the bucket gets an entry to keep the token in.
INSERT INTO bucket_owner (bucket, tenant, course, epoch, state, token, changed_at)
VALUES (:bucket, '', '', 0, 'gone', :token, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET token = excluded.token WHERE bucket_owner.token <= excluded.token
RETURNING token

-- name: read_entry
-- purpose: What a shard knows of a bucket, or of a course with an entry of its own.
SELECT state, epoch FROM bucket_owner WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: write_entry
-- purpose: Say what a shard may answer for.
INSERT INTO bucket_owner (bucket, tenant, course, epoch, state, token, changed_at)
VALUES (:bucket, :tenant, :course, :epoch, :state, :token, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE
SET epoch = excluded.epoch, state = excluded.state, token = excluded.token, changed_at = excluded.changed_at

-- name: drop_entry
-- purpose: From now on the course goes by its bucket.
DELETE FROM bucket_owner WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND tenant <> ''

-- name: list_course_entries
-- purpose: The courses of a bucket that have entries of their own.
SELECT tenant, course, state FROM bucket_owner WHERE bucket = :bucket AND tenant <> '' ORDER BY tenant, course

-- name: limit_lock_wait
-- purpose: Bound how long the next statements of a transaction wait for locks.
-- dialect: sqlite
SELECT :milliseconds

-- name: limit_lock_wait
-- dialect: postgresql
SELECT set_config('lock_timeout', :milliseconds, true)

-- name: wait_out_writers
-- purpose: Inside a transaction, wait for writes of the bucket that are under way, then keep others out.
-- dialect: sqlite
SELECT :bucket

-- name: wait_out_writers
-- dialect: postgresql
SELECT pg_advisory_xact_lock(1096040772, :bucket), pg_advisory_xact_lock(1096040772, -1)

-- name: list_entries
-- purpose: All that a shard says it may or may not answer for.
SELECT bucket, tenant, course, epoch, state, token FROM bucket_owner WHERE bucket >= 0

-- name: list_overrides
-- purpose: Every course that has a place of its own, with its zone.
SELECT o.tenant, o.course, o.bucket, o.shard, o.epoch, coalesce(z.zone, 'default') AS zone
FROM bucket_overrides AS o LEFT JOIN tenant_zones AS z ON z.tenant = o.tenant
