-- name: add_keeping_key
-- purpose: Store the key that seals erasures, receipts and backups, unless another process was quicker.
INSERT INTO secrets (name, value, created_at) VALUES ('keeping', :value, :now) ON CONFLICT DO NOTHING

-- name: find_keeping_key
-- purpose: The key that seals erasures, receipts and backups.
SELECT value FROM secrets WHERE name = 'keeping'

-- name: count_mentions
-- purpose: Jobs whose subject is a person, or whose payload names one, by course.
-- dialect: sqlite
SELECT bucket, course, count(*) AS found FROM jobs
WHERE tenant = :tenant AND (subject = :user OR instr(payload, :mention) > 0) GROUP BY bucket, course

-- name: count_mentions
-- dialect: postgresql
SELECT bucket, course, count(*) AS found FROM jobs
WHERE tenant = :tenant AND (subject = :user OR strpos(payload, :mention) > 0) GROUP BY bucket, course

-- name: read_mentions
-- purpose: The jobs of a course that name a person.
-- dialect: sqlite
SELECT id, queue, kind, subject, payload, state, error, created_at, finished_at FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND (subject = :user OR instr(payload, :mention) > 0)
ORDER BY id LIMIT 10000

-- name: read_mentions
-- dialect: postgresql
SELECT id, queue, kind, subject, payload, state, error, created_at, finished_at FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND (subject = :user OR strpos(payload, :mention) > 0)
ORDER BY id LIMIT 10000

-- name: drop_mentions
-- purpose: Remove the jobs of a course that name a person; a worker that runs one learns of it at its next write.
-- dialect: sqlite
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND (subject = :user OR instr(payload, :mention) > 0)

-- name: drop_mentions
-- dialect: postgresql
DELETE FROM jobs
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND (subject = :user OR strpos(payload, :mention) > 0)

-- name: drop_ended_mentions
-- purpose: Remove what is told of a course's ended jobs about a person.
DELETE FROM ended_jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :user

-- name: count_action_mentions
-- purpose: Actions of operators on what names a person, by course.
-- dialect: sqlite
SELECT bucket, course, count(*) AS found FROM operator_actions
WHERE tenant = :tenant AND (instr(before, :mention) > 0 OR instr(after, :mention) > 0 OR instr(COALESCE(kept, ''), :mention) > 0)
GROUP BY bucket, course

-- name: count_action_mentions
-- dialect: postgresql
SELECT bucket, course, count(*) AS found FROM operator_actions
WHERE tenant = :tenant AND (strpos(before, :mention) > 0 OR strpos(after, :mention) > 0 OR strpos(COALESCE(kept, ''), :mention) > 0)
GROUP BY bucket, course

-- name: read_action_mentions
-- purpose: The actions of operators in a course on what names a person.
-- dialect: sqlite
SELECT id, at, action, subject, kind, before, after, kept FROM operator_actions
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND (instr(before, :mention) > 0 OR instr(after, :mention) > 0 OR instr(COALESCE(kept, ''), :mention) > 0)
ORDER BY id LIMIT 10000

-- name: read_action_mentions
-- dialect: postgresql
SELECT id, at, action, subject, kind, before, after, kept FROM operator_actions
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND (strpos(before, :mention) > 0 OR strpos(after, :mention) > 0 OR strpos(COALESCE(kept, ''), :mention) > 0)
ORDER BY id LIMIT 10000

-- name: empty_action_mentions
-- purpose: Keep that something was done to what named a person, without what it was.
-- dialect: sqlite
UPDATE operator_actions SET before = '', after = '', kept = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND (instr(before, :mention) > 0 OR instr(after, :mention) > 0 OR instr(COALESCE(kept, ''), :mention) > 0)

-- name: empty_action_mentions
-- dialect: postgresql
UPDATE operator_actions SET before = '', after = '', kept = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND (strpos(before, :mention) > 0 OR strpos(after, :mention) > 0 OR strpos(COALESCE(kept, ''), :mention) > 0)

