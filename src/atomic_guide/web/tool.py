"""The learning tool's parts as the web layer sees them; `app.build` puts one together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.analytics.ingest import Scores
    from atomic_guide.course.analytics.performance import Performance
    from atomic_guide.course.keeping.reads import Reads
    from atomic_guide.course.lti.assembly import Lti
    from atomic_guide.course.lti.practice.platform import PracticePlatform
    from atomic_guide.course.notifications.assembly import Notifications
    from atomic_guide.course.video.assembly import Media
    from atomic_guide.course.watching.lectures import Lectures
    from atomic_guide.course.watching.taking import Events
    from atomic_guide.engines.cache.layered import Cache
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.alerts.desk import Desk
    from atomic_guide.operations.caching.desk import Desk as CacheDesk
    from atomic_guide.operations.capacity.capacity import Capacity
    from atomic_guide.operations.costs.assembly import Costs
    from atomic_guide.operations.jobs.desk import Desk as QueueDesk
    from atomic_guide.operations.jobs.letters import Letters
    from atomic_guide.operations.limits.register import Register
    from atomic_guide.operations.placement.desk import Desk as PlacementDesk
    from atomic_guide.operations.scaling.foresight import Foresight
    from atomic_guide.operations.scaling.overview import Overview
    from atomic_guide.operations.scaling.simulator.runs import Simulator
    from atomic_guide.regions.here import Here
    from atomic_guide.setting import Shown
    from atomic_guide.web.chat import Chat
    from atomic_guide.web.dependencies import Known
    from atomic_guide.web.forgotten import Forgotten
    from atomic_guide.web.health import Health
    from atomic_guide.web.idempotency import Answers
    from atomic_guide.web.loadtests import Loadtests
    from atomic_guide.web.operators import Operators
    from atomic_guide.web.overload import Overload
    from atomic_guide.web.sessions import Sessions
    from atomic_guide.web.wanted import Wanted


class Tool(msgspec.Struct, kw_only=True):
    """Everything a handler may use."""

    clock: Clock
    shards: Shards
    placement: PlacementDesk
    cache: Cache
    remembered: CacheDesk
    sessions: Sessions
    operators: Operators
    forgotten: Forgotten
    answers: Answers
    overload: Overload
    scores: Scores
    performance: Performance
    events: Events
    watching: Lectures
    reads: Reads
    health: Health
    lti: Lti
    media: Media
    chat: Chat
    notifications: Notifications
    queues: QueueDesk
    letters: Letters
    alerts: Desk
    wanted: Wanted
    costs: Costs
    loadtests: Loadtests
    bounds: Register
    capacity: Capacity
    overview: Overview
    regions: Here
    foresight: Foresight
    simulator: Simulator
    dependencies: Known | None = None
    practice: PracticePlatform | None = None
    settings: list[Shown] = []
    """Every setting as it is in force, for operators."""
