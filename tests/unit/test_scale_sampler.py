"""Sources that fail, hang and say strange things, and a record that is away."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.errors import DataUnavailable
from atomic_guide.operations.scaling import sampler
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.model import Key, Sample, Source
from atomic_guide.operations.scaling.sampler import Sampler

GOOD = Sample(Key("queues", "backlog", "video"), 3.0)


class Kept:
    """Keeps what it is given; fails or hangs where it is told to."""

    def __init__(self) -> None:
        self.stored: list[Sample] = []
        self.slots: list[float] = []
        self.failing = self.hanging = False

    async def store(self, at: float, samples: Sequence[Sample]) -> None:
        if self.hanging:
            await asyncio.sleep(3600)
        if self.failing:
            raise DataUnavailable("database directory is away")
        self.stored += samples
        self.slots.append(at)


class Says:
    name = "good"

    def __init__(self, *samples: Sample) -> None:
        self.samples = list(samples) or [GOOD]

    async def measure(self, at: float) -> list[Sample]:
        return self.samples


class Fails:
    name = "failing"

    async def measure(self, at: float) -> list[Sample]:
        raise RuntimeError("postgresql://user:password@host/")


class Hangs:
    """Does not let itself be cancelled either."""

    name = "hanging"

    def __init__(self) -> None:
        self.calls = 0
        self.free = asyncio.Event()

    async def measure(self, at: float) -> list[Sample]:
        self.calls += 1
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                continue
        return [Sample(Key("web", "demand"), 1.0)]


@pytest.fixture(autouse=True)
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(sampler, "RECORD_SECONDS", 0.1)


def sampling(*sources: Source) -> tuple[Sampler, Kept, ManualClock]:
    kept, clock = Kept(), ManualClock()
    return Sampler(sources, kept, clock), kept, clock  # type: ignore[arg-type]


async def test_a_source_that_fails_costs_its_own_samples_and_tells_no_secret() -> None:
    one, kept, _ = sampling(Fails(), Says())
    seen = await one.sample()
    assert seen.values == {GOOD.key: 3.0}
    assert seen.missing == {"failing": "it failed with RuntimeError"}
    assert seen.value("web", "demand") is None
    assert kept.stored == [GOOD]
    assert one.last is seen


async def test_a_source_that_hangs_is_named_and_not_asked_twice() -> None:
    hanging = Hangs()
    one, _, clock = sampling(hanging, Says())
    for _ in range(3):
        seen = await one.sample()
        assert seen.values == {GOOD.key: 3.0}
        assert "no answer within" in seen.missing["hanging"]
        clock.advance(15)
    assert hanging.calls == 1
    hanging.free.set()
    assert (await one.sample()).missing == {"hanging": "its last answer came too late"}
    clock.advance(15)
    seen = await one.sample()
    assert seen.missing == {}
    assert seen.value("web", "demand") == 1.0


async def test_what_is_no_number_or_below_zero_was_not_measured() -> None:
    names = [Key("web", name) for name in ("demand", "errors", "in_flight")]
    strange = [Sample(key, value) for key, value in zip(names, (math.nan, -1.0, math.inf), strict=True)]
    one, kept, _ = sampling(Says(*strange, GOOD))
    seen = await one.sample()
    assert seen.values == {GOOD.key: 3.0}
    assert seen.missing == {"good": "demand was nan; errors was -1; in_flight was inf"}
    assert kept.stored == [GOOD]


async def test_a_record_that_is_away_is_no_reason_not_to_see() -> None:
    one, kept, _ = sampling(Says())
    kept.failing = True
    seen = await one.sample()
    assert seen.values == {GOOD.key: 3.0}
    assert seen.missing == {"series": "database directory is away"}
    kept.failing, kept.hanging = False, True
    assert (await one.sample()).missing == {"series": "not recorded within 0.1 s"}
    assert (await one.sample()).missing == {"series": "what was measured before is still being recorded"}


async def test_durations_are_seen_as_mean_and_quantiles() -> None:
    spread = Histogram()
    for value in (0.1, 0.1, 0.1, 4.1):
        spread.add(value)
    key = Key("web", "latency")
    one, _, _ = sampling(Says(Sample(key, spread.total, spread.counts), Sample(Key("database", "query"), 0.0, {})))
    seen = await one.sample()
    assert seen.value("web", "latency") == pytest.approx(1.1)
    assert seen.value("web", "latency_p50") == pytest.approx(0.1, rel=0.05)
    assert seen.value("web", "latency_p95") == pytest.approx(4.1, rel=0.05)
    assert seen.value("database", "query") is None
    assert seen.missing == {}


async def test_ticks_about_the_edge_of_a_slot_leave_none_empty() -> None:
    one, kept, clock = sampling(Says())
    begin = clock.now() // 15 * 15
    for at in (14.9, 30.1, 44.9, 60.0, 75.2, 240.1, 241.0):
        clock.advance(begin + at - clock.now())
        await one.sample()
    assert [slot - begin for slot in kept.slots] == [0, 15, 30, 45, 60, 240, 240]


def test_the_next_tick_is_in_the_middle_of_its_slot() -> None:
    one, _, clock = sampling()
    for into, left in ((0, 7.5), (7, 0.5), (8, 14.5), (14, 8.5)):
        clock.advance(15 - clock.now() % 15 + into)
        assert one.until_next() == pytest.approx(left)
