"""Lines of requests: for machines that collect them, and on a terminal only where the settings ask."""

import os
import subprocess
import sys

import pytest

ASK = """
import sys
from atomic_guide.app.logs import logs_requests
from atomic_guide.config import load_settings
print(logs_requests(load_settings().logs))
"""


@pytest.mark.parametrize(
    ("terminal", "set_to", "logged"),
    [(False, None, True), (True, None, False), (True, "true", True), (False, "false", False)],
)
def test_requests_are_logged_where_nobody_looks_or_somebody_asks(
    set_to: str | None, *, terminal: bool, logged: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    if set_to is not None:
        environment["ATOMIC_GUIDE_LOGS_REQUESTS"] = set_to
    ours, theirs = os.openpty()
    stderr = theirs if terminal else subprocess.PIPE
    try:
        done = subprocess.run([sys.executable, "-c", ASK], stdout=subprocess.PIPE, stderr=stderr, env=environment,
                              text=True, timeout=50, check=True)  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout.strip() == str(logged)
