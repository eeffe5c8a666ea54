"""Scores at size: parsing beside csv and pyarrow, committing on both engines, memory of imports and of standings."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import numpy as np

from atomic_guide.clock import SystemClock
from atomic_guide.course.analytics.columns import Columns
from atomic_guide.course.analytics.forms import CsvForm
from atomic_guide.course.analytics.sheet import Sheet
from atomic_guide.course.analytics.sources import PIECE
from atomic_guide.course.analytics.standings import Standings, numbers_of
from atomic_guide.course.analytics.store import Storing
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from bench._sheets import sheet, write_sheet
from tests.engines import SHARD, installed, opened_shards
from tests.postgres import Cluster, fresh_cluster, fresh_database

KEY = CourseKey.of("bench", "course")
ROUNDS = 5
PEER_ROUNDS = 3
CLOCK = SystemClock()
COPIED = ["bucket", "tenant", "course", "user", "activity", "at", "id", "score", "maximum"]


async def measure(bars: Bars) -> None:
    """Each part after the other."""
    parse(bars)
    await commit(bars)
    keep_standings(bars)
    with tempfile.TemporaryDirectory() as folder:
        rows = bars.size(1_000_000, 50_000)
        bars.most(f"memory of an import of {rows:,} rows", import_peak(Path(folder), rows) / 1e6, 300, "MB")


def parse(bars: Bars) -> None:
    """Rows per CPU-second, ours with every check; the peers only cut and convert."""
    rows = bars.size(500_000, 20_000)
    body = sheet(rows)
    long = sheet(rows, digits=None)
    ways: dict[str, Callable[[], int]] = {
        "by column, checked": lambda: len(by_column(body)),
        "by column, grades of 17 digits": lambda: len(by_column(long)),
        "pyarrow.csv, unchecked": lambda: with_pyarrow(body),
        "csv.DictReader and float, unchecked": lambda: with_csv(body[: len(body) // 5]) * 5,
        "line by line, checked": lambda: len(CsvForm(CLOCK.now()).feed(body[: len(body) // 10])) * 10,
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            done = way()
            # Those which read a part of the sheet are given the time for all.
            part = 10 if "line by line" in name else 5 if "DictReader" in name else 1
            speeds[name].append(done / part / (time.process_time() - began))
    medians = {name: bars.median(f"parse {name}", found, "rows/CPU-s") for name, found in speeds.items()}
    ours = medians["by column, checked"]
    for name in list(ways)[2:]:
        bars.show(f"  ours to {name}", round(ours / medians[name], 2), "times")
    bars.least("parsing and checking", ours, 1_000_000, "rows/CPU-s")


def by_column(body: bytes) -> list[str]:
    """The users of the rows, so that nothing is left undone."""
    reader, users = Sheet(CLOCK.now()), list[str]()
    for start in range(0, len(body), PIECE):
        users += reader.feed(body[start : start + PIECE]).columns.user
    return users + reader.finish().columns.user


def with_csv(body: bytes) -> int:
    """What a script would do."""
    rows = csv.DictReader(io.StringIO(body.decode()))
    return sum(1 for row in rows if row["at"] and float(row["score"]) <= float(row["max"]))


def with_pyarrow(body: bytes) -> int:
    """Arrow's own reader, on one thread."""
    from pyarrow import csv as arrow  # noqa: PLC0415 - an extra

    table = arrow.read_csv(io.BytesIO(body), read_options=arrow.ReadOptions(use_threads=False))
    return int(table.num_rows)


async def commit(bars: Bars) -> None:
    """Rows per second from bytes to disk; the peers are given rows that are parsed already.

    One server: replicas on the same cores would be measured with it.
    """
    body = sheet(bars.size(300_000, 20_000))
    with fresh_cluster(((),)) as cluster:
        speeds = await _commit_speeds(cluster, body)
    medians = {name: bars.median(name, found, "rows/s") for name, found in speeds.items()}
    ours = medians["commit new rows, postgresql"]
    bars.show("  ours to executemany of asyncpg", round(ours / medians["peer executemany of asyncpg"], 2), "times")
    bars.show("  ours to COPY of asyncpg", round(ours / medians["peer COPY of asyncpg"], 2), "times")
    bars.least("committing on PostgreSQL", ours, 100_000, "rows/s")


