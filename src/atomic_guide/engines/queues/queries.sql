-- name: add_jobs
-- purpose: Publish jobs of a course that nothing which is there has a say in, and that differ in some columns only.
-- dialect: sqlite
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, why, boost, rank, tag,
                  spacing, attempts, max_attempts, run_after, lease_until, lease_owner, token, progress, created_at,
                  bookmark, trace)
VALUES (:bucket, :tenant, :course, :id, :queue, :kind, :subject, :payload, :state, :priority, :why, :boost, :rank, :tag,
        :spacing, 0, :max_attempts, :run_after, 0, '', 0, 0, :created_at, :bookmark, :trace)

-- name: add_jobs
-- dialect: postgresql
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, why, boost, rank, tag,
                  spacing, attempts, max_attempts, run_after, lease_until, lease_owner, token, progress, created_at,
                  bookmark, trace)
SELECT :bucket, :tenant, :course, r.id, :queue, :kind, r.subject, r.payload, :state, :priority, :why, :boost, r.rank,
       r.tag, :spacing, 0, :max_attempts, :run_after, 0, '', 0, 0, :created_at, :bookmark, :trace
FROM unnest(:id::text[], :subject::text[], :payload::text[], :rank::float8[], :tag::float8[])
  AS r(id, subject, payload, rank, tag)

-- name: add_keyed_jobs
-- purpose: As `add_jobs`, with a unique or order key; nothing happens where a live job holds the same unique key.
-- dialect: sqlite
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, why, boost, rank, tag,
                  spacing, attempts, max_attempts, run_after, lease_until, lease_owner, token, progress, created_at,
                  bookmark, trace, order_key, unique_key)
VALUES (:bucket, :tenant, :course, :id, :queue, :kind, :subject, :payload, :state, :priority, :why, :boost, :rank, :tag,
        :spacing, 0, :max_attempts, :run_after, 0, '', 0, 0, :created_at, :bookmark, :trace, :order_key, :unique_key)
ON CONFLICT DO NOTHING RETURNING id

-- name: add_keyed_jobs
-- dialect: postgresql
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, why, boost, rank, tag,
                  spacing, attempts, max_attempts, run_after, lease_until, lease_owner, token, progress, created_at,
                  bookmark, trace, order_key, unique_key)
SELECT :bucket, :tenant, :course, r.id, :queue, :kind, r.subject, r.payload, :state, :priority, :why, :boost, r.rank,
       r.tag, :spacing, 0, :max_attempts, :run_after, 0, '', 0, 0, :created_at, :bookmark, :trace, :order_key, r.unique_key
FROM unnest(:id::text[], :subject::text[], :payload::text[], :rank::float8[], :tag::float8[], :unique_key::text[])
  AS r(id, subject, payload, rank, tag, unique_key)
ON CONFLICT DO NOTHING RETURNING id

-- name: last_tag
-- purpose: Where the waiting jobs of a tenant in a queue end in the order of all tenants.
SELECT tag FROM jobs
WHERE queue = :queue AND tenant = :tenant AND boost = :boost AND tag IS NOT NULL ORDER BY tag DESC LIMIT 1

-- name: lock_orders
-- purpose: Keep others from publishing or ending jobs of these order keys until this transaction ends.
-- dialect: postgresql
SELECT pg_advisory_xact_lock(k) FROM (
  SELECT DISTINCT hashtextextended(r.tenant || '/' || r.course || '/' || r.order_key, 1096040772) AS k
  FROM unnest(:tenant::text[], :course::text[], :order_key::text[]) AS r(tenant, course, order_key) ORDER BY k) AS keys

-- name: find_earlier
-- purpose: Whether a live job has the order key, so that another one must wait.
SELECT 1 AS found FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND order_key = :order_key AND state <> 'dead' LIMIT 1

-- name: release_next
-- purpose: Let the first blocked job of an order key go on, where none before it is live.
UPDATE jobs SET state = CASE WHEN run_after > :now THEN 'delayed' ELSE 'queued' END
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND state = 'blocked' AND id = (
    SELECT min(b.id) FROM jobs AS b
    WHERE b.bucket = :bucket AND b.tenant = :tenant AND b.course = :course AND b.order_key = :order_key
      AND b.state = 'blocked')
  AND NOT EXISTS (
    SELECT 1 FROM jobs AS a
    WHERE a.bucket = :bucket AND a.tenant = :tenant AND a.course = :course AND a.order_key = :order_key
      AND a.state IN ('queued', 'delayed', 'running'))
