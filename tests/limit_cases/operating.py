"""What runs the system by itself: alerts, costs, load tests, capacity."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide import errors
from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.limit import Limit
from atomic_guide.operations.alerts.settings import AlertSettings
from atomic_guide.operations.alerts.silences import Silences
from atomic_guide.operations.alerts.store import Deed, note
from atomic_guide.operations.capacity.planner import read_horizon
from atomic_guide.operations.costs.changes import Changes
from atomic_guide.operations.costs.settings import CostSettings
from atomic_guide.operations.loadtest import limits as loadtest
from atomic_guide.operations.loadtest.plan import make_plan
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.loadtest.spec import Spec, merged
from atomic_guide.operations.loadtest.store import Store
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.simulate import Terms
from atomic_guide.operations.scaling.simulator.asked import Asked as Simulated
from atomic_guide.operations.scaling.simulator.asked import TraceAsked
from atomic_guide.operations.scaling.simulator.history import Standing
from atomic_guide.operations.scaling.simulator.runs import Simulator
from atomic_guide.operations.scaling.simulator.settings import SimulatorSettings
from atomic_guide.operations.scaling.simulator.telling import Simulation
from atomic_guide.operations.scaling.trace import Trace
from tests.contract.test_alerts_watch import Process, Recorder, process
from tests.limit_cases import Ground, Reached, answered, fullest, reaches
from tests.limit_cases.web import counted, databases

_MOST = 10


async def _waiting(made: Process, queues: int) -> None:
    """So many queues whose jobs wait for long: an alert each, and a group each."""
    for _ in range(6):
        made.clock.advance(15)
        await made.leader.campaign()
        await made.watch.tick(made.clock.now(), {Key("queues", "oldest", f"q{n}"): 900.0 for n in range(queues)})
        await made.beat()


@reaches("alerts")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        made = await process(shards.directory, Recorder(), most_alerts=_MOST)
        await _waiting(made, 12)
        assert len(made.watch.alerts) == _MOST
        return Reached("drops", _MOST, fullest(made.watch.used(), "alerts"))


@reaches("alert_groups")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        hook = Recorder()
        made = await process(shards.directory, hook, most_groups=_MOST, group_by=("queue",))
        await _waiting(made, 12)
        seen = fullest(made.watch.used(), "alert_groups")
        assert len(made.watch.groups) == len(hook.taken) == _MOST
        await _waiting(made, 0)
        return Reached("waits", _MOST, seen)


@reaches("silences")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        silences = Silences(shards.directory, SystemClock(), most=_MOST)
        for _ in range(_MOST):
            await silences.add(["cost-spike"], 60, "a test")
        with pytest.raises(errors.Conflict) as refused:
            await silences.add(["cost-spike"], 60, "one too many")
        assert refused.value.details == {"limit": "silences"}
        return Reached(answered(refused.value), _MOST, await counted(shards, "silences"))


@reaches("alert_log")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        made = await process(shards.directory, Recorder(), most_entries=1000)
        await made.leader.campaign()

        async def work(tx: Transaction) -> None:
            for _ in range(1200):
                await note(tx, made.clock.now(), "tester", Deed("tested"))

        await shards.directory.write(work)
        full = await counted(shards, "alert_log")
        assert full[0].value == 1200
        await made.ticks(1)
        assert (await counted(shards, "alert_log"))[0].value == AlertSettings(most_entries=1000).most_entries
        return Reached("forgets", 1000, full)


@reaches("cost_audit")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        kept = CostSettings(most_audit=100).most_audit
        changes = Changes(shards.directory, SystemClock(), "tester", kept)

        async def work(tx: Transaction) -> None:
            for number in range(120):
                await changes._note(tx, time.time(), "applied", f"web-fewest-{number}", {})

        await shards.directory.write(work)
        seen = await counted(shards, "cost_audit")
        assert seen[0].value == kept
        return Reached("forgets", kept, seen)


def _refused(limit: Limit, spec: Spec, settings: LoadtestSettings, folder: Path) -> Reached:
    """A test that is too much; and what is told of one that is just let be."""
    store = Store(folder)
    place = store.begin(time.time(), 10)
    place.note({"rate": 10.0, "seconds": 60.0, "sockets": 10})
    with pytest.raises(errors.Invalid, match=limit.key):
        make_plan(spec, "http://target.invalid", settings)
    # The command makes wrong usage of it.
    return Reached("exit 2", 10 if limit.unit != "s" else 60, fullest(store.used(time.time()), limit.name))


@reaches("loadtest_rate")
async def _(ground: Ground) -> Reached:
    spec = merged(Spec(), {"load": {"rps": 11.0, "duration": "30s"}})
    return _refused(loadtest.RATE, spec, LoadtestSettings(most_rps=10.0), ground.folder)


@reaches("loadtest_length")
async def _(ground: Ground) -> Reached:
    spec = merged(Spec(), {"load": {"rps": 5.0, "duration": "61s"}})
    return _refused(loadtest.LENGTH, spec, LoadtestSettings(most_seconds=60.0), ground.folder)


@reaches("loadtest_sockets")
async def _(ground: Ground) -> Reached:
    spec = merged(Spec(), {"load": {"rps": 5.0, "duration": "30s"}, "sockets": {"count": 11}})
    return _refused(loadtest.SOCKETS, spec, LoadtestSettings(most_sockets=10), ground.folder)


@reaches("loadtest_reports")
async def _(ground: Ground) -> Reached:
    store = Store(ground.folder)
    for number in range(5):
        store.begin(1_800_000_000.0 + number, 3)
    assert len(store.ids()) == 3
    return Reached("forgets", 3, fullest(store.used(time.time()), "loadtest_reports"))


@reaches("horizon")
async def _(_ground: Ground) -> Reached:
    most = Settings().capacity.most_months
    with pytest.raises(errors.Invalid) as refused:
        read_horizon(f"{most + 1}m", most)
    return Reached(answered(refused.value), most)


class _Nowhere:
    """Where nobody else looks."""

    async def put(self, told: Simulation, ends_by: float) -> None:
        del told, ends_by

    async def find(self, name: str) -> Standing | None:
        del name
        return None

    async def last(self) -> list[Standing]:
        return []

    async def call_off(self, name: str, who: str) -> None:
        del name, who


async def _no_record(fleet: str, days: float) -> Trace:
    raise AssertionError((fleet, days))


async def _no_fleets() -> dict[str, Terms]:
    return {}


def _simulator(**settings: float) -> Simulator:
    return Simulator(msgspec.convert(settings, SimulatorSettings), SystemClock(), _no_record, _Nowhere(), _no_fleets)


def _crowd(**more: Any) -> Simulated:
    """Some seconds of work."""
    return Simulated(TraceAsked(name="flash-crowd"), wait=0, **more)


@reaches("simulations")
async def _(_ground: Ground) -> Reached:
    simulator = _simulator(running=1)
    try:
        await simulator.begin(_crowd())
        with pytest.raises(errors.RateLimited) as refused:
            await simulator.begin(_crowd())
        return Reached(answered(refused.value), 1, fullest(simulator.used(), "simulations"))
    finally:
        await simulator.close()


@reaches("simulation_ticks")
async def _(_ground: Ground) -> Reached:
    simulator = _simulator(most_ticks=5000)
    with pytest.raises(errors.Invalid) as refused:
        await simulator.begin(_crowd(policies=["hpa-50"]))
    assert not simulator.running
    await simulator.close()
    return Reached(answered(refused.value), 5000)


@reaches("simulation_seconds")
async def _(_ground: Ground) -> Reached:
    simulator = _simulator(seconds=1)
    begun = await simulator.begin(_crowd(tick=1.0))
    ended = await simulator.find(begun.id, 10)
    await simulator.close()
    assert "scaling.simulator.seconds" in ended.error
    return Reached("simulation fails", 1) if ended.state == "failed" else Reached(ended.state, 1)
