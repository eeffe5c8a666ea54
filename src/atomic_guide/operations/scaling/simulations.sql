-- name: put_simulation
-- purpose: Keep how a simulation stands, in the place of how it stood.
INSERT INTO simulations (id, started_at, ends_by, state, told, result)
VALUES (:id, :started_at, :ends_by, :state, :told, :result)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, told = excluded.told, result = excluded.result

-- name: prune_simulations
-- purpose: Forget all but the last ones.
DELETE FROM simulations WHERE id NOT IN (SELECT id FROM simulations ORDER BY started_at DESC, id DESC LIMIT :most)

-- name: find_simulation
-- purpose: One with what came out.
SELECT told, result, ends_by, called_off_by FROM simulations WHERE id = :id

-- name: list_simulations
-- purpose: The last ones, the newest first, without what came out.
SELECT told, ends_by FROM simulations ORDER BY started_at DESC, id DESC LIMIT :most

-- name: call_off_simulation
-- purpose: Have one that runs ended by its process.
UPDATE simulations SET called_off_by = :who WHERE id = :id AND state = 'running'