RETURNING queue

-- name: list_stuck
-- purpose: Order keys whose jobs are all blocked: what was before them was removed with a person or a video.
SELECT DISTINCT bucket, tenant, course, order_key FROM jobs AS b
WHERE state = 'blocked' AND order_key IS NOT NULL AND {{writable b}} AND NOT EXISTS (
  SELECT 1 FROM jobs AS a
  WHERE a.bucket = b.bucket AND a.tenant = b.tenant AND a.course = b.course AND a.order_key = b.order_key
    AND a.state IN ('queued', 'delayed', 'running'))
LIMIT :limit

-- name: peek_jobs
-- purpose: The heads of a queue in a shard, best first, and whether jobs have come due or leases have run out.
SELECT kind, rank FROM (
  SELECT 'ready' AS kind, rank FROM jobs
  WHERE queue = :queue AND state = 'queued' AND rank <= :most AND (boost >= :urgent OR run_after <= :before)
    AND {{writable jobs}}
  ORDER BY rank, id LIMIT :limit) AS ready
UNION ALL SELECT kind, rank FROM (
  SELECT 'due' AS kind, rank FROM jobs
  WHERE queue = :queue AND state = 'delayed' AND run_after <= :now AND {{writable jobs}} LIMIT 1) AS due
UNION ALL SELECT kind, rank FROM (
  SELECT 'expired' AS kind, rank FROM jobs
  WHERE queue = :queue AND state = 'running' AND lease_until <= :now AND {{writable jobs}} LIMIT 1) AS expired

-- name: claim_jobs
-- purpose: Take the next jobs of a queue under a lease.
-- dialect: sqlite
UPDATE jobs SET state = 'running', attempts = attempts + 1, token = token + 1, lease_owner = :owner,
                lease_until = :lease_until, tag = NULL
WHERE rowid IN (
  SELECT rowid FROM jobs
  WHERE queue = :queue AND state = 'queued' AND rank <= :most AND (boost >= :urgent OR run_after <= :before)
    AND {{writable jobs}}
  ORDER BY rank, id LIMIT :limit)
RETURNING bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, token, created_at,
          bookmark, trace, order_key, rank, run_after, why, troubles

-- name: claim_jobs
-- dialect: postgresql
UPDATE jobs SET state = 'running', attempts = attempts + 1, token = token + 1, lease_owner = :owner,
                lease_until = :lease_until, tag = NULL
