-- name: find_set
-- purpose: A lecture's files as they were listed last.
-- batch: yes
SELECT place, bucket, course, list, objects, bytes, listed_at FROM asset_sets WHERE tenant = :tenant AND media = :media

-- name: put_set
-- purpose: A lecture's files were listed.
INSERT INTO asset_sets (tenant, media, place, bucket, course, list, objects, bytes, listed_at)
VALUES (:tenant, :media, :place, :bucket, :course, :list, :objects, :bytes, :now)
ON CONFLICT (tenant, media) DO UPDATE SET bucket = excluded.bucket, course = excluded.course, list = excluded.list,
  objects = excluded.objects, bytes = excluded.bytes, listed_at = excluded.listed_at,
  cool = CASE WHEN asset_sets.list = excluded.list THEN asset_sets.cool ELSE '' END,
  cooled = CASE WHEN asset_sets.list = excluded.list THEN asset_sets.cooled ELSE 0 END

-- name: page_classes
-- purpose: Lectures in turn, with the storage class of their files in the main bucket.
SELECT tenant, media, bucket, course, cool FROM asset_sets
WHERE (tenant > :tenant OR tenant = :tenant AND media > :media) ORDER BY tenant, media LIMIT :limit

-- name: note_class
-- purpose: A lecture's larger files are in a storage class, so many bytes of them in the cool one.
UPDATE asset_sets SET cool = :cool, cooled = :cooled WHERE tenant = :tenant AND media = :media AND list = :list

-- name: page_copy_classes
-- purpose: The whole copies of a page of lectures, with the storage class of their files.
SELECT r.tenant, r.media, r.store, r.cool FROM asset_replicas AS r
JOIN asset_sets AS s ON s.tenant = r.tenant AND s.media = r.media
WHERE (r.tenant, r.media) > (:tenant, :media) AND (r.tenant, r.media) <= (:last_tenant, :last_media)
AND r.state = 'verified' AND r.held = s.list

-- name: note_copy_class
-- purpose: The larger files of a copy are in a storage class.
UPDATE asset_replicas SET cool = :cool WHERE tenant = :tenant AND media = :media AND store = :store
AND state = 'verified' AND held = :list

-- name: read_replicas
-- purpose: Where a lecture's files are.
SELECT store, state, held, done, error, changed_at, verified_at, wrong FROM asset_replicas
WHERE tenant = :tenant AND media = :media ORDER BY store

-- name: want_replica
-- purpose: A lecture's files are to be in a store; what is there already stays as it is.
INSERT INTO asset_replicas (tenant, media, store, state, held, done, error, changed_at, verified_at)
VALUES (:tenant, :media, :store, 'pending', NULL, 0, NULL, :now, NULL)
ON CONFLICT (tenant, media, store) DO NOTHING

-- name: renew_replicas
-- purpose: A lecture's list has changed: what held another one is to be brought up to date.
UPDATE asset_replicas SET state = 'pending', done = 0, error = NULL, changed_at = :now, cool = ''
WHERE tenant = :tenant AND media = :media AND state <> 'deleting' AND (held IS NULL OR held <> :list)

-- name: begin_copy
-- purpose: Copying begins, or goes on; how many objects are done already.
UPDATE asset_replicas SET state = 'copying', error = NULL, changed_at = :now
WHERE tenant = :tenant AND media = :media AND store = :store AND state <> 'deleting'
RETURNING done, held, wrong

-- name: note_copy
-- purpose: So many objects are in the store and have been read back.
UPDATE asset_replicas SET done = :done, changed_at = :now
WHERE tenant = :tenant AND media = :media AND store = :store AND state = 'copying'

-- name: end_copy
-- purpose: The whole list is in the store, and was read back.
UPDATE asset_replicas SET state = 'verified', held = :list, done = :done, error = NULL, wrong = NULL,
  changed_at = :now, verified_at = :now
