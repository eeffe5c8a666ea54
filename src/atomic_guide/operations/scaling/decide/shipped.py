"""The rules that come with the product. A rule of the settings with the same name replaces one.

Three limits were asked for: reads over a second, 10,000 waiting jobs, 800 of the 1,000 sockets that a process takes of
one room. The windows are ours: five minutes hold hundreds of reads even on a quiet shard; a backlog that does not fall
within a minute is no burst of one import; a room that fills before a lecture takes minutes, so half a minute is soon
enough. Writes wait for one writer of a shard, and another shard is another writer: half a second is what a person
notices, for ten minutes. The ways back are wide apart from the ways there, so that none follows from the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from atomic_guide.operations.scaling.model import DATABASE, QUEUES, REPLICAS, ROOMS, SHARDS, WEB, WORKERS
from atomic_guide.operations.scaling.settings import RuleSettings

SHIPPED = (
    RuleSettings(
        name="slow-reads", fleet=REPLICAS, component=DATABASE, metric="query", part="*", above=1.0, clear=0.5,
        quantile=0.95, for_seconds=300.0, action="add_read_replica", urgency="high", cause="reads",
    ),
    RuleSettings(
        name="quick-reads", fleet=REPLICAS, component=DATABASE, metric="query", part="*", below=0.1, clear=0.3,
        quantile=0.95, for_seconds=4 * 3600.0, action="remove_read_replica", urgency="low",
    ),
    RuleSettings(
        name="slow-writes", fleet=SHARDS, component=DATABASE, metric="write", part="*", above=0.5, clear=0.25,
        quantile=0.95, for_seconds=600.0, action="increase_sharding", urgency="medium", cause="writes",
    ),
    RuleSettings(
        name="backlog", fleet=WORKERS, component=QUEUES, metric="backlog", part="*", above=10_000.0, clear=5_000.0,
        for_seconds=60.0, action="add_consumer", urgency="medium", cause="drain",
    ),
    RuleSettings(
        name="old-jobs", fleet=WORKERS, component=QUEUES, metric="oldest", part="*", above=600.0, clear=300.0,
        for_seconds=120.0, action="add_consumer", urgency="medium", cause="drain",
    ),
    RuleSettings(
        name="full-room", fleet=WEB, component=ROOMS, metric="fullest_room", above=800.0, clear=600.0,
        for_seconds=30.0, action="increase_sharding", urgency="high",
    ),
    RuleSettings(
        name="empty-rooms", fleet=WEB, component=ROOMS, metric="fullest_process", below=200.0, clear=400.0,
        quantile=0.95, for_seconds=1800.0, action="decrease_sharding", urgency="low",
    ),
)  # fmt: skip


def rules_in_force(own: Iterable[RuleSettings]) -> tuple[RuleSettings, ...]:
    """The shipped rules with the operator's beside them or in their place, without those that are switched off."""
    merged = {rule.name: rule for rule in SHIPPED}
    merged.update({rule.name: rule for rule in own})
    return tuple(rule for rule in merged.values() if rule.enabled)
