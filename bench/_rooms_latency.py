"""20 messages a second to 1,000 sockets: milliseconds from sending one to its arrival at the last of them."""

from __future__ import annotations

from bench._bars import Bars
from bench._room_peers import nchan, node_ws, ours, send_loop
from bench._room_rounds import compare

SOCKETS = 1000
SECONDS = 5.0
PACE = 20.0


async def measure(bars: Bars) -> None:
    """All in turn, rounds of 100 messages."""
    sockets = bars.size(SOCKETS, 50)
    starts = [lambda: ours(sockets + 1), send_loop, node_ws, nchan]
    found = await compare(starts, sockets, max(SECONDS * bars.share, 1.0), pace=PACE)
    for name, runs in found.items():
        bars.median(f"{name}, half of the messages", [run.report.last_p50 for run in runs], "ms")
        bars.median(f"{name}, 99 of 100", [run.report.last_p99 for run in runs], "ms")
    late = sorted(run.report.last_p99 for run in found["atomic-guide"])[len(found["atomic-guide"]) // 2]
    bars.most("publish to last delivery, p99", late, 25.0, "ms")