WHERE tenant = :tenant AND media = :media AND store = :store AND state <> 'deleting'
AND EXISTS (SELECT 1 FROM asset_sets AS s WHERE s.tenant = :tenant AND s.media = :media AND s.list = :list)

-- name: fail_replica
-- purpose: A store could not be given the files, or does not have them as it should; what was known wrong stays so.
UPDATE asset_replicas SET state = 'failed', error = :error, wrong = coalesce(:wrong, wrong), changed_at = :now
WHERE tenant = :tenant AND media = :media AND store = :store AND state <> 'deleting'

-- name: checked_replica
-- purpose: The files in a store were read and are what they should be.
UPDATE asset_replicas SET state = 'verified', error = NULL, wrong = NULL, verified_at = :now, changed_at = :now
WHERE tenant = :tenant AND media = :media AND store = :store AND state <> 'deleting' AND held = :list

-- name: leave_replicas
-- purpose: A lecture's, or a whole tenant's, files are to go from every store; whoever copies one stops.
UPDATE asset_replicas SET state = 'deleting', changed_at = :now,
  error = CASE WHEN state = 'copying' THEN 'copying' ELSE error END
WHERE tenant = :tenant AND (:media = '' OR media = :media)

-- name: stores_of
-- purpose: The stores that were ever given files of a lecture, or of a whole tenant.
SELECT DISTINCT store FROM asset_replicas WHERE tenant = :tenant AND (:media = '' OR media = :media) ORDER BY store

-- name: being_copied
-- purpose: Whether something was just being copied to a store when it was to go.
SELECT media FROM asset_replicas WHERE tenant = :tenant AND (:media = '' OR media = :media) AND store = :store
AND state = 'deleting' AND error = 'copying' LIMIT 1

-- name: stopped_copying
-- purpose: Whoever was copying has had the time to notice.
UPDATE asset_replicas SET error = NULL, changed_at = :now
WHERE tenant = :tenant AND (:media = '' OR media = :media) AND store = :store AND state = 'deleting'

-- name: drop_left
-- purpose: A store has nothing left of a lecture, or of a whole tenant.
DELETE FROM asset_replicas
WHERE tenant = :tenant AND (:media = '' OR media = :media) AND store = :store AND state = 'deleting'

-- name: leave_sets
-- purpose: Forget the lists of a lecture, or of a whole tenant.
DELETE FROM asset_sets WHERE tenant = :tenant AND (:media = '' OR media = :media)

-- name: list_replicas
-- purpose: Copies page by page, of a tenant or of all, in a state or in any.
SELECT r.tenant, r.media, r.store, r.state, r.done, r.error, r.changed_at, r.verified_at, r.wrong, s.objects, s.bytes
FROM asset_replicas AS r LEFT JOIN asset_sets AS s ON s.tenant = r.tenant AND s.media = r.media
WHERE (r.tenant, r.media, r.store) > (:after_tenant, :after_media, :after_store)
AND (:tenant = '' OR r.tenant = :tenant) AND (:state = '' OR r.state = :state) AND (:media = '' OR r.media = :media)
AND (:store = '' OR r.store = :store)
ORDER BY r.tenant, r.media, r.store LIMIT :limit

-- name: count_replicas
-- purpose: Copies, their objects and bytes, by store and state.
SELECT r.store, r.state, count(*) AS sets, CAST(coalesce(sum(s.objects), 0) AS bigint) AS objects,
       CAST(coalesce(sum(s.bytes), 0) AS bigint) AS bytes, min(r.changed_at) AS oldest
FROM asset_replicas AS r LEFT JOIN asset_sets AS s ON s.tenant = r.tenant AND s.media = r.media
GROUP BY r.store, r.state ORDER BY r.store, r.state

