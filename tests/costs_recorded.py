"""A record of weeks for the tests of costs: what a small server would have measured, written as rows of its own age."""

import math
from collections.abc import Callable, Mapping

import msgspec

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.operations.scaling.leader import QUERIES as LEADING
from atomic_guide.operations.scaling.loop import STANDING, Counted, Standing
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.reports import QUERIES
from atomic_guide.operations.scaling.series import Series

DAY, QUARTER = 86_400.0, 900

Values = Callable[[float], Mapping[Key, float]]
"""What is measured in the quarter of an hour that begins at a moment."""


async def record(directory: Database, since: float, until: float, values: Values) -> None:
    """Quarters of an hour from `since` to before `until`, in one transaction."""
    series = Series(directory)
    begin = since // QUARTER * QUARTER
    await series.store(begin, [Sample(key, value) for key, value in values(begin).items()])
    numbers = {key: await series._id(key) for key in values(begin)}
    moments = [begin + step * QUARTER for step in range(math.ceil((until - begin) / QUARTER))]
    columns: dict[str, list[object]] = {
        name: [] for name in ("series", "at", "count", "sum", "least", "most", "histogram")
    }
    for at in moments[1:]:
        for key, value in values(at).items():
            row = {"series": numbers[key], "at": at, "count": 60, "sum": 60 * value, "least": value, "most": value}
            for name, column in columns.items():
                column.append(row.get(name))

    async def work(tx: Transaction) -> None:
        await tx.execute_columns(QUERIES["put_slots"], columns, {"resolution": QUARTER})

    await directory.write(work)


async def stand(directory: Database, at: float, fleets: Mapping[str, Counted]) -> None:
    """How things stood at the last tick of whoever leads."""
    text = msgspec.json.encode(Standing(at, dict(fleets))).decode()

    async def work(tx: Transaction) -> None:
        await tx.execute(LEADING["save_memory"], {"name": STANDING, "at": at, "value": text})

    await directory.write(work)


def lectures_week(at: float) -> float:
    """Work of a term: next to none at night, one unit and a half on working days around noon."""
    hour, weekday = at % DAY / 3600, int(at // DAY + 3) % 7
    busy = 1.5 * math.exp(-(((hour - 12) / 3) ** 2)) if weekday < 5 else 0.1
    return 0.1 + busy
