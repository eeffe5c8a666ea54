-- name: find_subscription
-- purpose: At the target, whether the rows of a move are being followed.
-- dialect: postgresql
SELECT s.oid FROM pg_subscription AS s
WHERE s.subname = :name AND s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())

-- name: read_subscription
-- purpose: How far it is: tables that are not yet in step, the stages that all have passed, rows of the copies that are
--   under way; and the bytes of log that are applied for certain. That is the position of the last keep-alive that the
--   worker has read, which it does in turn with the changes.
-- dialect: postgresql
SELECT (SELECT count(*) FROM pg_subscription_rel AS r WHERE r.srsubid = :oid AND r.srsubstate <> 'r') AS missing,
       (SELECT coalesce(sum(position(r.srsubstate::text IN 'idfsr')), 0) FROM pg_subscription_rel AS r
        WHERE r.srsubid = :oid) AS stages,
       (SELECT coalesce(sum(c.tuples_processed), 0)::bigint FROM pg_stat_progress_copy AS c
        WHERE c.datname = current_database()) AS copied,
       coalesce((SELECT max(p.latest_end_lsn) - '0/0' FROM pg_stat_subscription AS p
                 WHERE p.subid = :oid AND p.relid IS NULL), -1)::bigint AS position

-- name: wal_position
-- purpose: How far the log of a server is on its disk, in bytes.
-- dialect: postgresql
SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint AS position

-- name: find_slot
-- purpose: At the source, the slot that keeps the log for a move.
-- dialect: postgresql
SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = :name

-- name: make_slot
-- purpose: Keep the log from now on. In a transaction of its own, as the server asks.
-- dialect: postgresql
SELECT slot_name FROM pg_create_logical_replication_slot(:name, 'pgoutput')

-- name: end_sender
-- purpose: End the process that sends from a slot.
-- dialect: postgresql
SELECT pg_terminate_backend(active_pid) AS ended FROM pg_replication_slots WHERE slot_name = :name AND active

-- name: drop_slot
-- purpose: Keep the log for a move no longer.
-- dialect: postgresql
SELECT pg_drop_replication_slot(slot_name) IS NULL AS dropped FROM pg_replication_slots
WHERE slot_name = :name AND NOT active

-- name: list_leftovers
-- purpose: Everything of moves that a server has: subscriptions and publications of this database, slots on it; and the
--   slots in which a subscription of another shard copies single tables.
-- dialect: postgresql
SELECT 'subscription' AS kind, s.subname::text AS name FROM pg_subscription AS s
WHERE s.subname LIKE 'guide\_move\_%'
  AND s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
UNION ALL
SELECT 'publication', p.pubname::text FROM pg_publication AS p WHERE p.pubname LIKE 'guide\_move\_%'
UNION ALL
SELECT 'slot', r.slot_name::text FROM pg_replication_slots AS r
WHERE r.database = current_database() AND (r.slot_name LIKE 'guide\_move\_%' OR r.slot_name LIKE 'pg\_%\_sync\_%')

-- name: list_subscribers
-- purpose: The identity of a server, and the subscriptions that it has.
-- dialect: postgresql
SELECT (SELECT c.system_identifier FROM pg_control_system() AS c) AS system,
       coalesce((SELECT array_agg(s.oid::bigint) FROM pg_subscription AS s), '{}') AS subscriptions
