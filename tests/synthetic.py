"""Systems with a known law of scaling, measured with noise: what fits and intervals are judged by."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atomic_guide.operations.capacity.usl import Law, Point


class System(NamedTuple):
    """A law, and points of it up to a share of its peak."""

    law: Law
    points: list[Point]


def systems(count: int, reach: float, *, steps: int = 8, noise: float = 0.03, seed: int = 7) -> Iterator[System]:
    """Systems with peaks from 20 to 2,000 in flight, measured in even steps up to `reach` times the peak.

    The share done one after another is from 0.1 to 20%, the throughput of one from 1 to 400 a second, all evenly in
    logarithms; noise is a share of the throughput.
    """
    draw = np.random.default_rng(seed)
    for _ in range(count):
        peak = math.exp(draw.uniform(math.log(20), math.log(2000)))
        contention = math.exp(draw.uniform(math.log(1e-3), math.log(0.2)))
        law = Law(math.exp(draw.uniform(0, 6)), contention, (1 - contention) / peak**2)
        places = np.unique(np.round(np.linspace(max(1.0, peak * reach / steps), peak * reach, steps)))
        factors = np.exp(noise * draw.standard_normal(len(places)))
        yield System(
            law,
            [
                Point(place, law.throughput(place) * factor)
                for place, factor in zip(places.tolist(), factors.tolist(), strict=True)
            ],
        )
