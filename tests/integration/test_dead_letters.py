"""The commands `queues` and `dead-letters`, beside what a server left."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.errors import NotFound
from tests import media


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


def test_a_dead_letter_is_listed_shown_replayed_and_dropped(data: Path) -> None:
    (letter,) = run(data, "dead-letters", "list")["dead_letters"]
    assert letter["kind"] == "video.transcode"
    assert "index is missing" in letter["reason"]
    assert run(data, "dead-letters", "show", letter["id"]) == letter
    assert run(data, "queues")["queues"][0]["state"] == "dead"
    assert run(data, "queues", "--state", "dead")["jobs"][0]["id"] == letter["id"]
    assert run(data, "dead-letters", "replay", letter["id"]) == {"replayed": letter["id"]}
    assert run(data, "dead-letters", "list") == {"dead_letters": [], "complete": True, "missing": {}}
    assert run(data, "queues")["queues"][0]["state"] == "queued"
    with pytest.raises(NotFound):
        run(data, "dead-letters", "drop", letter["id"])


def test_a_wrong_state_is_wrong_usage() -> None:
    answer = CliRunner().invoke(program, ["queues", "--state", "lost"])
    assert answer.exit_code == 2
    assert "queued" in answer.stderr
