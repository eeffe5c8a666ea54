"""Leaders that are killed in the middle of an act: the next one finishes it or takes it back, once, never both."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide import errors
from atomic_guide.engines.data.database import Engine
from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.operations.scaling import audit
from atomic_guide.operations.scaling.events import Wanted
from atomic_guide.operations.scaling.leader import LEASE_SECONDS, Deposed
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_acts import Controller, RecordingTarget, TwoClocks, decision
from tests.scaling_process import STEPS, FileTarget, acting

ROOT = Path(__file__).parents[2]
BACKWARDS = STEPS[4:]


@pytest.fixture(params=ENGINES)
async def directory(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def address(directory: Engine) -> str:
    if isinstance(directory, PostgresDatabase):
        return directory.address
    assert isinstance(directory, SqliteDatabase)
    return str(directory.path)


@asynccontextmanager
async def running(step: str, directory: Engine, target: Path, limit: float) -> AsyncIterator[asyncio.StreamReader]:
    """A process that leads and acts, and what it tells; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.scaling_process", cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    orders = {"directory": address(directory), "target": str(target), "step": step, "limit": limit}
    process.stdin.write(json.dumps(orders).encode())
    process.stdin.close()
    try:
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def killed_at(step: str, directory: Engine, target: Path, limit: float) -> None:
    """A leader begins an act and is killed when it has come to a step."""
    async with running(step, directory, target, limit) as told:
        assert (await asyncio.wait_for(told.readline(), 30)).decode().strip() == step


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "too late"])
async def test_a_leader_killed_at_any_step_is_followed_by_one_that_ends_its_act_once(
    directory: Engine, tmp_path: Path, step: str, *, in_time: bool
) -> None:
    path = tmp_path / "units.json"
    target = FileTarget(path)
    goes_back = step in BACKWARDS
    with target.units() as units:
        # Units that never start are what makes a leader go back by itself.
        units.starts = not goes_back
    await killed_at(step, directory, path, 0.2 if goes_back else 60.0)
    leader, events, acts = acting(directory, target, 60.0 if in_time and not goes_back else 0.2)
    async with asyncio.timeout(60):
        while not await leader.campaign():  # noqa: ASYNC110 - a lease tells nobody that it has run out
            await asyncio.sleep(0.05)
        while await events.pending():
            await leader.campaign()
            await acts.carry_on(await events.pending())
            await asyncio.sleep(0.02)
    [record] = await events.select(Wanted())
    with target.units() as units:
        done, ready, wanted = units.done, units.ready, units.wanted
    forwards, back = (3, "d1"), (1, "d1/back")
    assert done in ([forwards], [back], [forwards, back]), "nothing is done twice, and nothing after it went back"
    if record.event.state == "done":
        assert (done, ready, wanted) == ([forwards], 3, 3)
        # What had arrived when the next leader looked is done, however late it is.
        assert in_time or step in {"taken", "watching"}
    else:
        assert record.event.state == "rolled_back"
        assert (done[-1], ready, wanted) == (back, 1, 1)
        assert goes_back or not in_time


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_of_two_processes_that_decide_the_same_one_acts(directory: Engine, tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    async with running("", directory, path, 60.0) as one, running("", directory, path, 60.0) as two:
        told = await asyncio.wait_for(asyncio.gather(one.readline(), two.readline()), 60)
    assert [line.decode().strip() for line in told] == ["done", "done"]
    with FileTarget(path).units() as units:
        assert units.done == [(3, "d1")]
    acted = await audit.entries(directory, event="d1")
    assert sorted(entry.what for entry in acted) == ["acting", "done"]


class DiedError(BaseException):
    """The end of a process: nothing of it runs any more."""


class Mortal:
    """Calls until death, for a controller that dies at the n-th thing that it does."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise DiedError


class World:
    """Controllers over one directory and one fleet, which die and are replaced; and what must hold all the time."""

    def __init__(self, directory: Engine) -> None:
        self.directory = directory
        self.clock = TwoClocks()
        self.target = RecordingTarget(at_once=False)
        self.mortals = [Mortal(), Mortal()]
        self.controllers = [self._born(0), self._born(1)]
        self.number = 0
        self.tried: set[str] = set()
        self.foreign = False

    def _born(self, number: int) -> Controller:
        mortal = self.mortals[number] = Mortal()
        born = Controller(self.directory, self.clock, Dying(self.target, mortal), name=f"c{number}")
        for name in ("record", "advance", "end"):
            setattr(born.events, name, dying(getattr(born.events, name), mortal))
        return born

    async def take(self, step: tuple[str, int, int]) -> None:
        kind, who, value = step
        one = self.controllers[who]
        match kind:
            case "mortal":
                self.mortals[who].left = value
            case "advance":
                self.clock.advance([1, 6, LEASE_SECONDS + 1, 61][value % 4])
            case "finish":
                self.target.finish()
            case "mood":
                moods = [None, errors.Unavailable("no answer"), errors.Invalid("no room"), errors.Conflict("changed")]
                self.target.refuses = moods[value % 4]
            case _:
                await self._lives(one, who, kind)
        await self.check()

    async def _lives(self, one: Controller, who: int, kind: str) -> None:
        try:
            await one.leader.campaign()
            if kind == "decide":
                self.number += 1
                before = self.target.wanted
                after = before + 1 + self.number % 2 if before < 6 else before - 1
                made = decision(self.number, before, after, at=self.clock.now())
                await one.decide(made)
            else:
                await one.loop.beat()
        except Deposed:
            return
        except DiedError:
            self.controllers[who] = self._born(who)

    async def check(self) -> None:
        events = await self.controllers[0].events.select(Wanted(), 10_000)
        acting_now = [record for record in events if record.event.state == "acting"]
        assert len(acting_now) <= 1
        known = {record.id for record in events}
        keys = [key for _, key in self.target.done]
        assert len(keys) == len(set(keys)), "nothing is done twice"
        for key in keys:
            assert key.removesuffix("/back") in known, "what was done was written down before"
            assert not (f"{key}/back" in keys and keys.index(f"{key}/back") < keys.index(key))
        ended = {record.id: record.event.state for record in events}
        for event, state in ended.items():
            assert not (state == "done" and f"{event}/back" in keys), "done and taken back"

    async def settle(self) -> None:
        """Nobody dies any more, the target is well: everything comes to its end."""
        self.target.refuses = None
        self.controllers = [self._born(0), self._born(1)]
        for _ in range(30):
            self.clock.advance(LEASE_SECONDS / 3)
            self.target.finish()
            await self.take(("beat", 0, 0))
            await self.take(("beat", 1, 0))
        events = await self.controllers[0].events.select(Wanted(), 10_000)
        assert {record.event.state for record in events} <= {"done", "failed", "rolled_back", "refused"}
        last = next((each for each in events if each.event.state in {"done", "rolled_back"}), None)
        if last is not None and not any(each.event.state == "failed" for each in events):
            made = last.event.decision
            assert self.target.wanted == (made.after if last.event.state == "done" else made.before)


class Dying:
    """A target whose caller may die before it hears of the call, or after."""

    def __init__(self, target: RecordingTarget, mortal: Mortal) -> None:
        self.fleet = target.fleet
        self.look = target.look
        self._target = target
        self._mortal = mortal

    async def scale(self, desired: int, key: str) -> None:
        self._mortal.step()
        await self._target.scale(desired, key)
        self._mortal.step()


def dying(call, mortal: Mortal):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - whatever it wraps
    async def called(*arguments, **named):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        mortal.step()
        answer = await call(*arguments, **named)
        mortal.step()
        return answer

    return called


_STEP = st.one_of(
    st.tuples(st.sampled_from(["decide", "beat", "beat"]), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("advance"), st.just(0), st.integers(0, 3)),
    st.tuples(st.just("mortal"), st.integers(0, 1), st.integers(0, 6)),
    st.tuples(st.just("mood"), st.just(0), st.integers(0, 3)),
    st.tuples(st.just("finish"), st.just(0), st.just(0)),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(_STEP, min_size=5, max_size=60))
def test_whoever_dies_when_there_is_one_act_and_no_event_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    async def run() -> None:
        path = tmp_path_factory.mktemp("world") / "directory.sqlite"
        upgrade_file(path, "directory")
        async with AsyncExitStack() as stack:
            directory = SqliteDatabase(path)
            stack.push_async_callback(directory.close)
            world = World(directory)
            for step in steps:
                await world.take(step)
            await world.settle()

    asyncio.run(run())
