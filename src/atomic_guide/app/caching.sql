-- name: add_key
-- purpose: Keep the key of the cache in the directory; the first process to do so wins.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :now) ON CONFLICT DO NOTHING

-- name: find_course
-- purpose: Whether a course has people or scores.
SELECT version FROM gradebooks WHERE bucket = :bucket AND tenant = :tenant AND course = :course

-- name: find_key
-- purpose: The key of the cache.
SELECT value FROM secrets WHERE name = :name
