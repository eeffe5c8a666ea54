"""What an object store promises."""

import subprocess
import sys
from pathlib import Path

import pytest

from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.engines.assets.store import Store
from atomic_guide.errors import NotFound, OutOfSpace


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


async def read(store: Store, name: str, start: int, end: int) -> bytes:
    return b"".join([part async for part in store.stream(name, start, end)])


async def test_what_was_put_is_read_in_any_range(store: Store) -> None:
    content = bytes(range(256)) * 3000
    await store.put("t/c/a.bin", content)
    assert (await store.head("t/c/a.bin")).size == len(content)
    assert await read(store, "t/c/a.bin", 0, len(content)) == content
    assert await read(store, "t/c/a.bin", 255, 262_200) == content[255:262_200]
    assert await store.read("t/c/a.bin") == content


async def test_requests_are_counted_as_stores_charge_for_them(store: Store) -> None:
    await store.put("t/c/a", b"one")
    await store.names("t/c")
    assert (store.requests.writes, store.requests.reads) == (2, 0), "a list is charged for like a write"
    await store.head("t/c/a")
    assert await read(store, "t/c/a", 0, 3) == b"one"
    assert await read(store, "t/c/a", 1, 3) == b"ne"
    assert (store.requests.reads, store.requests.repeats) == (3, 0)
    assert await read(store, "t/c/a", 0, 3) == b"one"
    assert (store.requests.reads, store.requests.repeats) == (4, 1), "a cache would have had it"


async def test_a_cache_would_not_have_everything(store: Store) -> None:
    for number in range(5000):
        store.requests.read(f"t/c/{number}", 0)
    store.requests.read("t/c/0", 0)
    store.requests.read("t/c/4999", 0)
    assert (store.requests.reads, store.requests.repeats) == (5002, 1)


async def test_the_version_changes_with_the_content(store: Store) -> None:
    await store.put("t/c/a", b"one")
    first = await store.head("t/c/a")
    assert await store.head("t/c/a") == first
    await store.put("t/c/a", b"two")
    assert (await store.head("t/c/a")).etag != first.etag


async def test_files_are_moved_in_whole(store: Store, tmp_path: Path) -> None:
    pairs = []
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"x" * number)
        pairs.append((tmp_path / str(number), f"t/c/v/{number}"))
    await store.adopt(pairs)
    assert await store.names("t/c/v") == {"t/c/v/0": 0, "t/c/v/1": 1, "t/c/v/2": 2}
    assert not (tmp_path / "1").exists()
    async with store.local_file("t/c/v/2") as path:
        assert path.read_bytes() == b"xx"


async def test_a_folder_is_deleted_with_everything_in_it(store: Store, tmp_path: Path) -> None:
    for name in ("t/c/v1/a", "t/c/v1/deep/b", "t/c/v10/a"):
        await store.put(name, b"x")
    (tmp_path / "objects/t/c/v1/.half").write_bytes(b"written by a process that died")
    assert await store.delete_prefix("t/c/v1") >= 2
    assert await store.names("t/c") == {"t/c/v10/a": 1}
    assert not (tmp_path / "objects/t/c/v1").exists()
    assert await store.delete_prefix("t/c/v1") == 0


async def test_what_is_not_there_is_said_to_be_so(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.head("t/c/none")
    with pytest.raises(NotFound):
        await read(store, "t/c/none", 0, 10)
    await store.delete("t/c/none")


@pytest.mark.parametrize(
    "name", ["../x", "a/../b", "/etc/passwd", "a//b", "", ".hidden", "a/.b", "a\\b", "a b", "a\x00", "ä"]
)
async def test_names_that_could_lead_elsewhere_are_refused(store: Store, name: str) -> None:
    with pytest.raises(NotFound):
        await store.put(name, b"x")
    with pytest.raises(NotFound):
        await store.delete_prefix(name)


def test_uploads_are_refused_before_the_disk_is_full(tmp_path: Path) -> None:
    with pytest.raises(OutOfSpace):
        Store(tmp_path, AssetSettings(least_free_bytes=2**62)).check_space()
    with pytest.raises(OutOfSpace):
        Store(tmp_path, AssetSettings(least_free_bytes=0)).check_space(2**62)


def test_a_disk_that_takes_no_more_leaves_nothing_half_written(tmp_path: Path) -> None:
    # The kernel's own limit on a file's size stands in for a full disk: the same write fails half way.
    program = """
import asyncio, resource, sys
from pathlib import Path
from atomic_guide.engines.assets.store import Store
from atomic_guide.errors import GuideError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
async def main():
    store = Store(Path(sys.argv[1]))
    try:
        await store.put("t/c/large", b"x" * 1_000_000)
    except GuideError as error:
        print(error.code, await store.names("t"))
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert ran.stdout.split()[-1:] == ["{}"], ran.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
