-- name: read_bucket_map
-- purpose: The owner of every bucket of a zone, in bucket order.
SELECT bucket, shard, epoch FROM bucket_map WHERE zone = :zone ORDER BY bucket

-- name: add_bucket
-- purpose: Give a bucket its first owner.
INSERT INTO bucket_map (zone, bucket, shard, epoch) VALUES (:zone, :bucket, :shard, :epoch)

-- name: read_overrides
-- purpose: Courses that are pinned to a shard of their own choice.
SELECT tenant, course, shard, epoch FROM bucket_overrides

-- name: ping
-- purpose: Ask a database for a sign of life that takes its file, or its server, to give.
SELECT version_num FROM alembic_version
