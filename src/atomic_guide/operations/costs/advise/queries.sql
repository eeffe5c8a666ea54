-- name: sum_cooled
-- purpose: Bytes of lectures that are in a cheaper storage class.
SELECT CAST(coalesce(sum(cooled), 0) AS bigint) AS bytes FROM asset_sets

-- name: sum_idle_lectures
-- purpose: Bytes of a shard's lectures that are older than a time and were not played since.
SELECT CAST(coalesce(sum(v.size + v.derived), 0) AS bigint) AS bytes FROM videos AS v
WHERE v.created_at < :before AND v.origin = '' AND {{readable v}}
AND NOT EXISTS (
  SELECT 1 FROM lecture_figures AS f
  WHERE f.bucket = v.bucket AND f.tenant = v.tenant AND f.course = v.course AND f.video = v.id AND f.last_at >= :before)
