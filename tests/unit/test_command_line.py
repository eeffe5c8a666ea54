"""What `--help` and answers in words look like to somebody who meets the commands for the first time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.errors import NotFound
from tests.engines import installed

LOADED = """
import atexit, sys
atexit.register(lambda: print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr))
from atomic_guide.cli import main
main()
"""
HEAVY = {"alembic", "asyncpg", "cryptography", "httpx", "joserfc", "nats", "numpy", "sqlalchemy", "starlette"}


def said(*words: str) -> str:
    answer = CliRunner().invoke(program, list(words))
    assert answer.exit_code == 0, answer.output
    return answer.output


@pytest.mark.parametrize("words", [(), ("scale",), ("costs", "prices")])
def test_help_says_each_command_in_a_whole_sentence(words: tuple[str, ...]) -> None:
    listed = said(*words, "--help").partition("Commands:\n")[2]
    assert listed.count("\n") > 2
    assert "..." not in listed


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (("--help",), HEAVY | {"stamina", "structlog"}),
        (("shards", "move", "--help"), HEAVY | {"stamina", "structlog"}),
        (("queues", "list"), HEAVY),
    ],
)
def test_a_command_loads_only_what_it_needs(words: tuple[str, ...], without: set[str], tmp_path: Path) -> None:
    where = () if "--help" in words else ("--data", str(installed(tmp_path / "data")))
    command = [sys.executable, "-c", LOADED, *words, *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert without & loaded == set()


@pytest.mark.parametrize(
    "line",
    [
        "queues", "scale status", "scale schedule", "platforms list",
        "platforms remove --issuer https://lms.example.edu --yes", "demo --dry-run", "demo remove", "shards", "alerts",
        "operators", "costs", "capacity", "cache", "limits", "regions", "residency", "assets quota",
        "dead-letters", "scores", "replicas", "backup",
    ],
)  # fmt: skip
def test_where_nothing_is_installed_a_command_says_so_and_makes_nothing(line: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nope"
    done = CliRunner().invoke(program, [*line.split(), "--data", str(nowhere)])
    assert isinstance(done.exception, NotFound), done.output
    assert str(nowhere) in done.exception.message
    assert "--data" in done.exception.message
    assert not nowhere.exists()


def test_settings_of_a_section_are_those_below_it() -> None:
    found = json.loads(said("settings", "rooms", "--json"))["settings"]
    assert {"rooms.room_sockets", "rooms.frame_limit"} <= {one["key"] for one in found}
    assert all(one["key"].startswith("rooms.") for one in found)
    (one,) = json.loads(said("settings", "rooms.room_sockets", "--json"))["settings"]
    assert one["unit"] == "sockets"
    assert "alerts.channels" in said("settings", "alerts")


@pytest.mark.parametrize(
    ("section", "meant"),
    [("alert", "alerts"), ("room_sockets", "rooms.room_sockets"), ("nonsense9", "sections are"), ("roms", "rooms")],
)
def test_a_section_that_there_is_not_names_those_that_are_near(section: str, meant: str) -> None:
    done = CliRunner().invoke(program, ["settings", section])
    assert isinstance(done.exception, NotFound), done.output
    assert meant in done.exception.message


def test_an_lms_and_an_operator_may_be_registered_before_the_first_start(tmp_path: Path) -> None:
    for line in ("platforms invite", "operators add ada@example.edu"):
        data = tmp_path / line.split()[0]
        done = CliRunner().invoke(program, [*line.split(), "--data", str(data)])
        assert done.exit_code == 0, done.output
        assert (data / "databases").is_dir()


LEADS = {
    "alerts": "list", "assets quota": "list", "backup": "make", "cache": "stats", "capacity": "plan", "costs": "report",
    "costs prices": "list", "dead-letters": "list", "erase hold": "list", "loadtest": "list", "operators": "list",
    "platforms": "list", "queues": "list", "regions": "list", "residency": "report", "scale": "status",
    "scale schedule": "list", "scores": "imports", "shards": "list",
}  # fmt: skip
"""By group: what it is without a subcommand."""

SILENT = {"assets", "demo", "erase", "export", "rehearse"}
"""Groups of which no subcommand is the obvious one, or which say by themselves what they do."""


def groups(group: click.Group, path: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield f"{path} {name}".strip()
            yield from groups(found, f"{path} {name}")


def test_every_group_has_a_command_that_it_is_without_one_or_none_is_obvious() -> None:
    assert set(groups(program)) == LEADS.keys() | SILENT


@pytest.mark.parametrize(("group", "lead"), LEADS.items())
def test_a_group_is_one_of_its_commands_where_none_is_named(group: str, lead: str) -> None:
    words = group.split()
    assert f"Without a subcommand: as `{lead}`, with its options." in said(*words, "--help")
    refused = CliRunner().invoke(program, [*words, "--no-such-option"])
    assert refused.exit_code == 2
    assert f"{group} {lead}" in refused.output


def test_a_group_answers_as_its_command_does(tmp_path: Path) -> None:
    installed(tmp_path)
    for group in ("platforms", "alerts", "scale schedule"):
        options = ("--data", str(tmp_path), "--json")
        assert json.loads(said(*group.split(), *options)) == json.loads(said(*group.split(), LEADS[group], *options))


def test_what_is_wrong_with_an_option_is_said_of_the_command_that_leads() -> None:
    refused = CliRunner().invoke(program, ["costs", "--days", "0"])
    assert refused.exit_code == 2
    assert "costs report" in refused.output
    refused = CliRunner().invoke(program, ["capacity", "--horizon", "12 parsecs"])
    assert "is no horizon" in str(refused.exception)
    assert "No such command 'reprot'" in CliRunner().invoke(program, ["costs", "reprot"]).output


def test_a_simulation_names_its_figures_in_words(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    values = [500] * 10 + [1500] * 10
    file.write_text("timestamp,value\n" + "".join(f"{60 * minute},{value}\n" for minute, value in enumerate(values)))
    head, row, *_ = said("scale", "simulate", "--trace", str(file), "--policy", "hpa-50").splitlines()
    assert head.split("  ")[0] == "policy"
    titles = ("min over", "cost x", "changes a day", "flaps a day", "most units")
    assert [title for title in titles if title not in head] == []
    assert "_" not in head
    assert len(row) == len(head)
