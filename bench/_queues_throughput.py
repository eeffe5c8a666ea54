"""No-op jobs published and run by one worker process, on PostgreSQL and on SQLite, beside five frameworks.

A round publishes jobs with one program, then starts one worker; it is timed from the first job until the last has
ended (ours: until its end is committed). End to end is the whole way: jobs by the seconds of publishing and running,
which is what bars are about; running alone is shown beside it. CPU is that of publisher, worker and the store's server
together.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench._bars import Bars
from bench._peers import Missing
from bench._queue_peers import FRAMEWORKS, Peer, Programs, Redis, Store, call, finish, ours, redis, surroundings
from bench._room_load import cpu_seconds
from bench.data import show_durability
from tests.engines import DIRECTORY, SHARD
from tests.postgres import fresh_cluster, fresh_database, keeper

ROUNDS = 3
LIMIT_SECONDS = 120.0
SETTLE_SECONDS = 0.5
"""What a worker has left to do after its last job: acknowledging it."""

OURS_SERVER, OURS_FILES = "atomic-guide, PostgreSQL", "atomic-guide, SQLite"
CONTESTANTS = (ours(OURS_SERVER, "postgresql", 40_000), ours(OURS_FILES, "files", 20_000), *FRAMEWORKS)


class Round(NamedTuple):
    """What one round showed; CPU in seconds of all that took part."""

    jobs: int
    enqueue: float
    work: float
    cpu: float

    @property
    def worked(self) -> float:
        """Jobs run a second."""
        return self.jobs / self.work

    @property
    def enqueued(self) -> float:
        """Jobs published a second."""
        return self.jobs / self.enqueue

    @property
    def both(self) -> float:
        """Jobs a second, published and run."""
        return self.jobs / (self.enqueue + self.work)


class Marked:
    """Hears a worker's marks, and notes at each what CPU time has gone."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.worker = 0
        self.first = (0, 0.0)
        self.last: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One mark."""
        what, at = (await reader.readline()).split()
        noted = int(at), cpu_of(self._store) + cpu_seconds(self.worker)
        if what == b"first":
            self.first = noted
        elif not self.last.done():
            self.last.set_result(noted)
        writer.write(b".")
        writer.close()


def cpu_of(store: Store) -> float:
    """CPU seconds of the store's server so far."""
    return cpu_seconds(store.pid) if store.pid is not None else 0.0


