"""A day of measurements with bursts, gaps and restarts, for the rules here and in a real Prometheus.

The same samples are written in OpenMetrics, put into blocks by promtool, and queried from a server that knows nothing
else; every condition is compared at every tick and for every series, in what is true, what is false, and so what is
unknown.
"""

from __future__ import annotations

import contextlib
import math
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from atomic_guide.operations.alerts.days import back
from atomic_guide.operations.alerts.export import unmeasured_expression
from atomic_guide.operations.alerts.names import NAMES, When
from atomic_guide.operations.alerts.promql import MEASUREMENT, SHIFT, Printer, Scope
from atomic_guide.operations.alerts.rule import Rule
from atomic_guide.operations.alerts.sights import Sights
from atomic_guide.operations.alerts.traces import Traces

TICK = 15
HOUR, DAY = 3600, 86_400
_EARLIER: tuple[When, ...] = ("previous_day", "previous_week")
_PARTS = {
    "queue": ("video", "analytics", "notifications"), "shard": ("shard-0", "shard-1"), "fleet": ("web", "workers"),
    "feature": ("chat", "video"), "tenant": ("t-1", "others"), "limit": ("rooms.room_sockets", ""),
}  # fmt: skip

OWN = (
    'queues_oldest{queue="video"} > 300 or queues_oldest{queue="analytics"} > 300',
    'queues_oldest{queue!="video"} > 300 and queues_backlog > 5',
    "not (queues_oldest > 300 and queues_backlog > 5)",
    "queues_oldest > 300 or web_errors > 0.02",
    "web_errors > 0.02 and (web_demand > 0.6 or queues_oldest > queues_backlog)",
    "queues_backlog / queues_throughput > 60",
    "not queues_backlog / queues_throughput > 60",
    "queues_backlog / (web_throughput - 5) <= 2",
    "5 < queues_backlog and web_errors > 0.02",
    "web_errors > 0.02 and queues_backlog > 5",
    "web_errors * 100 >= queues_backlog - 3",
    "database_query_p95 + database_write_p95 * 2 > 0.4 or database_lock_wait > 0.6",
    "web_demand - -web_utilisation != web_demand + web_utilisation",
    "web_processes == 2 and not (web_in_flight < 3 or web_throughput < 4)",
    "1 - web_errors < 0.99",
    'resource_utilization{component="database"} > 0.7',
    "previous_day_web_throughput * 1.2 < web_throughput",
    "queues_backlog > previous_week_queues_backlog",
    "daily_cost > previous_day_cost * 1.1 or daily_cost > previous_week_cost * 1.1",
    "rooms_sockets * 0 == 0",
)  # fmt: skip
"""Conditions that use every operator, with and without labels on either side."""


class Day(NamedTuple):
    """Samples of some days, and the moments at which rules are compared."""

    traces: Traces
    samples: list[tuple[tuple[str, str, str], list[tuple[int, float]]]]
    ticks: list[int]
    zone: tzinfo


