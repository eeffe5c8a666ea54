-- name: add_bucket
-- purpose: Give a bucket its first owner.
INSERT INTO bucket_map (zone, bucket, shard, epoch) VALUES (:zone, :bucket, :shard, :epoch)

-- name: read_map
-- purpose: The owner of every bucket of every zone.
SELECT zone, bucket, shard, epoch FROM bucket_map ORDER BY zone, bucket

-- name: read_overrides
-- purpose: Courses that are pinned to a shard of their own choice.
SELECT tenant, course, shard, epoch FROM bucket_overrides

-- name: ping
-- purpose: Ask a database for a sign of life that takes its file, or its server, to give.
SELECT version_num FROM alembic_version

-- name: hold_bucket
-- purpose: Inside a write, whether the shard owns a course at an epoch or a later one; a mover waits for the writer.
-- dialect: sqlite
SELECT state = 'owned' AND epoch >= :fence_epoch AS held FROM bucket_owner
WHERE bucket = :bucket AND (tenant = '' OR tenant = :tenant AND course = :course) ORDER BY tenant DESC LIMIT 1

-- name: hold_bucket
-- dialect: postgresql
SELECT fence_write(:bucket, :tenant, :course, :fence_epoch) AS held

-- name: hold_shard
-- purpose: Inside a write over many courses, keep movers out of its way until it is committed.
-- dialect: sqlite
SELECT 1 AS held

-- name: hold_shard
-- dialect: postgresql
SELECT pg_advisory_xact_lock_shared(1096040772, -1) IS NULL AS held

-- name: may_read
-- purpose: After a read, whether the shard still owned the course.
SELECT state IN ('owned', 'fenced') AND epoch >= :fence_epoch AS held FROM bucket_owner
WHERE bucket = :bucket AND (tenant = '' OR tenant = :tenant AND course = :course) ORDER BY tenant DESC LIMIT 1

-- name: own_bucket
-- purpose: Make a shard the owner of a bucket that nobody owns yet.
INSERT INTO bucket_owner (bucket, tenant, course, epoch, state, token, changed_at)
VALUES (:bucket, :tenant, :course, :epoch, 'owned', 0, :now)
ON CONFLICT DO NOTHING

-- name: read_shards
-- purpose: The shards that the directory knows.
SELECT name, zone, state, weight, added_at FROM shards ORDER BY name

-- name: add_shard
-- purpose: Make a shard known; its zone and weight stay as they were first given.
INSERT INTO shards (name, zone, state, weight, added_at) VALUES (:name, :zone, :state, :weight, :now)
ON CONFLICT (name) DO NOTHING

-- name: set_shard_state
-- purpose: A shard has joined, or is to be drained.
UPDATE shards SET state = :state WHERE name = :name

-- name: read_zones
-- purpose: The tenants that have a residency zone of their own.
SELECT tenant, zone FROM tenant_zones

-- name: read_map_change
-- purpose: The number of the last change of the map, the shards or the zones.
SELECT number FROM map_changes WHERE id = 1

-- name: count_map_change
-- purpose: Tell every process that the map has changed.
INSERT INTO map_changes (id, number) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET number = map_changes.number + 1
RETURNING number

-- name: read_standbys
-- purpose: The replicas that the server started itself.
SELECT name, shard, port, state, changed_at FROM standbys ORDER BY name

-- name: put_standby
-- purpose: A replica of the server's own is in another state.
INSERT INTO standbys (name, shard, port, state, changed_at) VALUES (:name, :shard, :port, :state, :now)
ON CONFLICT (name) DO UPDATE SET port = excluded.port, state = excluded.state, changed_at = excluded.changed_at

-- name: drop_standby
-- purpose: A replica of the server's own is gone.
DELETE FROM standbys WHERE name = :name

-- name: read_bookmark_keys
-- purpose: The keys that bookmarks are signed with, the newest last.
SELECT name, value, created_at AS since FROM secrets WHERE name LIKE 'bookmark:%' ORDER BY created_at, name

-- name: add_bookmark_key
-- purpose: Store a new key for bookmarks.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :now)

-- name: drop_bookmark_keys
-- purpose: Forget keys that no living bookmark can need any more.
DELETE FROM secrets WHERE name LIKE 'bookmark:%' AND created_at < :before

-- name: read_standing
-- purpose: Where a server stands in the log of its shard: what a primary has flushed, what a replica has replayed.
-- dialect: postgresql
-- A replica's timeline: the receiver's is that of the log it replays or is about to replay, as a standby whose log has
-- gone another way cannot follow a new timeline; without a receiver the control file's lag, which is on the safe side.
SELECT recovering,
       CASE WHEN recovering
            THEN greatest((SELECT received_tli FROM pg_stat_wal_receiver),
                          (SELECT timeline_id FROM pg_control_checkpoint()),
                          (SELECT min_recovery_end_timeline FROM pg_control_recovery()))::bigint
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::bigint END AS timeline,
       (CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint AS lsn
FROM (SELECT pg_is_in_recovery() AS recovering OFFSET 0) AS server

-- name: read_server_start
-- purpose: What tells one process of a server from the one before it, and from another server.
-- dialect: postgresql
SELECT pg_postmaster_start_time()::text AS started

-- name: read_dead_rows
-- purpose: How many rows of a table are dead, and live, as its server counts them together.
-- dialect: postgresql
SELECT n_dead_tup AS dead, n_live_tup AS live FROM pg_stat_all_tables WHERE relid = to_regclass(:table)

-- name: read_vitals
-- purpose: What a server is, and whether what it acknowledges survives.
-- dialect: postgresql
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_number,
  current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
  current_setting('synchronous_commit') AS synchronous_commit, current_setting('wal_level') AS wal_level,
  current_setting('synchronous_standby_names') AS standbys,
  (SELECT pg_encoding_to_char(d.encoding) FROM pg_database AS d WHERE d.datname = current_database()) AS encoding,
  pg_is_in_recovery() AS in_recovery, EXISTS (SELECT 1 FROM pg_stat_wal_receiver) AS receives,
  (SELECT s.ssl FROM pg_stat_ssl AS s WHERE s.pid = pg_backend_pid()) AS tls,
  coalesce(inet_server_addr() << '127.0.0.0/8' OR inet_server_addr() = '::1', true) AS is_local

-- name: read_carrying
-- purpose: How far the carrying of other databases into these has come; none where none is under way.
SELECT value FROM secrets WHERE name = 'carrying'

-- name: note_carrying
-- purpose: Note how far a carrying has come.
INSERT INTO secrets (name, value, created_at) VALUES ('carrying', :value, 0)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: drop_carrying
-- purpose: A carrying is done.
DELETE FROM secrets WHERE name = 'carrying'

-- name: count_served
-- purpose: How many transactions a server has answered in this database since its statistics began.
-- dialect: postgresql
SELECT xact_commit AS served FROM pg_stat_database WHERE datname = current_database()