async def _commit_speeds(cluster: Cluster, body: bytes) -> dict[str, list[float]]:
    speeds: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for engine in ("postgresql", "sqlite"):
            with tempfile.TemporaryDirectory() as folder:
                async with opened_shards(engine, Path(folder), cluster) as shards:
                    key = CourseKey.of("bench", f"course-{number}")
                    for step in ("new rows", "the same again"):
                        speeds.setdefault(f"commit {step}, {engine}", []).append(await into(shards, key, body))
        if number < PEER_ROUNDS:
            async with fresh_database(cluster.shards[0], SHARD) as dsn:
                for name, speed in (await peers(dsn, body)).items():
                    speeds.setdefault(name, []).append(speed)
    return speeds


async def into(shards: Shards, key: CourseKey, body: bytes) -> float:
    """Parse, check and store a sheet, reading ahead as an import does; rows per second."""
    reader, storing = Sheet(CLOCK.now()), Storing(shards.of(key), key)
    began, rows = time.perf_counter(), 0
    ahead = asyncio.create_task(asyncio.to_thread(reader.feed, body[:PIECE]))
    for start in range(PIECE, len(body) + PIECE, PIECE):
        columns = (await ahead).columns
        ahead = asyncio.create_task(asyncio.to_thread(reader.feed, body[start : start + PIECE]))
        rows += columns.rows
        await storing.store(columns, CLOCK.now())
    await ahead
    return rows / (time.perf_counter() - began)


async def peers(dsn: str, body: bytes) -> dict[str, float]:
    """The driver alone: a statement for each row in one batch, and COPY into the table, which knows no duplicates."""
    rows = [
        (*place, *fields) for place in [tuple(KEY.columns[name] for name in COPIED[:3])] for fields in _records(body)
    ]
    few = rows[: len(rows) // 10]
    names = ", ".join(f'"{name}"' for name in COPIED)
    upsert = f"INSERT INTO scores ({names}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT DO NOTHING"  # noqa: S608
    connection = await asyncpg.connect(dsn)
    try:
        began = time.perf_counter()
        for start in range(0, len(few), 10_000):
            await connection.executemany(upsert, few[start : start + 10_000])
        one_by_one = len(few) / (time.perf_counter() - began)
        await connection.execute("TRUNCATE scores")
        began = time.perf_counter()
        for start in range(0, len(rows), 10_000):
            part = rows[start : start + 10_000]
            await connection.copy_records_to_table("scores", columns=COPIED, records=part)
        copied = len(rows) / (time.perf_counter() - began)
    finally:
        await connection.close()
    return {"peer executemany of asyncpg": one_by_one, "peer COPY of asyncpg": copied}


def _records(body: bytes) -> list[tuple[str, str, float, str, float, float]]:
    columns: Columns = Sheet(CLOCK.now()).feed(body).columns
    numbers = columns.score.tolist(), columns.maximum.tolist()
    return list(zip(columns.user, columns.activity, columns.at.tolist(), columns.id, *numbers, strict=True))


def keep_standings(bars: Bars) -> None:
    """A million students in memory, and one mean that changes."""
    students = bars.size(1_000_000, 50_000)
    users = [f"student-{number}" for number in range(students)]
    means = np.random.default_rng(7).random(students)
    found = Standings.of([(numbers_of(users), means)])
    took = []
    for number in range(200):
        began = time.perf_counter()
        found.change([users[number]], [users[number]], np.array([number / 200]))
        assert found.standing(users[number]) is not None
        found.percentiles()
        took.append((time.perf_counter() - began) * 1e6)
    bars.median(f"standings of {students:,}: change, rank, percentiles", took, "us")
    bars.most("memory of a student's standing", found.size / students, 30, "B")


PEAK = """
import re, sys
from pathlib import Path
from atomic_guide.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print(re.search("VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())[0], file=sys.stderr)
"""


def import_peak(folder: Path, rows: int) -> int:
    """Bytes that the process of `atomic-guide scores import` holds at most. Linux only."""
    file = write_sheet(folder / "sheet.csv", rows)
    options = ("--tenant", "bench", "--context", "course", "--data", str(installed(folder / "data")))
    command = [sys.executable, "-c", PEAK, "scores", "import", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3600)
    # How far and how fast, as it said last; a short import says nothing.
    said = [line for line in done.stderr.splitlines() if line.startswith("sheet.csv")]
    print("\n".join(f"    {line}" for line in said[-1:]), end="\n" if said else "")
    found = re.search("VmHWM:[^0-9]*([0-9]+) kB", done.stderr)
    assert found is not None
    assert f"accepted {rows:,}," in done.stdout
    return int(found[1]) * 1024
