"""What a request costs the tester, beside locust's fast HTTP user in the same minutes; and where the tester ends.

Both ask for figures or messages of a course over kept connections, 200 times a second.
"""

from __future__ import annotations

from bench._bars import Bars
from bench._tester import locusts, target, tested

RATE = 200


async def measure(bars: Bars) -> None:
    """CPU time of each tester for a request."""
    seconds = bars.size(30, 8)
    ours, theirs = [], []
    async with target() as server:
        for _ in range(3):
            report = await tested(
                server, "--rps", str(RATE), "--ramp", "1s", "--duration", f"{seconds + 1}s", "--mix", "performance=1"
            )
            ours.append(report["tester"]["cpu"] / report["steady"]["requests"] * 1000)
            told = await locusts(server, 20, RATE / 20, seconds)
            theirs.append(told["cpu"] / told["rate"] * 1000)
        over = await tested(server, "--steps", "500,1000,2000", "--duration", f"{3 * seconds}s",
                            "--mix", "performance=1", "--timeout", "2s")  # fmt: skip
    mine = bars.median("CPU of our tester", ours, "ms a request")
    peer = bars.median("CPU of locust's FastHttpUser", theirs, "ms a request")
    # Theirs waits for an answer before it asks again; ours has a greenlet for each arrival, and counts by the second.
    bars.most("ours over theirs", mine / peer, 1.5)
    for point in over["points"]:
        bars.show(f"at {point['rate']:g}/s: done a second", point["throughput"], "" if point["valid"] else "INVALID")
    for reason in over["verdict"]["reasons"]:
        bars.show(reason, "")
