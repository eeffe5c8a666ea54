-- name: count_people
-- purpose: People who have come to a course of this shard; who is in several courses counts once.
SELECT count(*) AS count FROM (SELECT DISTINCT tenant, "user" FROM members AS m WHERE {{readable m}}) AS people

-- name: count_courses
-- purpose: Courses of this shard.
SELECT count(*) AS count FROM courses AS c WHERE {{readable c}}

-- name: count_lectures
-- purpose: Lectures of this shard.
SELECT count(*) AS count FROM videos AS v WHERE {{readable v}}
