"""Exports: everything that is kept about a person or a tenant, and nothing about others."""

import hashlib
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.course.keeping import places
from tests.keeping import CONTEXTS, FELLOW, MARK, OTHER, PERSON, TENANT, files_with, run, seeded


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


def export_person(data: Path, to: Path) -> Any:
    return run(data, "export", "person", "--tenant", TENANT, "--user", PERSON, "--to", str(to))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_export_holds_every_row_that_an_erasure_would_find(data: Path, tmp_path: Path) -> None:
    found = run(data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run")["receipt"]["found"]
    bundle = tmp_path / "export"
    rows = export_person(data, bundle)["rows"]
    names = {"one_time_codes": "sessions", "lti_logins": "logins"}
    for table, count in found.items():
        noted = len(CONTEXTS) if table == "record_reads" else 0
        assert rows[f"{names.get(table, table)}.ndjson"] == count + noted, table
    assert found.keys() >= {place.table for place in places.PEOPLE}


def test_it_holds_every_column_and_the_lectures_files(data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "export"
    export_person(data, bundle)
    messages = read(bundle / "messages.ndjson")
    assert len(messages) == 2 * len(CONTEXTS)
    assert all(message["content"].startswith(f"{MARK} said") for message in messages)
    assert all(message["created_at"].endswith("Z") for message in messages)
    assert {message["course"] for message in messages} == {
        course["course"] for course in read(bundle / "courses.ndjson")
    }
    for place in places.PEOPLE:
        rows = read(bundle / f"{place.table}.ndjson")
        assert rows, place.table
        assert set(place.people) | set(place.about) <= rows[0].keys()
    captions = list((bundle / "files").rglob("captions/en.vtt"))
    assert len(captions) == len(CONTEXTS) == len(list((bundle / "files").rglob("source")))
    assert len(list((bundle / "files").rglob("unfinished/*"))) == len(CONTEXTS)


def test_its_manifest_lists_every_file_with_its_hash(data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "export"
    export_person(data, bundle)
    listed = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    assert (listed["tenant"], listed["user"]) == (TENANT, PERSON)
    present = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()} - {"manifest.json"}
    assert {file["name"] for file in listed["files"]} == present
    for file in listed["files"]:
        content = (bundle / file["name"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_nothing_of_others_and_no_secret_is_in_it(data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "export"
    export_person(data, bundle)
    assert files_with(bundle, FELLOW) == []
    assert files_with(bundle, OTHER) == []
    connection = sqlite3.connect(data / "databases" / "directory.sqlite")
    secrets = [value for (value,) in connection.execute("SELECT value FROM secrets")]
    digests = [value for (value,) in connection.execute("SELECT digest FROM one_time_codes")]
    connection.close()
    assert all(files_with(bundle, secret) == [] for secret in secrets + digests)


def test_an_export_may_be_one_zip_file_and_does_not_replace_another(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    export_person(data, path)
    with zipfile.ZipFile(path) as bundle:
        assert bundle.testzip() is None
        assert len(bundle.read("messages.ndjson").splitlines()) == 2 * len(CONTEXTS)
    assert "is there already" in run(
        data, "export", "person", "--tenant", TENANT, "--user", PERSON, "--to", str(path), fails=True
    )
    assert [entry.name for entry in tmp_path.iterdir() if "making" in entry.name] == []


def test_a_tenants_export_holds_all_its_courses_and_files(data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "export"
    run(data, "export", "tenant", "--tenant", TENANT, "--to", str(bundle))
    assert len(read(bundle / "courses.ndjson")) == len(CONTEXTS)
    assert len(read(bundle / "members.ndjson")) == 2 * len(CONTEXTS)
    assert len(read(bundle / "messages.ndjson")) == 4 * len(CONTEXTS)
    assert len(list((bundle / "files").rglob("source"))) == 2 * len(CONTEXTS)
    assert [row["tenant"] for row in read(bundle / "deployment.ndjson")] == [TENANT]
    assert files_with(bundle, OTHER) == []


def test_the_log_tells_who_read_and_when_somebody_exported(data: Path, tmp_path: Path) -> None:
    export_person(data, tmp_path / "export")
    entries = run(data, "export", "reads", "--tenant", TENANT, "--course", CONTEXTS[0], "--user", PERSON)["reads"]
    assert {(entry["reader"], entry["call"], entry["subject"]) for entry in entries} == {
        ("operator", "export.person", PERSON),
        ("teacher", "performance", PERSON),
        (PERSON, "performance", ""),
        (FELLOW, "performance", ""),
    }


def test_an_operators_look_at_scores_is_noted(data: Path) -> None:
    run(data, "scores", "show", "--tenant", TENANT, "--context", CONTEXTS[0], "--user", PERSON)
    entries = run(data, "export", "reads", "--tenant", TENANT, "--course", CONTEXTS[0])["reads"]
    assert ("operator", "scores.show", PERSON) in {(one["reader"], one["call"], one["subject"]) for one in entries}
