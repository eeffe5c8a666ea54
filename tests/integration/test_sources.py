"""Each source over the reports of several processes, and over real shards."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from atomic_guide.app.run_counts import RunCounts
from atomic_guide.app.scaling_metrics import ScalingMetrics
from atomic_guide.app.sources.costs import CostsSource
from atomic_guide.app.sources.database import DatabaseSource, database_telling
from atomic_guide.app.sources.facts import Facts
from atomic_guide.app.sources.limits import LimitsSource
from atomic_guide.app.sources.queues import Backlog, QueuesSource, read_backlog
from atomic_guide.app.sources.report import Reporter
from atomic_guide.app.sources.rooms import RoomsSource
from atomic_guide.app.sources.web import WebSource, web_telling
from atomic_guide.app.sources.workers import WorkersSource, jobs_telling
from atomic_guide.clock import ManualClock
from atomic_guide.course.chat import limits as chat_limits
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.engines.rooms import limits as room_limits
from atomic_guide.errors import Unavailable
from atomic_guide.limit import Used
from atomic_guide.operations.costs.settings import CostSettings
from atomic_guide.operations.costs.terms import made_terms
from atomic_guide.operations.limits.register import Register
from atomic_guide.operations.limits.telling import limits_telling
from atomic_guide.operations.scaling.model import Key, Sample, Source
from atomic_guide.operations.scaling.once import Once
from atomic_guide.operations.scaling.reports import Look, Report, Reports, Spread, Tell, Told, joined
from atomic_guide.operations.scaling.sampler import Sampler, values_of
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from atomic_guide.web.observe import WebMetrics
from atomic_guide.web.overload import Overload, SheddingSettings
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

BEGIN = 1_800_000_000.0
KEY = CourseKey.of("t-1", "c-1")
_FIND = parse_queries(
    "-- name: n\n-- purpose: p\nSELECT id FROM jobs WHERE bucket = :bucket AND tenant = :tenant AND course = :course",
    "here",
)["n"]


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


class Looks:
    """Reports of processes without a database between."""

    def __init__(self, shards: Shards) -> None:
        self.reports = Reports(shards.directory)
        self.reports.compare([], BEGIN)
        self.now = BEGIN
        self.once: Once[Look] = Once("the reports", self._look)
        self._latest: list[Report] = []

    def told(self, *parts: Sequence[Told], up: float = 15) -> float:
        """Reports of processes a, b... which have run for so long; the moment."""
        self.now = BEGIN + up
        self._latest = [
            Report(name, "all", "1", self.now, up, dict(told.counters), dict(told.gauges), dict(told.durations))
            for name, told in zip("abc", map(joined, parts), strict=False)
        ]
        return self.now

    async def _look(self, at: float) -> Look:
        return self.reports.compare(self._latest, at)


async def values(source: Source, at: float) -> dict[Key, float]:
    return values_of(await source.measure(at))


def telling(*, ready: bool = True) -> tuple[WebMetrics, Tell]:
    metrics = WebMetrics(CollectorRegistry())
    return metrics, web_telling(metrics, Overload(SheddingSettings()), lambda: ready)


async def test_web_is_measured_over_its_processes(shards: Shards) -> None:
    looks = Looks(shards)
    metrics, tell = telling()
    for response in (0.1, 0.1, 0.1, 2.0):
        metrics.observe("GET", "/api/video/{id}", 200 if response < 1 else 503, 9.0, response)
    metrics.observe("GET", "/healthz", 200, 0.001)
    other = Told({"web.cpu": 7.5, "web.requests": 2, "web.failed": 0}, {"web.ready": 1, "web.in_flight": 3},
                 {"web.latency": Spread(0.2, {-24: 2})})  # fmt: skip
    found = await values(WebSource(looks.once), looks.told([tell()], [other]))
    assert found[Key("web", "throughput")] == pytest.approx(6 / 15)
    assert found[Key("web", "errors")] == pytest.approx(1 / 6)
    assert found[Key("web", "latency")] == pytest.approx(2.5 / 6)
    assert found[Key("web", "latency_p99")] == pytest.approx(2.0, rel=0.05)
    assert found[Key("web", "in_flight")] == 3
    assert found[Key("web", "demand")] == pytest.approx(0.5, abs=0.1)
    assert found[Key("web", "utilisation")] == pytest.approx(found[Key("web", "demand")] / 2)
    assert found[Key("web", "work", "video")] == pytest.approx(2.3 / 15)


async def test_without_requests_there_is_no_share_of_errors_and_no_latency(shards: Shards) -> None:
    looks = Looks(shards)
    found = await values(WebSource(looks.once), looks.told([telling()[1]()]))
    assert found[Key("web", "throughput")] == 0
    assert not {Key("web", "errors"), Key("web", "latency")} & found.keys()
    with pytest.raises(Unavailable, match="no process reports"):
        await WebSource(looks.once).measure(looks.told([telling(ready=False)[1]()], up=30))


async def test_the_parts_of_a_room_in_all_processes_are_one_room(shards: Shards) -> None:
    looks = Looks(shards)
    ready = {"web.ready": 1.0}
    one = Told({"rooms.delivered": 300}, {**ready, "rooms.sockets": 1000, "rooms.size/ab": 900, "rooms.size/cd": 100})
    two = Told({"rooms.delivered": 0}, {**ready, "rooms.sockets": 700, "rooms.size/ab": 700})
    found = await values(RoomsSource(looks.once), looks.told([one], [two]))
    assert {key.metric: value for key, value in found.items()} == {
        "sockets": 1700, "fullest_room": 800, "largest_room": 1600, "fullest_process": 1000, "deliveries": 20,
    }  # fmt: skip


async def publish(shards: Shards, queues: Queues, count: int, queue: str = "video") -> None:
    for _ in range(count):
        await shards.of(KEY).write(
            lambda tx: queues.publish(tx, KEY, NewJob(queue=queue, kind=f"{queue}.go", subject="s", payload={}))
        )


def a_job(number: int, queue: str = "video") -> Job:
    return Job(KEY, f"j{number}", queue, f"{queue}.go", "s", {}, 1, 4, number, BEGIN, None)


async def test_demand_is_what_arrives_and_what_waits_in_slots(shards: Shards) -> None:
    looks, settings, clock = Looks(shards), QueueSettings(), ManualClock(BEGIN)
    queues, counts = Queues(shards, clock, settings), RunCounts()

    async def read(at: float) -> Mapping[str, Backlog]:
        return await read_backlog(shards, settings.queues, at)

    backlog = Once("the jobs", read)
    series = Series(shards.directory)
    workers = WorkersSource(looks.once, backlog, settings, series)
    tell = jobs_telling(queues, counts, settings.slots)
    at = looks.told([tell()], [Told(gauges={"jobs.publisher": 1.0})])
    idle = await values(workers, at)
    assert idle[Key("workers", "demand")] == idle[Key("workers", "utilisation")] == 0

    for number in range(10):
        counts.started(a_job(number))
        counts.ended(a_job(number), "done", 6.0)
    await publish(shards, queues, 30)
    at = looks.told([tell()], [Told(gauges={"jobs.publisher": 1.0})], up=30)
    found = await values(workers, at)
    # Thirty of 6 s came in 15 s, and wait; two of them run at a time in a process.
    wanted = 30 * 6 / 15 + 30 * 6 / 60
    assert found[Key("workers", "demand")] == pytest.approx(wanted / 2 * settings.slots)
    assert found[Key("workers", "utilisation")] == pytest.approx(60 / 15 / 2)
    assert found[Key("workers", "work", "video")] == pytest.approx(4)

    jobs = await values(QueuesSource(looks.once, backlog), at)
    assert jobs[Key("queues", "backlog", "video")] == 30
    assert jobs[Key("queues", "oldest", "video")] == pytest.approx(at - BEGIN, abs=0.01)
    assert jobs[Key("queues", "throughput", "video")] == pytest.approx(10 / 15)
    assert jobs[Key("queues", "run", "video")] == pytest.approx(6)
    assert jobs[Key("queues", "backlog", "rosters")] == jobs[Key("queues", "oldest", "rosters")] == 0
    assert Key("queues", "run", "rosters") not in jobs

    counts.refused["video"] = "paused"
    paused = await values(workers, looks.told([tell()], [Told(gauges={"jobs.publisher": 1.0})], up=45))
    assert paused[Key("workers", "demand")] == 0


async def test_demand_is_known_without_a_worker_and_from_the_record(shards: Shards) -> None:
    looks, settings = Looks(shards), QueueSettings()
    queues, series = Queues(shards, ManualClock(BEGIN), settings), Series(shards.directory)
    await publish(shards, queues, 60)

    async def read(at: float) -> Mapping[str, Backlog]:
        return await read_backlog(shards, settings.queues, at)

    run = Spread(40.0, {30: 4})
    await series.store(BEGIN - 86_400, [Sample(Key("queues", "run", "video"), run.total, run.counts)])
    source = WorkersSource(looks.once, Once("the jobs", read), settings, series)
    found = await values(source, looks.told([Told(gauges={"jobs.publisher": 1.0})]))
    assert found == {Key("workers", "demand"): pytest.approx(60 * 10 / 60 / 2 * settings.slots)}


async def test_a_run_that_was_never_begun_or_is_handed_back_is_no_run(shards: Shards) -> None:
    counts = RunCounts()
    counts.ended(a_job(1), "returned", 0.0)
    counts.started(a_job(2))
    assert 0 < counts.busy("video") < 1
    assert counts.longest("video") is not None
    assert counts.longest("mail") is None
    counts.ended(a_job(2), "retried", 3.0)
    assert (counts.busy("video"), dict(counts.jobs), list(counts.runs)) == (3.0, {("video", "video.go"): 0}, ["video"])


async def test_shards_are_measured_by_what_callers_felt(shards: Shards) -> None:
    looks, queues = Looks(shards), Queues(shards, ManualClock(BEGIN), QueueSettings())
    tell = database_telling(shards)
    before = tell()
    looks.told([before])
    source = DatabaseSource(looks.once, shards)
    await source.measure(looks.now)
    await publish(shards, queues, 20)
    for _ in range(30):
        await shards.of(KEY).read(_FIND, {**KEY.columns})
    found = await values(source, looks.told([tell()], up=30))
    part = shards.place(KEY).shard.name
    assert 0 < found[Key("database", "query", part)] < 1
    assert 0 < found[Key("database", "write_p50", part)] < 1
    assert 0 < found[Key("database", "write_share", part)] < 1
    assert 0 < found[Key("database", "utilisation", part)] < 1
    assert 0 <= found[Key("database", "lock_wait", part)] < 1
    other = next(shard.name for shard in shards.all() if shard.name != part)
    assert Key("database", "write", other) not in found
    assert found[Key("database", "utilisation", other)] < found[Key("database", "utilisation", part)]


def costs_source(looks: Looks, shards: Shards, web: float = 0.0, workers: float = 0.0, **costs: Any) -> CostsSource:
    scaling = ScalingSettings(web=FleetSettings(unit_price=web), workers=FleetSettings(unit_price=workers))
    terms = made_terms(scaling, CostSettings(**costs))
    return CostsSource(looks.once, terms, Facts(shards, 0, servers=False))


async def test_costs_are_told_by_fleet_and_feature_where_there_is_a_price(shards: Shards) -> None:
    looks = Looks(shards)
    web = Told({"web.requests": 1500, "web.work/chat": 30, "web.work/video": 90}, {"web.ready": 1})
    worker = Told({"workers.busy/mail": 0, "workers.jobs/mail send": 0}, {"workers.slots": 8})
    at = looks.told([web], [web], [worker])
    source = costs_source(looks, shards, web=0.5, workers=2.0)
    found = await values(source, at)
    money = {key: value for key, value in found.items() if key.metric in {"hourly", "feature", "efficiency"}}
    assert money == {
        Key("costs", "hourly", "web"): 1.0,
        Key("costs", "hourly", "workers"): 2.0,
        Key("costs", "feature", "chat"): pytest.approx(0.25),
        Key("costs", "feature", "video"): pytest.approx(0.75),
        Key("costs", "feature", "idle"): 2.0,
        Key("costs", "efficiency", "web"): pytest.approx(200 * 3600),
        Key("costs", "efficiency", "workers"): 0.0,
    }
    unpriced = await values(costs_source(looks, shards, web=0.0, workers=0.0), at)
    assert {key.metric for key in unpriced} == {"units", "stored", "database_bytes"}
    assert (unpriced[Key("costs", "units", "web")], unpriced[Key("costs", "units", "workers")]) == (2.0, 1.0)
    assert unpriced[Key("costs", "database_bytes")] > 0


async def test_a_process_that_answers_and_runs_jobs_is_paid_for_once(shards: Shards) -> None:
    looks = Looks(shards)
    both = Told({"web.requests": 150, "workers.jobs/mail send": 3}, {"web.ready": 1, "workers.slots": 8})
    worker = Told({"workers.jobs/mail send": 3}, {"workers.slots": 8})
    found = await values(costs_source(looks, shards, web=1.0, workers=1.0), looks.told([both], [worker]))
    assert (found[Key("costs", "units", "web")], found[Key("costs", "units", "workers")]) == (1.0, 1.0)
    assert found[Key("costs", "hourly", "web")] + found[Key("costs", "hourly", "workers")] == 2.0


async def test_tenants_are_told_apart_up_to_a_number_and_the_rest_are_others(shards: Shards) -> None:
    looks = Looks(shards)
    told = Told(
        {"web.requests": 1, **{f"costs.tenant_work/t{one}": 15.0 * one for one in range(1, 5)},
         "costs.tenant_work/others": 15.0, "costs.tenant_sent/t1": 300.0, "costs.tenant_sent/t4": 1500.0},
        {"web.ready": 1},
    )  # fmt: skip
    found = await values(costs_source(looks, shards, web=1.0, tenants=2), looks.told([told]))
    work = {key.part: value for key, value in found.items() if key.metric == "tenant_work"}
    assert work == {"t4": pytest.approx(4), "t3": pytest.approx(3), "others": pytest.approx(4)}
    sent = {key.part: value for key, value in found.items() if key.metric == "tenant_sent"}
    assert sent == {"t4": pytest.approx(100), "t3": 0.0, "others": pytest.approx(20)}


async def test_with_a_price_list_everything_that_is_had_is_paid_for(shards: Shards) -> None:
    looks = Looks(shards)
    told = Told(
        {"web.requests": 1, "costs.sent/video": 15e6, "costs.store_reads": 150.0, "costs.launches": 15.0},
        {"web.ready": 1},
    )
    found = await values(costs_source(looks, shards, prices="aws-us-east-1"), looks.told([told]))
    hourly = {key.part: value for key, value in found.items() if key.metric == "hourly"}
    fleets = {part for part in hourly if not part.startswith("replicas/")}
    assert fleets == {"web", "databases", "storage requests", "traffic"}
    assert hourly["web"] == pytest.approx(0.04048 + 0.5 * 0.004445, abs=1e-6)
    # A million bytes a second for a month, without the hundred GiB that are free, and its share of an hour.
    assert hourly["traffic"] == pytest.approx(0.09 * (1e6 * 730 * 3600 / 2**30 - 100) / 730, abs=1e-5)
    assert found[Key("costs", "launches")] == pytest.approx(1.0)


async def test_only_levels_are_measured_as_use_of_limits(shards: Shards) -> None:
    looks, message, room = Looks(shards), chat_limits.MESSAGE_CHARACTERS, room_limits.ROOM_SOCKETS
    told = limits_telling(register := Register([message, room], {message.name: 4000, room.name: 1000}, lambda: BEGIN))
    register.add(lambda: [Used(message, 4000), Used(room, 500)])
    found = await values(LimitsSource(looks.once, Series(shards.directory), register.limits), looks.told([told()]))
    assert {key.part: value for key, value in found.items() if key.metric == "usage"} == {"": 0.5, room.name: 0.5}


async def test_only_what_was_measured_is_told_to_prometheus(shards: Shards) -> None:
    looks, clock, registry = Looks(shards), ManualClock(BEGIN), CollectorRegistry()
    sampler = Sampler([WebSource(looks.once)], Series(shards.directory), clock)
    registry.register(ScalingMetrics(sampler, clock))
    labels = {"component": "web", "metric": "demand", "part": ""}
    assert registry.get_sample_value("atomic_guide_scaling_measurement", labels) is None
    await sampler.sample()
    assert registry.get_sample_value("atomic_guide_scaling_measurement", labels) is None
    assert registry.get_sample_value("atomic_guide_scaling_missing", {"source": "web"}) == 1
    clock.advance(looks.told([telling()[1]()]) - clock.now())
    await sampler.sample()
    assert registry.get_sample_value("atomic_guide_scaling_measurement", labels) is not None
    assert registry.get_sample_value("atomic_guide_scaling_missing", {"source": "web"}) == 0
    clock.advance(50)
    assert registry.get_sample_value("atomic_guide_scaling_measurement", labels) is None


async def test_a_process_reports_until_it_ends(shards: Shards) -> None:
    clock, reports = ManualClock(BEGIN), Reports(shards.directory)
    reporter = Reporter(reports, "host:1/web-0", "all", [telling()[1]], clock)
    running = asyncio.create_task(reporter.run())
    async with asyncio.timeout(10):
        while not (await reports.look(BEGIN)).reports:  # noqa: ASYNC110 - the row is what is waited for
            await asyncio.sleep(0.01)
    await reporter.end()
    running.cancel()
    assert (await reports.look(BEGIN)).reports == ()
