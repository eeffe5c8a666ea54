"""1,000 sockets and 200 arrivals a second, the mix as shipped, server and tester on the same cores.

At full size for ten minutes with a ramp of two, as `loadtest run --rps 200 --duration 600 --ramp 120` does.
"""

from __future__ import annotations

import os
import time

from bench._bars import Bars
from bench._tester import target, tested, used


async def measure(bars: Bars) -> None:
    """The whole of it."""
    duration = bars.size(600, 40)
    async with target() as server:
        cpu, began = used(server), time.monotonic()
        report = await tested(
            server, "--rps", "200", "--duration", f"{duration}s", "--ramp", f"{duration / 5}s", "--sockets", "1000",
            "--slo", "p95=500ms,errors=1%,delivery:p95=500ms",
        )  # fmt: skip
        spent = (used(server) - cpu) / (time.monotonic() - began)
    steady, tester = report["steady"], report["tester"]
    bars.show("cores of this machine", os.cpu_count() or 1)
    bars.least("requests a second", steady["requests"], 200)
    bars.least("sockets open in every second", min(one["sockets"] for one in report["timeline"]), 1000)
    bars.show("deliveries a second", steady["delivery"]["throughput"])
    bars.show("p95 of arrivals", steady["all"]["p95"] * 1000, "ms")
    bars.show("p99 of arrivals", steady["all"]["p99"] * 1000, "ms")
    bars.show("p95 of deliveries", steady["delivery"]["p95"] * 1000, "ms")
    bars.most("errors", steady["all"]["error_rate"] * 100, 1, "%")
    bars.most("deliveries that were missed or doubled", steady["delivery"]["failed"], 0)
    bars.most("the tester's cores", tester["cpu"], 0.6)
    bars.show("cores of the server's first process, people coming in included", spent)
    bars.show("arrivals begun late, p99", (tester["lag_p99"] or 0) * 1000, "ms")
    bars.most("arrivals that were not begun", tester["dropped"], 0)
    bars.most("reasons why the tester was the limit", len(tester["limit"]), 0)
    for reason in report["verdict"]["reasons"]:
        bars.show(reason, "")