def made_day(begin: int, hours: float, zone: tzinfo, seed: int = 1) -> Day:
    """Measurements of so many hours, and of what earlier days those are compared with."""
    chance = random.Random(seed)
    ticks = [begin + TICK * number for number in range(int(hours * HOUR) // TICK)]
    times: set[int] = set()
    for days in (7, 1, 0):
        # Two hours on either side: a day may be an hour longer.
        since = begin - days * DAY - (2 * HOUR if days else 15 * 60)
        times |= set(range(since - since % TICK, ticks[-1] - days * DAY + (2 * HOUR if days else 0), TICK))
    moments = sorted(times)
    traces = Traces()
    samples = []
    for component, metric, part in _series():
        shape = _shape(component, metric, chance, zone)
        gaps = _gaps(moments, chance)
        points = []
        for at in moments:
            if not gaps(at) and (value := shape(at)) is not None:
                points.append((at, value))
                traces.note(at, (component, metric, part), value)
        samples.append(((component, metric, part), points))
    return Day(traces, samples, ticks, zone)


def _series() -> list[tuple[str, str, str]]:
    found = set()
    for measured in NAMES.values():
        if measured.component is not None:
            for part in _PARTS.get(measured.label, ("",)):
                found.add((measured.component, measured.metric, part))
    return sorted(found)


def _shape(component: str, metric: str, chance: random.Random, zone: tzinfo) -> Callable[[int], float | None]:
    """A wave by the hour with steps on it; some are never measured, or restart at nothing as counters do."""
    top = {"oldest": 900.0, "backlog": 12.0, "dead_letters": 30.0, "processes": 3.0}.get(metric, 1.2)
    if metric in {"throughput", "in_flight", "sockets", "events_per_hour"}:
        top = 10.0
    phase, period = chance.uniform(0, 6.28), chance.choice([600, 1800, 5400])
    whole = top > 5
    if (component, metric) == ("costs", "daily"):
        dear = chance.uniform(1, 3)

        def daily(at: int) -> float:
            local = datetime.fromtimestamp(at, zone)
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()
            return (at - midnight) / HOUR * (dear + (at // DAY) % 3 * 0.4)

        return daily

    def wave(at: int) -> float:
        value = top * (0.5 + 0.6 * math.sin(at / period + phase)) + top * 0.1 * ((at // 900) % 3)
        return float(max(0, round(value))) if whole else max(0.0, round(value, 3))

    return wave


def _gaps(moments: Sequence[int], chance: random.Random) -> Callable[[int], bool]:
    """Single ticks that were missed, a source that was away for minutes, one that was away for half an hour."""
    spans = []
    for length, share in ((TICK, 400), (3 * TICK, 900), (8 * TICK, 1500), (120 * TICK, 6000)):
        for _ in range(max(1, len(moments) // share)):
            begin = chance.choice(moments)
            spans.append((begin, begin + length))
    missed = {at for begin, end in spans for at in range(begin, end, TICK)}
    return missed.__contains__


def write_openmetrics(day: Day, file: Path) -> int:
    """All samples, with how far earlier days lie back; returns how many there are."""
    count = 0
    with file.open("w", encoding="utf-8") as out:
        out.write(f"# TYPE {MEASUREMENT} gauge\n")
        for (component, metric, part), points in day.samples:
            labels = f'component="{component}",metric="{metric}",part="{part}"'
            for at, value in points:
                out.write(f"{MEASUREMENT}{{{labels}}} {value!r} {at}\n")
                count += 1
        out.write(f"# TYPE {SHIFT} gauge\n")
        for when in _EARLIER:
            for kind in ("time", "day"):
                for at in range(day.ticks[0] - 15 * 60, day.ticks[-1] + TICK, TICK):
                    distance = back(at, when, day.zone, daily=kind == "day") or 0.0
                    out.write(f'{SHIFT}{{to="{when}",of="{kind}"}} {distance!r} {at}\n')
                    count += 1
        out.write("# EOF\n")
    return count


def programs() -> tuple[str, str] | None:
    """The installed `prometheus` and `promtool`; None where they are not."""
    found = shutil.which("prometheus"), shutil.which("promtool")
    return (found[0], found[1]) if found[0] and found[1] else None


@contextlib.contextmanager
def prometheus(folder: Path, samples: Path, limit: float = 600.0) -> Iterator[httpx.Client]:
    """A real Prometheus over samples that promtool has put into its blocks."""
    found = programs()
    assert found is not None
    server, tool = found
    data = folder / "data"
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration", "24h", str(samples), str(data)],
        check=True, capture_output=True, timeout=limit,
    )  # fmt: skip
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 15s}\n", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, f"--config.file={config}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=limit) as client:
            _wait_until_ready(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "prometheus has ended"
        with contextlib.suppress(httpx.TransportError):
            if client.get("/-/ready").status_code == 200:
                return
        time.sleep(0.1)
    message = "prometheus is not ready after 30 s"
    raise AssertionError(message)


Places = dict[int, set[tuple[tuple[str, str], ...]]]
"""Which places a condition holds for, by tick."""


def asked(client: httpx.Client, expression: str, ticks: Sequence[int]) -> Places:
    """Where an expression has a sample, at each tick."""
    found: Places = {at: set() for at in ticks}
    most = 10_000
    for first in range(0, len(ticks), most):
        part = ticks[first : first + most]
        answer = client.post(
            "/api/v1/query_range",
            data={"query": expression, "start": str(part[0]), "end": str(part[-1]), "step": str(TICK)},
        )
        body: dict[str, Any] = answer.json()
        assert body["status"] == "success", (expression, body)
        for series in body["data"]["result"]:
            labels = tuple(sorted(series["metric"].items()))
            for at, _ in series["values"]:
                found[int(at)].add(labels)
    return found


class Compared(NamedTuple):
    """How many verdicts were compared, how many were true, false, unknown, and which differ."""

    verdicts: int
    true: int
    false: int
    unknown: int
    differ: list[str]


def compared(rule: Rule, day: Day, client: httpx.Client) -> Compared:
    """One rule at every tick and for every place: true, false and unknown, here and there."""
    scope = Scope(zone=day.zone, day=datetime.fromtimestamp(day.ticks[0] - 8 * DAY, day.zone).date().isoformat())
    printer = Printer(rule.condition, scope)
    holds, fails = asked(client, printer.holds(), day.ticks), asked(client, printer.fails(), day.ticks)
    nothing = asked(client, unmeasured_expression(rule, scope), day.ticks)
    sights = Sights(day.traces, day.traces, day.zone)
    true = false = unknown = 0
    differ = []
    for at in day.ticks:
        judged = rule.judge(sights.at(at))
        ours = {True: set(), False: set(), None: set()}  # type: dict[bool | None, set[tuple[tuple[str, str], ...]]]
        for one in judged:
            ours[one.truth].add(one.labels)
        true, false, unknown = true + len(ours[True]), false + len(ours[False]), unknown + len(ours[None])
        same = ours[True] == holds[at] and ours[False] == fails[at]
        if not same or (not ours[True] and not ours[False]) != bool(nothing[at]):
            differ.append(f"{rule.name} at {at}: here {ours}, there {holds[at]}, {fails[at]}, {nothing[at]}")
    return Compared(true + false + unknown, true, false, unknown, differ)
