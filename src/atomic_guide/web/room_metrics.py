"""What the rooms of this process show to Prometheus, read when it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.rooms.lag import NO_LAG
from atomic_guide.engines.rooms.registry import Rooms

_COUNTERS = {
    "delivered": "Messages times the sockets that they were written to.",
    "dropped": "Presence and typing frames that slow readers did not get.",
    "slow_closed": "Sockets closed because they did not read.",
    "refused": "Sockets refused because the room or the person had enough, or the process was stopping.",
    "repairs": "Gaps that were filled from the database because an announcement was lost or late.",
}


_LAG_BYTES = (0, 4096, 65_536, 262_144, 1_048_576)
_LAG_SECONDS = (0, 0.1, 0.5, 1, 5, 15, 60)
"""Bounds of the buckets; the first holds those who keep up, those of bytes are about the soft and the hard limit."""


class RoomMetrics(Collector):
    """A collector over the rooms and their connection to other processes."""

    def __init__(self, rooms: Rooms, connection: Connection | None = None) -> None:
        self._rooms = rooms
        self._connection = connection

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        yield GaugeMetricFamily("atomic_guide_room_sockets", "Connected sockets.", value=len(self._rooms.sockets))
        yield GaugeMetricFamily("atomic_guide_rooms", "Rooms in memory.", value=self._rooms.rooms)
        yield from self._lag()
        yield GaugeMetricFamily(
            "atomic_guide_room_processes", "Other processes that beat on the bus.", value=self._rooms.peers.alive
        )
        yield GaugeMetricFamily(
            "atomic_guide_room_bus_carries",
            "1 while this process's own beat comes back over the bus; else messages of others come late.",
            value=int(self._rooms.peers.hearing),
        )
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

    def _lag(self) -> Iterator[Metric]:
        """How far the sockets of this moment are behind."""
        lags = [socket.lag() or NO_LAG for socket in self._rooms.sockets]
        seconds = [lag.seconds for lag in lags]
        text = "Connected sockets by how long their oldest unsent byte has waited."
        yield _spread("atomic_guide_room_lag_seconds", text, _LAG_SECONDS, seconds)
        text = "Connected sockets by how much is written to them and not sent."
        yield _spread("atomic_guide_room_lag_bytes", text, _LAG_BYTES, [lag.bytes for lag in lags])


def _spread(name: str, text: str, bounds: Sequence[float], values: Sequence[float]) -> Metric:
    """A histogram of what is now, not of what has been."""
    buckets = [(str(bound), sum(value <= bound for value in values)) for bound in bounds]
    return GaugeHistogramMetricFamily(name, text, buckets=[*buckets, ("+Inf", len(values))], gsum_value=sum(values))
