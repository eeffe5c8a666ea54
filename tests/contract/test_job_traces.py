"""A job carries the span that published it, on both engines, and its worker goes on from there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from atomic_guide import tracing
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.tracing import Kind, Span, Value
from tests.contract.test_worker import Floor
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.queueing import declaring

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


class Noting:
    """A backend that notes what is begun, and in which everything happens below one span."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str | None, dict[str, Value]]] = []

    def begin(self, name: str, _kind: Kind, parent: str | None, attributes: dict[str, Value]) -> Span:
        self.begun.append((name, parent, attributes))
        return tracing.NOTHING

    def recording(self) -> bool:
        return False

    def carried(self) -> str | None:
        return PARENT


@pytest.fixture
def noting() -> Iterator[Noting]:
    backend = Noting()
    tracing.use(backend)
    yield backend
    tracing.use(None)


@pytest.fixture(params=ENGINES)
async def floor(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Floor]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        yield made(shards)


def made(shards: Shards) -> Floor:
    return Floor(shards, SystemClock(), declaring(poll_seconds=0.05, q=QueueRules(retry_first_seconds=0.01)))


async def test_a_job_goes_on_with_the_trace_that_published_it(floor: Floor, noting: Noting) -> None:
    await floor.publish()
    got: list[str | None] = []

    async def run(lease: Lease) -> None:
        got.append(lease.job.trace)
        if lease.job.attempts == 1:
            raise RuntimeError

    async with floor.working(run):
        await floor.until(lambda: floor.noted.outcomes["done"] == 1)
    assert got == [PARENT, PARENT]
    attempts = [
        (parent, given["atomic_guide__job__attempt"]) for name, parent, given in noting.begun if name == "job k"
    ]
    assert attempts == [(PARENT, 1), (PARENT, 2)]
    assert "database write" in {name for name, _, _ in noting.begun}


async def test_a_job_that_was_published_untraced_carries_nothing(floor: Floor) -> None:
    await floor.publish()
    await floor.publish(unique_key="once")
    got = asyncio.Queue[str | None]()

    async def run(lease: Lease) -> None:
        got.put_nowait(lease.job.trace)

    async with floor.working(run):
        await floor.until(lambda: floor.noted.outcomes["done"] == 2)
    assert [got.get_nowait(), got.get_nowait()] == [None, None]
