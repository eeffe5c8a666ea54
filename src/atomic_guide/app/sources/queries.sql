-- name: count_lock_waits
-- purpose: Statements under way on this database's server, and those of them that wait for a lock.
-- dialect: postgresql
SELECT count(*) AS active, count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting FROM pg_stat_activity
WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()

-- name: count_lock_waits
-- dialect: sqlite
SELECT 0 AS active, 0 AS waiting
