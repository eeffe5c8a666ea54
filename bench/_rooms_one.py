"""One message at a time to 1,000 sockets: deliveries per CPU-second beside a send loop in C and four peers.

Each message is posted when the one before has reached everybody. "atomic-guide" is the whole server: HTTP, checks,
a commit with fsync, the room, NATS, every process and thread of it. "our rooms alone" and the C loop do the same
less: they take a body and send it to everybody. Peers take a body and send it on, too.
"""

from __future__ import annotations

from bench._bars import Bars
from bench._room_peers import channels, engine, nchan, node_ws, ours, send_loop, starlette
from bench._room_rounds import compare, ratio, show

SOCKETS = 1000
SECONDS = 5.0


async def measure(bars: Bars) -> None:
    """All in turn, five rounds."""
    sockets = bars.size(SOCKETS, 50)
    starts = [lambda: ours(sockets + 1), engine, send_loop, node_ws, starlette, nchan, channels]
    found = await compare(starts, sockets, max(SECONDS * bars.share, 0.5))
    medians = show(bars, found)
    ratio(bars, medians, "our rooms alone", "C send loop", 0.75)
    ratio(bars, medians, "atomic-guide", "C send loop")
    ratio(bars, medians, "atomic-guide", "Node ws", 1.25)
    for peer in ("Starlette send", "nginx nchan", "Django Channels"):
        ratio(bars, medians, "atomic-guide", peer)
    wrong = sum(run.report.wrong for name in ("atomic-guide", "our rooms alone") for run in found[name])
    bars.most("ours left out, doubled or out of order", wrong, 0)