-- name: page_files
-- purpose: Lectures' files in turn, with what is known of their copies.
SELECT f.tenant, f.id, f.course, s.list,
  (SELECT count(*) FROM asset_replicas AS r WHERE r.tenant = f.tenant AND r.media = f.id) AS replicas,
  (SELECT count(*) FROM asset_replicas AS r WHERE r.tenant = f.tenant AND r.media = f.id AND r.state <> 'verified'
   AND r.changed_at < :before) AS late
FROM media_files AS f LEFT JOIN asset_sets AS s ON s.tenant = f.tenant AND s.media = f.id
WHERE (f.tenant > :tenant OR f.tenant = :tenant AND f.id > :media) ORDER BY f.tenant, f.id LIMIT :limit

-- name: oldest_checked
-- purpose: The copies that were read longest ago, after one of them.
SELECT r.tenant, r.media, r.store, r.verified_at, s.bytes, s.bucket, s.course FROM asset_replicas AS r
JOIN asset_sets AS s ON s.tenant = r.tenant AND s.media = r.media
WHERE r.verified_at < :before AND r.state = 'verified'
AND (r.verified_at, r.tenant, r.media, r.store) > (:after_at, :after_tenant, :after_media, :after_store)
ORDER BY r.verified_at, r.tenant, r.media, r.store LIMIT :limit

-- name: uses_of
-- purpose: The lectures that show files.
SELECT bucket, course, video FROM media_uses WHERE tenant = :tenant AND media = :media LIMIT 10000

-- name: last_played
-- purpose: When a lecture was made, and when it was played last.
SELECT v.created_at, f.last_at FROM videos AS v LEFT JOIN lecture_figures AS f
  ON f.bucket = v.bucket AND f.tenant = v.tenant AND f.course = v.course AND f.video = v.id
WHERE v.bucket = :bucket AND v.tenant = :tenant AND v.course = :course AND v.id = :video

-- name: find_shown
-- purpose: What a lecture shows, as its list needs it.
SELECT status, origin, renditions, preview, captions FROM videos
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: add_deletion
-- purpose: Something is to be gone from every store.
INSERT INTO asset_deletions (id, folder, digest, asked_at, finished_at, receipt)
VALUES (:id, :folder, :digest, :now, NULL, NULL)

-- name: add_answer
-- purpose: A store that is to be asked.
INSERT INTO asset_answers (deletion, store, objects, tries, error, answered_at)
VALUES (:id, :store, 0, 0, NULL, NULL) ON CONFLICT (deletion, store) DO NOTHING

-- name: find_deletion
-- purpose: One deletion.
SELECT id, folder, digest, asked_at, finished_at, receipt FROM asset_deletions WHERE id = :id

-- name: read_answers
-- purpose: What the stores have said to a deletion.
SELECT store, objects, tries, error, answered_at FROM asset_answers WHERE deletion = :id ORDER BY store

-- name: note_answer
-- purpose: What a store has said: `answered_at` where nothing is left there.
UPDATE asset_answers SET objects = objects + :objects, tries = tries + 1, error = :error, answered_at = :answered_at
WHERE deletion = :id AND store = :store AND answered_at IS NULL

-- name: finish_deletion
-- purpose: It is gone everywhere; what it was called is forgotten.
UPDATE asset_deletions SET folder = NULL, finished_at = :now, receipt = :receipt WHERE id = :id AND finished_at IS NULL

-- name: open_deletions
-- purpose: Deletions that wait for a store.
SELECT id, folder, digest, asked_at, finished_at, receipt FROM asset_deletions
WHERE finished_at IS NULL AND id > :after ORDER BY id LIMIT :limit

-- name: list_deletions
-- purpose: Deletions, the latest first.
SELECT id, folder, digest, asked_at, finished_at, receipt FROM asset_deletions ORDER BY asked_at DESC LIMIT :limit

-- name: count_deletions
-- purpose: How many deletions wait for a store, and since when the first does.
SELECT count(*) AS open, min(asked_at) AS oldest FROM asset_deletions WHERE finished_at IS NULL
