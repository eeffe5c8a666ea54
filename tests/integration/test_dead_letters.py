"""The commands `queues` and `dead-letters`, beside what a server left."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.queues.actions import Act
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.errors import NotFound
from tests import media

LIVE = Query("live", "Jobs that are not dead.", {None: "SELECT subject, state FROM jobs WHERE state <> 'dead'"})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one broken video."""
    folder = tmp_path_factory.mktemp("data")

    async def fail() -> None:
        async with media.opened(folder) as studio, studio.working():
            teacher = await studio.enter()
            broken = media.clip(folder / "a.mp4", seconds=0.5).read_bytes()[:20_000]
            await media.until(teacher, await media.upload(teacher, broken), "failed")

    asyncio.run(fail())
    return folder


def run(data: Path, *arguments: str) -> Any:
    # The shards of this directory are two, and a command reads the same settings as the server.
    environment = {"ATOMIC_GUIDE_DATABASES_SHARDS": "2"}
    answer = CliRunner(env=environment).invoke(program, [*arguments, "--data", str(data), "--json"])
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def video_queue(data: Path) -> dict[str, Any]:
    (view,) = [view for view in run(data, "queues")["queues"] if view["queue"] == "video"]
    found: dict[str, Any] = view
    return found


def test_a_dead_letter_is_listed_shown_replayed_and_dropped(data: Path) -> None:
    (letter,) = run(data, "dead-letters", "list")["dead_letters"]
    assert letter["kind"] == "video.transcode"
    assert "index is missing" in letter["reason"]
    assert run(data, "dead-letters", "show", letter["id"]) == letter
    assert video_queue(data)["states"] == {"dead": 1}
    assert run(data, "queues", "--state", "dead")["jobs"][0]["id"] == letter["id"]
    assert run(data, "dead-letters", "replay", letter["id"]) == {"replayed": letter["id"]}
    assert run(data, "dead-letters", "list") == {"dead_letters": [], "complete": True, "missing": {}}
    assert video_queue(data)["states"] == {"queued": 1}
    with pytest.raises(NotFound):
        run(data, "dead-letters", "drop", letter["id"])


@pytest.mark.parametrize("operator_first", [True, False])
async def test_an_operator_and_a_teacher_who_try_again_at_once_run_one_job(
    tmp_path: Path, *, operator_first: bool
) -> None:
    async with media.opened(tmp_path) as studio:
        teacher = await studio.enter()
        broken = media.clip(tmp_path / "a.mp4", seconds=0.5).read_bytes()[:20_000]
        async with studio.working():
            video = await media.upload(teacher, broken)
            await media.until(teacher, video, "failed")
        letters = DeadLetters(studio.shards)
        ((letter,), _) = await letters.list()
        for _ in range(3):
            both = [
                letters.replay(letter.id, Act("ada", studio.clock.now())),
                teacher.post(f"/api/video/{video}/retry"),
            ]
            await asyncio.gather(*(both if operator_first else reversed(both)), return_exceptions=True)
        rows = [row for shard in studio.shards.all() for row in await shard.read(LIVE)]
        assert [(row["subject"], row["state"]) for row in rows] == [(video, "queued")]
        async with studio.working():
            for _ in range(300):
                if (await letters.list()).letters:
                    break
                await asyncio.sleep(0.05)
        # The replay of what cannot succeed is one run, and one letter again.
        ((again,), _) = await letters.list()
        assert (again.subject, again.attempts, again.reason) == (video, 1, letter.reason)


def test_a_wrong_state_is_wrong_usage() -> None:
    answer = CliRunner().invoke(program, ["queues", "--state", "lost"])
    assert answer.exit_code == 2
    assert "queued" in answer.stderr
