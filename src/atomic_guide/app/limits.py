"""Every limit of the product, and what measures each in a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide import tracing
from atomic_guide.config import value_at
from atomic_guide.course.analytics import limits as analytics
from atomic_guide.course.chat import limits as chat
from atomic_guide.course.lti import limits as lti
from atomic_guide.course.video import ffmpeg
from atomic_guide.course.video import limits as video
from atomic_guide.course.watching import limits as watching
from atomic_guide.engines.assets import store
from atomic_guide.engines.cache import limits as cache
from atomic_guide.engines.data import limits as data
from atomic_guide.engines.data import usage as database_usage
from atomic_guide.engines.nats import limits as nats
from atomic_guide.engines.queues import limits as queues
from atomic_guide.engines.queues.load import resident
from atomic_guide.engines.rooms import limits as rooms
from atomic_guide.engines.rooms import usage as room_usage
from atomic_guide.limit import Used
from atomic_guide.operations.alerts import limits as alerts
from atomic_guide.operations.capacity import limits as capacity
from atomic_guide.operations.costs import limits as costs
from atomic_guide.operations.limits.register import Register
from atomic_guide.operations.loadtest import limits as loadtest
from atomic_guide.operations.operators import limits as operators
from atomic_guide.operations.scaling import limits as scaling
from atomic_guide.web import bounds as web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.engines.nats.connection import Connection
    from atomic_guide.limit import Limit
    from atomic_guide.web.observe import WebMetrics
    from atomic_guide.web.socket import SocketDoor
    from atomic_guide.web.tool import Tool

LIMITS: tuple[Limit, ...] = (
    *(*web.LIMITS, *rooms.LIMITS, *chat.LIMITS, *lti.LIMITS, *video.LIMITS, *analytics.LIMITS, *watching.LIMITS),
    *(*queues.LIMITS, *data.LIMITS, *nats.LIMITS, *cache.LIMITS, *store.LIMITS, *scaling.LIMITS),
    *(*alerts.LIMITS, *costs.LIMITS, *loadtest.LIMITS, *capacity.LIMITS, *operators.LIMITS),
    *tracing.LIMITS,
)
"""In the order in which pages list them."""

_PARTS = frozenset({store.DISK.name})
"""Limits whose value is made from their setting and what there is, and is told by what measures them."""


def values_of(settings: Settings) -> dict[str, float]:
    """What the settings allow, by limit; none of those of which each part has its own."""
    found: dict[str, float] = {}
    for limit in LIMITS:
        if limit.fixed is not None:
            found[limit.name] = limit.fixed
        elif "*" not in limit.key and limit.name not in _PARTS:
            found[limit.name] = float(value_at(settings, limit.key))
    return found


def made_register(settings: Settings, clock: Clock) -> Register:
    """The register of a process; nothing measures yet."""
    return Register(LIMITS, values_of(settings), clock.monotonic)


def measure_parts(tool: Tool, connection: Connection) -> None:
    """Have what every process has measure its limits."""
    register, ledger = tool.bounds, tool.performance.ledger
    register.add(lambda: database_usage.used(tool.shards))
    register.add(connection.used)
    register.add(lambda: cache.used(tool.cache))
    register.add(tool.media.parts.store.used)
    register.add(ffmpeg.used)
    register.add(lambda: [Used(queues.PROCESS_MEMORY, resident() / 2**20)])
    register.add(lambda: [Used(analytics.MEMORY_BYTES, max(ledger.columns.size, ledger.standings.size))])


def measure_web(tool: Tool, metrics: WebMetrics, door: SocketDoor) -> None:
    """Have what a process that answers requests has measure, too."""
    register = tool.bounds
    register.add(lambda: room_usage.used(tool.chat.rooms))
    register.add(tool.chat.limits.used)
    register.add(tool.lti.logins.used)
    register.add(tool.simulator.used)
    register.add(tool.operators.used)

    def used() -> Iterator[Used]:
        yield Used(web.REQUESTS, metrics.answering)
        yield Used(web.HANDSHAKES, len(door.handshakes))
        yield Used(chat.PENDING_MESSAGES, tool.chat.messages.waiting)

    register.add(used)
