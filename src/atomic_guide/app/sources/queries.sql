-- name: count_lock_waits
-- purpose: Statements under way on this database's server, and those of them that wait for a lock.
-- dialect: postgresql
SELECT count(*) AS active, count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting FROM pg_stat_activity
WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()

-- name: count_lock_waits
-- dialect: sqlite
SELECT 0 AS active, 0 AS waiting

-- name: measure_database
-- purpose: Bytes of this database.
-- dialect: postgresql
SELECT pg_database_size(current_database()) AS bytes

-- name: measure_database
-- dialect: sqlite
SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()

-- name: list_stored
-- purpose: Lectures of those tenants that store most.
SELECT tenant, used FROM media_space ORDER BY used DESC, tenant LIMIT :limit

-- name: sum_stored
-- purpose: Lectures of all tenants.
SELECT CAST(coalesce(sum(used), 0) AS bigint) AS used FROM media_space
