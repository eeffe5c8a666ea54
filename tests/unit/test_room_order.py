import random

from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.rooms.order import EARLY_LIMIT, Order


def frame(seq: int) -> bytes:
    return b"%d" % seq


@given(st.integers(0, 40), st.integers(1, 40), st.randoms(use_true_random=False), st.floats(0, 1))
def test_any_mix_of_lost_doubled_and_early_announcements_comes_out_once_in_order(
    start: int, count: int, chance: random.Random, loss: float
) -> None:
    stored = list(range(start + 1, start + count + 1))
    heard = [seq for seq in stored * 2 if chance.random() > loss]
    chance.shuffle(heard)
    order = Order(ring_messages=8, ring_bytes=1000)
    out: list[bytes] = []
    for seq in heard[: len(heard) // 3]:
        order.hold(seq, frame(seq))
    out += order.start(start)
    for seq in heard[len(heard) // 3 :]:
        out += order.take(seq, frame(seq))
        if chance.random() < 0.2:
            for missing in range(order.last + 1, order.known + 1):  # a repair from the database
                out += order.take(missing, frame(missing))
    order.expect(stored[-1])
    for missing in range(order.last + 1, order.known + 1):
        out += order.take(missing, frame(missing))
    assert out == [frame(seq) for seq in stored]
    assert order.missing == 0


@given(st.integers(0, 30), st.integers(0, 12), st.integers(0, 40))
def test_the_ring_gives_exactly_what_follows_or_nothing(count: int, size: int, after: int) -> None:
    order = Order(ring_messages=size, ring_bytes=10_000)
    order.start(0)
    for seq in range(1, count + 1):
        order.take(seq, frame(seq))
    kept = order.since(after)
    if count - after > size:
        assert kept is None
    else:
        assert kept == [frame(seq) for seq in range(after + 1, count + 1)]


def test_the_ring_is_bounded_in_bytes() -> None:
    order = Order(ring_messages=1000, ring_bytes=100)
    order.start(0)
    for seq in range(1, 100):
        order.take(seq, b"x" * 30)
    assert order.since(96) == [b"x" * 30] * 3
    assert order.since(95) is None


def test_what_comes_too_early_is_bounded() -> None:
    order = Order(ring_messages=10, ring_bytes=1000)
    order.start(0)
    for seq in range(2, EARLY_LIMIT + 100):
        order.take(seq, b"")
    assert len(order.take(1, b"")) == EARLY_LIMIT + 1
    assert order.missing == 98
