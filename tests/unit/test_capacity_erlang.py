"""Waiting for servers: published values, exact sums, a simulated queue, and what is refused."""

import heapq
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.erlang import Load, blocked, servers_needed, wait, waiting


def test_published_values() -> None:
    assert waiting(10, 8) == pytest.approx(0.40918, abs=5e-6)
    assert blocked(10, 8) == pytest.approx(0.12166, abs=5e-6)
    assert servers_needed(Load(1000, 0.05), 0.05, 0.95) == 53


@given(st.integers(1, 60), st.integers(1, 200))
def test_the_recursion_equals_the_exact_sum(servers: int, tenths: int) -> None:
    erlangs = Fraction(tenths, 10)
    terms = [erlangs**number / math.factorial(number) for number in range(servers + 1)]
    assert blocked(servers, float(erlangs)) == pytest.approx(float(terms[-1] / sum(terms)), rel=1e-12)
    if erlangs < servers:
        last = terms[-1] / (1 - erlangs / servers)
        assert waiting(servers, float(erlangs)) == pytest.approx(float(last / (sum(terms[:-1]) + last)), rel=1e-12)


def test_one_server_waits_as_long_as_the_textbook_says() -> None:
    found = wait(1, Load(0.8, 1.0))
    assert found.waiting == pytest.approx(0.8)
    assert found.mean == pytest.approx(0.8 / 0.2)
    assert found.quantile(0.9) == pytest.approx(math.log(0.8 / 0.1) / 0.2)
    constant = wait(1, Load(0.8, 1.0, services_varying=0.0))
    assert constant.mean == pytest.approx(found.mean / 2), "Pollaczek and Khinchine: constant services wait half"


@pytest.mark.parametrize("servers", [5_000, 50_000])
def test_thousands_of_servers_are_no_trouble(servers: int) -> None:
    """By the approximation of Halfin and Whitt (1981), which is exact in the limit."""
    beta = 1.0
    erlangs = servers - beta * math.sqrt(servers)
    density, below = math.exp(-(beta**2) / 2) / math.sqrt(2 * math.pi), 0.5 * (1 + math.erf(beta / math.sqrt(2)))
    assert waiting(servers, erlangs) == pytest.approx(1 / (1 + beta * below / density), rel=0.02)
    assert waiting(servers, 0.5 * servers) == pytest.approx(0.0, abs=1e-100)


def simulated(servers: int, load: Load, shape: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Waits of 60,000 arrivals whose services are gamma distributed with that shape, first come first served."""
    draw = np.random.default_rng(5)
    arrivals = np.cumsum(draw.exponential(1 / load.rate, 60_000))
    services = draw.gamma(shape, load.service / shape, 60_000)
    free = [0.0] * servers
    waits = []
    for at, takes in zip(arrivals.tolist(), services.tolist(), strict=True):
        begins = max(at, heapq.heappop(free))
        waits.append(begins - at)
        heapq.heappush(free, begins + takes)
    return np.array(waits[5_000:])


@pytest.mark.parametrize("shape", [1.0, 0.25, 4.0])
def test_a_simulated_queue_waits_as_reckoned(shape: float) -> None:
    load = Load(8.5, 1.0, services_varying=1 / shape)
    found, waits = wait(10, load), simulated(10, load, shape)
    assert float(waits.mean()) == pytest.approx(found.mean, rel=0.25)
    assert float(waits.mean()) < 1.1 * found.mean, "where it errs, more is waited for than comes"
    assert float((waits > 1.0).mean()) == pytest.approx(found.over(1.0), abs=0.04)


@given(st.floats(0.1, 500), st.floats(0.01, 5), st.floats(0, 10), st.floats(0.5, 0.999), st.floats(0, 5))
def test_the_fewest_servers_are_the_fewest(
    rate: float, service: float, seconds: float, share: float, cv: float
) -> None:
    load = Load(rate, service, services_varying=cv)
    found = servers_needed(load, seconds, share)
    assert wait(found, load).over(seconds) <= 1 - share + 1e-9
    if found - 1 > load.erlangs:
        assert wait(found - 1, load).over(seconds) > 1 - share - 1e-9


@given(st.floats(0.1, 200), st.floats(1.0, 3.0))
def test_more_load_never_needs_fewer(rate: float, factor: float) -> None:
    assert servers_needed(Load(rate, 0.5), 0.2, 0.9) <= servers_needed(Load(rate * factor, 0.5), 0.2, 0.9)


def test_services_that_vary_more_need_more() -> None:
    needed = [servers_needed(Load(20, 1.0, services_varying=cv), 0.5, 0.99) for cv in (0.0, 1.0, 5.0, 20.0)]
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: wait(8, Load(8, 1.0)), "at least 9 are needed"),
        (lambda: wait(0, Load(1, 1.0)), "1 to 100,000 servers"),
        (lambda: wait(10**6, Load(1, 1.0)), "1 to 100,000 servers"),
        (lambda: wait(1, Load(math.nan, 1.0)), "arrivals a second"),
        (lambda: wait(1, Load(-1, 1.0)), "arrivals a second"),
        (lambda: wait(1, Load(1, 0.0)), "seconds of service"),
        (lambda: wait(1, Load(0.1, 1, services_varying=-1)), "variation of services"),
        (lambda: servers_needed(Load(1, 1), -1, 0.9), "a wait is 0 s or more"),
        (lambda: servers_needed(Load(1, 1), 1, 1.0), "a share between 0 and 1"),
        (lambda: servers_needed(Load(1e6, 1), 1, 0.9), "over 100,000 servers"),
        (lambda: wait(2, Load(1, 1)).quantile(1.0), "a share is from 0 to below 1"),
    ],
)
def test_what_cannot_be_reckoned_is_refused(call: object, why: str) -> None:
    assert callable(call)
    with pytest.raises(Invalid, match=why):
        call()
