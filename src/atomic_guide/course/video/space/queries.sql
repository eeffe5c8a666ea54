-- name: lock_space
-- purpose: Take hold of a tenant's account until the end of the transaction, and read it.
INSERT INTO media_space (tenant, used) VALUES (:tenant, 0)
ON CONFLICT (tenant) DO UPDATE SET used = media_space.used
RETURNING used, allowed

-- name: hold_space
-- purpose: Take hold of the account of a tenant that has been counted; no row for any other.
UPDATE media_space SET used = used WHERE tenant = :tenant RETURNING used, allowed

-- name: read_space
-- purpose: A tenant's account.
SELECT used, allowed FROM media_space WHERE tenant = :tenant

-- name: list_space
-- purpose: The accounts of tenants, page by page.
SELECT tenant, used, allowed, (SELECT count(*) FROM media_files AS f WHERE f.tenant = media_space.tenant) AS files
FROM media_space WHERE tenant > :after ORDER BY tenant LIMIT :limit

-- name: sum_space
-- purpose: All accounts together, and how many are nearly full or over.
SELECT CAST(coalesce(sum(used), 0) AS bigint) AS used, count(*) AS tenants,
       coalesce(sum(CASE WHEN used * 10 >= 9 * coalesce(allowed, :allowed) THEN 1 ELSE 0 END), 0) AS near,
       coalesce(sum(CASE WHEN used >= coalesce(allowed, :allowed) THEN 1 ELSE 0 END), 0) AS full_ones
FROM media_space

-- name: fullest_tenant
-- purpose: The account that has the largest share of what it may have.
SELECT tenant, used, coalesce(allowed, :allowed) AS allowed FROM media_space
ORDER BY CAST(used AS double precision) / CASE WHEN coalesce(allowed, :allowed) > 0 THEN coalesce(allowed, :allowed)
                                          ELSE 1 END DESC LIMIT 1

-- name: fullest_course
-- purpose: How much the course stores that stores most.
SELECT sum(bytes) AS used FROM media_files GROUP BY tenant, course ORDER BY sum(bytes) DESC LIMIT 1

-- name: add_used
-- purpose: Count bytes that came, or that went.
UPDATE media_space SET used = used + :bytes WHERE tenant = :tenant

-- name: recount_space
-- purpose: Count a tenant's account anew from its files.
UPDATE media_space
SET used = (SELECT coalesce(sum(f.bytes), 0) FROM media_files AS f WHERE f.tenant = media_space.tenant)
WHERE tenant = :tenant

-- name: set_allowed
-- purpose: Give a tenant a limit of its own, or take it away.
UPDATE media_space SET allowed = :allowed WHERE tenant = :tenant

-- name: known_tenant
-- purpose: Whether there is such a tenant.
SELECT tenant FROM lti_deployments WHERE tenant = :tenant
UNION SELECT tenant FROM media_space WHERE tenant = :tenant

-- name: known_tenants
-- purpose: Every tenant, page by page.
SELECT tenant FROM (SELECT tenant FROM lti_deployments UNION SELECT tenant FROM media_space) AS known
WHERE tenant > :after ORDER BY tenant LIMIT :limit

-- name: find_file
-- purpose: What is counted of one lecture's files.
SELECT bytes, course FROM media_files WHERE tenant = :tenant AND id = :media

-- name: put_file
-- purpose: Count a lecture's files.
INSERT INTO media_files (tenant, id, course, bytes, created_at) VALUES (:tenant, :media, :course, :bytes, :now)
ON CONFLICT (tenant, id) DO UPDATE SET bytes = excluded.bytes

-- name: drop_file
-- purpose: Files that are gone.
DELETE FROM media_files WHERE tenant = :tenant AND id = :media

-- name: list_files
-- purpose: The files of all tenants, page by page.
SELECT tenant, id, course, bytes, created_at FROM media_files
WHERE (tenant > :tenant OR tenant = :tenant AND id > :media) ORDER BY tenant, id LIMIT :limit

-- name: list_files_of
-- purpose: The files of one tenant, page by page.
SELECT tenant, id, course, bytes, created_at FROM media_files
WHERE tenant = :tenant AND id > :media ORDER BY id LIMIT :limit

-- name: put_use
-- purpose: A lecture shows files.
INSERT INTO media_uses (tenant, media, bucket, course, video, created_at)
VALUES (:tenant, :media, :bucket, :course, :video, :now)
ON CONFLICT (tenant, media, bucket, course, video) DO NOTHING

-- name: drop_use
-- purpose: A lecture shows files no longer.
DELETE FROM media_uses
WHERE tenant = :tenant AND media = :media AND bucket = :bucket AND course = :course AND video = :video

-- name: read_uses
-- purpose: The lectures that show files.
SELECT bucket, course, video, created_at FROM media_uses WHERE tenant = :tenant AND media = :media LIMIT 10000

-- name: find_use
-- purpose: Whether a lecture is known to show files that are counted.
-- batch: yes
SELECT u.video FROM media_uses AS u JOIN media_files AS f ON f.tenant = u.tenant AND f.id = u.media
WHERE u.tenant = :tenant AND u.media = :media AND u.bucket = :bucket AND u.course = :course AND u.video = :video

-- name: drop_tenant_uses
-- purpose: Forget what an erased tenant's lectures showed.
DELETE FROM media_uses WHERE tenant = :tenant

-- name: drop_tenant_files
-- purpose: Forget the files of an erased tenant.
DELETE FROM media_files WHERE tenant = :tenant

-- name: drop_tenant_space
-- purpose: Forget the account of an erased tenant.
DELETE FROM media_space WHERE tenant = :tenant

-- name: page_lectures
-- purpose: The lectures of a shard and the uploads that are under way, page by page, with what their rows say of bytes.
SELECT * FROM (
  SELECT * FROM (
    SELECT bucket, tenant, course, id, origin, size + derived AS bytes FROM videos
    WHERE (bucket, tenant, course, id) > (:bucket, :tenant, :course, :id) AND {{writable videos}}
    ORDER BY bucket, tenant, course, id LIMIT :limit) AS v
  UNION ALL
  SELECT * FROM (
    SELECT bucket, tenant, course, id, '' AS origin, length AS bytes FROM uploads
    WHERE (bucket, tenant, course, id) > (:bucket, :tenant, :course, :id) AND dropped_at IS NULL
    AND {{writable uploads}}
    ORDER BY bucket, tenant, course, id LIMIT :limit) AS u
) AS found ORDER BY bucket, tenant, course, id LIMIT :limit

-- name: tenant_lectures
-- purpose: The lectures of one tenant in a shard, and its uploads, page by page.
SELECT * FROM (
  SELECT bucket, tenant, course, id, origin, size + derived AS bytes FROM videos
  WHERE tenant = :tenant AND (bucket, course, id) > (:bucket, :course, :id) AND {{writable videos}}
  UNION ALL
  SELECT bucket, tenant, course, id, '' AS origin, length AS bytes FROM uploads
  WHERE tenant = :tenant AND (bucket, course, id) > (:bucket, :course, :id) AND dropped_at IS NULL
  AND {{writable uploads}}
) AS found ORDER BY bucket, course, id LIMIT :limit

-- name: find_showing
-- purpose: A lecture, or the upload that becomes one, as the account needs it.
SELECT status, created_at, size, renditions, preview, remaking, ready_at FROM videos
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :video
UNION ALL
SELECT 'uploading' AS status, created_at, length AS size, '[]' AS renditions, NULL AS preview, NULL AS remaking,
       NULL AS ready_at
FROM uploads
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :video AND dropped_at IS NULL
