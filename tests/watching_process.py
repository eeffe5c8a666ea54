"""A process that counts events, to be killed while it does. Its databases are named on stdin."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.moving import open_again
from tests.watching import counting, taking


async def _main(given: dict[str, Any]) -> None:
    shards = await open_again(Path(given["folder"]), given["addresses"])
    async with counting(taking(shards, batch=given["batch"]), shards):
        print("counting", flush=True)  # noqa: T201 - its parent waits for it
        await asyncio.sleep(given["seconds"])


if __name__ == "__main__":
    asyncio.run(_main(json.load(sys.stdin)))
