"""`dev.py` and `tools/`: what a person meets when set-up cannot go on, and what the checks find."""

import ast
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Column, DefaultClause, Integer, MetaData, Table, Text

import dev
from tools import audit, commands, drift, environment, frontend, locks, pages, pins, sbom

ROOT = locks.ROOT


class Version(NamedTuple):
    major: int
    minor: int


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The set-up alone, in a folder of its own."""
    for name in ("tools", "locks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dev.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "STAMPS", tmp_path / "stamps")
    return tmp_path / "stamps"


def test_an_old_python_parses_the_script_and_is_told_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ast.parse((ROOT / "dev.py").read_text("utf-8"), feature_version=(3, 4))
    monkeypatch.setattr(sys, "version_info", Version(3, 9))
    assert dev.main() == 1
    assert "needs Python 3.11 or newer; this is Python 3.9" in capsys.readouterr().err


def test_a_missing_venv_names_the_package_and_leaves_nothing(copied: Path) -> None:
    program = (
        "import importlib.util, sys; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'ensurepip' else find(name, *rest)\n"
        "sys.argv[1:] = ['run']; import dev; sys.exit(dev.main())"
    )
    before = sorted(copied.iterdir())
    command = [sys.executable, "-B", "-c", program]
    done = subprocess.run(command, cwd=copied, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "venv is not installed" in done.stderr
    assert f"python3.{sys.version_info[1]}-venv" in done.stderr
    assert sorted(copied.iterdir()) == before


def test_venv_is_found_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.check_venv()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(environment.SetupError, match="venv"):
        environment.check_venv()


def test_a_first_installation_that_fails_leaves_no_environment(copied: Path) -> None:
    for lock in (copied / "locks").iterdir():
        lock.write_text(f"no-such-thing==1.0 \\\n    --hash=sha256:{'0' * 64}\n", "utf-8")
    # No index at all, whatever this machine is set to.
    env = dict(os.environ, PIP_NO_INDEX="1", UV_OFFLINE="1", PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="")
    command = [sys.executable, "dev.py", "docs"]
    done = subprocess.run(command, cwd=copied, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "no-such-thing" in done.stderr
    assert not (copied / ".venv").exists()


def test_two_set_ups_of_one_folder_do_not_run_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "LOCK_WAIT_SECONDS", -1)
    with environment.alone(), pytest.raises(environment.SetupError, match="another dev"), environment.alone():
        pass
    with environment.alone():
        assert tmp_path.is_dir()


def test_a_step_is_done_again_only_for_another_content(stamps: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one", "utf-8")
    first = environment.digest([source])
    stamps.parent.mkdir(exist_ok=True)
    assert not environment.stamped("step", first)
    environment.stamp("step", first)
    assert environment.stamped("step", environment.digest([source]))
    source.write_text("two", "utf-8")
    assert not environment.stamped("step", environment.digest([source]))


def test_a_digest_knows_where_one_part_ends(tmp_path: Path) -> None:
    assert environment.digest(["ab", "c"]) != environment.digest(["a", "bc"])
    assert environment.digest([tmp_path / "absent"]) == environment.digest([""])


def test_the_front_end_is_built_again_only_when_a_source_changed(
    stamps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, built, calls = tmp_path / "frontend", tmp_path / "static", tmp_path / "calls"
    (sources / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "src/course.ts"):
        (sources / name).write_text("{}", "utf-8")
    monkeypatch.setattr(frontend, "SOURCES", sources)
    monkeypatch.setattr(frontend, "BUILT", built)
    program = (
        "import pathlib, sys; calls, built, verb = map(pathlib.Path, sys.argv[1:4])\n"
        "calls.open('a').write(f'{verb}\\n') and pathlib.Path('node_modules').mkdir(exist_ok=True)\n"
        "built.mkdir(exist_ok=True) or (built / 'manifest.json').touch()"
    )
    stand_in = [sys.executable, "-c", program, str(calls), str(built)]
    monkeypatch.setattr(frontend, "npm", lambda: (stand_in, dict(os.environ)))
    frontend.build()
    frontend.build()
    assert calls.read_text("utf-8").split() == ["ci", "run"]
    (sources / "src" / "course.ts").write_text("changed", "utf-8")
    frontend.build()
    assert calls.read_text("utf-8").split() == ["ci", "run", "run"]


def test_what_is_no_node_has_no_version(tmp_path: Path) -> None:
    assert frontend.version_of(str(tmp_path / "node")) < frontend.OLDEST_NODE


@pytest.mark.parametrize(
    "line", ["--index-url https://index.example/simple", "-i index", "thing @ https://host.example/thing.whl"]
)
def test_a_lock_that_names_a_host_is_found(line: str) -> None:
    assert any("names a host" in problem for problem in pins.hosts("lock", f"{line}\n"))


def test_a_pin_without_a_hash_is_found() -> None:
    whole = f"one==1 \\\n    --hash=sha256:{'a' * 64}\n"
    assert list(pins.hosts("lock", whole)) == []
    assert list(pins.hosts("lock", f"{whole}two==2\n")) == ["lock: no hash for two==2"]


def test_a_demand_that_no_pin_answers_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(locks.LOCKS, tmp_path / "locks")
    monkeypatch.setattr(locks, "LOCKS", tmp_path / "locks")
    assert list(pins.problems()) == []
    lock = tmp_path / "locks" / "runtime.txt"
    kept = [block for block in locks.blocks(lock.read_text("utf-8")) if not block.startswith("httpx==")]
    lock.write_text("\n".join(kept), "utf-8")
    assert any("no one version for httpx" in problem for problem in pins.problems())


def test_a_schema_that_the_migrations_do_not_reach_is_found(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, name TEXT DEFAULT ('') NOT NULL)")
    schema = MetaData()
    people = Table("people", schema, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
    people.c.name.server_default = DefaultClause("")
    assert list(drift.differences(path, schema)) == []
    people.append_column(Column("born", Integer))
    people.c.name.server_default = DefaultClause("unknown")
    found = list(drift.differences(path, schema))
    assert len(found) == 2
    assert "born" in "".join(found)


def test_links_and_commands_of_pages_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# A heading here\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#a-heading-here) [b](other.md#gone) [c](gone.md) [d](https://host.example)\n", "utf-8")
    assert [problem.split(": ")[1] for problem in pages.broken_links(page)] == [
        "other.md#gone has no such heading",
        "gone.md does not exist",
    ]
    shown = "```sh\n$ python3 dev.py nonsense  # a comment\n```\n```python\ndev.py = 1\n```\n"
    assert list(pages.shown_commands(shown)) == [["python3", "dev.py", "nonsense"]]
    assert pages.unknown(["python3", "dev.py", "nonsense"], None) == "dev.py nonsense"
    assert pages.unknown(["python3", "dev.py", "test"], None) is None


def test_an_audit_without_advisories_is_no_clean_one() -> None:
    package = {"name": "thing", "version": "1", "vulns": []}
    unknown = {"name": "thing", "skip_reason": "not found"}
    hole = package | {"vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
    assert audit.python_findings({"dependencies": [unknown]}).skipped
    assert audit.python_findings({"dependencies": [package]}) == audit.Audit()
    assert audit.python_findings({"dependencies": [hole]}).findings == ("thing 1: PYSEC-1, mended in 2",)
    assert audit.npm_findings({"message": "no route"}).skipped == "no route"


def test_the_bill_of_materials_names_the_gpl_binary_and_every_pin() -> None:
    document: dict[str, Any] = sbom.bill()
    assert document == json.loads(json.dumps(sbom.bill()))
    parts = {part["bom-ref"]: part for part in document["components"]}
    pinned = locks.PINNED.findall(locks.text("runtime"))
    assert {f"pkg:pypi/{locks.normal(name)}@{version}" for name, version in pinned} <= set(parts)
    ffmpeg = next(part for part in parts.values() if part["name"] == "ffmpeg")
    assert ffmpeg["licenses"] == [{"expression": "GPL-3.0-or-later"}]


def test_no_test_leaves_this_machine() -> None:
    # An address kept for documentation, so nothing answers even where the guard is gone.
    with socket.socket() as far, pytest.raises(PermissionError, match="loopback only"):
        far.connect(("192.0.2.1", 9))


@pytest.mark.parametrize("switch", ["ATOMIC_GUIDE_DEV_PIP", "PYTHONDONTWRITEBYTECODE"])
def test_a_switch_of_the_set_up_is_not_handed_to_the_program(monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    given: dict[str, str] = {}
    monkeypatch.setenv(switch, "1")
    monkeypatch.setattr(os, "execve", lambda _path, _words, environment: given.update(environment))
    commands._become("/bin/true", EXTRA="1")
    assert given["EXTRA"] == "1"
    assert switch not in given
