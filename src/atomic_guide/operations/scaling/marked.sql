-- name: read_mark
-- purpose: Whether demo data is here, and which.
SELECT value FROM scaling_memory WHERE name = 'demo'

-- name: put_mark
-- purpose: Say that demo data is here.
INSERT INTO scaling_memory (name, at, value) VALUES ('demo', :at, :value)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, value = excluded.value

-- name: drop_mark
-- purpose: Demo data is gone.
DELETE FROM scaling_memory WHERE name = 'demo'
