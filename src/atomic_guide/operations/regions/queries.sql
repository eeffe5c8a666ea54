-- name: list_drains
-- purpose: The regions that operators have drained.
SELECT region, at, who, why FROM region_drains ORDER BY region

-- name: add_drain
-- purpose: Send no more visits to a region.
INSERT INTO region_drains (region, at, who, why) VALUES (:region, :at, :who, :why) ON CONFLICT (region) DO NOTHING

-- name: drop_drain
-- purpose: Send visits to a region again.
DELETE FROM region_drains WHERE region = :region

-- name: note_region
-- purpose: Write into the log what happened to a region.
INSERT INTO region_log (at, region, what, seen_from, who, why) VALUES (:at, :region, :what, :seen_from, :who, :why)

-- name: list_region_log
-- purpose: What happened to regions, the newest first; to one of them where it is named.
SELECT number, at, region, what, seen_from, who, why FROM region_log
WHERE :region = '' OR region = :region ORDER BY number DESC LIMIT :limit

-- name: prune_region_log
-- purpose: Forget what happened long ago.
DELETE FROM region_log WHERE at < :before
