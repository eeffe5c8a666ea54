"""The pictures of docs/scaling-explained.md and the figures beside them: a made-up demand under several policies.

`python3 dev.py docs --pictures` draws them anew. The demand is that of `atomic-guide demo`, of fixed weeks, so that
only a change of the policies or of the drawing changes a picture. Runs in `.venv`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from atomic_guide.clock import from_iso, iso
from atomic_guide.operations.demo.demand import DAY, TICK, Demand, Sizes, made
from tools.environment import VENV
from tools.locks import ROOT

UNTIL = from_iso("2026-10-17T00:00:00Z")
"""A Saturday: the crowd comes on the Friday before."""

_DAYS = 35
_PEAK = 2000.0
"""Units of work in a second at a usual peak: twenty of `--unit-capacity`."""

PICTURES = {
    "scaling-week": (7, ("default", "hpa-60")),
    "scaling-crowd": (1, ("default", "guide-thresholds", "target-tracking")),
}
"""By the name of the file: how many of the last days, and which policies."""

_LIMIT_SECONDS = 300


def main() -> int:
    """Draw all, and print the rows of the tables beside them."""
    demand = made(UNTIL, _DAYS, ZoneInfo("UTC"), Sizes(_PEAK, _PEAK))
    with tempfile.TemporaryDirectory() as name:
        for picture, (days, policies) in PICTURES.items():
            ticks = days * DAY // TICK
            trace, history = Path(name) / "trace.csv", Path(name) / "history.csv"
            write(trace, demand, -ticks, None)
            write(history, demand, 0, -ticks)
            print(f"\n{picture}: {', '.join(policies)}\n" + rows(trace, history, picture, policies))
    return 0


def write(path: Path, demand: Demand, first: int, last: int | None) -> None:
    """Write ticks of a demand as a trace."""
    pairs = zip(demand.times[first:last].tolist(), demand.cores[first:last].tolist(), strict=True)
    lines = [f"{iso(at)},{value:.1f}" for at, value in pairs]
    path.write_text("\n".join(["timestamp,value", *lines]) + "\n", "utf-8")


def rows(trace: Path, history: Path, picture: str, policies: tuple[str, ...]) -> str:
    """Draw one picture; how the policies did, as rows of a table."""
    command = [
        str(VENV / "bin" / "atomic-guide"),
        "scale",
        "simulate",
        "--trace",
        str(trace),
        "--history",
        str(history),
    ]
    command += [word for policy in policies for word in ("--policy", policy)]
    command += ["--picture", str(ROOT / "docs" / "pictures" / f"{picture}.svg"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LIMIT_SECONDS)
    found = json.loads(done.stdout)["policies"]
    return "\n".join(
        "| `{name}` | {violation_minutes} | {cost_ratio:.2f} | {events_per_day:.0f} |".format(**one) for one in found
    )


if __name__ == "__main__":
    sys.exit(main())
