-- name: room_title
-- purpose: What a course is called.
-- batch: yes
SELECT title FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
