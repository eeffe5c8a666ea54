-- name: add_stream
-- purpose: Make the row by which the events of a course are taken and counted one after the other.
INSERT INTO event_streams (bucket, tenant, course, taken, counted, asked_at, hurried)
VALUES (:bucket, :tenant, :course, 0, 0, 0, 0) ON CONFLICT DO NOTHING

-- name: lock_stream
-- purpose: Read how far the events of a course are taken and counted, and keep others out until the commit.
-- dialect: sqlite
SELECT taken, counted, asked_at, hurried FROM event_streams
WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: lock_stream
-- dialect: postgresql
SELECT taken, counted, asked_at, hurried FROM event_streams
WHERE bucket = :bucket AND tenant = :tenant AND course = :course FOR UPDATE

-- name: add_events
-- purpose: Store events; those whose id the person has sent before are left out.
-- dialect: sqlite
INSERT INTO events (bucket, tenant, course, "user", id, number, learner, type, at, video, position, until, lang,
                    received_at)
VALUES (:bucket, :tenant, :course, :user, :id, :number, :learner, :type, :at, :video, :position, :until, :lang, :now)
ON CONFLICT DO NOTHING

-- name: add_events
-- dialect: postgresql
INSERT INTO events (bucket, tenant, course, "user", id, number, learner, type, at, video, position, until, lang,
                    received_at)
SELECT :bucket::int4, :tenant::text, :course::text, :user::text, id, number, :learner::int4, type, at, video, position,
       until, lang, :now::float8
FROM unnest(:id::text[], :number::int8[], :type::text[], :at::float8[], :video::text[], :position::float8[],
            :until::float8[], :lang::text[])
AS given(id, number, type, at, video, position, until, lang)
ON CONFLICT DO NOTHING

-- name: note_taken
-- purpose: How far the events of a course are taken, and which jobs were asked for.
UPDATE event_streams SET taken = :taken, asked_at = :asked_at, hurried = :hurried
WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: note_counted
-- purpose: How far the events of a course are counted; once all are, no job is asked for any more.
UPDATE event_streams SET counted = :counted, asked_at = :asked_at, hurried = :hurried
WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: overdue_streams
-- purpose: Courses whose events wait although a job was asked for some time ago.
SELECT bucket, tenant, course FROM event_streams AS s
WHERE taken > counted AND asked_at < :before AND {{writable s}} LIMIT :limit

-- name: measure_streams
-- purpose: How many events of all courses wait to be counted, and since when a job is asked for.
SELECT coalesce(sum(taken - counted), 0) AS waiting, min(CASE WHEN asked_at > 0 THEN asked_at END) AS asked_at
FROM event_streams AS s WHERE taken > counted AND {{readable s}}

-- name: fullest_stream
-- purpose: How many events wait of the course that most wait of.
SELECT coalesce(max(taken - counted), 0) AS waiting FROM event_streams AS s WHERE taken > counted AND {{readable s}}

-- name: next_events
-- purpose: The events of a course that are counted next, in the order in which they came in.
SELECT number, "user", learner, id, type, at, video, position, until, lang FROM events
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND number > :counted ORDER BY number LIMIT :limit

-- name: find_lecture
-- purpose: That a lecture exists, and how long it is.
SELECT id, duration FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :video

-- name: find_progress
-- purpose: How far a person is in a lecture.
SELECT "user", video, position, position_at, seconds, watched, rewatched, views, finished_at, last_at
FROM lecture_progress
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND video = :video

-- name: put_progress
-- purpose: How far a person is in a lecture now.
INSERT INTO lecture_progress (bucket, tenant, course, "user", video, position, position_at, seconds, watched, rewatched,
                              views, finished_at, last_at)
VALUES (:bucket, :tenant, :course, :user, :video, :position, :position_at, :seconds, :watched, :rewatched, :views,
        :finished_at, :last_at)
ON CONFLICT (bucket, tenant, course, "user", video) DO UPDATE
SET position = excluded.position, position_at = excluded.position_at, seconds = excluded.seconds,
    watched = excluded.watched, rewatched = excluded.rewatched, views = excluded.views,
    finished_at = excluded.finished_at, last_at = excluded.last_at

-- name: add_activity
-- purpose: A person has been there.
INSERT INTO student_activity (bucket, tenant, course, "user", last_at, opened)
VALUES (:bucket, :tenant, :course, :user, :last_at, :opened)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE
SET last_at = CASE WHEN excluded.last_at > student_activity.last_at THEN excluded.last_at
                   ELSE student_activity.last_at END,
    opened = student_activity.opened + excluded.opened

-- name: add_figures
-- purpose: Add to what a lecture's figures are.
INSERT INTO lecture_figures (bucket, tenant, course, video, views, viewers, finished, captions, watched, rewatched,
                             last_at)