WHERE state = 'queued' AND ctid = ANY(ARRAY(
  SELECT ctid FROM jobs
  WHERE queue = :queue AND state = 'queued' AND rank <= :most AND (boost >= :urgent OR run_after <= :before)
    AND {{writable jobs}}
  ORDER BY rank, id LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, token, created_at,
          bookmark, trace, order_key, rank, run_after, why, troubles

-- name: place_unranked
-- purpose: Give queued jobs that a program from before ranks has published a place by their time, and its delay.
-- dialect: sqlite
UPDATE jobs SET rank = max(run_after, created_at), state = CASE WHEN run_after > :now THEN 'delayed' ELSE 'queued' END
WHERE rowid IN (
  SELECT rowid FROM jobs WHERE queue = :queue AND state = 'queued' AND rank = 0 AND {{writable jobs}} LIMIT :limit)

-- name: place_unranked
-- dialect: postgresql
UPDATE jobs SET rank = greatest(run_after, created_at),
                state = CASE WHEN run_after > :now THEN 'delayed' ELSE 'queued' END
WHERE state = 'queued' AND ctid = ANY(ARRAY(
  SELECT ctid FROM jobs WHERE queue = :queue AND state = 'queued' AND rank = 0 AND {{writable jobs}}
  LIMIT :limit FOR UPDATE SKIP LOCKED))

-- name: read_due
-- purpose: Delayed jobs whose time has come, the longest due first.
-- dialect: sqlite
SELECT bucket, tenant, course, id, boost, spacing, run_after FROM jobs
WHERE queue = :queue AND state = 'delayed' AND run_after <= :now AND {{writable jobs}} ORDER BY run_after LIMIT :limit

-- name: read_due
-- dialect: postgresql
SELECT bucket, tenant, course, id, boost, spacing, run_after FROM jobs
WHERE queue = :queue AND state = 'delayed' AND run_after <= :now AND {{writable jobs}} ORDER BY run_after LIMIT :limit
FOR UPDATE SKIP LOCKED

-- name: ready_job
-- purpose: Give a delayed job its place in the order.
UPDATE jobs SET state = 'queued', rank = :rank, tag = :tag
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state = 'delayed'

-- name: take_back
-- purpose: Queue the jobs whose workers let their leases run out, at the place that they had.
-- dialect: sqlite
UPDATE jobs SET state = 'queued', lease_until = 0, lease_owner = ''
WHERE rowid IN (
  SELECT rowid FROM jobs WHERE queue = :queue AND state = 'running' AND lease_until <= :now AND {{writable jobs}}
  ORDER BY lease_until LIMIT :limit)

-- name: take_back
-- dialect: postgresql
UPDATE jobs SET state = 'queued', lease_until = 0, lease_owner = ''
WHERE state = 'running' AND lease_until <= :now AND ctid = ANY(ARRAY(
  SELECT ctid FROM jobs WHERE queue = :queue AND state = 'running' AND lease_until <= :now AND {{writable jobs}}
  ORDER BY lease_until LIMIT :limit FOR UPDATE SKIP LOCKED))

-- name: hold_lease
-- purpose: Prove inside a transaction that the caller still holds the job.
SELECT 1 AS held FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner

-- name: hold_jobs
-- purpose: Lock the jobs that the caller still holds; each is looked up by its key, also with a plan from when few were there.
-- dialect: postgresql
WITH r AS (
  SELECT * FROM unnest(:bucket::integer[], :tenant::text[], :course::text[], :id::text[], :token::bigint[])
    AS r(bucket, tenant, course, id, token))
SELECT r.id, j.place FROM r, LATERAL (
  SELECT ctid AS place FROM jobs
  WHERE bucket = r.bucket AND tenant = r.tenant AND course = r.course AND id = r.id
    AND token = r.token AND lease_owner = :owner FOR UPDATE) AS j

-- name: hold_jobs
-- dialect: sqlite
SELECT id FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner

-- name: extend_leases
-- purpose: A heartbeat: the worker lives and still holds the jobs.
-- dialect: sqlite
UPDATE jobs SET lease_until = :lease_until
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner
RETURNING id

-- name: extend_leases
-- dialect: postgresql
UPDATE jobs SET lease_until = :lease_until WHERE ctid = ANY(:places::tid[])

-- name: note_progress
-- purpose: How far the job is, 0 to 1.
UPDATE jobs SET progress = :progress
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner

-- name: end_jobs
-- purpose: Take jobs that are done out of the table, and keep what is told of them; on SQLite `archive_jobs` does the second.
-- dialect: postgresql
WITH gone AS (
  DELETE FROM jobs WHERE ctid = ANY(:places::tid[])
  RETURNING bucket, tenant, course, subject, id, queue, kind, attempts, created_at)
INSERT INTO ended_jobs (bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, ended_at)
SELECT bucket, tenant, course, subject, id, queue, kind, 'done', attempts, created_at, :now FROM gone

-- name: end_jobs
-- dialect: sqlite
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner
RETURNING id

-- name: archive_jobs
-- purpose: Keep what is told of jobs that are done.
-- dialect: sqlite
INSERT INTO ended_jobs (bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, ended_at)
VALUES (:bucket, :tenant, :course, :subject, :id, :queue, :kind, 'done', :attempts, :created_at, :now)

-- name: return_job
-- purpose: Put a held job back, to run after a time; `refund` gives the attempt back where it was not the job's fault.
UPDATE jobs SET state = :state, run_after = :run_after, error = :error, lease_until = 0, lease_owner = '',
                attempts = attempts - :refund, troubles = troubles + :trouble
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner

-- name: bury_job
-- purpose: Make a job that the caller still holds a dead letter; its unique key is free, and kept for a replay.
UPDATE jobs SET state = 'dead', finished_at = :now, error = :error, kept_key = unique_key, unique_key = NULL,
                lease_until = 0, lease_owner = '', tag = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND token = :token AND lease_owner = :owner

-- name: release_leases
-- purpose: Queue what workers held that are known to be dead, so that it is claimed at once.
UPDATE jobs SET state = 'queued', lease_until = 0, lease_owner = ''
WHERE state = 'running' AND lease_owner LIKE :owners AND {{writable jobs}}

-- name: orders_of_subject
-- purpose: The order keys of a subject's live jobs.
SELECT DISTINCT order_key FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND order_key IS NOT NULL
  AND state <> 'dead'

-- name: archive_cancelled
-- purpose: Keep what is told of a subject's jobs that are called off.
INSERT INTO ended_jobs (bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, ended_at)
SELECT bucket, tenant, course, subject, id, queue, kind, 'cancelled', attempts, created_at, :now FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject
  AND state IN ('queued', 'delayed', 'blocked', 'running')

-- name: cancel_jobs
-- purpose: Call off a subject's live jobs; a running worker learns of it at its next write.
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject
  AND state IN ('queued', 'delayed', 'blocked', 'running')

-- name: forget_dead
-- purpose: Drop the dead letters of a subject that is being erased.
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND state = 'dead'

-- name: forget_ended
-- purpose: Drop what is told of the ended jobs of a subject that is being erased.
DELETE FROM ended_jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject

-- name: find_waiting
-- purpose: The waiting job of a subject, to count what is before it.
SELECT queue, rank, id FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject
  AND state IN ('queued', 'delayed', 'blocked')
ORDER BY id LIMIT 1

-- name: count_ahead
-- purpose: How many queued jobs are claimed before a given one, in one shard.
SELECT count(*) AS ahead FROM jobs
WHERE queue = :queue AND state = 'queued' AND (rank, id) < (:rank, :id) AND {{readable jobs}}

-- name: measure_depth
-- purpose: How many jobs of a queue wait in a shard, up to a limit, to find the shallowest.
SELECT count(*) AS depth FROM (SELECT 1 FROM jobs WHERE queue = :queue AND state = 'queued' LIMIT :limit) AS waiting

-- name: count_jobs
-- purpose: Live and dead jobs by queue and state with the oldest, for people and for scaling.
SELECT queue, state, count(*) AS jobs, min(created_at) AS oldest FROM jobs
WHERE {{readable jobs}} GROUP BY queue, state

-- name: count_live
-- purpose: Live jobs by queue and state, for who looks on.
SELECT queue, state, count(*) AS jobs FROM jobs
WHERE finished_at IS NULL AND {{readable jobs}} GROUP BY queue, state

-- name: count_ended
-- purpose: Jobs of the archive by queue and state with the oldest, for people.
SELECT queue, state, count(*) AS jobs, min(created_at) AS oldest FROM ended_jobs
WHERE {{readable ended_jobs}} GROUP BY queue, state

-- name: list_jobs
-- purpose: Live or dead jobs of a state, the newest first.
SELECT bucket, tenant, course, id, queue, kind, subject, state, priority, why, rank, attempts, max_attempts, progress,
       created_at, run_after, finished_at, error
FROM jobs WHERE state = :state AND {{readable jobs}} ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: list_ended
-- purpose: Jobs of the archive, those that ended last first.
SELECT bucket, tenant, course, id, queue, kind, subject, state, attempts, created_at, ended_at AS finished_at
FROM ended_jobs WHERE state = :state AND {{readable ended_jobs}} ORDER BY ended_at DESC LIMIT :limit

-- name: prune_ended
-- purpose: Forget what is told of jobs that ended before a moment, some at a time.
-- dialect: sqlite
DELETE FROM ended_jobs WHERE (bucket, tenant, course, subject, id) IN (
  SELECT bucket, tenant, course, subject, id FROM ended_jobs
  WHERE ended_at < :before AND {{writable ended_jobs}} ORDER BY ended_at LIMIT :limit)

-- name: prune_ended
-- dialect: postgresql
DELETE FROM ended_jobs WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM ended_jobs WHERE ended_at < :before AND {{writable ended_jobs}} ORDER BY ended_at LIMIT :limit
  FOR UPDATE SKIP LOCKED))