-- name: forget_dropped
-- purpose: Let go of what dropped dead letters of a course carried, after a while.
UPDATE operator_actions SET kept = NULL
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND at < :before AND kept IS NOT NULL

-- name: drop_old_actions
-- purpose: Forget what operators did to the dead letters of a course before a moment.
DELETE FROM operator_actions WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND at < :before

-- name: drop_member
-- purpose: A person is no member of a course any more.
DELETE FROM members WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: drop_answers
-- purpose: Forget what a person's requests were answered.
DELETE FROM idempotency WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: empty_messages
-- purpose: Turn a batch of a person's messages into tombstones; their numbers stay taken.
UPDATE messages SET author = '', content = '', id = 'deleted-' || seq, deleted_at = COALESCE(deleted_at, :now),
revision = (SELECT room_revision FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course)
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq IN (
  SELECT seq FROM messages
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND author = :user ORDER BY seq LIMIT :limit)

-- name: count_room_change
-- purpose: Count a change of a course's room, so that every process looks what it is.
UPDATE courses SET room_revision = room_revision + 1
WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: read_room_revision
-- purpose: How often a course's room has been changed.
SELECT room_revision FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: drop_mute
-- purpose: A person is not muted in a course any more.
DELETE FROM mutes WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: drop_posting_mark
-- purpose: Forget how much a person has said lately.
DELETE FROM posting_marks WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: unname_moderators
-- purpose: Keep what a person did as a moderator, without the person.
UPDATE moderation SET moderator = :erased
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND moderator = :user

-- name: unname_moderated
-- purpose: Keep that somebody was moderated, without the person.
UPDATE moderation SET subject = :erased
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :user

-- name: drop_notifications
-- purpose: Forget what a person was told; their number is bounded.
DELETE FROM notifications WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: drop_contact
-- purpose: Forget where a person gets e-mail.
DELETE FROM mail_contacts WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: drop_old_notifications
-- purpose: Forget what people were told before a moment.
DELETE FROM notifications
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND created_at < :before

-- name: drop_scores
-- purpose: Remove a batch of a person's scores.
DELETE FROM scores WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
AND (activity, at, id) IN (
  SELECT activity, at, id FROM scores
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user LIMIT :limit)

-- name: drop_events
-- purpose: Remove a batch of what a person did with lectures, counted or not.
DELETE FROM events WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
AND id IN (
  SELECT id FROM events
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user LIMIT :limit)

