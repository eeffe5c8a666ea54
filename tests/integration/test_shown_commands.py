"""Every command that README and docs show is run as it is shown, beside a running server.

What cannot be run here is named with the reason; its options are read, so that no page shows one that there is not.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.clock import iso
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.operations import costs
from atomic_guide.operations.demo.demand import Sizes, Values, made
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.series import Series, Slots
from tests import media
from tests.engines import installed
from tests.running import running_server
from tests.shown import Shown, shown

SETTINGS = {"ATOMIC_GUIDE_DATABASES_SHARDS": "2", "ATOMIC_GUIDE_QUEUES_VIDEO_HOLD_WHEN_BUSY": "false"}
"""The shards are as `tests.media` makes them; a machine that runs tests is busy."""

TENANT, COURSE, PERSON = "t-test", "course-1", "teacher"
STANDS_FOR = {
    "TENANT": TENANT, "ID": TENANT, "t-5f0c": TENANT, "t-3f8a": TENANT, "CONTEXT": COURSE, "course-42": COURSE,
    "SUB": PERSON, "a1b2": "u1", "./var": "",
}  # fmt: skip
"""What is there in the place of a page's names; with nothing, the data directory of the test."""

READ_ONLY = {
    ("serve",): "it runs until it is stopped; every other file here starts one",
    ("loadtest", "run"): "it loads a server for minutes, and needs the extra loadtest",
    ("loadtest", "worker"): "it waits for a master on another machine",
    ("loadtest", "plan"): "/srv/guide-test is another installation",
    ("loadtest", "show"): "it needs a finished load test",
    ("loadtest", "report"): "it needs a finished load test",
    ("restore",): "it takes the place of a running server's data",
    ("import-sqlite",): "it needs PostgreSQL servers",
    ("migrate",): "servers.toml names PostgreSQL servers",
    ("platforms", "test"): "it calls the LMS",
    ("scale", "processes", "--web", "4"): "four processes take a while to start on a small machine",
    ("erase", "tenant"): "the tenant is needed by the other pages; tests/integration/test_erase.py erases one",
    ("demo",): "it takes half a minute; tests/integration/test_demo.py adds and removes it",
}
"""By the first words; why it is not run."""

REFUSED = {
    "alerts test pager --send": "no rule pager",
    "backup verify latest --lectures names": "holds its lectures itself",
    "assets carry": "set assets.main to the other one",
    "assets carry --dry-run": "set assets.main to the other one",
    "assets repair --store archive": "no store is called archive",
    "assets where v0123456789abcdef --objects": "no store has",
    "assets where v0123456789abcdef --region us": "no store has",
    "cache warm --tenant ID --course CONTEXT": "nothing is known of this course",
    "costs explain web-fewest-1": "is not recommended",
    "costs apply web-fewest-1": "is not recommended",
    "costs apply web-fewest-1 --yes": "is not recommended",
    "costs rollback web-fewest-1": "there is no change",
    "cache get --tenant ID --course CONTEXT": "no layer has",
}
"""What is answered here with a reason, as there is no channel, no other store, no savings of that name."""


class Place(NamedTuple):
    """A folder with the files that pages name, and what stands for their names."""

    folder: Path
    names: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("shown")
    data = folder / "var"
    names = asyncio.run(_filled(installed(data, 2)))
    _write(folder)
    with running_server(data, {name.removeprefix("ATOMIC_GUIDE_"): value for name, value in SETTINGS.items()}):
        yield Place(folder, {**STANDS_FOR, "./var": str(data), **names})


