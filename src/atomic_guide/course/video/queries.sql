-- name: add_video
-- purpose: A received video, queued for its processing.
INSERT INTO videos (bucket, tenant, course, id, title, filename, uploader, status, progress, size, derived,
                    steps, renditions, captions, chapters, poster, created_at)
VALUES (:bucket, :tenant, :course, :id, :title, :filename, :uploader, 'queued', 0, :size, 0,
        :steps, '[]', '[]', '[]', :poster, :created_at)

-- name: list_videos
-- purpose: The videos of a course, the newest first.
SELECT * FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course
ORDER BY created_at DESC, id LIMIT :limit

-- name: find_video
-- purpose: One video.
-- batch: yes
SELECT * FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: find_teaching
-- purpose: The instructors of a course, those who were here last first.
SELECT "user" FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND role = 'instructor' AND seen_at > 0
ORDER BY seen_at DESC, "user" LIMIT :limit

-- name: note_state
-- purpose: How far a video's processing is.
UPDATE videos SET status = :status, progress = :progress, steps = :steps, duration = :duration, poster = :poster,
                  renditions = :renditions, derived = :derived, reason = NULL, ready_at = :ready_at,
                  preview = :preview, remaking = :remaking
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: note_progress
-- purpose: How far a video's processing is, between two steps.
UPDATE videos SET progress = :progress WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: fail_video
-- purpose: A video that cannot be processed, with the reason; one that already plays keeps playing.
UPDATE videos SET status = CASE WHEN status IN ('playable', 'ready') THEN status ELSE 'failed' END, reason = :reason,
                  steps = :steps, remaking = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: requeue_video
-- purpose: A video that failed, or that plays but lacks its better qualities, is tried again.
UPDATE videos SET status = CASE WHEN status = 'failed' THEN 'queued' ELSE status END, reason = NULL,
progress = CASE WHEN status = 'failed' THEN 0 ELSE progress END
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id
AND (status = 'failed' OR status = 'playable' AND reason IS NOT NULL)

-- name: set_captions
-- purpose: The list of a video's caption files.
UPDATE videos SET captions = :captions WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: set_chapters
-- purpose: The chapters of a video.
UPDATE videos SET chapters = :chapters WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: drop_video
-- purpose: Remove a video's row.
DELETE FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: course_space
-- purpose: Bytes that a course uses, what is still being uploaded included; copied lectures take none.
SELECT (SELECT coalesce(sum(size + derived), 0) FROM videos
        WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND origin = '')
     + (SELECT coalesce(sum(length), 0) FROM uploads
        WHERE bucket = :bucket AND tenant = :tenant AND course = :course) AS used

-- name: add_upload
-- purpose: A resumable upload that begins.
INSERT INTO uploads (bucket, tenant, course, id, "user", title, filename, length, received, created_at, expires_at)
VALUES (:bucket, :tenant, :course, :id, :user, :title, :filename, :length, 0, :created_at, :expires_at)

-- name: count_uploads
-- purpose: Resumable uploads that a course has open.
SELECT count(*) AS open FROM uploads WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND dropped_at IS NULL

-- name: most_uploads
-- purpose: Resumable uploads that are open in the course that has most of them.
SELECT count(*) AS open FROM uploads WHERE dropped_at IS NULL AND {{readable uploads}}
GROUP BY bucket, tenant, course ORDER BY count(*) DESC LIMIT 1

-- name: find_upload
-- purpose: One resumable upload.
-- batch: yes
SELECT id, "user", title, filename, length, received, created_at, expires_at, dropped_at, parts FROM uploads
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: note_received
-- purpose: More bytes of an upload are on disk for certain, or in a bucket, where `part` names their object.
UPDATE uploads SET received = :received, expires_at = :expires_at, parts = parts || :part
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND dropped_at IS NULL
AND received = :before

-- name: drop_upload
-- purpose: An upload that is complete or cancelled.
DELETE FROM uploads
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND dropped_at IS NULL

-- name: forget_upload
-- purpose: An upload that expired days ago.
DELETE FROM uploads
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND dropped_at IS NOT NULL

-- name: expire_upload
-- purpose: Empty an upload that stood still, so that only its number says that it was there.
UPDATE uploads SET dropped_at = :now, expires_at = :until, "user" = '', title = '', filename = '', length = 0, received = 0,
  parts = ''
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND dropped_at IS NULL
AND expires_at <= :now

-- name: list_idle_uploads
-- purpose: Uploads that stood still for too long, or are whole and were not made a video.
SELECT bucket, tenant, course, id, "user", title, filename, length, received, created_at, expires_at, dropped_at, parts
FROM uploads
WHERE (expires_at <= :now OR received = length AND dropped_at IS NULL) AND {{writable uploads}} LIMIT 100

-- name: list_unresumable
-- purpose: Uploads in one piece; their title comes with the rest of the form, at the end.
SELECT bucket, tenant, course, id FROM uploads WHERE title = '' AND dropped_at IS NULL AND {{writable uploads}}

-- name: upload_ids
-- purpose: Every open upload of a shard, to tell its spool files from leftovers.
SELECT id FROM uploads

-- name: add_media_key
-- purpose: Keep the key of signed addresses in the directory; the first process to do so wins.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :created_at) ON CONFLICT DO NOTHING

-- name: find_media_key
-- purpose: The key of signed addresses.
SELECT value FROM secrets WHERE name = :name

-- name: read_rules
-- purpose: What instructors have set for the lectures of their course.
-- batch: yes
SELECT captions_required FROM lecture_rules WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: put_rules
-- purpose: Keep what instructors set for the lectures of their course.
INSERT INTO lecture_rules (bucket, tenant, course, captions_required, updated_at)
VALUES (:bucket, :tenant, :course, :captions_required, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET
captions_required = excluded.captions_required, updated_at = excluded.updated_at

-- name: read_copied
-- purpose: The courses whose lectures a course has been given, or was to be.
SELECT copied FROM lecture_rules WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: put_copied
-- purpose: Remember the courses that lectures were asked of; rules that instructors have set stay.
INSERT INTO lecture_rules (bucket, tenant, course, captions_required, updated_at, copied)
VALUES (:bucket, :tenant, :course, :captions_required, :now, :copied)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET copied = excluded.copied

-- name: find_copy
-- purpose: The lecture of a course that shows certain files of another.
SELECT id FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND origin = :origin

-- name: add_copy
-- purpose: A lecture that shows the files of another course's.
INSERT INTO videos (bucket, tenant, course, id, title, filename, uploader, status, progress, size, derived, duration,
                    steps, renditions, captions, chapters, poster, created_at, ready_at, origin, preview)
VALUES (:bucket, :tenant, :course, :id, :title, :filename, :uploader, 'ready', 1, :size, :derived, :duration,
        :steps, :renditions, :captions, :chapters, :poster, :at, :at, :origin, :preview)

-- name: find_role
-- purpose: What somebody is in a course.
SELECT role FROM members WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: begin_remaking
-- purpose: A lecture that is ready is to be processed again; it plays from what it has meanwhile.
UPDATE videos SET remaking = :remaking, reason = NULL, progress = 0
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id AND status = 'ready' AND remaking IS NULL

-- name: page_remakable
-- purpose: Lectures that can be processed again, page by page over a shard.
SELECT bucket, tenant, course, id, title, status, created_at, ready_at FROM videos
WHERE (bucket, tenant, course, id) > (:bucket, :tenant, :course, :id) AND {{writable videos}}
AND (status = 'failed' OR status = 'ready' AND remaking IS NULL)
ORDER BY bucket, tenant, course, id LIMIT :limit
