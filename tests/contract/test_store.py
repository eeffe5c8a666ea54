"""What an object store promises."""

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.opening import open_store
from atomic_guide.engines.assets.settings import AssetSettings, StoreSettings
from atomic_guide.engines.assets.store import Store
from atomic_guide.errors import ChecksumMismatch, NotFound, OutOfSpace
from tests.copying import assets
from tests.s3 import S3


@pytest.fixture(scope="module")
def bucket(service: S3) -> StoreSettings:
    return service.store("promises")


@pytest.fixture(params=["directory", "bucket"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return open_store(tmp_path, AssetSettings(least_free_bytes=0))
    bucket: StoreSettings = request.getfixturevalue("bucket")
    made = open_store(tmp_path, msgspec.structs.replace(assets(bucket), main=bucket.name))
    await made.delete_prefix("t")
    return made


def spoil(store: Store, tmp_path: Path, name: str) -> None:
    """Leave what a process that died may leave below a folder."""
    if isinstance(store, DirectoryStore):
        (tmp_path / "objects" / name).write_bytes(b"written by a process that died")


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
    with pytest.raises(NotFound):
        await store.adopt([(tmp_path / "1", "t/c/v/1")])


async def test_programs_get_objects_as_files_that_are_gone_afterwards(store: Store, tmp_path: Path) -> None:
    for name in ("t/c/v/index.m3u8", "t/c/v/deep/b", "t/c/v2/other"):
        await store.put(name, name.encode())
    async with store.local_file("t/c/v/deep/b") as path:
        assert path.is_absolute()
        assert path.read_bytes() == b"t/c/v/deep/b"
    async with store.local_folder("t/c/v", ["index.m3u8"]) as folder:
        assert {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} == {"index.m3u8", "deep/b"}
    with pytest.raises(NotFound):
        async with store.local_folder("t/c/v", ["none"]):
            pass
    assert not folder.exists() or isinstance(store, DirectoryStore), "what was fetched is gone"


async def test_what_is_put_back_replaces_what_was_there_or_nothing(store: Store) -> None:
    async def parts(*contents: bytes) -> AsyncIterator[bytes]:
        for content in contents:
            if content == b"wrong":
                raise ChecksumMismatch("it was changed")
            yield content

    await store.put("t/c/a", b"old")
    with pytest.raises(ChecksumMismatch):
        await store.restore("t/c/a", parts(b"half", b"wrong"), 9)
    assert await store.read("t/c/a") == b"old"
    await store.restore("t/c/a", parts(b"n", b"ew"), 3)
    assert await store.read("t/c/a") == b"new"


async def test_an_object_of_many_parts_comes_back_as_it_went(store: Store, tmp_path: Path) -> None:
    content = secrets.token_bytes(2**20) * 17
    (tmp_path / "large").write_bytes(content)
    await store.adopt([(tmp_path / "large", "t/c/large")])
    assert (await store.head("t/c/large")).size == len(content)
    async with store.local_file("t/c/large") as path:
        assert path.read_bytes() == content
    assert await read(store, "t/c/large", 2**23 - 1, 2**23 + 2) == content[2**23 - 1 : 2**23 + 2]


async def test_only_a_bucket_has_addresses_of_its_own(store: Store) -> None:
    await store.put("t/c/a.jpg", b"picture")
    address = await store.sign("t/c/a.jpg")
    if isinstance(store, DirectoryStore):
        assert address is None
        return
    assert address is not None
    async with httpx.AsyncClient() as browser:
        got = await browser.get(address)
        assert (got.content, got.headers["content-type"]) == (b"picture", "image/jpeg")
        assert got.headers["cache-control"].startswith("private")
        assert (await browser.get(address.replace("a.jpg", "b.jpg"))).status_code == 403


async def test_a_folder_is_deleted_with_everything_in_it(store: Store, tmp_path: Path) -> None:
    # Of a course of its own: this service lists the folders that other tests have emptied.
    for name in ("t/whole/v1/a", "t/whole/v1/deep/b", "t/whole/v10/a"):
        await store.put(name, b"x")
    spoil(store, tmp_path, "t/whole/v1/.half")
    assert sorted(await store.folders("t/whole")) == ["t/whole/v1", "t/whole/v10"]
    assert await store.folders("t/none") == []
    assert await store.delete_prefix("t/whole/v1") >= 2
    assert await store.names("t/whole") == {"t/whole/v10/a": 1}
    assert not (tmp_path / "objects/t/whole/v1").exists()
    assert await store.delete_prefix("t/whole/v1") == 0


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
        DirectoryStore(tmp_path, AssetSettings(least_free_bytes=2**62)).check_space()
    with pytest.raises(OutOfSpace):
        DirectoryStore(tmp_path, AssetSettings(least_free_bytes=0)).check_space(2**62)


def test_a_disk_that_takes_no_more_leaves_nothing_half_written(tmp_path: Path) -> None:
    # The kernel's own limit on a file's size stands in for a full disk: the same write fails half way.
    program = """
import asyncio, resource, sys
from pathlib import Path
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.errors import GuideError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
async def main():
    store = DirectoryStore(Path(sys.argv[1]))
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
