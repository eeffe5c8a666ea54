"""A process that carries a move out and stands still before a step, to be killed there. Its orders are on stdin."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from atomic_guide.engines.data.moves import Mover, Progress
from tests.moving import FOLLOWING, open_again

_LEASE_SECONDS = 1.0
_LIFE_SECONDS = 60.0


async def _main(given: dict[str, Any]) -> None:
    def told(progress: Progress) -> None:
        if progress.step == given["step"]:
            print(progress.step, flush=True)  # noqa: T201 - its parent waits for it
            time.sleep(_LIFE_SECONDS)

    shards = await open_again(Path(given["folder"]), given["addresses"])
    mover = Mover(shards, "child", limits=FOLLOWING._replace(lease=_LEASE_SECONDS))
    await mover.carry_out(given["move"], told)


if __name__ == "__main__":
    asyncio.run(_main(json.load(sys.stdin)))
