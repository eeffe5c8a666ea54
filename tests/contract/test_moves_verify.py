"""Whether directory and shards agree: what is found, what is put right, and what is left to a person."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.engines.data.moves import Finding, Mover, Scope, verify
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.moving import ADD, FOLLOWING, fill, message, other, query, rows_on, seqs, where
from tests.postgres import Cluster

KEY = CourseKey.of("t1", "algebra")
BUCKET = Scope(DEFAULT_ZONE, KEY.bucket)
SAY = query(
    "UPDATE bucket_owner SET state = :state, epoch = :epoch WHERE bucket = :bucket AND tenant = :tenant"
    " AND course = :course"
)
ENTER = query(
    "INSERT INTO bucket_owner (bucket, tenant, course, epoch, state, token, changed_at)"
    " VALUES (:bucket, :tenant, :course, :epoch, :state, 0, 0)"
)


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def say(shards: Shards, name: str, state: str, epoch: int, **key: Any) -> None:
    """Write what a shard says of the bucket, or of a course of it."""
    params = {"bucket": KEY.bucket, "tenant": "", "course": "", "state": state, "epoch": epoch, **key}
    database = shards.named(name).primary
    if not await database.write(lambda tx: tx.execute(SAY, params)):
        await database.write(lambda tx: tx.execute(ENTER, params))


def kinds(findings: Sequence[Finding]) -> list[tuple[str, str, bool]]:
    return [(each.kind, each.shard, each.repaired) for each in findings]


async def pinned(shards: Shards) -> str:
    """Where the course is, away from its bucket."""
    mover = Mover(shards, "mover", limits=FOLLOWING)
    away = other(shards, KEY)
    await mover.carry_out((await mover.start(Scope.of_course(DEFAULT_ZONE, KEY), away)).id)
    return away


async def test_a_new_installation_is_sound(shards: Shards) -> None:
    assert await verify(shards) == []


async def test_a_fence_without_a_move_is_lifted(shards: Shards) -> None:
    here = where(shards, KEY)
    await say(shards, here, "fenced", 1)
    assert kinds(await verify(shards)) == [("fenced", here, False)]
    assert kinds(await verify(shards, repair=True)) == [("fenced", here, True)]
    await fill(shards, KEY, 1)
    assert await verify(shards) == []


async def test_a_copy_that_nobody_waits_for_is_removed(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    there = other(shards, KEY)
    await say(shards, there, "arriving", 2)
    await shards.named(there).primary.write(lambda tx: tx.execute(ADD, message(KEY, 1)))
    assert kinds(await verify(shards)) == [("arriving", there, False), ("rows", there, False)]
    assert next(each.repaired for each in await verify(shards, repair=True))
    assert await rows_on(shards.named(there).primary, KEY.bucket) == 0
    assert await seqs(shards, KEY) == [1, 2, 3]
    assert await verify(shards) == []


async def test_of_two_owners_the_one_that_the_map_names_stays_and_no_row_of_the_other_is_lost(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    here, there = where(shards, KEY), other(shards, KEY)
    await say(shards, there, "owned", 1)
    await shards.named(there).primary.write(lambda tx: tx.execute(ADD, message(KEY, 9)))
    assert kinds(await verify(shards, repair=True)) == [("twice", there, True), ("rows", there, False)]
    assert (where(shards, KEY), await seqs(shards, KEY)) == (here, [1, 2, 3])
    # What was written there may be nowhere else: however often it is repaired, a person decides about it.
    for _ in range(2):
        (left,) = await verify(shards, repair=True)
        assert (left.kind, left.shard, left.repaired) == ("rows", there, False)
        assert "by hand" in left.remedy
    assert await rows_on(shards.named(there).primary, KEY.bucket) == 1


@pytest.mark.parametrize(
    ("state", "epoch", "kind"), [("gone", 1, "unowned"), ("owned", 0, "behind"), ("owned", 5, "ahead")]
)
async def test_what_only_a_person_can_decide_is_left_alone(shards: Shards, state: str, epoch: int, kind: str) -> None:
    await fill(shards, KEY, 3)
    here, there = where(shards, KEY), other(shards, KEY)
    await say(shards, here, state, epoch)
    # A copy elsewhere may be the only one that is whole.
    await say(shards, there, "owned", epoch)
    await shards.named(there).primary.write(lambda tx: tx.execute(ADD, message(KEY, 9)))
    (first, *others) = await verify(shards, repair=True)
    assert (first.kind, first.shard, first.repaired) == (kind, here, False)
    assert "back" in first.remedy
    if kind == "unowned":
        assert not any(each.repaired for each in others)
    assert await rows_on(shards.named(there).primary, KEY.bucket) == 1
    assert await rows_on(shards.named(here).primary, KEY.bucket) == 7


async def test_a_pinned_course_is_answered_for_at_its_place_only(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    home = where(shards, KEY)
    away = await pinned(shards)
    assert await verify(shards) == []
    await say(shards, home, "owned", 1, tenant=KEY.tenant, course=KEY.course)
    found = kinds(await verify(shards, repair=True))
    assert ("course", home, True) in found
    assert await verify(shards) == []
    assert (where(shards, KEY), await seqs(shards, KEY)) == (away, [1, 2, 3])


async def test_a_course_that_its_own_bucket_refuses_is_answered_for_again(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    here = where(shards, KEY)
    await say(shards, here, "gone", 1, tenant=KEY.tenant, course=KEY.course)
    assert ("course", here, False) in kinds(await verify(shards))
    await verify(shards, repair=True)
    assert await verify(shards) == []
    assert await seqs(shards, KEY) == [1, 2, 3]


async def test_rows_without_any_entry_are_left_to_a_person(shards: Shards) -> None:
    there = other(shards, KEY)
    await shards.named(there).primary.write(lambda tx: tx.execute(ADD, message(KEY, 1)))
    assert kinds(await verify(shards, repair=True)) == [("rows", there, False)]
    assert await rows_on(shards.named(there).primary, KEY.bucket) == 1


async def test_a_bucket_that_moves_is_passed_over(shards: Shards) -> None:
    await fill(shards, KEY, 3)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    await mover.start(BUCKET, other(shards, KEY))
    await say(shards, where(shards, KEY), "fenced", 1)
    await say(shards, other(shards, KEY), "arriving", 2)
    assert await verify(shards, repair=True) == []
