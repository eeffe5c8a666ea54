"""The garbage collector of a serving process."""

import subprocess
import sys

SCRIPT = """
import gc
from atomic_guide.app import memory
loaded = [[] for _ in range(5000)]
memory.settle()
before = [generation["collections"] for generation in gc.get_stats()]
made = [[] for _ in range(15_000)]
print(gc.get_freeze_count() > 5000, [g["collections"] for g in gc.get_stats()] == before)
made.append(made)
del made
print(gc.collect() > 0)
"""


def test_what_is_loaded_is_left_alone_and_cycles_are_still_found() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["True", "True", "True"]
