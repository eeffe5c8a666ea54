-- name: add_job
-- purpose: Publish a job; nothing happens where a live job holds the same unique key.
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, attempts, max_attempts,
                  run_after, lease_until, lease_owner, token, progress, created_at, unique_key, bookmark)
VALUES (:bucket, :tenant, :course, :id, :queue, :kind, :subject, :payload, 'queued', :priority, 0, :max_attempts,
        :run_after, 0, '', 0, 0, :created_at, :unique_key, :bookmark)
ON CONFLICT DO NOTHING

-- name: peek_jobs
-- purpose: The next jobs of a queue that may be claimed, best first, to choose between shards.
SELECT priority, created_at FROM jobs
WHERE queue = :queue AND (state = 'queued' AND run_after <= :now OR state = 'running' AND lease_until <= :now)
  AND {{writable jobs}}
ORDER BY priority DESC, created_at, id LIMIT :limit

-- name: claim_jobs
-- purpose: Take the next jobs of a queue under a lease; also those whose worker let its lease run out.
-- dialect: sqlite
UPDATE jobs SET state = 'running', attempts = attempts + 1, token = token + 1, lease_owner = :owner,
                lease_until = :lease_until
WHERE (bucket, tenant, course, id) IN (
  SELECT bucket, tenant, course, id FROM jobs
  WHERE queue = :queue AND (state = 'queued' AND run_after <= :now OR state = 'running' AND lease_until <= :now)
    AND {{writable jobs}}
  ORDER BY priority DESC, created_at, id LIMIT :limit)
RETURNING bucket, tenant, course, id, kind, subject, payload, attempts, max_attempts, token, created_at,
          bookmark

-- name: claim_jobs
-- dialect: postgresql
UPDATE jobs SET state = 'running', attempts = attempts + 1, token = token + 1, lease_owner = :owner,
                lease_until = :lease_until
WHERE (bucket, tenant, course, id) IN (
  SELECT bucket, tenant, course, id FROM jobs
  WHERE queue = :queue AND (state = 'queued' AND run_after <= :now OR state = 'running' AND lease_until <= :now)
    AND {{writable jobs}}
  ORDER BY priority DESC, created_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING bucket, tenant, course, id, kind, subject, payload, attempts, max_attempts, token, created_at,
          bookmark

-- name: hold_lease
-- purpose: Prove inside a transaction that the caller still holds the job.
SELECT 1 AS held FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state = 'running' AND token = :token AND lease_owner = :owner

-- name: extend_lease
-- purpose: A heartbeat: the worker lives and still holds the job.
UPDATE jobs SET lease_until = :lease_until
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state = 'running' AND token = :token AND lease_owner = :owner

-- name: note_progress
-- purpose: How far the job is, 0 to 1.
UPDATE jobs SET progress = :progress
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state = 'running' AND token = :token AND lease_owner = :owner

-- name: finish_job
-- purpose: Record the end of a job that the caller still holds (done or dead).
UPDATE jobs SET state = :state, finished_at = :now, error = :error, unique_key = NULL, lease_until = 0
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state = 'running' AND token = :token AND lease_owner = :owner

-- name: return_job
-- purpose: Put a held job back, to run after a time; `refund` gives the attempt back where it was not the job's fault.
UPDATE jobs SET state = 'queued', run_after = :run_after, error = :error, lease_until = 0, lease_owner = '',
                attempts = attempts - :refund
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state = 'running' AND token = :token AND lease_owner = :owner

-- name: release_leases
-- purpose: End the leases of workers that are known to be dead, so that their jobs are claimed at once.
UPDATE jobs SET lease_until = 0 WHERE state = 'running' AND lease_owner LIKE :owners
  AND {{writable jobs}}

-- name: cancel_jobs
-- purpose: Call off what is queued or running for a subject; a running worker learns of it at its next write.
UPDATE jobs SET state = 'cancelled', finished_at = :now, unique_key = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject
  AND state IN ('queued', 'running')

-- name: forget_subject
-- purpose: Drop the ended jobs of a subject that is being erased.
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject
  AND state IN ('done', 'dead', 'cancelled')

-- name: find_waiting
-- purpose: The queued job of a subject, to count what is before it.
SELECT queue, priority, created_at, id FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND state = 'queued'
ORDER BY created_at LIMIT 1

-- name: count_ahead
-- purpose: How many queued jobs are claimed before a given one, in one shard.
SELECT count(*) AS ahead FROM jobs
WHERE queue = :queue AND state = 'queued'
  AND (priority > :priority OR priority = :priority AND (created_at < :created_at OR created_at = :created_at AND id < :id))
  AND {{readable jobs}}

-- name: count_jobs
-- purpose: Jobs by queue and state with the oldest waiting one, for people and for scaling.
SELECT queue, state, count(*) AS jobs, min(created_at) AS oldest FROM jobs
WHERE {{readable jobs}} GROUP BY queue, state ORDER BY queue, state

-- name: list_jobs
-- purpose: Jobs of a state, the newest first.
SELECT bucket, tenant, course, id, queue, kind, subject, state, priority, attempts, max_attempts, progress, created_at,
       finished_at, error
FROM jobs WHERE state = :state AND {{readable jobs}} ORDER BY created_at DESC LIMIT :limit

-- name: list_dead
-- purpose: Dead letters, the newest first.
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, created_at, finished_at, error
FROM jobs WHERE state = 'dead' AND {{readable jobs}} ORDER BY finished_at DESC, id LIMIT :limit

-- name: find_dead
-- purpose: One dead letter.
SELECT bucket, tenant, course, id, queue, kind, subject, payload, attempts, created_at, finished_at, error
FROM jobs WHERE state = 'dead' AND id = :id AND {{readable jobs}}

-- name: replay_dead
-- purpose: Give a dead letter its attempts back.
UPDATE jobs SET state = 'queued', attempts = 0, run_after = :now, finished_at = NULL, error = NULL, progress = 0
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state = 'dead'

-- name: replay_subject
-- purpose: Give the dead letters of a subject their attempts back.
UPDATE jobs SET state = 'queued', attempts = 0, run_after = :now, finished_at = NULL, error = NULL, progress = 0
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND kind = :kind
  AND state = 'dead'

-- name: drop_dead
-- purpose: Forget a dead letter for good.
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND state = 'dead'

-- name: drop_finished
-- purpose: Forget jobs that ended well, or were called off, some time ago.
DELETE FROM jobs WHERE state IN ('done', 'cancelled') AND finished_at < :before AND {{writable jobs}}
