"""Named SQL: the file format, and its two dialects."""

import pytest

from atomic_guide.engines.data.queries import parse_queries

TWO = """
-- A comment before the first block is allowed.
-- name: find
-- purpose: Find a thing by its names.
SELECT a::text FROM things WHERE a = :first OR b = :second OR c = :first

-- name: claim
-- purpose: Take a thing.
-- dialect: sqlite
UPDATE things SET taken = 1;

-- name: claim
-- dialect: postgresql
UPDATE things SET taken = true
"""


def test_a_block_becomes_a_query() -> None:
    query = parse_queries(TWO, "things.sql")["find"]
    assert query.purpose == "Find a thing by its names."
    assert query.parameters == {"first", "second"}


def test_postgresql_gets_each_name_once_and_keeps_casts() -> None:
    sql, names = parse_queries(TWO, "things.sql")["find"].postgresql
    assert sql == "SELECT a::text FROM things WHERE a = $1 OR b = $2 OR c = $1"
    assert names == ("first", "second")


def test_a_point_read_is_marked() -> None:
    queries = parse_queries("-- name: a\n-- purpose: p\n-- batch: yes\nSELECT 1\n" + TWO.lstrip(), "things.sql")
    assert [name for name, query in queries.items() if query.batch] == ["a"]


def test_sqlite_takes_numbers_too() -> None:
    sql, names = parse_queries(TWO, "things.sql")["find"].sqlite_numbered
    assert sql == "SELECT a::text FROM things WHERE a = ?1 OR b = ?2 OR c = ?1"
    assert names == ("first", "second")


def test_each_dialect_has_its_own_text() -> None:
    query = parse_queries(TWO, "things.sql")["claim"]
    assert query.sqlite == "UPDATE things SET taken = 1"
    assert query.postgresql.sql == "UPDATE things SET taken = true"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("SELECT 1", "before the first name"),
        ("-- name: a\nSELECT 1", "no purpose"),
        ("-- name: a\n-- purpose: p\n", "empty"),
        ("-- name: a\n-- purpose: p\n-- batch: yes\nUPDATE t SET a = 1", "batch: yes"),
        ("-- name: a\n-- purpose: p\n-- batch: often\nSELECT 1", "batch: often"),
        ("-- name: a\n-- purpose: p\nSELECT 1\n-- name: a\n-- purpose: p\nSELECT 2", "twice"),
    ],
)
def test_a_malformed_file_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_queries(text, "bad.sql")
