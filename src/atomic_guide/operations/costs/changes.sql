-- name: lock_changes
-- purpose: Until the end of the transaction nobody else makes or takes back a change, or sets bounds of a fleet.
-- dialect: postgresql
LOCK TABLE costs_changes, scaling_bounds IN SHARE ROW EXCLUSIVE MODE

-- name: lock_changes
-- purpose: A transaction that writes is alone in its file.
-- dialect: sqlite
SELECT 1

-- name: list_changes
-- purpose: What is in force.
SELECT id, fleet, applied_at, who, before, after, advice, verdict FROM costs_changes ORDER BY applied_at, id LIMIT 1000

-- name: find_change
-- purpose: One that is in force.
SELECT id, fleet, applied_at, who, before, after, advice, verdict FROM costs_changes WHERE id = :id

-- name: find_fleet_change
-- purpose: What is in force on a fleet.
SELECT id FROM costs_changes WHERE fleet = :fleet

-- name: add_change
-- purpose: Put one in force.
INSERT INTO costs_changes (id, fleet, applied_at, who, before, after, advice, verdict)
VALUES (:id, :fleet, :applied_at, :who, :before, :after, :advice, NULL)

-- name: drop_change
-- purpose: It is taken back.
DELETE FROM costs_changes WHERE id = :id

-- name: judge_change
-- purpose: Keep what one has really saved, once.
UPDATE costs_changes SET verdict = :verdict WHERE id = :id AND verdict IS NULL

-- name: note_entry
-- purpose: Say in the audit what was done.
INSERT INTO costs_audit (at, who, what, change, details) VALUES (:at, :who, :what, :change, :details)

-- name: last_entry
-- purpose: Whether the audit knows a change.
SELECT what FROM costs_audit WHERE change = :change ORDER BY number DESC LIMIT 1

-- name: list_entries
-- purpose: The newest entries of the audit.
SELECT number, at, who, what, change, details FROM costs_audit WHERE (:change = '' OR change = :change)
ORDER BY number DESC LIMIT :limit

-- name: count_entries
-- purpose: How many entries there are; numbers have no gaps but for what is gone at their beginning.
SELECT coalesce(max(number) - min(number) + 1, 0) AS entries FROM costs_audit

-- name: prune_entries
-- purpose: Forget the oldest entries where there are too many.
DELETE FROM costs_audit WHERE number <= (SELECT max(number) FROM costs_audit) - :most