-- name: drop_progress
-- purpose: Forget how far a person is in the lectures of a course.
DELETE FROM lecture_progress WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: drop_activity
-- purpose: Forget when a person was last there.
DELETE FROM student_activity WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: bump_gradebook
-- purpose: Count a change of a course's scores, so that every process reckons its figures anew.
INSERT INTO gradebooks (bucket, tenant, course, version, updated_at) VALUES (:bucket, :tenant, :course, 1, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE
SET version = gradebooks.version + 1, updated_at = excluded.updated_at

-- name: list_own_uploads
-- purpose: A person's unfinished uploads in a course.
SELECT id FROM uploads WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: list_course_uploads
-- purpose: Every unfinished upload of a course.
SELECT id FROM uploads WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: list_uploads
-- purpose: Every unfinished upload of a shard.
SELECT bucket, tenant, course, id FROM uploads ORDER BY bucket, tenant, course, id

-- name: list_own_videos
-- purpose: The lectures that a person uploaded to a course.
SELECT id, origin FROM videos
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND uploader = :user

-- name: drop_row_of_upload
-- purpose: Remove an upload's row from whichever database it is in.
DELETE FROM uploads WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: drop_row_of_video
-- purpose: Remove a video's row from whichever database it is in.
DELETE FROM videos WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND id = :id

-- name: drop_jobs_of
-- purpose: Remove every job about a video or an upload.
DELETE FROM jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :id

-- name: drop_ended_jobs_of
-- purpose: Remove what is told of the ended jobs of a video or an upload.
DELETE FROM ended_jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :id

-- name: unname_videos
-- purpose: Keep the lectures that a person uploaded, without the person and the name of their file.
UPDATE videos SET uploader = '', filename = 'video'
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND uploader = :user

-- name: read_own_reads
-- purpose: The entries of the log of reads that name a person.
SELECT at, reader, call, subject, reads FROM record_reads
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND (reader = :user OR subject = :user)
ORDER BY at, reader, call, subject LIMIT 1000

-- name: drop_read
-- purpose: Remove one entry of the log of reads.
DELETE FROM record_reads WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND at = :at AND reader = :reader AND call = :call AND subject = :subject

-- name: note_read
-- purpose: Note that somebody read education records; the same within a minute is counted up.
INSERT INTO record_reads (bucket, tenant, course, at, reader, call, subject, reads)
VALUES (:bucket, :tenant, :course, :at, :reader, :call, :subject, :reads)
ON CONFLICT (bucket, tenant, course, at, reader, call, subject) DO UPDATE SET reads = record_reads.reads + excluded.reads

-- name: count_codes
-- purpose: How many codes and sessions a person has open.
-- dialect: sqlite
SELECT count(*) AS found FROM one_time_codes
WHERE json_extract(payload, '$.tenant') = :tenant AND (:user = '' OR json_extract(payload, '$.user') IN (:user, :person))

-- name: count_codes
-- dialect: postgresql
SELECT count(*) AS found FROM one_time_codes
WHERE payload::jsonb ->> 'tenant' = :tenant AND (:user::text = '' OR payload::jsonb ->> 'user' IN (:user, :person))

-- name: read_codes
-- purpose: The codes and sessions that a person has open, without what they are redeemed by.
-- dialect: sqlite
SELECT kind, payload, expires_at FROM one_time_codes
WHERE json_extract(payload, '$.tenant') = :tenant AND (:user = '' OR json_extract(payload, '$.user') IN (:user, :person))
ORDER BY expires_at LIMIT 10000

-- name: read_codes
-- dialect: postgresql
SELECT kind, payload, expires_at FROM one_time_codes
WHERE payload::jsonb ->> 'tenant' = :tenant AND (:user::text = '' OR payload::jsonb ->> 'user' IN (:user, :person))
ORDER BY expires_at LIMIT 10000

-- name: drop_codes
-- purpose: End the codes and sessions of a person, or of everybody of a tenant.
-- dialect: sqlite
DELETE FROM one_time_codes
WHERE json_extract(payload, '$.tenant') = :tenant AND (:user = '' OR json_extract(payload, '$.user') IN (:user, :person))

-- name: drop_codes
-- dialect: postgresql
DELETE FROM one_time_codes
WHERE payload::jsonb ->> 'tenant' = :tenant AND (:user::text = '' OR payload::jsonb ->> 'user' IN (:user, :person))

-- name: read_logins
-- purpose: Logins that have begun at the platform of a tenant.
SELECT number, request, expires_at FROM lti_logins
WHERE platform IN (SELECT platform FROM lti_deployments WHERE tenant = :tenant)

-- name: drop_login
-- purpose: Forget a login that has begun.
DELETE FROM lti_logins WHERE number = :number

-- name: find_deployment
-- purpose: The deployment that a tenant is, with its registration.
SELECT d.tenant, d.deployment_id, d.created_at, p.id AS platform, p.issuer, p.client_id, p.name
FROM lti_deployments AS d JOIN lti_platforms AS p ON p.id = d.platform WHERE d.tenant = :tenant

-- name: drop_deployment_of
-- purpose: Forget the deployment that a tenant was.
DELETE FROM lti_deployments WHERE tenant = :tenant

-- name: drop_lonely_platforms
-- purpose: Forget a registration that has no deployment left.
DELETE FROM lti_platforms
WHERE id = :platform AND NOT EXISTS (SELECT 1 FROM lti_deployments WHERE platform = :platform)

-- name: count_change
-- purpose: Tell every process that a registration has changed.
INSERT INTO lti_changes (id, number) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET number = lti_changes.number + 1

-- name: add_erasure
-- purpose: Begin an erasure.
INSERT INTO erasures
(id, kind, tenant, person, videos, state, target, began_at, changed_at, finished_at, receipt)
VALUES (:id, :kind, :tenant, :person, :videos, 'pending', :target, :at, :now, NULL, '')
ON CONFLICT (id) DO NOTHING

-- name: finish_erasure
-- purpose: An erasure is done: its receipt takes the place of whom it was about.
UPDATE erasures SET state = 'done', target = '', changed_at = :now, finished_at = :now, receipt = :receipt
WHERE id = :id AND state = 'pending'

-- name: put_erasure
-- purpose: Note in a restored directory an erasure that was repeated there.
INSERT INTO erasures
(id, kind, tenant, person, videos, state, target, began_at, changed_at, finished_at, receipt)
VALUES (:id, :kind, :tenant, :person, :videos, 'done', '', :at, :now, :now, '')
ON CONFLICT (id) DO UPDATE SET state = 'done', target = '', changed_at = excluded.changed_at,
finished_at = excluded.finished_at

-- name: read_erasures
-- purpose: Every erasure, the oldest first.
SELECT id, kind, tenant, person, videos, state, target, began_at, changed_at, finished_at, receipt FROM erasures
ORDER BY began_at, id

-- name: read_changed_erasures
-- purpose: Erasures that began or ended lately.
SELECT id, kind, tenant, person, state, began_at, changed_at FROM erasures WHERE changed_at >= :since

-- name: read_holds
-- purpose: Every legal hold, lifted ones too.
SELECT id, tenant, course, person, reason, placed_at, lifted_at FROM legal_holds ORDER BY placed_at, id

-- name: holds_of
-- purpose: The legal holds of a tenant that are in force.
SELECT id, tenant, course, person, reason, placed_at, lifted_at FROM legal_holds
WHERE tenant = :tenant AND lifted_at IS NULL ORDER BY placed_at, id

-- name: add_hold
-- purpose: Place a legal hold.
INSERT INTO legal_holds (id, tenant, course, person, reason, placed_at, lifted_at)
VALUES (:id, :tenant, :course, :person, :reason, :now, NULL)

-- name: lift_hold
-- purpose: Lift a legal hold; it stays in the list.
UPDATE legal_holds SET lifted_at = :now WHERE id = :id AND lifted_at IS NULL

-- name: drop_lifted_holds
-- purpose: Forget the lifted holds about a person, or about everything of a tenant.
DELETE FROM legal_holds WHERE tenant = :tenant AND (:user = '' OR person = :user) AND lifted_at IS NOT NULL

-- name: count_lifted_holds
-- purpose: How many lifted holds are about a person, or about a tenant.
SELECT count(*) AS found FROM legal_holds
WHERE tenant = :tenant AND (:user = '' OR person = :user) AND lifted_at IS NOT NULL

-- name: drop_all_codes
-- purpose: End every session and code: in a restored directory, some would be good a second time.
DELETE FROM one_time_codes

-- name: drop_all_logins
-- purpose: Forget every login that has begun, in a restored directory.
DELETE FROM lti_logins

-- name: list_reads
-- purpose: The newest entries of a course's log of reads.
SELECT at, reader, call, subject, reads FROM record_reads
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
ORDER BY at DESC, reader, call, subject LIMIT :limit

-- name: courses_to_look_at
-- purpose: Courses that retention has not looked at since a moment, those that wait longest first.
SELECT c.bucket, c.tenant, c.course FROM courses AS c
LEFT JOIN retention_marks AS m ON m.bucket = c.bucket AND m.tenant = c.tenant AND m.course = c.course
WHERE COALESCE(m.checked_at, 0) < :before AND {{writable c}}
ORDER BY COALESCE(m.checked_at, 0), c.bucket, c.tenant, c.course LIMIT :limit

-- name: note_retention
-- purpose: Note that retention has done everything in a course.
INSERT INTO retention_marks (bucket, tenant, course, checked_at) VALUES (:bucket, :tenant, :course, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET checked_at = excluded.checked_at

-- name: old_messages
-- purpose: Messages of a course from before a moment that still have an author, deleted ones too.
SELECT seq, author FROM messages
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq > :after
AND created_at < :before AND author <> '' ORDER BY seq LIMIT :limit

-- name: deleted_with_content
-- purpose: Messages of a shard that were deleted and have kept their content, because of a hold.
SELECT bucket, tenant, course, revision, seq, author FROM messages AS m
WHERE revision IS NOT NULL AND content <> '' AND {{writable m}}
AND (bucket, tenant, course, revision) > (:bucket, :tenant, :course, :revision)
ORDER BY bucket, tenant, course, revision LIMIT :limit

-- name: empty_content
-- purpose: Let go of the content of a deleted message.
UPDATE messages SET content = ''
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq = :seq AND deleted_at IS NOT NULL

-- name: empty_message
-- purpose: Turn a message into a tombstone; its number stays taken.
UPDATE messages SET author = '', content = '', id = 'deleted-' || seq, deleted_at = COALESCE(deleted_at, :now),
revision = (SELECT room_revision FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course)
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq = :seq

-- name: old_scores
-- purpose: Scores of a course that were handed in before a moment, in order of their key.
SELECT "user", activity, at, id FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND ("user", activity, at, id) > (:after_user, :after_activity, :after_at, :after_id) AND at < :before
ORDER BY "user", activity, at, id LIMIT :limit

-- name: drop_score
-- purpose: Remove one score.
DELETE FROM scores WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND "user" = :user AND activity = :activity AND at = :at AND id = :id

-- name: old_videos
-- purpose: Lectures of a course that were uploaded before a moment.
SELECT id, uploader FROM videos
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND created_at < :before ORDER BY id LIMIT :limit

-- name: drop_old_dead
-- purpose: Forget the dead letters of a course from before a moment.
DELETE FROM jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course
AND state = 'dead' AND finished_at < :before

-- name: drop_old_reads
-- purpose: Forget the entries of a course's log of reads from before a moment.
DELETE FROM record_reads WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND at < :before

-- name: drop_old_progress
-- purpose: Forget how far people are in lectures that they last watched before a moment.
DELETE FROM lecture_progress WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND last_at < :before

-- name: drop_old_activity
-- purpose: Forget people's activity where the last sign of it is from before a moment.
DELETE FROM student_activity WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND last_at < :before

-- name: drop_lost_figures
-- purpose: Forget how lectures were watched that are no more.
DELETE FROM lecture_figures WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND NOT EXISTS (
  SELECT 1 FROM videos AS v WHERE v.bucket = lecture_figures.bucket AND v.tenant = lecture_figures.tenant
  AND v.course = lecture_figures.course AND v.id = lecture_figures.video)

-- name: drop_lost_curves
-- purpose: Forget the curves of lectures that are no more.
DELETE FROM lecture_curves WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND NOT EXISTS (
  SELECT 1 FROM videos AS v WHERE v.bucket = lecture_curves.bucket AND v.tenant = lecture_curves.tenant
  AND v.course = lecture_curves.course AND v.id = lecture_curves.video)

-- name: drop_lost_progress
-- purpose: Forget how far people were in lectures that are no more.
DELETE FROM lecture_progress WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND NOT EXISTS (
  SELECT 1 FROM videos AS v WHERE v.bucket = lecture_progress.bucket AND v.tenant = lecture_progress.tenant
  AND v.course = lecture_progress.course AND v.id = lecture_progress.video)

-- name: drop_old_moderation
-- purpose: Forget what moderators of a course did before a moment.
DELETE FROM moderation WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND at < :before

-- name: erased_of
-- purpose: Everybody who was erased from a tenant, as digests.
SELECT person FROM erasures WHERE tenant = :tenant AND kind = 'person'

-- name: read_videos
-- purpose: Every video of a shard, whoever owns its bucket.
SELECT bucket, tenant, course, id, status, origin FROM videos ORDER BY bucket, tenant, course, id

-- name: read_lists
-- purpose: The list of each lecture's files.
SELECT tenant, place, media, list FROM asset_sets ORDER BY tenant, media

-- name: drop_spent_marks
-- purpose: Forget what was spent of rates of a minute that is over; no row means that nothing is spent.
DELETE FROM posting_marks
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND mark < :now;
