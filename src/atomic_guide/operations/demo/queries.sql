-- name: first_measured
-- purpose: When anything was first measured, of one resolution.
SELECT min(at) AS at FROM scaling_samples WHERE resolution = :resolution

-- name: add_event
-- purpose: A decision that was made over the made-up demand, with what became of it.
INSERT INTO scaling_events (id, fleet, rule, at, state, step, mode, token, before, after, decision, started_at,
                            ended_at, error, verdict)
VALUES (:id, :fleet, :rule, :at, :state, '', :mode, 0, :before, :after, :decision, :started_at, :ended_at, :error,
        :verdict)
ON CONFLICT (id) DO NOTHING

-- name: end_lead
-- purpose: Whoever leads begins anew, from the memory that the same transaction puts there.
UPDATE scaling_leases SET owner = '', beat = beat + 1, until = 0 WHERE name = 'scaling'

-- name: drop_samples
-- purpose: A part of the made-up record.
DELETE FROM scaling_samples WHERE resolution = :resolution AND at >= :since AND at < :until

-- name: drop_series
-- purpose: Series of the demo's tenant, which nobody else has.
DELETE FROM scaling_series WHERE component = 'costs' AND part = :tenant

-- name: drop_events
-- purpose: Decisions over made-up demand: those that were added, and what a server decided after it knew of them.
DELETE FROM scaling_events WHERE at < :until OR at >= :added_at

-- name: drop_forecasts
-- purpose: Forecasts made from the made-up record.
DELETE FROM scaling_forecasts WHERE made_at < :until OR made_at >= :added_at

-- name: drop_nights
-- purpose: Replays of made-up days.
DELETE FROM scaling_nights WHERE at < :until OR at >= :added_at

-- name: drop_days
-- purpose: Days that were closed with made-up hours in them.
DELETE FROM costs_days WHERE closed_at >= :added_at

-- name: drop_alerts
-- purpose: What rules said of the made-up record.
DELETE FROM alerts_log WHERE at < :until

-- name: drop_standing
-- purpose: How the made-up fleets stood, where no server has told of real ones since.
DELETE FROM scaling_memory WHERE name = 'standing' AND at < :added_at
