"""Bursts of 16 messages to 1,000 sockets: what is due in one tick is one write for each socket.

The messages of a burst are posted at once over 16 connections; the next burst when everybody has the one before. In
which order they are read from those is open, so what only passes them on may be out of order; ours numbers them.
"""

from __future__ import annotations

from bench._bars import Bars
from bench._room_peers import engine, nchan, node_ws, ours, send_loop, starlette
from bench._room_rounds import compare, ratio, show

SOCKETS = 1000
SECONDS = 2.0
BURST = 16


async def measure(bars: Bars) -> None:
    """All in turn."""
    sockets = bars.size(SOCKETS, 50)
    starts = [lambda: ours(sockets + 1), engine, send_loop, node_ws, starlette, nchan]
    found = await compare(starts, sockets, max(SECONDS * bars.share, 0.5), burst=BURST)
    medians = show(bars, found)
    ratio(bars, medians, "our rooms alone", "C send loop")
    ratio(bars, medians, "our rooms alone", "Node ws", 10)
    ratio(bars, medians, "atomic-guide", "Node ws", 10)
    ratio(bars, medians, "atomic-guide", "nginx nchan")
    wrong = sum(run.report.wrong for run in found["atomic-guide"])
    bars.most("ours left out, doubled or out of order", wrong, 0)