-- name: archive_stragglers
-- purpose: Move what a program of before has ended in place into the archive.
INSERT INTO ended_jobs (bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, ended_at)
SELECT bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, finished_at FROM jobs
WHERE finished_at IS NOT NULL AND state IN ('done', 'cancelled') AND {{writable jobs}}
ON CONFLICT DO NOTHING

-- name: drop_stragglers
-- purpose: Remove what `archive_stragglers` has kept.
DELETE FROM jobs
WHERE finished_at IS NOT NULL AND state IN ('done', 'cancelled') AND {{writable jobs}} AND EXISTS (
  SELECT 1 FROM ended_jobs AS e
  WHERE e.bucket = jobs.bucket AND e.tenant = jobs.tenant AND e.course = jobs.course AND e.subject = jobs.subject
    AND e.id = jobs.id)

-- name: list_dead
-- purpose: Dead letters that are wanted, the newest first.
-- dialect: sqlite
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, created_at, finished_at, error
FROM jobs WHERE finished_at IS NOT NULL AND state = 'dead' AND {{readable jobs}}
  AND (:queue = '' OR queue = :queue) AND (:kind = '' OR kind = :kind)
  AND (:tenant = '' OR tenant = :tenant) AND (:course = '' OR course = :course)
  AND (:reason = '' OR instr(lower(error), :reason) > 0)
  AND (:text = '' OR lower(id) = :text OR lower(subject) = :text OR lower(tenant) = :text OR lower(course) = :text
    OR instr(lower(kind), :text) > 0 OR instr(lower(error), :text) > 0)
  AND (:helps = '' OR (attempts = max_attempts OR coalesce(error, '') LIKE '%(put off % times)') = (:helps = 'again'))
  AND finished_at >= :since AND finished_at < :until
  AND (finished_at, id) < (:before_at, :before_id)
