-- name: read_controls
-- purpose: Which queues are paused.
SELECT queue, paused_at FROM queue_controls WHERE paused_at IS NOT NULL

-- name: pause_queue
-- purpose: Keep workers from starting jobs of a queue; one that is paused stays so since its first time.
INSERT INTO queue_controls (queue, paused_at, tokens, filled_at) VALUES (:queue, :now, NULL, 0)
ON CONFLICT (queue) DO UPDATE SET paused_at = coalesce(queue_controls.paused_at, excluded.paused_at)

-- name: resume_queue
-- purpose: Let workers go on with a queue.
UPDATE queue_controls SET paused_at = NULL WHERE queue = :queue AND paused_at IS NOT NULL

-- name: hold_tokens
-- purpose: Read the bucket of a queue, and keep others from it until this transaction ends.
-- dialect: sqlite
SELECT tokens, filled_at FROM queue_controls WHERE queue = :queue

-- name: hold_tokens
-- dialect: postgresql
SELECT tokens, filled_at FROM queue_controls WHERE queue = :queue FOR UPDATE

-- name: add_controls
-- purpose: Make the row of a queue, once.
INSERT INTO queue_controls (queue, paused_at, tokens, filled_at) VALUES (:queue, NULL, NULL, 0)
ON CONFLICT (queue) DO NOTHING

-- name: put_tokens
-- purpose: What is left in the bucket of a queue.
UPDATE queue_controls SET tokens = :tokens, filled_at = :at WHERE queue = :queue
