"""The rules that come along: the four of the guide's, put right, and what else goes wrong in a server that is measured.

Each has a paragraph in docs/alerts.md that says what to do. `limit` in a condition is the number of that name; settings
change it, or any other field, under the rule's name.
"""

from __future__ import annotations

from atomic_guide.operations.alerts.rule import Given

_MINUTE, _HOUR = 60.0, 3600.0

SHIPPED: tuple[Given, ...] = (
    Given(
        "scaling-event-failed", "Scaling Event Failed", "scaling_success_rate < limit", "critical", 5 * _MINUTE,
        limit=0.8,
        description="Of the scaling acts of the last 24 hours that could be judged only {percent} did what they"
                    " should.",
    ),
    Given(
        "resource-utilization-high", "Resource Utilization High", "resource_utilization > limit", "warning",
        10 * _MINUTE, keep_firing_seconds=5 * _MINUTE, limit=0.9,
        description="{component} {part} is used to {percent} of what it can take.",
    ),
    Given(
        "cost-spike", "Cost Spike Detected",
        "daily_cost > previous_day_cost * limit and daily_cost > previous_week_cost * limit", "warning", _HOUR,
        limit=1.5,
        description="Today has cost {value} so far: far more than yesterday and the same weekday a week ago had by this"
                    " time.",
    ),
    Given(
        "scaling-too-frequent", "Scaling Too Frequent", "scaling_events_per_hour > limit", "warning", 5 * _MINUTE,
        keep_firing_seconds=15 * _MINUTE, limit=5,
        description="{value} scaling acts were begun in the last hour; review the rules.",
    ),
    Given(
        "leader-missing", "Nobody Leads Scaling", "scaling_leader < 1", "critical", unmeasured_after=5 * _MINUTE,
        description="No process measures and scales.",
    ),
    Given(
        "forecast-wrong", "Forecast Wrong", "scaling_forecast_wrong > 0", "info", 30 * _MINUTE,
        description="The forecast of {fleet} was not what came, and is not relied on.",
    ),
    Given(
        "queue-stalled", "Jobs Wait Too Long", "queues_oldest > limit", "warning", 5 * _MINUTE,
        keep_firing_seconds=5 * _MINUTE, limit=900,
        description="The oldest job of the queue {queue} has waited for {value} s.",
    ),
    Given(
        "dead-letters-growing", "Jobs Fail For Good",
        "queues_dead_letters - previous_day_queues_dead_letters > limit", "warning", limit=10,
        description="The queue {queue} has {value} dead letters more than yesterday at this time.",
    ),
    Given(
        "errors-high", "Requests Fail", "web_errors > limit and web_throughput > 0.2", "critical", 5 * _MINUTE,
        keep_firing_seconds=5 * _MINUTE, limit=0.05,
        description="Of the requests {percent} are answered with an error of the server.",
    ),
    Given(
        "latency-high", "Answers Are Slow", "web_latency_p95 > limit and web_throughput > 0.2", "warning", 10 * _MINUTE,
        keep_firing_seconds=5 * _MINUTE, limit=2,
        description="One of twenty requests takes longer than {value} s.",
    ),
    Given(
        "replica-lags", "Replica Lags", "database_lag > limit", "warning", 5 * _MINUTE, keep_firing_seconds=5 * _MINUTE,
        limit=30,
        description="A replica of {shard} is {value} s behind its primary.",
    ),
    Given(
        "writes-wait", "Writes Wait", "database_lock_wait > limit and database_write_p95 > 0.25", "warning",
        10 * _MINUTE, keep_firing_seconds=5 * _MINUTE, limit=0.5,
        description="Writes to {shard} spend {percent} of their time waiting for one another.",
    ),
    Given(
        "limit-near", "A Limit Is Near", 'limit_usage{limit!=""} > limit', "warning", 5 * _MINUTE,
        keep_firing_seconds=15 * _MINUTE, limit=0.8,
        description="{percent} of the limit {limit} is used in the process that is nearest to it.",
    ),
    Given(
        "cache-unheard", "Changes Are Not Heard", "cache_unheard > 0", "warning", 5 * _MINUTE,
        keep_firing_seconds=5 * _MINUTE,
        description="{value} processes do not hear what others change, and remember values for seconds only.",
    ),
    Given(
        "disk-full", "Disk Nearly Full", "disk_utilisation > limit", "critical", 5 * _MINUTE, limit=0.95,
        description="The disk of the data directory is full to {percent}.",
    ),
    Given(
        "backup-late", "Backup Late", "backups_overdue > limit", "warning", 10 * _MINUTE, limit=2,
        description="The newest backup is {value} times as old as one should be.",
    ),
    Given(
        "region-away", "Region Away", "regions_away > limit", "critical", _MINUTE, keep_firing_seconds=5 * _MINUTE,
        limit=0.5,
        description="Of the processes elsewhere {percent} find the region {region} away.",
    ),
    Given(
        "region-refused", "No Region For Requests", "regions_refused > limit", "critical", _MINUTE,
        keep_firing_seconds=5 * _MINUTE, limit=0,
        description="{value} requests a second are refused, because no region that may answer them is there.",
    ),
    Given(
        "copy-late", "Copies Are Late", "assets_behind > limit", "warning", 10 * _MINUTE, limit=6 * 3600,
        description="A lecture has had no verified copy in {store} for {value} s.",
    ),
)  # fmt: skip