async def round_of(peer: Programs, store: Store, jobs: int) -> Round:
    """Publish, then run."""
    with tempfile.TemporaryDirectory() as folder:
        marks, words = Path(folder) / "marks", surroundings(store, jobs, Path(folder) / "marks")
        before = cpu_of(store)
        seconds, publisher = await _published(peer, words)
        enqueue_cpu = cpu_of(store) - before + publisher
        marked = Marked(store)
        async with await asyncio.start_unix_server(marked.hear, marks):
            log = (Path(folder) / "log").open("wb")
            worker = await asyncio.create_subprocess_exec(
                *peer.work, env=words, cwd=peer.folder, stdout=log, stderr=log
            )
            marked.worker = worker.pid
            try:
                ended = asyncio.create_task(worker.wait())
                over: list[asyncio.Future[Any]] = [ended, marked.last]
                await asyncio.wait(over, timeout=LIMIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if not marked.last.done():
                    said = (Path(folder) / "log").read_text(errors="replace").strip()[-200:]
                    raise Missing(f"its worker did not end {jobs} jobs within {LIMIT_SECONDS:.0f} s: {said}")
                at, cpu = marked.last.result()
                await asyncio.sleep(SETTLE_SECONDS)
            finally:
                await finish(worker)
                log.close()
        return Round(jobs, seconds, (at - marked.first[0]) / 1e9, enqueue_cpu + cpu - marked.first[1])


async def _published(peer: Programs, words: dict[str, str]) -> tuple[float, float]:
    """Run the publisher; its seconds, and those of CPU."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*peer.enqueue, env=words, cwd=peer.folder, stdout=pipe, stderr=pipe)
    try:
        said, wrong = await asyncio.wait_for(program.communicate(), LIMIT_SECONDS)
    except TimeoutError:
        raise Missing(f"publishing took over {LIMIT_SECONDS:.0f} s") from None
    finally:
        await finish(program)
    if program.returncode:
        raise Missing(f"its publisher failed: {wrong.decode(errors='replace').strip()[-200:]}")
    _, seconds, cpu = said.split()
    return float(seconds), float(cpu)


class Stores:
    """A store of its own for each contestant; one Redis for all that use it, one after the other."""

    def __init__(self, folder: Path, server: Redis | None, made: dict[str, Store]) -> None:
        self._folder = folder
        self.redis = server
        self._made = made

    def of(self, peer: Peer) -> Store:
        """The store for a contestant's next round. Raises `Missing`."""
        if peer.kind == "redis":
            if self.redis is None:
                raise Missing("no Redis here")
            self.redis.ask("flushall")
            return self.redis.store
        if peer.kind == "files" and peer.name not in self._made:
            place = Path(tempfile.mkdtemp(dir=self._folder))
            self._made[peer.name] = Store(str(place if peer.name == OURS_FILES else place / "jobs.sqlite"), None)
        return self._made[peer.name]


@asynccontextmanager
async def stores(folder: Path) -> AsyncIterator[Stores]:
    """A PostgreSQL server and a Redis for the run."""
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(fresh_cluster(((),)))
        shard = cluster.shards[0]
        show_durability(shard.primary)
        directory, jobs, other = [
            await stack.enter_async_context(database)
            for database in (fresh_database(shard, DIRECTORY), fresh_database(shard, SHARD), fresh_database(shard))
        ]
        pid = keeper.postmaster(shard.primary.data)
        made = {OURS_SERVER: Store(f"{directory} {jobs}", pid), FRAMEWORKS[-1].name: Store(other, pid)}
        try:
            server = await stack.enter_async_context(redis(folder))
            print("  redis            appendonly=yes  appendfsync=always")
        except Missing as error:
            server = None
            print(f"  redis: not shown ({error})")
        yield Stores(folder, server, made)


async def prepared(peer: Peer, places: Stores) -> Programs:
    """Install a contestant, and make its tables where it has some. Raises `Missing`."""
    programs = await asyncio.to_thread(peer.programs)
    if peer is FRAMEWORKS[-1]:
        words = surroundings(places.of(peer), 0, Path("unused"))
        command = call(Path(programs.work[0]).parent, "procrastinate", "prepare")
        table = await asyncio.create_subprocess_exec(*command, env=words, cwd=programs.folder)
        if await asyncio.wait_for(table.wait(), LIMIT_SECONDS):
            raise Missing("its tables could not be made")
    return programs


async def measure(bars: Bars) -> None:
    """All in turn, three rounds; then those on Redis with an fsync each second only."""
    with tempfile.TemporaryDirectory() as name:
        async with stores(Path(name)) as places:
            found: dict[str, list[Round]] = {}
            installed: dict[str, Programs] = {}
            for number in range(ROUNDS):
                for peer in CONTESTANTS:
                    await _take_part(peer, places, installed, found, bars.size(peer.jobs, 100), first=number == 0)
            medians = show(bars, found)
            await every_second(bars, places, installed)
    judge(bars, medians)


async def _take_part(
    peer: Peer, places: Stores, installed: dict[str, Programs], found: dict[str, list[Round]], jobs: int, *, first: bool
) -> None:
    """One round, or why there is none."""
    if not first and peer.name not in found:
        return
    try:
        if first:
            installed[peer.name] = await prepared(peer, places)
        found.setdefault(peer.name, []).append(await round_of(installed[peer.name], places.of(peer), jobs))
    except Missing as error:
        found.pop(peer.name, None)
        print(f"  {peer.name}: not shown ({error})", flush=True)


def show(bars: Bars, found: dict[str, list[Round]]) -> dict[str, Round]:
    """Print the medians; those by name."""
    medians = {}
    for peer in CONTESTANTS:
        if rounds := found.get(peer.name):
            bars.median(peer.name, [one.worked for one in rounds], "jobs/s")
            middle = Round(*(statistics.median(values) for values in zip(*rounds, strict=True)))
            medians[peer.name] = middle
            print(
                f"      enqueued {middle.enqueued:,.0f}/s, end to end {middle.both:,.0f}/s,"
                f" {middle.jobs / middle.cpu:,.0f} jobs per CPU-second ({peer.how})"
            )
    return medians


async def every_second(bars: Bars, places: Stores, installed: dict[str, Programs]) -> None:
    """What the peers on Redis do where a second of acknowledged jobs may be lost."""
    if places.redis is None:
        return
    places.redis.ask("config", "set", "appendfsync", "everysec")
    for peer in FRAMEWORKS:
        if peer.kind == "redis" and peer.name in installed:
            try:
                one = await round_of(installed[peer.name], places.of(peer), bars.size(peer.jobs, 100))
            except Missing as error:
                print(f"  {peer.name}: not shown ({error})")
                continue
            bars.show(f"{peer.name}, appendfsync=everysec", one.worked, f"jobs/s, enqueued {one.enqueued:,.0f}/s")


def judge(bars: Bars, medians: dict[str, Round]) -> None:
    """Ours beside the best of the others, in what each does best."""
    peers = [medians[peer.name] for peer in FRAMEWORKS if peer.name in medians]
    if not peers:
        bars.least("frameworks that could be measured", 0, 1)
        return
    for name, bound in ((OURS_SERVER, 5.0), (OURS_FILES, 3.0)):
        ours_did = medians[name]
        bars.least(f"{name}: end to end, to the best peer", ours_did.both / max(one.both for one in peers), bound)
        bars.show(f"{name}: run alone, to the best peer", ours_did.worked / max(one.worked for one in peers))
        best = max(one.jobs / one.cpu for one in peers)
        bars.show(f"{name}: jobs per CPU-second, to the best peer", ours_did.jobs / ours_did.cpu / best)
        bars.least(f"{name}: enqueued", ours_did.enqueued, 30_000, "jobs/s")
