-- name: list_active
-- purpose: The alerts that are pending or firing.
SELECT rule, labels, state, active_at, fired_at, keeping_since, value FROM alerts_active
ORDER BY rule, labels LIMIT :limit

-- name: put_active
-- purpose: An alert as it is now.
INSERT INTO alerts_active (rule, labels, state, active_at, fired_at, keeping_since, value)
VALUES (:rule, :labels, :state, :active_at, :fired_at, :keeping_since, :value)
ON CONFLICT (rule, labels) DO UPDATE SET state = excluded.state, active_at = excluded.active_at,
  fired_at = excluded.fired_at, keeping_since = excluded.keeping_since, value = excluded.value

-- name: drop_active
-- purpose: An alert has ended.
DELETE FROM alerts_active WHERE rule = :rule AND labels = :labels

-- name: put_standing
-- purpose: When rules were evaluated last, and what was not known then.
INSERT INTO alerts_standing (name, at, value) VALUES (:name, :at, :value)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, value = excluded.value

-- name: read_standing
-- purpose: When rules were evaluated last.
SELECT at, value FROM alerts_standing WHERE name = :name

-- name: list_groups
-- purpose: What each channel knows of each group, and what it is to be told.
SELECT channel, id, state FROM alerts_groups ORDER BY channel, id LIMIT :limit

-- name: put_group
-- purpose: A group as it is now.
INSERT INTO alerts_groups (channel, id, state) VALUES (:channel, :id, :state)
ON CONFLICT (channel, id) DO UPDATE SET state = excluded.state

-- name: drop_group
-- purpose: Nothing of a group fires any more, and that was told.
DELETE FROM alerts_groups WHERE channel = :channel AND id = :id

-- name: add_silence
-- purpose: Keep alerts quiet; under the same id, once.
INSERT INTO alerts_silences (id, matchers, begins_at, ends_at, who, comment)
VALUES (:id, :matchers, :begins_at, :ends_at, :who, :comment) ON CONFLICT (id) DO NOTHING

-- name: end_silence
-- purpose: End a silence before its time.
UPDATE alerts_silences SET ends_at = :now WHERE id = :id AND ends_at > :now

-- name: read_silence
-- purpose: One silence.
SELECT id, matchers, begins_at, ends_at, who, comment FROM alerts_silences WHERE id = :id

-- name: list_silences
-- purpose: Silences that end after a time, the next to end first.
SELECT id, matchers, begins_at, ends_at, who, comment FROM alerts_silences WHERE ends_at > :after
ORDER BY ends_at, id LIMIT :limit

-- name: count_silences
-- purpose: How many silences are in force.
SELECT count(*) AS silences FROM alerts_silences WHERE ends_at > :now

-- name: count_entries
-- purpose: How many entries there are; numbers have no gaps but for what is gone at their beginning.
SELECT coalesce(max(number) - min(number) + 1, 0) AS entries FROM alerts_log

-- name: prune_silences
-- purpose: Forget silences that ended long ago.
DELETE FROM alerts_silences WHERE ends_at < :before

-- name: add_entry
-- purpose: What happened to an alert, or what somebody did.
INSERT INTO alerts_log (at, who, what, rule, labels, details) VALUES (:at, :who, :what, :rule, :labels, :details)

-- name: list_entries
-- purpose: The newest entries since a time, of a rule or of a kind where one is named.
SELECT number, at, who, what, rule, labels, details FROM alerts_log
WHERE at >= :since AND (:rule = '' OR rule = :rule) AND (:what = '' OR what = :what)
ORDER BY number DESC LIMIT :limit

-- name: prune_entries
-- purpose: Forget entries of long ago, and the oldest where there are too many.
DELETE FROM alerts_log
WHERE at < :before OR number <= (SELECT coalesce(max(a.number), 0) - :most FROM alerts_log AS a)
