"""The memory of a process: its bounds, what stays under a scan, and how entries age and end."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from atomic_guide.clock import ManualClock
from atomic_guide.engines.cache.layer import ENTRY_BYTES, MISS, Entry, MemoryLayer
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings

LONG = 1e9


def entry(value: object, size: int = 100, ages: float = LONG, ends: float = LONG, *marks: str) -> Entry:
    return Entry(value, size, ages, ends, marks)


def test_what_is_false_or_none_is_a_hit() -> None:
    memory = MemoryLayer(1 << 20)
    for value in (0, False, "", ()):
        memory.put("key", entry(value))
        assert memory.get("key") == (value, False)
        assert memory.hit("key") is value or memory.hit("key") == value
    memory.put("none", entry(None))
    for _ in range(3):
        assert memory.get("none") == (None, False)
    assert memory.usage.hits == 11
    assert memory.hit("none") is MISS, "what does not exist never drives out what does"
    assert memory.hit("other") is MISS
    assert memory.get("other") == (MISS, False)


def test_a_hot_key_survives_a_scan_of_everything_else() -> None:
    memory = MemoryLayer(100 * (100 + ENTRY_BYTES))
    memory.put("hot", entry("stays"))
    memory.get("hot")
    for number in range(10_000):
        memory.put(("scan", number), entry(number))
    assert memory.hit("hot") == "stays"
    assert memory.usage.bytes <= 100 * (100 + ENTRY_BYTES)
    assert memory.usage.evicted >= 9_900


def test_among_hot_keys_the_one_used_longest_ago_leaves() -> None:
    size = 1000
    memory = MemoryLayer(10 * (size + ENTRY_BYTES))
    for key in "abcdefgh":
        memory.put(key, entry(key, size))
        memory.get(key)
    memory.hit("a")
    for key in "ijk":
        memory.put(key, entry(key, size))
        memory.get(key)
    assert memory.hit("a") == "a"
    assert memory.hit("b") is MISS, "it went back among the new ones, or is gone"


def test_a_new_value_of_a_key_takes_no_other_keys_place() -> None:
    memory = MemoryLayer(10 * (1000 + ENTRY_BYTES))
    for key in "abcdefghij":
        memory.put(key, entry(key, 1000))
    for _ in range(100):
        memory.put("a", entry("again", 1000))
    assert memory.usage.evicted == 0
    assert {memory.get(key)[0] for key in "bcdefghij"} == set("bcdefghij")
    assert memory.get("a")[0] == "again"


def test_what_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    memory = MemoryLayer(100_000)
    memory.put("small", entry(1))
    assert not memory.put("large", entry(2, 50_000))
    assert memory.get("large")[0] is MISS
    assert memory.get("small")[0] == 1


def test_an_entry_ages_and_then_ends() -> None:
    memory = MemoryLayer(1 << 20)
    memory.put("key", entry("value", 100, 10.0, 20.0))
    memory.get("key")
    assert memory.expire(9.9) == 10.0
    assert memory.hit("key") == "value"
    assert memory.expire(10.0) == 20.0
    assert memory.hit("key") is MISS
    assert memory.get("key") == ("value", True)
    assert memory.expire(20.0) is None
    assert memory.get("key") == (MISS, False)
    assert memory.usage == (0, 0, 0, 3, 0)


def test_a_replaced_entry_does_not_end_the_new_one() -> None:
    memory = MemoryLayer(1 << 20)
    memory.put("key", entry("old", 100, 10.0, 20.0))
    memory.put("key", entry("new", 100, 30.0, 40.0))
    assert memory.expire(25.0) == 30.0
    assert memory.get("key") == ("new", False)


def test_lives_can_be_shortened_all_at_once() -> None:
    memory = MemoryLayer(1 << 20)
    memory.put("long", entry(1, 100, 100.0, 200.0))
    memory.put("short", entry(2, 100, 3.0, 4.0))
    memory.shorten(5.0)
    memory.expire(4.5)
    assert memory.get("short")[0] is MISS
    assert memory.get("long")[0] == 1
    memory.expire(5.0)
    assert memory.get("long")[0] is MISS


def test_a_mark_drops_all_that_carry_it_and_nothing_else() -> None:
    memory = MemoryLayer(1 << 20)
    memory.put("a", entry(1, 100, LONG, LONG, "course", "user"))
    memory.put("b", entry(2, 100, LONG, LONG, "course"))
    memory.put("c", entry(3, 100, LONG, LONG, "user"))
    assert memory.drop_mark("course") == 2
    assert [memory.get(key)[0] for key in "abc"] == [MISS, MISS, 3]
    assert memory.drop_mark("course") == 0


class Machine(RuleBasedStateMachine):
    """Any calls in any order, beside a plain dictionary that never forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 8 * (100 + ENTRY_BYTES)
        self.memory = MemoryLayer(self.most)
        self.model: dict[int, int] = {}
        self.now = 0.0

    @rule(key=st.integers(0, 20), value=st.integers(), size=st.integers(0, 100), life=st.floats(0.1, 50))
    def put(self, key: int, value: int, size: int, life: float) -> None:
        self.memory.put(key, entry(value, size, self.now + life / 2, self.now + life, f"m{key % 3}"))
        self.model[key] = value

    @rule(key=st.integers(0, 20))
    def get(self, key: int) -> None:
        value, _ = self.memory.get(key)
        assert value is MISS or value == self.model[key]
        assert self.memory.hit(key) in {MISS, self.model.get(key)}

    @rule(mark=st.integers(0, 2))
    def drop(self, mark: int) -> None:
        self.memory.drop_mark(f"m{mark}")
        for key in range(mark, 21, 3):
            assert self.memory.get(key)[0] is MISS

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        following = self.memory.expire(self.now)
        assert following is None or following > self.now

    @rule()
    def clear(self) -> None:
        self.memory.clear()
        assert self.memory.usage[:2] == (0, 0)

    @invariant()
    def bounded(self) -> None:
        assert 0 <= self.memory.usage.bytes <= self.most
        assert self.memory.usage.entries <= 20 + 1
        assert (self.memory.usage.bytes == 0) == (self.memory.usage.entries == 0)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, deadline=None)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=300))
@settings(deadline=None)
def test_reminders_of_what_was_replaced_do_not_pile_up(calls: list[tuple[int, bool]]) -> None:
    memory = MemoryLayer(1 << 20)
    for key, drops in calls * 20:
        if drops:
            memory.drop(key)
        else:
            memory.put(key, entry(key, 10, 5.0, 6.0))
    assert memory.expire(6.0) is None
    assert memory.usage.entries == 0
    assert memory.usage.bytes == pytest.approx(0)


def test_what_is_counted_for_entries_is_what_they_take() -> None:
    """By Python's own account, for values of a product's space with all their marks; without the objects' own bytes."""
    most, size = 4 << 20, 1000
    cache = Cache(CacheSettings(memory_bytes=most), ManualClock(0.0))
    pages = cache.space("pages", bytes)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(10_000):
            key = pages.key(f"tenant-{number % 50}", f"course-{number}")
            cache.memory.put(key, Entry(bytes(size) + b"%d" % number, size, LONG, LONG, pages.marks_of(key)))
            assert cache.usage.bytes <= most
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cache.usage.evicted > 7000
    assert taken < 1.25 * most
