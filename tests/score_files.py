"""Files of scores for tests, and what a course holds after them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.shards import Shards

KEY = CourseKey.of("t1", "course-1")
QUERIES = parse_queries(
    """
-- name: count_stored
-- purpose: Rows and their sum, of a course.
SELECT count(*) AS stored, sum(score) AS total FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: stored
-- purpose: Every row of a course.
SELECT "user", activity, at, id, score, maximum FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY "user", activity, at, id
""",
    "here",
)


def scores(rows: int, activities: int = 10) -> list[dict[str, Any]]:
    """Rows of a course, each another one."""
    return [
        {
            "user": f"u{number // activities}",
            "activity": f"Exercise {number % activities}",
            "score": number % 41 / 2,
            "max": 20,
            "at": f"2025-10-{1 + number % 28:02d}T10:{number % 60:02d}:00Z",
        }
        for number in range(rows)
    ]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = [",".join(rows[0])] + [",".join(map(str, row.values())) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_ndjson(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 1000) -> Path:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return path


WRITERS = {"csv": write_csv, "ndjson": write_ndjson, "parquet": write_parquet}


async def count_stored(shards: Shards, key: CourseKey = KEY) -> tuple[int, float]:
    """How many rows a course has, and the sum of their scores."""
    row = await shards.of(key).one(QUERIES["count_stored"], key.columns)
    assert row is not None
    return row["stored"], row["total"] or 0.0
