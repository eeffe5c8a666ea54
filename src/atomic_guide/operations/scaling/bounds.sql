-- name: read_bounds
-- purpose: What operators have set of fewest and most units.
SELECT fleet, least, most, changed_at FROM scaling_bounds ORDER BY fleet

-- name: find_bounds
-- purpose: Of one fleet.
SELECT least, most, changed_at FROM scaling_bounds WHERE fleet = :fleet

-- name: put_bounds
-- purpose: Set them.
INSERT INTO scaling_bounds (fleet, least, most, changed_at) VALUES (:fleet, :least, :most, :changed_at)
ON CONFLICT (fleet) DO UPDATE SET least = excluded.least, most = excluded.most, changed_at = excluded.changed_at

-- name: drop_bounds
-- purpose: Let the settings hold again.
DELETE FROM scaling_bounds WHERE fleet = :fleet
