"""`atomic-guide capacity fit`: how the system scales, from load-test points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from atomic_guide import errors
from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.scale.demand import FILE


@click.command(name="fit")
@data_options
@click.option("--points", type=FILE, help="A load test's report, or CSV concurrency,throughput; the newest stored one.")
@click.option(
    "--at", type=click.FloatRange(min=0, min_open=True), multiple=True, help="A concurrency; may be repeated."
)
def fit(context: Context, *, points: Path | None, at: tuple[float, ...]) -> None:
    """Fit the Universal Scalability Law to load-test points; everything with its 90% interval.

    Refused are fewer than 5 different concurrencies, points without spread, and points that follow no such law. Without
    evidence for a peak, its interval has no upper end. Nothing is said beyond 2.5 times the highest
    concurrency.
    """
    from atomic_guide.operations.capacity import usl
    from atomic_guide.operations.capacity.gather import told_peak
    from atomic_guide.operations.capacity.points import read_points, stored_points
    from atomic_guide.operations.loadtest.store import FOLDER

    taken = read_points(points) if points is not None else stored_points(context.data / FOLDER)
    if taken is None:
        raise errors.NotFound(
            f"no load test is stored below {context.data / FOLDER}; run `atomic-guide loadtest run`, or give --points"
        )
    law = usl.fit(taken.points)
    limit = context.settings.capacity.evidence_factor * law.highest
    if beyond := [value for value in at if value > limit]:
        raise errors.Invalid(
            f"{beyond[0]:g} in flight is more than {context.settings.capacity.evidence_factor:g} times the highest that"
            f" was measured ({law.highest:g}): there is no evidence; load-test up to there"
        )
    peak, best = law.peak(), law.best(limit)
    places = at or tuple(sorted({law.lowest, math.sqrt(law.lowest * law.highest), law.highest, limit}))
    rows = [(value, law.throughput(value).interval) for value in places]
    answer: dict[str, Any] = {
        "source": taken.source, "points": len(taken.points), "left_out": taken.left_out,
        "law": {"lambda": law.law.rate, "sigma": law.law.contention, "kappa": law.law.coherency},
        "residual": law.residual,
        "peak": {"low": peak.low, "middle": _finite(peak.middle), "high": _finite(peak.high)},
        "highest_throughput": dict(zip(("low", "middle", "high"), best.interval, strict=True)),
        "evidence_up_to": limit,
        "throughput": [
            {"concurrency": value, **dict(zip(("low", "middle", "high"), found, strict=True))} for value, found in rows
        ],
    }  # fmt: skip
    lines = [
        f"{len(taken.points)} points of {taken.source}, which the law fits within {law.residual:.1%}",
        f"alone {law.law.rate:.4g}/s, one after another {law.law.contention:.2%}, each pair {law.law.coherency:.3g}",
        told_peak(law),
        f"highest throughput up to {limit:g} in flight: {best.interval[0]:,.4g} to {best.interval[2]:,.4g}/s",
        f"{'in flight':>12} {'low':>12} {'middle':>12} {'high':>12}",
        *(f"{value:>12,.4g} " + " ".join(f"{one:>12,.4g}" for one in found) for value, found in rows),
        *(f"left out: {one}" for one in taken.left_out),
    ]
    context.emit(answer, "\n".join(lines))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
