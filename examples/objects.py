"""Files that are there whole or not at all, below a folder or in an S3 bucket, and addresses of them that expire."""

import asyncio
import tempfile
from pathlib import Path

from atomic_guide.clock import ManualClock
from atomic_guide.engines.assets.opening import open_store
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.engines.assets.sign import Signer, SigningSettings
from atomic_guide.errors import Forbidden


async def main(folder: Path) -> None:
    """Keep an object, read a part of it, sign an address, and let that end."""
    # With assets.stores and assets.main declared, the same calls keep objects in a bucket.
    store = open_store(folder, AssetSettings(least_free_bytes=0))
    await store.put("reports/2026/june.csv", b"name,hours\nada,12\n")
    print(await store.names("reports"))
    print(b"".join([part async for part in store.stream("reports/2026/june.csv", 11, 14)]))

    clock = ManualClock()
    signer = Signer(b"32 random bytes that nobody knows", clock, SigningSettings(life_seconds=3600))
    address = signer.sign({"name": "reports/2026/june.csv"})
    print(signer.check(address))
    clock.advance(2 * 3600)
    try:
        signer.check(address)
    except Forbidden as refused:
        print(f"two hours later: {refused}")
    print(f"removed: {await store.delete_prefix('reports')}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(main(Path(made)))
