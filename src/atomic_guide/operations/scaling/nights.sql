-- name: put_night
-- purpose: Keep what a fleet's nightly replay found; the replay of the same day again takes its place.
INSERT INTO scaling_nights (fleet, day, at, chosen, frontier, outcome)
VALUES (:fleet, :day, :now, :chosen, :frontier, :outcome)
ON CONFLICT (fleet, day) DO UPDATE SET at = excluded.at, chosen = excluded.chosen, frontier = excluded.frontier,
  outcome = excluded.outcome

-- name: read_nights
-- purpose: The last nights of a fleet, the newest first.
SELECT day, at, chosen, frontier, outcome FROM scaling_nights WHERE fleet = :fleet ORDER BY day DESC LIMIT :count

-- name: prune_nights
-- purpose: Forget nights that no choice looks back upon.
DELETE FROM scaling_nights WHERE at < :before