async def _filled(data: Path) -> dict[str, str]:
    """A lecture that failed, and four weeks of demand."""
    async with media.opened(data) as studio, studio.working():
        teacher = await studio.enter()
        broken = media.clip(data / "a.mp4", seconds=0.5).read_bytes()[:20_000]
        video = await media.upload(teacher, broken)
        await media.until(teacher, video, "failed")
        (letter,) = (await DeadLetters(studio.shards).list()).letters
        demand = made(time.time() // 900 * 900 - 900, 28, ZoneInfo("UTC"), Sizes(2.0, 40.0))
        rows = {Key("web", "demand"): demand.cores, Key("workers", "demand"): demand.slots}
        slots = {key: _slots(demand.times, values.reshape(-1, 60)) for key, values in rows.items()}
        await Series(studio.shards.directory).fill(900, slots)
    return {"v0123456789abcdef": video, "JOB": letter.id}


def _slots(times: Values, rows: Values) -> Slots:
    return Slots(times[::60], np.full(len(rows), 60.0), rows.sum(axis=1), rows.min(axis=1), rows.max(axis=1))


def _write(folder: Path) -> None:
    (folder / "ours.toml").write_bytes((resources.files(costs) / "lists" / "own-hardware.toml").read_bytes())
    demand = made(1_790_000_000.0 // 900 * 900, 21, ZoneInfo("UTC"), Sizes(20_000.0, 1.0))
    hours = zip(demand.times[::240].tolist(), demand.cores[::240].tolist(), strict=True)
    lines = [f"{iso(at)},{value:.0f}" for at, value in hours]
    for name, rows in (("demand.csv", lines), ("morning.csv", lines[:12])):
        (folder / name).write_text("\n".join(["timestamp,value", *rows]) + "\n", "utf-8")
    (folder / "points.csv").write_text(
        "concurrency,throughput\n"
        + "".join(f"{n},{95 * n / (1 + 0.02 * (n - 1)):.0f}\n" for n in (1, 5, 10, 20, 40, 80)),
        "utf-8",
    )
    (folder / "spring.csv").write_text(
        "user,activity,score,max,at\nu1,Exercise 1,15,20,2026-11-02T10:00:00Z\n", "utf-8"
    )
    (folder / "terms.ics").write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20270201\r\n"
        "DTEND;VALUE=DATE:20270213\r\nSUMMARY:Exam weeks\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        "utf-8",
    )


COMMANDS = shown()
PAGES = sorted({one.page for one in COMMANDS})


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_works(page: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    for one in COMMANDS:
        if one.page == page:
            words = [place.names.get(word, word) for word in one.words]
            if words[:2] == ["scale", "simulate"]:
                # A replay of three weeks takes twenty seconds; what is shown is no less shown by a morning.
                words = [word.replace("demand.csv", "morning.csv") for word in words]
            if _read_only(one):
                _parse(words)
            else:
                _run(one, words, place)


def test_the_lists_name_nothing_that_no_page_shows() -> None:
    lines = {one.line for one in COMMANDS}
    assert not REFUSED.keys() - lines
    assert not [words for words in READ_ONLY if not any(one.words[: len(words)] == words for one in COMMANDS)]


def _read_only(one: Shown) -> bool:
    return any(one.words[: len(words)] == words for words in READ_ONLY)


def _parse(words: list[str]) -> None:
    """Read the options as the program does; raises where one is unknown."""
    command: click.Command = program
    context = click.Context(program)
    rest = [word for word in words if not word.endswith((".toml", "secret"))]
    while isinstance(command, click.Group) and rest and (found := command.get_command(context, rest[0])):
        command, rest = found, rest[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    assert not unknown, " ".join(words)


def _asked(place: Place, *words: str) -> Result:
    environment = {name: None for name in os.environ if name.startswith("ATOMIC_GUIDE_")}
    settings = {**environment, **SETTINGS, "ATOMIC_GUIDE_DATA": place.names["./var"]}
    return CliRunner(env=settings).invoke(program, list(words), input="y\n")


def _there(place: Place, words: list[str]) -> list[str]:
    """The words, once what they name is there: a job that was replayed fails again, a hold was placed just before."""
    if words[:2] in (["dead-letters", "replay"], ["dead-letters", "drop"]) and place.names["JOB"] in words:
        deadline = time.monotonic() + 60
        while _asked(place, "dead-letters", "show", place.names["JOB"]).exit_code:
            assert time.monotonic() < deadline, "the worker does not try the broken lecture again"
            time.sleep(0.1)
    if "HOLD" in words:
        (hold,) = json.loads(_asked(place, "erase", "hold", "list", "--json").stdout)["holds"]
        return [hold["id"] if word == "HOLD" else word for word in words]
    return words


def _run(one: Shown, words: list[str], place: Place) -> None:
    answer = _asked(place, *_there(place, words))
    said = f"{one.line}: {answer.exception or ''} {answer.output[-400:]}"
    if one.line in REFUSED:
        assert answer.exit_code == 1, said
        assert REFUSED[one.line] in said
    else:
        assert answer.exit_code == 0, said
