"""The desks of queues and dead letters, joined with what the settings and the course say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from atomic_guide.clock import SystemClock
from atomic_guide.course.video.jobs import CALLED_OFF
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.jobs.desk import Desk, Rules
from atomic_guide.operations.jobs.letters import Letters

if TYPE_CHECKING:
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.shards import Shards

_GOAL_RULE = "queue-stalled"
"""The rule that says that jobs wait too long; its limit is how long one may."""


def made_desk(settings: Settings, shards: Shards, wake: Callable[[str], None] = lambda _: None) -> Desk:
    """The desk of queues; `wake` tells the workers of a queue that something has changed."""
    rule = rules_of(settings.alerts.rules).rules.get(_GOAL_RULE)
    goal = rule.given.limit if rule is not None and rule.given.enabled else None
    return Desk(shards, SystemClock(), Rules(settings.queues, goal), CALLED_OFF, wake)


def made_letters(settings: Settings, shards: Shards, wake: Callable[[str], None] = lambda _: None) -> Letters:
    """The desk of dead letters; `wake` as above."""
    return Letters(shards, SystemClock(), settings.queues, wake)
