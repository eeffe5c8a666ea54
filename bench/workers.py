"""A burst of lectures on a server that scales its own workers: `python3 dev.py bench workers [--share 0.2]`.

60 short clips are uploaded to one `atomic-guide serve` with its settings as shipped. Workers have to come within 45 s,
with a reason on record; every lecture is ready, made by one run of its job; when the backlog is gone the workers go
again, which takes as long as the policy that tunes itself has chosen to wait, 5 to 60 minutes, in its first day 20; and
what was done is judged. With a smaller share the burst is smaller and the workers' going is not waited for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from bench._bars import Bars
from tests.running import running_server
from tests.scaling_live import burst, clips

CLIPS = 60
UP_SECONDS = 45.0
LIMIT_SECONDS = 3000.0
"""Forty minutes of the longest wait, and the burst itself."""


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 where every bar is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="part of the burst, such as 0.2")
    bars = Bars(parser.parse_args(arguments).share)
    print(f"{os.cpu_count()} cores, load {', '.join(f'{load:.2f}' for load in os.getloadavg())}\n")
    files = clips(bars.size(CLIPS, 6))
    whole = bars.share >= 1
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "data") as server:
        outcome = asyncio.run(burst(server, files, LIMIT_SECONDS, "down" if whole else "up"))
        for moment in outcome.moments:
            print(f"  after {moment.at:7.1f} s: {moment.workers} workers beside the first, {moment.ready} ready")
        for event in outcome.events:
            decision = event["decision"]
            if decision["action"] != "hold":
                print(
                    f"  {event['state']}: {decision['action']} {event['before']} to {event['after']}, {event['rule']}:"
                )
                print(f"    {decision['reason']}")
                print(f"    {(event['verdict'] or {}).get('why', 'not judged yet')}")
    up = outcome.first(1)
    bars.most("a worker is ready after", up if up is not None else LIMIT_SECONDS, UP_SECONDS, "s")
    drained = outcome.drained(len(files))
    bars.most("all lectures are ready after", drained if drained is not None else LIMIT_SECONDS + 1, LIMIT_SECONDS, "s")
    bars.least("lectures ready", outcome.states["ready"], len(files))
    bars.least("lectures whose job was run once", outcome.runs[1], len(files))
    acts = [event for event in outcome.events if event["fleet"] == "workers" and event["state"] == "done"]
    bars.least("acts done", len(acts), 1)
    bars.least("of them with a reason", sum(bool(act["decision"]["reason"]) for act in acts), len(acts))
    if whole:
        bars.most("workers at the end", outcome.moments[-1].workers, 0)
        judged = sum(act["verdict"] is not None for act in acts if act["after"] > act["before"])
        bars.least("steps up that were judged", judged, 1)
    return bars.conclude()


if __name__ == "__main__":
    sys.exit(main())
