-- name: read_lease
-- purpose: Who leads, and what time the database has.
-- dialect: sqlite
SELECT owner, token, beat, until, (julianday('now') - 2440587.5) * 86400.0 AS now
FROM scaling_leases WHERE name = :name

-- name: read_lease
-- dialect: postgresql
SELECT owner, token, beat, until, extract(epoch FROM clock_timestamp())::float8 AS now
FROM scaling_leases WHERE name = :name

-- name: add_lease
-- purpose: Make the row of a lease, which nobody holds.
INSERT INTO scaling_leases (name, owner, token, beat, until) VALUES (:name, '', 0, 0, 0) ON CONFLICT (name) DO NOTHING

-- name: take_lease
-- purpose: Take a lease that is as it was seen, with a token above every one there was. The clock is its floor, so that
--   tokens grow even over a directory that was put back from a backup.
-- dialect: sqlite
UPDATE scaling_leases SET owner = :owner, beat = beat + 1,
  token = max(token + 1, CAST((julianday('now') - 2440587.5) * 86400.0 AS INTEGER)),
  until = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE name = :name AND token = :token AND beat = :beat
RETURNING token

-- name: take_lease
-- dialect: postgresql
UPDATE scaling_leases SET owner = :owner, beat = beat + 1,
  token = greatest(token + 1, extract(epoch FROM clock_timestamp())::bigint),
  until = extract(epoch FROM clock_timestamp())::float8 + :seconds::float8
WHERE name = :name AND token = :token AND beat = :beat
RETURNING token

-- name: renew_lease
-- purpose: The leader lives.
-- dialect: sqlite
UPDATE scaling_leases SET beat = beat + 1, until = (julianday('now') - 2440587.5) * 86400.0 + :seconds
WHERE name = :name AND token = :token AND owner = :owner

-- name: renew_lease
-- dialect: postgresql
UPDATE scaling_leases SET beat = beat + 1, until = extract(epoch FROM clock_timestamp())::float8 + :seconds::float8
WHERE name = :name AND token = :token AND owner = :owner

-- name: release_lease
-- purpose: The leader lets go; its token stays the newest there was.
UPDATE scaling_leases SET owner = '', beat = beat + 1, until = 0
WHERE name = :name AND token = :token AND owner = :owner

-- name: hold_lease
-- purpose: Whether a leader is still the newest, which stays so until the transaction ends.
-- dialect: sqlite
SELECT token FROM scaling_leases WHERE name = :name AND token = :token AND owner = :owner

-- name: hold_lease
-- dialect: postgresql
SELECT token FROM scaling_leases WHERE name = :name AND token = :token AND owner = :owner FOR SHARE

-- name: add_event
-- purpose: Write a decision down, once; refused by `scaling_events_acting` while another act on the fleet is under way.
INSERT INTO scaling_events (id, fleet, rule, at, state, step, mode, token, before, after, decision, started_at,
                            ended_at, error)
VALUES (:id, :fleet, :rule, :at, :state, :step, :mode, :token, :before, :after, :decision, :started_at, :ended_at,
        :error)
ON CONFLICT (id) DO NOTHING

-- name: start_event
-- purpose: What an operator has agreed to begins; refused by `scaling_events_acting` as above.
UPDATE scaling_events SET state = 'acting', step = 'asking', token = :token, started_at = :now
WHERE id = :id AND state = 'awaiting' AND step = 'approved' AND token <= :token

-- name: advance_event
-- purpose: The next step of an act, with why it goes back where it does.
UPDATE scaling_events SET step = :step, error = :error, token = :token
WHERE id = :id AND state = 'acting' AND token <= :token

-- name: end_event
-- purpose: What became of a decision.
UPDATE scaling_events SET state = :state, step = '', error = :error, token = :token, ended_at = :now
WHERE id = :id AND state IN ('awaiting', 'acting') AND token <= :token

-- name: approve_event
-- purpose: An operator agrees.
UPDATE scaling_events SET step = 'approved' WHERE id = :id AND state = 'awaiting' AND step = ''

-- name: refuse_event
-- purpose: An operator does not agree, as long as the act has not begun.
UPDATE scaling_events SET state = 'refused', step = '', error = :error, ended_at = :now
WHERE id = :id AND state = 'awaiting'

-- name: judge_event
-- purpose: What the windows before and after say.
UPDATE scaling_events SET verdict = :verdict, token = :token WHERE id = :id AND token <= :token

-- name: read_event
-- purpose: One event.
SELECT id, state, step, mode, token, before, after, decision, started_at, ended_at, error, verdict FROM scaling_events
WHERE id = :id

-- name: list_open_events
-- purpose: What is carried out, or waits for an operator; the oldest first.
SELECT id, state, step, mode, token, before, after, decision, started_at, ended_at, error, verdict FROM scaling_events
WHERE state IN ('acting', 'awaiting') ORDER BY at, id LIMIT 1000

