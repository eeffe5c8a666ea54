"""Whether the machine is busy, and whether a process has grown too far."""

from atomic_guide.engines.queues.busy import Figures, judge, over_memory
from atomic_guide.engines.queues.load import Load, resident
from atomic_guide.engines.queues.settings import QueueSettings

SETTINGS = QueueSettings(busy_lag_seconds=0.2, busy_load=4, memory_mb=256)


def test_an_idle_machine_is_not_busy() -> None:
    assert not judge(Figures(0, 0.5, 0), SETTINGS, was_busy=False).busy


def test_a_late_loop_or_a_crowded_machine_is_busy_and_says_why() -> None:
    assert judge(Figures(0.2, 0, 0), SETTINGS, was_busy=False) == (True, "the event loop came 0.20 s late")
    assert judge(Figures(0, 4.5, 0), SETTINGS, was_busy=False) == (True, "4.5 runnable threads for each core")


def test_busy_ends_well_below_where_it_begins() -> None:
    just_below = Figures(0.19, 3.9, 0)
    assert judge(just_below, SETTINGS, was_busy=True).busy
    assert not judge(just_below, SETTINGS, was_busy=False).busy
    assert not judge(Figures(0.13, 2.7, 0), SETTINGS, was_busy=True).busy


def test_memory_is_compared_with_its_limit() -> None:
    assert over_memory(Figures(0, 0, 257 * 2**20), SETTINGS)
    assert not over_memory(Figures(0, 0, 255 * 2**20), SETTINGS)


def test_one_late_turn_is_no_load_and_is_forgotten() -> None:
    load = Load()
    load.late(100.0, 3.0)
    assert load.figures(100.0).lag == 0
    load.late(101.0, 1.0)
    assert load.figures(102.0).lag == 1.0
    assert load.figures(107.0).lag == 0


def test_a_process_knows_its_memory() -> None:
    before = resident()
    kept = bytearray(64 * 2**20)
    kept[::4096] = b"x" * len(kept[::4096])
    assert resident() - before > 32 * 2**20
    del kept
