"""Simulations of one process: begun, followed, broken off when too long, remembered for a while.

Each runs in a process of its own (program.py), at most `running` at a time; another one is refused with 429. What
becomes of one is kept here and in the directory (history.py), so that whoever answers the next call knows of it, and
that it is found again after a restart. One is called off where it runs, whichever process is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from atomic_guide import leash
from atomic_guide.clock import iso
from atomic_guide.errors import Conflict, GuideError, Invalid, NotFound, RateLimited
from atomic_guide.limit import Used
from atomic_guide.operations.scaling.limits import SIMULATION_SECONDS, SIMULATION_TICKS, SIMULATIONS
from atomic_guide.operations.scaling.simulate import Terms
from atomic_guide.operations.scaling.simulator.asked import WAIT_MOST, Asked, check_asked
from atomic_guide.operations.scaling.simulator.demonstration import find_demonstration
from atomic_guide.operations.scaling.simulator.history import Standing
from atomic_guide.operations.scaling.simulator.program import PROGRAM, Begun, Ended, Moved, Refused, Said, Work
from atomic_guide.operations.scaling.simulator.telling import Demand, Simulation

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.simulator.settings import SimulatorSettings
    from atomic_guide.operations.scaling.trace import Trace

KEPT = 8
"""Simulations that are remembered in a process: 1 MB each at most."""

_LINE_LIMIT = 64 * 2**20
"""Bytes of an answer: eight policies, 2,000 points and 10,000 spans each."""

_PIECE = 2**20
_RETRY_SECONDS = 5.0

_LOOK_SECONDS = 1.0
"""How often a process looks whether its simulation was called off at another, and how that one's simulation stands."""

_CANCEL_SECONDS = 5.0
"""How long an answer waits for the end of what was called off; a process is killed within milliseconds."""

_log = structlog.get_logger(__name__)
_said = msgspec.json.Decoder(Said)

Record = Callable[[str, float], Awaitable["Trace"]]
"""Reads the recorded demand of a fleet, so many days back."""

Usual = Callable[[], Awaitable[Mapping[str, Terms]]]
"""The terms that hold for each fleet whose record can be replayed."""


class Kept(Protocol):
    """Where the simulations of all processes are kept. Each call raises `DataUnavailable` where that is away."""

    async def put(self, told: Simulation, ends_by: float) -> None:
        """Keep how one stands."""
        ...

    async def find(self, name: str) -> Standing | None:
        """How one stands, with what came out."""
        ...

    async def last(self) -> list[Standing]:
        """The last ones, the newest first."""
        ...

    async def call_off(self, name: str, who: str) -> None:
        """Have one that runs ended."""
        ...


