-- name: find_notification
-- purpose: One entry of a person's feed.
SELECT id, kind, subject, data, created_at, read_at FROM notifications
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND id = :id

-- name: add_notification
-- purpose: Add an entry to a person's feed, once.
INSERT INTO notifications (bucket, tenant, course, "user", id, kind, subject, data, created_at, read_at)
VALUES (:bucket, :tenant, :course, :user, :id, :kind, :subject, :data, :now, NULL)
ON CONFLICT (bucket, tenant, course, "user", id) DO NOTHING

-- name: prune_notifications
-- purpose: Let go of a person's oldest entries beyond the number that is kept.
DELETE FROM notifications
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND (created_at, id) <= (
  SELECT created_at, id FROM notifications
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
  ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET :kept)

-- name: read_feed
-- purpose: A page of a person's feed, the newest first.
SELECT id, kind, subject, data, created_at, read_at FROM notifications
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
AND (created_at, id) < (:before, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: count_unread
-- purpose: How many entries a person has not read; their number is bounded by pruning.
SELECT count(*) AS unread FROM notifications
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND read_at IS NULL

-- name: mark_read
-- purpose: A person has read an entry.
UPDATE notifications SET read_at = :now
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND id = :id AND read_at IS NULL

-- name: mark_read_until
-- purpose: A person has read an entry and all before it.
UPDATE notifications SET read_at = :now
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND read_at IS NULL
AND (created_at, id) <= (
  SELECT created_at, id FROM notifications
  WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND id = :id)

-- name: settle_subject
-- purpose: What an entry of a kind asks for is done: nobody need read it any more.
UPDATE notifications SET read_at = :now
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject AND kind = :kind
AND read_at IS NULL

-- name: withdraw_subject
-- purpose: What the entries are about is gone.
DELETE FROM notifications
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND subject = :subject

-- name: find_contact
-- purpose: Where a person gets e-mail, and whether they want it.
SELECT address, locale, language, off_at FROM mail_contacts
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: put_contact
-- purpose: Keep the address of somebody who came in; a launch without one leaves the earlier.
INSERT INTO mail_contacts (bucket, tenant, course, "user", address, locale, language, off_at, updated_at)
VALUES (:bucket, :tenant, :course, :user, :address, :locale, '', NULL, :now)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET
address = CASE WHEN excluded.address = '' THEN mail_contacts.address ELSE excluded.address END,
locale = excluded.locale, updated_at = excluded.updated_at
WHERE mail_contacts.locale <> excluded.locale
OR excluded.address <> '' AND mail_contacts.address <> excluded.address

-- name: put_listed_contact
-- purpose: Keep the address that a roster lists, of somebody who has been here.
INSERT INTO mail_contacts (bucket, tenant, course, "user", address, locale, language, off_at, updated_at)
SELECT m.bucket, m.tenant, m.course, m."user", :address, '', '', NULL, :now FROM members AS m
WHERE m.bucket = :bucket AND m.tenant = :tenant AND m.course = :course AND m."user" = :user AND m.seen_at > 0
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET
address = excluded.address, updated_at = excluded.updated_at
WHERE mail_contacts.address <> excluded.address

-- name: choose_mail
-- purpose: Whether a person wants e-mail about a course.
INSERT INTO mail_contacts (bucket, tenant, course, "user", address, locale, language, off_at, updated_at)
VALUES (:bucket, :tenant, :course, :user, '', '', '', :off_at, :now)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET off_at = excluded.off_at, updated_at = excluded.updated_at

-- name: choose_language
-- purpose: The language that a person has chosen in the page.
INSERT INTO mail_contacts (bucket, tenant, course, "user", address, locale, language, off_at, updated_at)
VALUES (:bucket, :tenant, :course, :user, '', '', :language, NULL, :now)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET
language = excluded.language, updated_at = excluded.updated_at

-- name: any_learner
-- purpose: Whether a course has a learner who has been here.
SELECT 1 AS found FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND role <> 'instructor' AND seen_at > 0 LIMIT 1

-- name: find_learner
-- purpose: Whether somebody is a learner of the course who has been here.
SELECT 1 AS found FROM members
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user
AND role <> 'instructor' AND seen_at > 0

-- name: find_course
-- purpose: How a course is called and where its LMS is.
SELECT title, return_url FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: add_mail_key
-- purpose: Keep the key of the addresses that end e-mail, made at first use.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :created_at)
ON CONFLICT (name) DO NOTHING

-- name: find_mail_key
-- purpose: The key of the addresses that end e-mail.
SELECT value FROM secrets WHERE name = :name