-- name: list_events
-- purpose: The newest events of a time that are of a fleet, a state and a rule, each where one is named.
SELECT id, state, step, mode, token, before, after, decision, started_at, ended_at, error, verdict FROM scaling_events
WHERE at >= :since AND at < :until AND (:fleet = '' OR fleet = :fleet) AND (:state = '' OR state = :state)
  AND (:rule = '' OR rule = :rule)
ORDER BY at DESC, id DESC LIMIT :limit

-- name: list_unjudged_events
-- purpose: Acts that have ended well and changes that were only watched, whose second window may have passed.
SELECT id, state, step, mode, token, before, after, decision, started_at, ended_at, error, verdict FROM scaling_events
WHERE verdict IS NULL AND at >= :since AND (state = 'done' OR state = 'shadowed') ORDER BY at, id LIMIT :limit

-- name: newest_events
-- purpose: The newest event of each fleet.
SELECT e.id, e.state, e.step, e.mode, e.token, e.before, e.after, e.decision, e.started_at, e.ended_at, e.error,
       e.verdict
FROM scaling_events AS e
WHERE e.id IN (
  SELECT (SELECT n.id FROM scaling_events AS n WHERE n.fleet = f.fleet ORDER BY n.at DESC, n.id DESC LIMIT 1)
  FROM (SELECT DISTINCT fleet FROM scaling_events) AS f)
ORDER BY e.fleet LIMIT 1000

-- name: prune_events
-- purpose: Forget what has ended long ago.
DELETE FROM scaling_events WHERE at < :before AND state NOT IN ('acting', 'awaiting')

-- name: note_audit
-- purpose: Who did what.
INSERT INTO scaling_audit (at, who, what, fleet, event, details)
VALUES (:at, :who, :what, :fleet, :event, :details)

-- name: list_audit
-- purpose: The newest entries, of one event where it is named.
SELECT number, at, who, what, fleet, event, details FROM scaling_audit
WHERE (:event = '' OR event = :event) AND (:fleet = '' OR fleet = :fleet) ORDER BY number DESC LIMIT :limit

-- name: prune_audit
-- purpose: Forget entries of long ago, and the oldest where there are too many.
DELETE FROM scaling_audit
WHERE at < :before OR number <= (SELECT coalesce(max(a.number), 0) - :most FROM scaling_audit AS a)

-- name: read_controls
-- purpose: What operators have set, and what time the database has.
-- dialect: sqlite
SELECT fleet, mode, paused_until, why, pinned, changed_at, (julianday('now') - 2440587.5) * 86400.0 AS now
FROM scaling_controls ORDER BY fleet

-- name: read_controls
-- dialect: postgresql
SELECT fleet, mode, paused_until, why, pinned, changed_at, extract(epoch FROM clock_timestamp())::float8 AS now
FROM scaling_controls ORDER BY fleet

-- name: database_time
-- purpose: What time the database has, s since the epoch: it is the same for all who pause and all who look.
-- dialect: sqlite
SELECT (julianday('now') - 2440587.5) * 86400.0 AS now

-- name: database_time
-- dialect: postgresql
SELECT extract(epoch FROM clock_timestamp())::float8 AS now

-- name: set_mode
-- purpose: A fleet's mode beside the settings; NULL where they hold again.
INSERT INTO scaling_controls (fleet, mode, paused_until, why, pinned, changed_at)
VALUES (:fleet, :mode, NULL, '', NULL, :now)
ON CONFLICT (fleet) DO UPDATE SET mode = excluded.mode, changed_at = excluded.changed_at

-- name: set_pause
-- purpose: Nothing is done to a fleet until a time; NULL where it goes on.
INSERT INTO scaling_controls (fleet, mode, paused_until, why, pinned, changed_at)
VALUES (:fleet, NULL, :until, :why, NULL, :now)
ON CONFLICT (fleet) DO UPDATE
SET paused_until = excluded.paused_until, why = excluded.why, changed_at = excluded.changed_at

-- name: set_pin
-- purpose: The candidate that the nightly choice is pinned to; NULL where it is free.
INSERT INTO scaling_controls (fleet, mode, paused_until, why, pinned, changed_at)
VALUES (:fleet, NULL, NULL, '', :pinned, :now)
ON CONFLICT (fleet) DO UPDATE SET pinned = excluded.pinned, changed_at = excluded.changed_at

-- name: save_memory
-- purpose: What the leader knows, for the next one.
INSERT INTO scaling_memory (name, at, value) VALUES (:name, :at, :value)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, value = excluded.value

-- name: read_memory
-- purpose: What the last leader knew.
SELECT at, value FROM scaling_memory WHERE name = :name