ORDER BY finished_at DESC, id DESC LIMIT :limit

-- name: list_dead
-- dialect: postgresql
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, created_at, finished_at, error
FROM jobs WHERE finished_at IS NOT NULL AND state = 'dead' AND {{readable jobs}}
  AND (:queue::text = '' OR queue = :queue::text) AND (:kind::text = '' OR kind = :kind::text)
  AND (:tenant::text = '' OR tenant = :tenant::text) AND (:course::text = '' OR course = :course::text)
  AND (:reason::text = '' OR strpos(lower(error), :reason::text) > 0)
  AND (:text::text = '' OR lower(id) = :text::text OR lower(subject) = :text::text OR lower(tenant) = :text::text
    OR lower(course) = :text::text OR strpos(lower(kind), :text::text) > 0 OR strpos(lower(error), :text::text) > 0)
  AND (:helps::text = '' OR (attempts = max_attempts OR coalesce(error, '') LIKE '%(put off % times)') = (:helps::text = 'again'))
  AND finished_at >= :since AND finished_at < :until
  AND (finished_at, id) < (:before_at, :before_id)
ORDER BY finished_at DESC, id DESC LIMIT :limit

-- name: page_dead
-- purpose: The next dead letters that are wanted, in the order in which they died.
-- dialect: sqlite
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, created_at, finished_at, error
FROM jobs WHERE finished_at IS NOT NULL AND state = 'dead' AND {{readable jobs}}
  AND (:queue = '' OR queue = :queue) AND (:kind = '' OR kind = :kind)
  AND (:tenant = '' OR tenant = :tenant) AND (:course = '' OR course = :course)
  AND (:reason = '' OR instr(lower(error), :reason) > 0)
  AND (:text = '' OR lower(id) = :text OR lower(subject) = :text OR lower(tenant) = :text OR lower(course) = :text
    OR instr(lower(kind), :text) > 0 OR instr(lower(error), :text) > 0)
  AND (:helps = '' OR (attempts = max_attempts OR coalesce(error, '') LIKE '%(put off % times)') = (:helps = 'again'))
  AND finished_at >= :since AND finished_at < :until
  AND (finished_at, id) > (:after_at, :after_id)
ORDER BY finished_at, id LIMIT :limit

