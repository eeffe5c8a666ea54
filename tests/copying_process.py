"""Copies the lectures of a data directory until it is killed: `python -m tests.copying_process DATA SETTINGS`."""

import asyncio
import sys
from pathlib import Path

import msgspec

from atomic_guide.engines.assets.settings import AssetSettings
from tests.media import opened


async def work(data: Path, settings: AssetSettings) -> None:
    """Work for ever."""
    async with opened(data, assets=settings, copies=True) as studio, studio.working():
        sys.stdout.write("working\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=AssetSettings)))
