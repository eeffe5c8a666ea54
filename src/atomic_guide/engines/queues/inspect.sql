-- name: next_jobs
-- purpose: The first jobs of a queue in a shard, in their order.
SELECT bucket, tenant, course, id, queue, kind, subject, state, priority, why, boost, rank, attempts, max_attempts,
       troubles, progress, created_at, run_after, lease_owner, error
FROM jobs WHERE queue = :queue AND state = 'queued' AND {{readable jobs}} ORDER BY rank, id LIMIT :limit

-- name: oldest_wait
-- purpose: Since when the job that has waited longest in a shard could have started, by queue.
SELECT queue, min(run_after) AS since FROM jobs WHERE state = 'queued' AND {{readable jobs}} GROUP BY queue

-- name: count_lately
-- purpose: Jobs that ended since a moment, by queue; counted up to a limit.
SELECT queue, count(*) AS jobs FROM (
  SELECT queue FROM ended_jobs WHERE ended_at > :since AND {{readable ended_jobs}} LIMIT :limit) AS lately
GROUP BY queue

-- name: find_job
-- purpose: One live or dead job.
SELECT bucket, tenant, course, id, queue, kind, subject, state, priority, why, boost, rank, attempts, max_attempts,
       troubles, progress, created_at, run_after, lease_owner, error
FROM jobs WHERE id = :id AND {{readable jobs}}

-- name: find_ended
-- purpose: What is told of one job that has ended.
SELECT bucket, tenant, course, id, queue, kind, subject, state, attempts, created_at, ended_at
FROM ended_jobs WHERE id = :id AND {{readable ended_jobs}}

-- name: page_queued
-- purpose: The next queued jobs of a queue, in the order in which they are claimed.
SELECT bucket, tenant, course, id, queue, kind, subject, state, priority, why, boost, rank, attempts, max_attempts,
       troubles, progress, created_at, run_after, lease_owner, error, rank AS place
FROM jobs WHERE queue = :queue AND state = 'queued' AND (rank, id) > (:at, :id) AND {{readable jobs}}
ORDER BY rank, id LIMIT :limit

-- name: page_jobs
-- purpose: The next jobs of a queue in a state that is not queued, the newest first.
SELECT bucket, tenant, course, id, queue, kind, subject, state, priority, why, boost, rank, attempts, max_attempts,
       troubles, progress, created_at, run_after, lease_owner, error, created_at AS place
FROM jobs WHERE queue = :queue AND state = :state AND (created_at, id) < (:at, :id) AND {{readable jobs}}
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: page_ended
-- purpose: The next jobs of a queue in the archive, those that ended last first.
SELECT bucket, tenant, course, id, queue, kind, subject, state, attempts, created_at, ended_at, ended_at AS place
FROM ended_jobs WHERE queue = :queue AND state = :state AND (ended_at, id) < (:at, :id) AND {{readable ended_jobs}}
ORDER BY ended_at DESC, id DESC LIMIT :limit

-- name: order_of_job
-- purpose: The order key of a live job, before it is called off.
SELECT order_key FROM jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: archive_called_off
-- purpose: Keep what is told of a live job that is called off.
INSERT INTO ended_jobs (bucket, tenant, course, subject, id, queue, kind, state, attempts, created_at, ended_at)
SELECT bucket, tenant, course, subject, id, queue, kind, 'cancelled', attempts, created_at, :now FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state IN ('queued', 'delayed', 'blocked', 'running')

-- name: drop_called_off
-- purpose: Call a live job off; a running worker learns of it when it looks, or at its next write.
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
  AND state IN ('queued', 'delayed', 'blocked', 'running')