-- name: page_dead
-- dialect: postgresql
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, created_at, finished_at, error
FROM jobs WHERE finished_at IS NOT NULL AND state = 'dead' AND {{readable jobs}}
  AND (:queue::text = '' OR queue = :queue::text) AND (:kind::text = '' OR kind = :kind::text)
  AND (:tenant::text = '' OR tenant = :tenant::text) AND (:course::text = '' OR course = :course::text)
  AND (:reason::text = '' OR strpos(lower(error), :reason::text) > 0)
  AND (:text::text = '' OR lower(id) = :text::text OR lower(subject) = :text::text OR lower(tenant) = :text::text
    OR lower(course) = :text::text OR strpos(lower(kind), :text::text) > 0 OR strpos(lower(error), :text::text) > 0)
  AND (:helps::text = '' OR (attempts = max_attempts OR coalesce(error, '') LIKE '%(put off % times)') = (:helps::text = 'again'))
  AND finished_at >= :since AND finished_at < :until
  AND (finished_at, id) > (:after_at, :after_id)
ORDER BY finished_at, id LIMIT :limit

-- name: count_dead
-- purpose: Dead letters by queue, kind and whether another try may help, as `retry.what_helps` says it.
SELECT queue, kind, attempts = max_attempts OR coalesce(error, '') LIKE '%(put off % times)' AS again, count(*) AS letters FROM jobs
WHERE finished_at IS NOT NULL AND state = 'dead' AND {{readable jobs}}
GROUP BY queue, kind, attempts = max_attempts OR coalesce(error, '') LIKE '%(put off % times)'

-- name: find_dead
-- purpose: One dead letter, whoever's it is.
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, max_attempts, created_at, finished_at, error
FROM jobs WHERE state = 'dead' AND id = :id AND {{readable jobs}}

-- name: dead_letter
-- purpose: One dead letter of a course, with what its row must have to be understood later.
SELECT id, queue, kind, subject, payload, priority, attempts, max_attempts, created_at, finished_at, error, kept_key,
       order_key
FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state = 'dead'

-- name: edit_replayed
-- purpose: Change what a job carries, in the transaction that replays it and so before anybody can claim it.
UPDATE jobs SET payload = :payload
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state IN ('queued', 'blocked')

-- name: note_action
-- purpose: Note what an operator has done.
INSERT INTO operator_actions (bucket, tenant, course, id, at, actor, action, subject, kind, run, before, after, digest,
                              kept)
VALUES (:bucket, :tenant, :course, :id, :at, :actor, :action, :subject, :kind, :run, :before, :after, :digest, :kept)

-- name: find_action_of_run
-- purpose: Whether a call that does the same to many has done it to one.
SELECT 1 AS found FROM operator_actions
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND run = :run

-- name: list_actions
-- purpose: What operators have done, the newest first.
-- dialect: sqlite
SELECT tenant, course, id, at, actor, action, subject, kind, run, before, after, digest, kept FROM operator_actions
WHERE (:subject = '' OR subject = :subject) AND {{readable operator_actions}} ORDER BY at DESC, id DESC LIMIT :limit

-- name: list_actions
-- dialect: postgresql
SELECT tenant, course, id, at, actor, action, subject, kind, run, before, after, digest, kept FROM operator_actions
WHERE (:subject::text = '' OR subject = :subject) AND {{readable operator_actions}}
ORDER BY at DESC, id DESC LIMIT :limit

-- name: dead_to_replay
-- purpose: What a replay of a dead letter must respect: the keys that it has, and whether live jobs have them.
SELECT d.id, d.queue, d.boost, d.spacing, d.kept_key, d.order_key, u.id AS holder FROM jobs AS d
LEFT JOIN jobs AS u ON u.bucket = d.bucket AND u.tenant = d.tenant AND u.course = d.course
  AND u.unique_key = d.kept_key
WHERE d.bucket = :bucket AND d.tenant = :tenant AND d.course = :course AND d.id = :id AND d.state = 'dead'

-- name: dead_of_subject
-- purpose: The dead letters of a subject and kind, the newest first.
SELECT id FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND kind = :kind
  AND state = 'dead' ORDER BY finished_at DESC, id DESC LIMIT 100

-- name: replay_dead
-- purpose: Give a dead letter its attempts and its unique key back.
UPDATE jobs SET state = :state, attempts = 0, troubles = 0, run_after = :now, rank = :rank, tag = :tag,
                finished_at = NULL, error = NULL, progress = 0, unique_key = kept_key, kept_key = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state = 'dead'

-- name: drop_dead
-- purpose: Forget a dead letter for good.
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state = 'dead'
