-- name: read_controls
-- purpose: Which queues are paused at a moment, since when and until when.
SELECT queue, paused_at, resumes_at FROM queue_controls
WHERE paused_at IS NOT NULL AND (resumes_at IS NULL OR resumes_at > :now)

-- name: pause_queue
-- purpose: Keep workers from starting jobs of a queue; one that is paused stays so since its first time, until the new end.
INSERT INTO queue_controls (queue, paused_at, resumes_at, tokens, filled_at) VALUES (:queue, :now, :until, NULL, 0)
ON CONFLICT (queue) DO UPDATE SET resumes_at = excluded.resumes_at, paused_at =
  CASE WHEN queue_controls.resumes_at <= excluded.paused_at THEN excluded.paused_at
       ELSE coalesce(queue_controls.paused_at, excluded.paused_at) END

-- name: resume_queue
-- purpose: Let workers go on with a queue.
UPDATE queue_controls SET paused_at = NULL, resumes_at = NULL
WHERE queue = :queue AND paused_at IS NOT NULL AND (resumes_at IS NULL OR resumes_at > :now)

-- name: hold_tokens
-- purpose: Read the bucket of a queue, and keep others from it until this transaction ends.
-- dialect: sqlite
SELECT tokens, filled_at FROM queue_controls WHERE queue = :queue

-- name: hold_tokens
-- dialect: postgresql
SELECT tokens, filled_at FROM queue_controls WHERE queue = :queue FOR UPDATE

-- name: add_controls
-- purpose: Make the row of a queue, once.
INSERT INTO queue_controls (queue, paused_at, resumes_at, tokens, filled_at) VALUES (:queue, NULL, NULL, NULL, 0)
ON CONFLICT (queue) DO NOTHING

-- name: put_tokens
-- purpose: What is left in the bucket of a queue.
UPDATE queue_controls SET tokens = :tokens, filled_at = :at WHERE queue = :queue
