"""Erasing and exporting on both engines: what the commands do, over files and over PostgreSQL servers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.app.keeping.assembly import Keeping, assembled
from atomic_guide.course.keeping.bundle import Bundle
from atomic_guide.course.keeping.places import DIRECTORY, SHARD
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.engines.data.queries import Query
from tests.engines import ENGINES, opened_shards
from tests.keeping import CONTEXTS, FELLOW, MARK, OTHER, PERSON, TENANT, fill, settings_of
from tests.postgres import Cluster

WHOM = Whom(tenant=TENANT, user=PERSON)


@pytest.fixture(params=ENGINES)
async def keeping(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Keeping]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        await fill(shards, tmp_path)
        made = await assembled(settings_of(tmp_path), tmp_path, shards)
        made.erasures.notice_seconds = 0.0
        yield made
        await made.reads.close()


async def rows_with(keeping: Keeping, text: str) -> set[str]:
    """The tables that hold a text."""
    found = set()
    shards = keeping.parts.shards
    pairs: list[tuple[Any, Any]] = [(shard, place) for shard in shards.all() for place in SHARD]
    for database, place in [*pairs, *((shards.directory, place) for place in DIRECTORY)]:
        sql = f"SELECT * FROM {place.table}"  # noqa: S608 - names of the schema
        for row in await database.scan(Query("all", "A test's look.", {None: sql})):
            if any(text in str(row[name]) for name in row.keys()):  # noqa: SIM118 - a row iterates over its values
                found.add(place.table)
    return found


async def test_a_person_goes_and_others_stay(keeping: Keeping) -> None:
    await keeping.erasures.erase(Whom(tenant=OTHER, user=PERSON))
    receipt = await keeping.erasures.erase(WHOM)
    assert receipt.found["messages"] == 2 * len(CONTEXTS)
    assert receipt.is_sealed_with(keeping.key)
    assert await rows_with(keeping, MARK) == set()
    assert "messages" in await rows_with(keeping, FELLOW)
    assert (await keeping.erasures.erase(WHOM)).found == {}


async def test_a_tenant_goes(keeping: Keeping) -> None:
    await keeping.erasures.erase(Whom(tenant=TENANT))
    assert await rows_with(keeping, TENANT) == set()
    assert "courses" in await rows_with(keeping, OTHER)


async def test_an_erasure_is_repeated_from_its_record(keeping: Keeping) -> None:
    record = keeping.erasures._record(WHOM)
    assert await keeping.erasures.catch_up([record]) == 1
    assert await keeping.erasures.catch_up([record]) == 0
    assert (await keeping.forgetter.found(WHOM)) == {}


async def test_an_export_holds_what_an_erasure_finds(keeping: Keeping, tmp_path: Path) -> None:
    found = (await keeping.erasures.preview(WHOM)).found
    rows = await keeping.exporter(list[str]().append).export(WHOM, Bundle(tmp_path / "bundle"))
    for table in ("members", "messages", "scores", "uploads", "videos", "idempotency", "jobs"):
        assert rows[f"{table}.ndjson"] == found[table]
    manifest = msgspec.json.decode((tmp_path / "bundle" / "manifest.json").read_bytes())
    assert len(manifest["courses"]) == len(CONTEXTS)
