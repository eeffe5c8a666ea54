"""Many objects, a large one, and a process that is killed while it copies: the benchmark in reduced size."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench._assets_through import run
from tests.copying import all_verified, assets, spread_of, stock
from tests.media import opened
from tests.s3 import S3

pytestmark = pytest.mark.timeout(240)


async def test_all_is_verified_though_a_store_fails_three_calls_of_ten() -> None:
    await run(3, 20, 4096, 180)


def test_memory_does_not_grow_with_an_object() -> None:
    # In a process of its own, which fails where its memory grows by more than 64 MiB.
    command = [sys.executable, "-m", "bench._assets_memory", str(256 * 1024 * 1024)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]


async def test_a_killed_process_is_gone_on_for_where_it_was(tmp_path: Path, service: S3) -> None:
    objects, size = 120, 20_000
    us = service.store("killed", "us")
    slow = assets(us, bytes_per_second=40 * size, at_once=2)
    async with opened(tmp_path / "data", assets=assets(us), copies=True) as studio:
        spread = spread_of(studio)
        ((key, video),) = await stock(studio, 1, objects, size)
        await spread.note(key, key.course, video)
        command = [sys.executable, "-m", "tests.copying_process", str(tmp_path / "data")]
        process = await asyncio.create_subprocess_exec(
            *command, msgspec.json.encode(slow).decode(), stdout=subprocess.DEVNULL
        )
        try:
            done = 0
            async with asyncio.timeout(120):
                while not done:
                    await asyncio.sleep(0.02)
                    copies = {one.store: one for one in await spread.parts.catalog.replicas(key.tenant, video)}
                    done = copies[us.name].done if us.name in copies else 0
        finally:
            process.kill()
            await process.wait()
        copies = {one.store: one for one in await spread.parts.catalog.replicas(key.tenant, video)}
        done = copies[us.name].done
        assert copies[us.name].state == "copying"
        assert 0 < done < objects
        async with studio.working():
            await all_verified(studio, 2, 120)
        # Every object that was not noted as done, and the list.
        assert spread.parts.remotes[us.name].calls["put", "ok"] == objects - done + 1
