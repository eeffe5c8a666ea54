"""What the rooms of this process show to Prometheus, read when it asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.rooms.registry import Rooms

_COUNTERS = {
    "delivered": "Messages times the sockets that they were written to.",
    "dropped": "Presence and typing frames that slow readers did not get.",
    "slow_closed": "Sockets closed because they did not read.",
    "refused": "Sockets refused because the room or the person had enough, or the process was stopping.",
    "repairs": "Gaps that were filled from the database because an announcement was lost or late.",
}


class RoomMetrics(Collector):
    """A collector over the rooms and their connection to other processes."""

    def __init__(self, rooms: Rooms, connection: Connection | None = None) -> None:
        self._rooms = rooms
        self._connection = connection

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        yield GaugeMetricFamily("atomic_guide_room_sockets", "Connected sockets.", value=len(self._rooms.sockets))
        yield GaugeMetricFamily("atomic_guide_rooms", "Rooms in memory.", value=self._rooms.rooms)
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"atomic_guide_room_{name}", text, value=getattr(self._rooms, name))
        if self._connection is not None:
            yield GaugeMetricFamily(
                "atomic_guide_nats_connected", "1 while NATS is there.", value=int(self._connection.connected)
            )
            yield CounterMetricFamily(
                "atomic_guide_nats_dropped",
                "Announcements that were not sent because NATS was away or too slow.",
                value=self._connection.dropped,
            )
