"""Open files: as many as the system gives, and a warning only where those are few."""

import subprocess
import sys

import pytest

RAISE = """
import resource, sys
from atomic_guide.app.descriptors import raise_descriptors
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
raise_descriptors(int(sys.argv[2]))
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
"""


@pytest.mark.parametrize(
    ("most", "sockets", "warns"),
    [(1024, 20_000, True), (1024, 400, False), (5000, 20_000, False)],
    ids=["few", "few that suffice", "a laptop's"],
)
def test_a_shortage_is_warned_of_where_it_is_felt(most: int, sockets: int, *, warns: bool) -> None:
    command = [sys.executable, "-c", RAISE, str(most), str(sockets)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert ("LimitNOFILE" in done.stdout + done.stderr) == warns
