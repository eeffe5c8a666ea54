-- name: read_days
-- purpose: The closed days from one on.
SELECT value FROM costs_days WHERE day >= :since ORDER BY day LIMIT :limit

-- name: last_day
-- purpose: The day that was closed last.
SELECT max(day) AS day FROM costs_days

-- name: put_day
-- purpose: Close a day; one that another process has closed meanwhile stays as it is.
INSERT INTO costs_days (day, closed_at, version, currency, value)
VALUES (:day, :closed_at, :version, :currency, :value)
ON CONFLICT (day) DO NOTHING

-- name: prune_days
-- purpose: Forget days that are older than the record.
DELETE FROM costs_days WHERE day < :before

-- name: first_measured
-- purpose: When units were first measured.
SELECT min(a.at) AS at FROM scaling_samples AS a JOIN scaling_series AS s ON s.id = a.series
WHERE s.component = 'costs' AND s.metric = 'units' AND s.part = 'web' AND a.resolution IN (15, 60, 900, 3600)
