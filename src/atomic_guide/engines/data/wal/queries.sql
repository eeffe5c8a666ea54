-- name: read_steps
-- purpose: Figures that change whenever the map changes or a move takes a step.
SELECT (SELECT coalesce(max(number), 0) FROM map_changes) AS changes,
  (SELECT count(*) FROM moves) AS moves,
  (SELECT coalesce(max(updated_at), 0) FROM moves) AS moved_at
