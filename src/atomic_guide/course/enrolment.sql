-- name: put_course
-- purpose: Make a course at its first launch, and keep its title and way back as the LMS last sent them.
INSERT INTO courses (bucket, tenant, course, context, title, return_url, created_at)
VALUES (:bucket, :tenant, :course, :context, :title, :return_url, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET
title = CASE WHEN :titled = 1 THEN excluded.title ELSE courses.title END,
return_url = COALESCE(excluded.return_url, courses.return_url)
RETURNING title

-- name: put_member
-- purpose: Make a member at the first launch, and keep name and role as the LMS last sent them.
INSERT INTO members (bucket, tenant, course, "user", name, role, created_at, seen_at)
VALUES (:bucket, :tenant, :course, :user, :name, :role, :now, :now)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET
name = excluded.name, role = excluded.role, seen_at = excluded.seen_at

-- name: meet_member
-- purpose: Note that a member is here again, under the same name and role.
UPDATE members SET seen_at = :now
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND name = :name AND role = :role

-- name: count_people
-- purpose: Count a change of who is in the course, or of a name or role.
INSERT INTO gradebooks (bucket, tenant, course, version, updated_at, people)
VALUES (:bucket, :tenant, :course, 0, 0, 1)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET people = gradebooks.people + 1

-- name: put_services
-- purpose: Keep what the LMS offers for a course.
INSERT INTO course_services (bucket, tenant, course, roster_url, line_items_url, scopes, updated_at)
VALUES (:bucket, :tenant, :course, :roster_url, :line_items_url, :scopes, :now)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET
roster_url = excluded.roster_url, line_items_url = excluded.line_items_url, scopes = excluded.scopes,
updated_at = excluded.updated_at
WHERE course_services.roster_url <> excluded.roster_url
OR course_services.line_items_url <> excluded.line_items_url OR course_services.scopes <> excluded.scopes

-- name: claim_roster
-- purpose: Say that the roster is asked for now, unless it was a short while ago.
UPDATE course_services SET roster_at = :now
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND roster_at <= :before

-- name: put_listed_member
-- purpose: Make a member that the roster lists, or correct the name and role; when they were here is not touched.
INSERT INTO members (bucket, tenant, course, "user", name, role, created_at, seen_at)
VALUES (:bucket, :tenant, :course, :user, :name, :role, :now, 0)
ON CONFLICT (bucket, tenant, course, "user") DO UPDATE SET name = excluded.name, role = excluded.role
WHERE members.name <> excluded.name OR members.role <> excluded.role

-- name: correct_member
-- purpose: Correct the name and role of a member that the roster lists; nobody becomes one.
UPDATE members SET name = :name, role = :role
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user

-- name: read_services
-- purpose: What the LMS offered for a course at its last launch.
-- batch: yes
SELECT roster_url, line_items_url, scopes FROM course_services
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
