-- name: list_entries
-- purpose: The schedule's entries that have not ended at a time, the next one first.
SELECT id, fleet, kind, begins_at, ends_at, units, note, calendar FROM scaling_schedule
WHERE ends_at > :since ORDER BY begins_at, id LIMIT :limit

-- name: add_entry
-- purpose: Put an entry into the schedule, in the place of the one with its id.
INSERT INTO scaling_schedule (id, fleet, kind, begins_at, ends_at, units, note, calendar)
VALUES (:id, :fleet, :kind, :begins_at, :ends_at, :units, :note, :calendar)
ON CONFLICT (id) DO UPDATE SET fleet = excluded.fleet, kind = excluded.kind, begins_at = excluded.begins_at,
  ends_at = excluded.ends_at, units = excluded.units, note = excluded.note, calendar = excluded.calendar

-- name: remove_entry
-- purpose: Take an entry out of the schedule.
DELETE FROM scaling_schedule WHERE id = :id

-- name: remove_calendar
-- purpose: Take all entries of an imported calendar out of the schedule.
DELETE FROM scaling_schedule WHERE calendar = :calendar

-- name: put_forecast
-- purpose: Keep a forecast as it was made.
INSERT INTO scaling_forecasts (component, metric, made_at, begins_at, p50, p95, score)
VALUES (:component, :metric, :made_at, :begins_at, :p50, :p95, NULL) ON CONFLICT DO NOTHING

-- name: read_forecasts
-- purpose: The forecasts of a series that were made since a time, the oldest first.
SELECT made_at, begins_at, p50, p95, score FROM scaling_forecasts
WHERE component = :component AND metric = :metric AND made_at >= :since ORDER BY made_at LIMIT :limit

-- name: score_forecast
-- purpose: Write down how well a forecast did.
UPDATE scaling_forecasts SET score = :score
WHERE component = :component AND metric = :metric AND made_at = :made_at

-- name: prune_forecasts
-- purpose: Forget old forecasts.
DELETE FROM scaling_forecasts WHERE made_at < :before
