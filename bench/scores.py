"""A course of 10,000 students and 50 activities: `python3 dev.py bench scores`.

Ours: 500,000 rows of CSV taken in (checked, in batches, fsync at each), the same again (all duplicates), then the
figures, from the database and from memory. The peer does what a script would: `csv`, one transaction over an SQLite
file, and the same means, ranks, percentiles and quartiles by `statistics` and `sorted`. Both run in one process, one
after the other; what they agree on is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

from atomic_guide.clock import SystemClock
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.performance import Performance, Report
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from bench._data_scores import import_peak

PIECE = 64 * 1024
KEY = CourseKey.of("bench", "course")


def sheet(students: int, activities: int) -> bytes:
    """The CSV of a course; every run has the same one."""
    chance = random.Random(7)
    lines = ["user,activity,score,max,at"]
    for student in range(students):
        for activity in range(activities):
            at = f"2025-{1 + activity // 5:02d}-{1 + activity % 5 * 5:02d}T10:00:00Z"
            lines.append(f"student-{student},Exercise {activity},{chance.random() * 20},20,{at}")
    return "\n".join(lines).encode()


async def ours(folder: Path, body: bytes) -> tuple[dict[str, float], Report]:
    """Seconds of each step, and the report."""
    shards = await open_embedded(folder)
    clock, settings = SystemClock(), AnalyticsSettings()
    scores = Scores(shards, clock, settings)
    performance = Performance(shards, clock, settings, Cache(CacheSettings(), clock))
    took: dict[str, float] = {}

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE):
            yield body[start : start + PIECE]

    try:
        for step in ("taken in", "again, all duplicates"):
            began = time.perf_counter()
            taking = await scores.take_csv(KEY, pieces())
            took[step] = time.perf_counter() - began
            assert taking.rejected_count == 0
            assert (taking.accepted == 0) == ("again" in step)
        for step in ("figures", "figures from memory"):
            began = time.perf_counter()
            report = await performance.for_instructor(KEY)
            took[step] = time.perf_counter() - began
        return took, report
    finally:
        await shards.close()


def script(folder: Path, body: bytes) -> tuple[dict[str, float], float]:
    """Seconds of each step of the peer, and the course's mean."""
    connection = sqlite3.connect(folder / "peer.sqlite")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    columns = "user TEXT, activity TEXT, score REAL, maximum REAL, at TEXT, PRIMARY KEY (user, activity, at)"
    connection.execute(f"CREATE TABLE scores ({columns})")
    began = time.perf_counter()
    with connection:
        rows = csv.reader(io.StringIO(body.decode()))
        next(rows)
        connection.executemany("INSERT INTO scores VALUES (?, ?, ?, ?, ?)", rows)
    took = {"taken in": time.perf_counter() - began}
    began = time.perf_counter()
    latest: dict[tuple[str, str], float] = {}
    for user, activity, share in connection.execute(
        "SELECT user, activity, score / maximum FROM scores ORDER BY user, activity, at"
    ):
        latest[user, activity] = share
    by_user, by_activity = defaultdict(list), defaultdict(list)
    for (user, activity), share in latest.items():
        by_user[user].append(share)
        by_activity[activity].append(share)
    means = sorted((statistics.fmean(shares), user) for user, shares in by_user.items())
    for shares in by_activity.values():
        statistics.quantiles(shares, n=4, method="inclusive")
    statistics.quantiles([mean for mean, _ in means], n=20, method="inclusive")
    took["figures"] = time.perf_counter() - began
    connection.close()
    return took, statistics.fmean(mean for mean, _ in means)


def main() -> None:
    """Print the seconds and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=10_000)
    parser.add_argument("--activities", type=int, default=50)
    parser.add_argument("--rows", type=int, default=0, help="rows of a file that is imported by a process of its own")
    chosen = parser.parse_args()
    body = sheet(chosen.students, chosen.activities)
    rows = chosen.students * chosen.activities
    with tempfile.TemporaryDirectory() as name:
        took, report = asyncio.run(ours(Path(name) / "data", body))
        peer, mean = script(Path(name), body)
    assert report.course is not None
    assert report.course.mean is not None
    assert abs(report.course.mean - mean) < 1e-12
    print(f"{rows:,} scores, {len(body) / 1e6:.1f} MB of CSV")
    for step, seconds in took.items():
        beside = f"   the script: {peer[step]:6.2f} s, ratio {seconds / peer[step]:.2f}" if step in peer else ""
        print(f"{step:<24}{seconds:6.2f} s{beside}")
    print(f"most memory held: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, the sheet included")
    if chosen.rows:
        with tempfile.TemporaryDirectory() as name:
            began = time.perf_counter()
            peak = import_peak(Path(name), chosen.rows)
            speed = chosen.rows / (time.perf_counter() - began)
        print(
            f"import of {chosen.rows:,} rows: {speed:,.0f} a second with the writing of the file, {peak / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
