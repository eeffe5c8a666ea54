-- name: write_report
-- purpose: Put a process's report in the place of its last one.
INSERT INTO scaling_reports (process, role, at, report) VALUES (:process, :role, :at, :report)
ON CONFLICT (process) DO UPDATE SET role = excluded.role, at = excluded.at, report = excluded.report

-- name: remove_report
-- purpose: Forget a process that has ended.
DELETE FROM scaling_reports WHERE process = :process

-- name: read_reports
-- purpose: What each process says of itself.
SELECT report FROM scaling_reports ORDER BY process LIMIT :limit

-- name: count_roles
-- purpose: How many processes of each role report.
SELECT role, count(*) AS processes FROM scaling_reports WHERE at >= :since GROUP BY role

-- name: count_series
-- purpose: How many series are known.
SELECT count(*) AS series FROM scaling_series

-- name: prune_reports
-- purpose: Forget processes that have been silent for long.
DELETE FROM scaling_reports WHERE at < :before

-- name: add_series
-- purpose: Give series that are new a number.
-- dialect: sqlite
INSERT INTO scaling_series (component, metric, part) VALUES (:component, :metric, :part) ON CONFLICT DO NOTHING

-- name: add_series
-- dialect: postgresql
INSERT INTO scaling_series (component, metric, part)
SELECT component, metric, part FROM unnest(:component::text[], :metric::text[], :part::text[])
  AS r(component, metric, part)
ON CONFLICT DO NOTHING

-- name: list_series
-- purpose: Every series and its number.
SELECT id, component, metric, part FROM scaling_series ORDER BY component, metric, part LIMIT :limit

-- name: take_slots
-- purpose: The rows of some slots, to put others beside them.
SELECT series, at, count, sum, least, most, histogram FROM scaling_samples
WHERE resolution = :resolution AND at >= :since AND at < :until

-- name: put_slots
-- purpose: Write rows, in the place of those of the same slot.
-- dialect: sqlite
INSERT INTO scaling_samples (resolution, series, at, count, sum, least, most, histogram)
VALUES (:resolution, :series, :at, :count, :sum, :least, :most, :histogram)
ON CONFLICT (resolution, series, at) DO UPDATE SET count = excluded.count, sum = excluded.sum,
  least = excluded.least, most = excluded.most, histogram = excluded.histogram

-- name: put_slots
-- dialect: postgresql
INSERT INTO scaling_samples (resolution, series, at, count, sum, least, most, histogram)
SELECT :resolution, series, at, count, sum, least, most, histogram
FROM unnest(:series::int8[], :at::float8[], :count::int4[], :sum::float8[], :least::float8[], :most::float8[],
            :histogram::text[]) AS r(series, at, count, sum, least, most, histogram)
ON CONFLICT (resolution, series, at) DO UPDATE SET count = excluded.count, sum = excluded.sum,
  least = excluded.least, most = excluded.most, histogram = excluded.histogram

-- name: find_oldest
-- purpose: When the oldest row of a resolution begins.
SELECT min(at) AS at FROM scaling_samples WHERE resolution = :resolution

-- name: drop_slots
-- purpose: Remove the rows of some slots and return them.
DELETE FROM scaling_samples WHERE resolution = :resolution AND at >= :since AND at < :until
RETURNING series, at, count, sum, least, most, histogram

-- name: read_samples
-- purpose: The rows of a series in a time, of every resolution.
SELECT resolution, at, count, sum, least, most FROM scaling_samples
WHERE resolution IN (15, 60, 900, 3600) AND series = :series AND at >= :since AND at < :until
ORDER BY at LIMIT :limit

-- name: read_histograms
-- purpose: The durations of a series in a time, of every resolution.
SELECT resolution, at, sum, histogram FROM scaling_samples
WHERE resolution IN (15, 60, 900, 3600) AND series = :series AND at >= :since AND at < :until
ORDER BY at LIMIT :limit

-- name: read_latest
-- purpose: The newest measurement of a series.
SELECT at, count, sum FROM scaling_samples
WHERE resolution = 15 AND series = :series AND at >= :since ORDER BY at DESC LIMIT 1

-- name: mean_slots
-- purpose: The mean of a series in each slot of a time, counted from its begin.
-- dialect: sqlite
SELECT CAST((at - :since) / :step AS INTEGER) AS slot, sum(sum) / sum(count) AS value FROM scaling_samples
WHERE resolution IN (15, 60, 900, 3600) AND series =
  (SELECT id FROM scaling_series WHERE component = :component AND metric = :metric AND part = :part)
  AND at >= :since AND at < :until
GROUP BY 1

-- name: mean_slots
-- dialect: postgresql
SELECT floor((at - :since::float8) / :step::float8)::int8 AS slot, sum(sum) / sum(count) AS value FROM scaling_samples
WHERE resolution IN (15, 60, 900, 3600) AND series =
  (SELECT id FROM scaling_series WHERE component = :component AND metric = :metric AND part = :part)
  AND at >= :since AND at < :until
GROUP BY 1