class _Run:
    """One simulation of this process."""

    def __init__(self, told: Simulation, ends_by: float, clock: Clock) -> None:
        self.told = told
        self.ends_by = ends_by
        self._clock = clock
        self._began = clock.monotonic()
        self.changed = asyncio.Event()
        self.refusal: Invalid | None = None
        self.task: asyncio.Task[None] | None = None
        self.called_off_by = ""

    def call_off(self, who: str) -> None:
        """Break it off."""
        if self.task is not None and self.told.state == "running" and not self.called_off_by:
            self.called_off_by = who
            self.task.cancel()

    def tell(self, **changes: object) -> None:
        """Note what has changed, and wake who waits for it."""
        seconds = round(self._clock.monotonic() - self._began, 3)
        self.told = msgspec.structs.replace(self.told, seconds=seconds, **changes)
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether its demand has been read, or it is over."""
        return self.told.progress > 0 or self.told.state != "running"


class Simulator:
    """The simulations of one process. `usual` are the terms of the fleets whose record can be replayed."""

    def __init__(self, settings: SimulatorSettings, clock: Clock, record: Record, kept: Kept, usual: Usual) -> None:
        self.settings = settings
        self.usual = usual
        self._clock = clock
        self._record = record
        self._kept = kept
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    @property
    def running(self) -> int:
        """How many run."""
        return sum(run.told.state == "running" for run in self._runs.values())

    def used(self) -> Iterable[Used]:
        """How much of the limit is in use."""
        return [Used(SIMULATIONS, self.running)]

    async def begin(self, asked: Asked, who: str = "") -> Simulation:
        """Begin a simulation, and tell how it stands after at most its `wait` seconds.

        Raises `Invalid` for what cannot be replayed, `RateLimited` where as many run as may.
        """
        names = check_asked(asked)
        work = await self._work(asked, names)
        if self.running >= self.settings.running:
            message = f"{self.running} simulations run in this process, as many as scaling.simulator.running allows"
            raise SIMULATIONS.over(RateLimited(message, retry_after=_RETRY_SECONDS))
        told = Simulation(
            id=secrets.token_hex(8), state="running", progress=0.0, step="the demand is read",
            started_at=iso(self._clock.now()), seconds=0.0, who=who, demand=_demand(asked), names=list(names),
        )  # fmt: skip
        run = self._runs[told.id] = _Run(told, self._clock.now() + self.settings.seconds, self._clock)
        while len(self._runs) > KEPT + self.settings.running:
            over = next(name for name, one in self._runs.items() if one.told.state != "running")
            del self._runs[over]
        run.task = asyncio.create_task(self._follow(run, work))
        await _until(run, lambda: run.begun, WAIT_MOST)
        if run.refusal is not None:
            raise run.refusal
        return await self._ended(run, asked.wait)

    async def find(self, name: str, wait: float) -> Simulation:
        """How a simulation stands, after at most `wait` seconds. Raises `NotFound`."""
        run = self._runs.get(name)
        if run is not None:
            return await self._ended(run, wait)
        ends = self._clock.monotonic() + wait
        found = await self._elsewhere(name)
        while found.state == "running" and self._clock.monotonic() < ends:
            await asyncio.sleep(min(_LOOK_SECONDS, wait))
            found = await self._elsewhere(name)
        return found

    async def last(self) -> list[Simulation]:
        """The last ones of all processes, the newest first, without what came out. Raises `DataUnavailable`."""
        return [self._known(standing) for standing in await self._kept.last()]

    async def cancel(self, name: str, who: str) -> Simulation:
        """End a simulation, wherever it runs; told as it is after a few seconds at most.

        Raises `NotFound`, `Conflict` where it has ended, `DataUnavailable`.
        """
        found = await self.find(name, 0)
        if found.state != "running":
            raise Conflict(f"the simulation {name[:40]} has ended already")
        if (run := self._runs.get(name)) is not None:
            run.call_off(who)
        else:
            await self._kept.call_off(name, who)
        return await self.find(name, _CANCEL_SECONDS)

    async def close(self) -> None:
        """Break off what runs."""
        for run in self._runs.values():
            # What has ended is only waited for: its process is being cleared away.
            if run.task is not None and run.told.state == "running":
                run.task.cancel()
        await asyncio.gather(*(run.task for run in self._runs.values() if run.task is not None), return_exceptions=True)

    async def _elsewhere(self, name: str) -> Simulation:
        """How one stands that is not remembered here. Raises `NotFound`, `DataUnavailable`."""
        standing = await self._kept.find(name)
        if standing is None:
            raise NotFound(f"there is no simulation {name[:40]}; it may have been forgotten: run it again")
        return self._known(standing)

    def _known(self, standing: Standing) -> Simulation:
        told = standing.told
        if (run := self._runs.get(told.id)) is not None:
            return msgspec.structs.replace(run.told, trace=told.trace, policies=told.policies)
        if told.state == "running" and self._clock.now() > standing.ends_by:
            return msgspec.structs.replace(told, state="failed", error="its process has ended; run it again")
        return told

    async def _ended(self, run: _Run, wait: float) -> Simulation:
        await _until(run, lambda: run.told.state != "running", wait)
        return run.told

    async def _work(self, asked: Asked, names: tuple[str, ...]) -> Work:
        """The work of what is asked. Raises `Invalid` where a fleet has no record, or there is no such trace."""
        trace = asked.trace
        if trace.name is not None:
            usual = Terms(find_demonstration(trace.name).unit)
            return Work(asked.terms(usual), names, asked.points, name=trace.name)
        if trace.csv is not None:
            if not trace.csv.strip():
                raise Invalid("the CSV file is empty", details={"field": "trace.csv"})
            return Work(asked.terms(Terms()), names, asked.points, csv=trace.csv)
        fleet = trace.history or ""
        fleets = await self.usual()
        if fleet not in fleets:
            message = f"no history of {fleet[:40] or 'nothing'} can be replayed; there are {', '.join(fleets)}"
            raise Invalid(message, details={"field": "trace.history"})
        terms = asked.terms(fleets[fleet])
        found = await self._record(fleet, trace.days)
        return Work(terms, names, asked.points, start=found.start, step=found.step, values=found.values.tobytes())

    async def _follow(self, run: _Run, work: Work) -> None:
        """Have a work done, and note what becomes of it."""
        watching = asyncio.create_task(self._watch(run))
        try:
            await self._keep(run)
            async with asyncio.timeout(self.settings.seconds):
                await self._perform(run, work)
        except TimeoutError:
            SIMULATION_SECONDS.note(self.settings.seconds)
            SIMULATION_SECONDS.refused += 1
            run.tell(
                state="failed",
                error=f"it took longer than {self.settings.seconds:g} s (scaling.simulator.seconds): choose fewer"
                " policies, fewer days or longer ticks",
            )
        except asyncio.CancelledError:
            if not run.called_off_by:
                run.tell(state="failed", error="the server ended; run it again")
                raise
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            run.tell(state="cancelled", error=f"it was called off by {run.called_off_by}")
        except OSError as error:
            _log.warning("a simulation could not be run", error=str(error))
            run.tell(state="failed", error="its process could not be started; try again")
        finally:
            watching.cancel()
        SIMULATION_SECONDS.note(run.told.seconds)
        await self._keep(run)

    async def _keep(self, run: _Run) -> None:
        """Keep how it stands; where that cannot be done it is known here only."""
        try:
            await self._kept.put(run.told, run.ends_by)
        except GuideError as error:
            _log.warning("a simulation could not be kept", code=error.code)

    async def _watch(self, run: _Run) -> None:
        """Break it off once another process was asked to."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with contextlib.suppress(GuideError):
                standing = await self._kept.find(run.told.id)
                if standing is not None and standing.called_off_by:
                    run.call_off(standing.called_off_by)

    async def _perform(self, run: _Run, work: Work) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(Path(leash.__file__)), str(os.getpid())),
            *(sys.executable, "-m", PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_LIMIT,
            start_new_session=True,
            env=_environment(),
        )
        try:
            await _give(process, msgspec.msgpack.encode(work))
            while process.stdout is not None and (line := await process.stdout.readline()):
                self._hear(run, _said.decode(line))
                if run.told.state != "running":
                    return
            run.tell(state="failed", error="its process ended by itself; try again, or take longer ticks")
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(_gone(process))

    def _hear(self, run: _Run, said: Said) -> None:
        match said:
            case Begun(ticks):
                SIMULATION_TICKS.note(ticks)
                most = self.settings.most_ticks
                if ticks > most:
                    message = (
                        f"{ticks:,} ticks are over scaling.simulator.most_ticks ({most:,}): choose fewer policies,"
                        " fewer days or longer ticks"
                    )
                    run.refusal = SIMULATION_TICKS.over(Invalid(message))
                    run.tell(state="failed", error=message)
                    return
                run.tell(progress=0.001, step="the demand is read")
            case Moved(policy, progress):
                run.tell(progress=max(progress, 0.001), step=f"{policy} is replayed")
            case Refused(message):
                run.refusal = Invalid(message) if not run.begun else None
                run.tell(state="failed", error=message)
            case Ended(trace, policies):
                run.tell(state="done", progress=1.0, step="", trace=trace, policies=policies)


def _demand(asked: Asked) -> Demand:
    trace = asked.trace
    if trace.history is not None:
        return Demand("history", trace.history, trace.days)
    return Demand("csv") if trace.csv is not None else Demand("demonstration", trace.name or "")


async def _until(run: _Run, met: Callable[[], bool], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not met():
                await run.changed.wait()


async def _give(process: asyncio.subprocess.Process, content: bytes) -> None:
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(content)
            await process.stdin.drain()
            process.stdin.close()


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Wait until a process that was killed is gone, with its pipes."""
    while process.stdout is not None and await process.stdout.read(_PIECE):
        pass
    await process.wait()


def _environment() -> dict[str, str]:
    """Of the process: without our own settings, since secrets may be among them; one thread for numpy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**kept, **one, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
