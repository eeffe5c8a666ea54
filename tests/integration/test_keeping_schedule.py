"""What a server does for keeping and forgetting by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.app.keeping import schedule
from atomic_guide.app.keeping.assembly import assembled
from atomic_guide.app.keeping.manifest import all_in
from atomic_guide.app.keeping.schedule import Keeper
from atomic_guide.course.keeping.forget import Forgetter
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from tests.keeping import MARK, OTHER, PERSON, TENANT, rows_with, seeded, settings_of


def untold(key: CourseKey, revision: int) -> None:
    raise AssertionError((key, revision))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


@pytest.fixture
async def shards(data: Path) -> AsyncIterator[Shards]:
    opened = await open_embedded(data, settings_of(data).databases)
    yield opened
    await opened.close()


async def test_a_backup_is_made_when_one_is_due_and_not_before(data: Path, shards: Shards) -> None:
    keeper = Keeper(settings_of(data, backups__every_minutes=5), shards, untold)
    for _ in range(2):
        await keeper.back_up()
        assert len(all_in(data / "backups")) == 1


async def test_without_a_schedule_there_is_none(data: Path, shards: Shards) -> None:
    await Keeper(settings_of(data), shards, untold).back_up()
    assert all_in(data / "backups") == []


async def test_an_erasure_whose_process_died_is_completed(
    data: Path, shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = Forgetter.forget

    async def dies(self: Forgetter, whom: Whom) -> None:
        raise KeyboardInterrupt

    for tenant in (OTHER, TENANT):
        keeping = await assembled(settings_of(data), data, shards)
        keeping.erasures.notice_seconds = 0.0
        monkeypatch.setattr(Forgetter, "forget", dies)
        with pytest.raises(KeyboardInterrupt):
            await keeping.erasures.erase(Whom(tenant=tenant, user=PERSON))
        monkeypatch.setattr(Forgetter, "forget", forget)
    keeper = Keeper(settings_of(data), shards, untold)
    await keeper.finish_erasures()
    assert rows_with(data, MARK) != [], "whoever began it may still be at it"
    monkeypatch.setattr(schedule, "_STILL_SECONDS", 0.0)
    await keeper.finish_erasures()
    assert rows_with(data, MARK) == []
