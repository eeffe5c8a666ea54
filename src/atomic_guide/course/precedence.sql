-- name: find_facts
-- purpose: Until when a course's live session lasts, and the role of a member as the LMS last told it.
SELECT (SELECT live_until FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course) AS live_until,
       (SELECT role FROM members
        WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user) AS role
