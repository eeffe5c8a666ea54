-- name: read_wish
-- purpose: How many units a fleet is wanted to have, and whether they were asked for.
SELECT key, units, before, done, at FROM scaling_wishes WHERE fleet = :fleet;

-- name: make_wish
-- purpose: Replace a fleet's wish, unless it is of the same act or takes that one back.
INSERT INTO scaling_wishes (fleet, key, units, before, done, at)
VALUES (:fleet, :key, :units, :before, :done, :at)
ON CONFLICT (fleet) DO UPDATE SET
  key = excluded.key, units = excluded.units, before = excluded.before, done = excluded.done, at = excluded.at
WHERE scaling_wishes.key NOT IN (excluded.key, excluded.key || '/back');

-- name: note_found
-- purpose: What an act found before its next try, if it is still the fleet's newest.
UPDATE scaling_wishes SET before = :before WHERE fleet = :fleet AND key = :key;

-- name: settle_wish
-- purpose: An act was done.
UPDATE scaling_wishes SET done = true WHERE fleet = :fleet AND key = :key;

-- name: read_measured
-- purpose: When a series got its newest sample.
SELECT a.at AS at FROM scaling_samples AS a JOIN scaling_series AS s ON s.id = a.series
WHERE s.component = :component AND s.metric = :metric AND s.part = '' AND a.resolution = 15
ORDER BY a.at DESC LIMIT 1;