VALUES (:bucket, :tenant, :course, :video, :views, :viewers, :finished, :captions, :watched, :rewatched, :last_at)
ON CONFLICT (bucket, tenant, course, video) DO UPDATE
SET views = lecture_figures.views + excluded.views, viewers = lecture_figures.viewers + excluded.viewers,
    finished = lecture_figures.finished + excluded.finished, captions = lecture_figures.captions + excluded.captions,
    watched = lecture_figures.watched + excluded.watched, rewatched = lecture_figures.rewatched + excluded.rewatched,
    last_at = CASE WHEN excluded.last_at > lecture_figures.last_at THEN excluded.last_at
                   ELSE lecture_figures.last_at END

-- name: find_block
-- purpose: How many saw each second of a part of a lecture, and how often it was played.
SELECT viewers, plays FROM lecture_curves
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND video = :video AND block = :block

-- name: put_block
-- purpose: The same, as it is now.
INSERT INTO lecture_curves (bucket, tenant, course, video, block, viewers, plays)
VALUES (:bucket, :tenant, :course, :video, :block, :viewers, :plays)
ON CONFLICT (bucket, tenant, course, video, block) DO UPDATE SET viewers = excluded.viewers, plays = excluded.plays

-- name: drop_counted
-- purpose: Forget a batch of events that were counted long ago.
-- dialect: sqlite
DELETE FROM events WHERE (bucket, tenant, course, "user", id) IN (
  SELECT e.bucket, e.tenant, e.course, e."user", e.id FROM events AS e
  JOIN event_streams AS s ON s.bucket = e.bucket AND s.tenant = e.tenant AND s.course = e.course
  WHERE e.received_at < :before AND e.number <= s.counted AND {{writable e}} ORDER BY e.received_at LIMIT :limit)

-- name: drop_counted
-- dialect: postgresql
DELETE FROM events WHERE (bucket, tenant, course, "user", id) IN (
  SELECT e.bucket, e.tenant, e.course, e."user", e.id FROM events AS e
  JOIN event_streams AS s ON s.bucket = e.bucket AND s.tenant = e.tenant AND s.course = e.course
  WHERE e.received_at < :before AND e.number <= s.counted AND {{writable e}}
  ORDER BY e.received_at LIMIT :limit FOR UPDATE OF e SKIP LOCKED)

-- name: list_figures
-- purpose: The figures of the lectures of a course, the newest lecture first.
SELECT v.id, v.title, v.duration, f.views, f.viewers, f.finished, f.captions, f.watched, f.rewatched, f.last_at
FROM videos AS v LEFT JOIN lecture_figures AS f
  ON f.bucket = v.bucket AND f.tenant = v.tenant AND f.course = v.course AND f.video = v.id
WHERE v.bucket = :bucket AND v.tenant = :tenant AND v.course = :course
ORDER BY v.created_at DESC, v.id LIMIT :limit

-- name: find_figures
-- purpose: The figures of one lecture.
SELECT v.id, v.title, v.duration, f.views, f.viewers, f.finished, f.captions, f.watched, f.rewatched, f.last_at
FROM videos AS v LEFT JOIN lecture_figures AS f
  ON f.bucket = v.bucket AND f.tenant = v.tenant AND f.course = v.course AND f.video = v.id
WHERE v.bucket = :bucket AND v.tenant = :tenant AND v.course = :course AND v.id = :video

-- name: read_curve
-- purpose: How many saw each second of a lecture, and how often it was played, a minute in each row.
SELECT block, viewers, plays FROM lecture_curves
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND video = :video ORDER BY block

-- name: list_activity
-- purpose: Everybody who learns in a course, with the last sign of each; those who were there last come first.
SELECT m."user", m.name, a.last_at, a.opened, (SELECT count(*) FROM lecture_progress AS p
  WHERE p.bucket = m.bucket AND p.tenant = m.tenant AND p.course = m.course AND p."user" = m."user") AS begun
FROM members AS m LEFT JOIN student_activity AS a
  ON a.bucket = m.bucket AND a.tenant = m.tenant AND a.course = m.course AND a."user" = m."user"
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m.role <> 'instructor'
ORDER BY COALESCE(a.last_at, 0) DESC, m."user" LIMIT :limit

-- name: list_viewers
-- purpose: The learners who watched a lecture, those who were there last first.
SELECT p."user", m.name, p.position, p.position_at, p.watched, p.rewatched, p.views, p.finished_at, p.last_at
FROM lecture_progress AS p JOIN members AS m
  ON m.bucket = p.bucket AND m.tenant = p.tenant AND m.course = p.course AND m."user" = p."user"
WHERE p.bucket = :bucket AND p.tenant = :tenant AND p.course = :course AND p.video = :video AND m.role <> 'instructor'
ORDER BY p.last_at DESC, p."user" LIMIT :limit

-- name: list_own
-- purpose: How far a person is in the lectures of a course.
SELECT p.video, v.duration, p.position, p.position_at, p.watched, p.rewatched, p.views, p.finished_at, p.last_at
FROM lecture_progress AS p JOIN videos AS v
  ON v.bucket = p.bucket AND v.tenant = p.tenant AND v.course = p.course AND v.id = p.video
WHERE p.bucket = :bucket AND p.tenant = :tenant AND p.course = :course AND p."user" = :user
ORDER BY p.last_at DESC, p.video LIMIT :limit
