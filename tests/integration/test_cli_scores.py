"""The command `scores`: imports that survive a kill, in bounded memory, and what it says."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.course.analytics.imports import Imports
from atomic_guide.engines.data.embedded import open_embedded
from tests.engines import installed
from tests.score_files import KEY, WRITERS, count_stored, scores, write_csv

COURSE = ("--tenant", "t1", "--context", "course-1")
MEBI = 2**20


def run(data: Path, *arguments: str) -> Any:
    answer = call(data, *arguments, "--json")
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def call(data: Path, *arguments: str) -> Result:
    answer = CliRunner().invoke(program, ["scores", *arguments, "--data", str(installed(data))])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def start(data: Path, file: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "atomic_guide.cli", "scores", "import", str(file), *COURSE, "--data", str(data)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_import_that_is_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    rows, chance, data = scores(150_000), random.Random(5), tmp_path / "data"
    file, seen = write_csv(tmp_path / "a.csv", rows), 0
    shards = await open_embedded(data)
    noted = Imports(shards, SystemClock())
    try:
        for _ in range(4):
            process = start(data, file)
            async with asyncio.timeout(25):
                while not (listed := await noted.listed(1)) or listed[0]["accepted"] <= seen:
                    assert process.poll() is None
                    await asyncio.sleep(0.005)
            await asyncio.sleep(chance.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            (latest,) = await noted.listed(1)
            assert latest["finished_at"] is None
            seen = latest["accepted"]
            assert (await count_stored(shards, KEY))[0] == seen
        found = await asyncio.to_thread(run, data, "import", str(file), *COURSE)
        assert found["finished_at"]
        assert (found["accepted"], found["duplicates"], found["rejected_count"]) == (150_000, 0, 0)
        assert await count_stored(shards, KEY) == (150_000, sum(row["score"] for row in rows))
    finally:
        await shards.close()


def test_rows_and_reasons_are_printed(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", [*scores(3), *({**scores(1)[0], "score": 30} for _ in range(25))])
    said = call(tmp_path, "import", str(file), *COURSE, "--dry-run").stdout.splitlines()
    assert said[0] == "would be accepted 3, duplicates 0, rejected 25"
    assert said[1] == "line 5: score 30 is more than the maximum of 20"
    assert said[-1] == "... and 5 more rejected rows"
    assert call(tmp_path, "imports").stdout == "nothing has been imported\n"
    assert call(tmp_path, "import", str(file), *COURSE).stdout.startswith("accepted 3, duplicates 0, rejected 25\n")
    again = call(tmp_path, "import", str(file), *COURSE).stdout
    assert again.startswith("a.csv had been imported already; --again reads it from its beginning\naccepted 3,")
    assert "finished  a.csv  t1 c" in call(tmp_path, "imports").stdout


def test_figures_are_shown(tmp_path: Path) -> None:
    rows = [{**scores(1)[0], "user": f"u{number}", "score": number} for number in range(21)]
    run(tmp_path, "import", str(write_csv(tmp_path / "a.csv", rows)), *COURSE)
    found = run(tmp_path, "show", *COURSE, "--user", "u20")
    assert found["student"] == {"user": "u20", "mean": 1.0, "rank": 1, "percentile": 100}
    assert found["course"]["count"] == 21
    assert found["course"]["mean"] == pytest.approx(0.5)
    assert found["course"]["percentiles"] == pytest.approx(
        {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9}
    )
    assert found["course"]["histogram"] == [2, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    said = call(tmp_path, "show", *COURSE, "--user", "u19").stdout.splitlines()
    assert said[0] == "21 students with a score, mean 50.0%"
    assert said[-1] == "u19: mean 95.0%, rank 2, percentile 95"
    assert call(tmp_path, "show", *COURSE).stdout.splitlines() == said[:-1]
    for unknown in (("--tenant", "t1", "--context", "other"), (*COURSE, "--user", "nobody")):
        with pytest.raises(Exception, match=r"score in the course"):
            call(tmp_path, "show", *unknown)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "nowhere.csv", *COURSE), "does not exist"),
        (("import", *COURSE), "Missing argument"),
        (("import", __file__), "Missing option '--tenant'"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    answer = call(tmp_path, *arguments)
    assert answer.exit_code == 2
    assert message in answer.stderr


def test_a_name_that_tells_no_form_and_a_form_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "scores.data"
    file.write_text("x")
    with pytest.raises(Exception, match="say --format csv, ndjson or parquet"):
        call(tmp_path, "import", str(file), *COURSE)
    with pytest.raises(Exception, match=r"scores\.data cannot be read as Parquet"):
        call(tmp_path, "import", str(file), *COURSE, "--format", "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Exception, match=r"pip install 'atomic-guide\[parquet\]'"):
        call(tmp_path, "import", str(file), *COURSE, "--format", "parquet")


# Not ru_maxrss: on Linux a process inherits that of the one which started it.
MEASURED = """
import re, sys
from pathlib import Path
from atomic_guide.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print(re.search("VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


def peak(data: Path, file: Path) -> int:
    """Bytes that an import held at most."""
    command = [sys.executable, "-c", MEASURED, "scores", "import", str(file), *COURSE, "--data", str(installed(data))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    return int(done.stderr.splitlines()[-1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    peaks = []
    for count in (20_000, 100_000):
        rows = scores(count)
        if form == "parquet":
            # One group for the whole file is the worst that a writer can do.
            file = WRITERS["parquet"](tmp_path / f"{count}.parquet", rows, group=count)  # type: ignore[call-arg]
        else:
            file = WRITERS[form](tmp_path / f"{count}.{form}", rows)
        peaks.append(peak(tmp_path / f"data-{count}", file))
    assert peaks[1] < 300 * MEBI
    assert peaks[1] - peaks[0] < 40 * MEBI
