"""Figures of measurements in words, each with the unit that its source declares."""

import pytest

from atomic_guide.app.sources.declared import UNITS
from atomic_guide.operations.scaling.metric import written
from tests import scaling_units


@pytest.mark.parametrize(
    ("component", "metric", "value", "says"),
    [
        ("rooms", "fullest_process", 35.57, "35.57 sockets"),
        ("rooms", "sockets", 1, "1 socket"),
        ("rooms", "deliveries", 12_345.6, "12,346 frames/s"),
        ("web", "processes", 1, "1 process"),
        ("web", "processes", 0, "0 processes"),
        ("web", "throughput", 1, "1 request/s"),
        ("web", "errors", 0.0612345, "6.12%"),
        ("web", "utilisation", 1, "100%"),
        ("web", "latency", 0.0354, "35.4 ms"),
        ("web", "latency_p95", 1.5, "1.5 s"),
        ("web", "latency", 0, "0 s"),
        ("web", "loop_lag", 1, "1 s"),
        ("web", "work", 1.25, "1.25 s/s"),
        ("web", "work", 1, "1 s/s"),
        ("queues", "oldest", 119, "119 s"),
        ("queues", "oldest", 600, "10 min"),
        ("queues", "oldest", 7199, "120 min"),
        ("queues", "oldest", 7200, "2 h"),
        ("web", "memory", 999, "999 B"),
        ("web", "memory", 1_234_567_890, "1.23 GB"),
        ("costs", "stored", 5e16, "5e+04 TB"),
        ("costs", "sent", 2000, "2 kB/s"),
        ("costs", "hourly", 3.5, "3.5"),
        ("regions", "drained", 1, "1"),
        ("hall", "lights", 3.5, "3.5"),
        ("hall", "lights_p95", 1000, "1,000"),
    ],
)
def test_a_figure_is_written_with_its_unit(component: str, metric: str, value: float, says: str) -> None:
    assert written(UNITS, component, metric, value) == says


def test_tests_of_scaling_name_the_units_that_sources_declare() -> None:
    assert scaling_units.UNITS.items() <= UNITS.items()
