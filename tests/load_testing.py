"""Load tests as operators run them, against a real server."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.running import RunningServer

needs_locust = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None, reason="locust is not installed: the extra loadtest"
)


def environment() -> dict[str, str]:
    """Without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}


def command(*words: str) -> list[str]:
    """A call of `atomic-guide loadtest`."""
    return [sys.executable, "-m", "atomic_guide.cli", "loadtest", *words]


def call(server: RunningServer, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Carry a command out on the data directory of a server."""
    line = [*command(*words), "--data", str(server.data)]
    return subprocess.run(
        line, capture_output=True, text=True, env={**environment(), **variables}, timeout=58, check=False
    )


class Test:
    """A test under way."""

    __test__ = False

    def __init__(self, server: RunningServer, *words: str) -> None:
        line = [*command("run", *words), "--data", str(server.data), "--json"]
        self.process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        self.told: list[str] = []

    def wait_for(self, text: str) -> str:
        """Read what it tells until a line holds a text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.told))

    def report(self) -> dict[str, Any]:
        """Its report, when it has ended."""
        out, err = self.process.communicate(timeout=50)
        self.told.append(err)
        assert out, "".join(self.told)
        found: dict[str, Any] = msgspec.json.decode(out)
        return found

    def tester(self, place: int = 0) -> int:
        """A process that sends, in the order in which they were started."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            found = [int(one) for one in children if b"loadtest.runner" in Path(f"/proc/{one}/cmdline").read_bytes()]
            if len(found) > place:
                return found[place]
            time.sleep(0.05)
        raise AssertionError("no process sends")
