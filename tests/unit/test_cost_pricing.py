"""Priced states: exact, itemised, and differences that are what is shown."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.costs.items import KINDS
from atomic_guide.operations.costs.money import cents, exact, micro, shared
from atomic_guide.operations.costs.prices import Item, Prices, Tier
from atomic_guide.operations.costs.pricing import DAY_HOURS, MONTH_HOURS, difference, priced
from atomic_guide.operations.costs.settings import CostSettings
from atomic_guide.operations.costs.shipped import shipped
from atomic_guide.operations.costs.state import ARCHIVE, COOL, HOT, State, Units
from atomic_guide.operations.costs.terms import Terms, listed_price, made_terms, with_unit_prices
from atomic_guide.operations.scaling.model import WEB, WORKERS
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings

ONE = Decimal(1)
AMOUNTS = st.decimals(0, 1000, places=6)
COUNTS = st.decimals(0, 200, places=4)
SIZES = st.integers(0, 10**15)


@st.composite
def items(draw: st.DrawFn, what: str) -> Item:
    bounds = sorted(draw(st.sets(st.integers(1, 10**6), max_size=3)))
    tiers = tuple(Tier(Decimal(above), draw(AMOUNTS)) for above in bounds)
    return Item(what=what, unit=KINDS[what].unit, price=draw(AMOUNTS), free=Decimal(draw(st.integers(0, 10**4))),
                tiers=tiers)  # fmt: skip


@st.composite
def price_lists(draw: st.DrawFn) -> Prices:
    chosen = draw(st.sets(st.sampled_from(sorted(KINDS.keys() - {"fixed"}))))
    found = tuple(draw(items(what)) for what in sorted(chosen))
    fixed = tuple(
        Item(what="fixed", unit="month", price=draw(AMOUNTS), name=f"f{number}")
        for number in range(draw(st.integers(0, 2)))
    )
    gigabyte = draw(st.sampled_from([10**9, 2**30]))
    return Prices(version="1", provider="p", region="r", currency="EUR", date="2026-11-01", source="https://x.test",
                  gigabyte=gigabyte, items=found + fixed)  # fmt: skip


@st.composite
def states(draw: st.DrawFn) -> State:
    names = draw(st.sets(st.sampled_from(["web", "workers", "database", "replicas/s1", "nats"])))
    fleets = {
        name: Units(draw(COUNTS), draw(COUNTS), draw(COUNTS), draw(st.none() | AMOUNTS)) for name in sorted(names)
    }
    return State(
        fleets=fleets,
        stored={kind: draw(SIZES) for kind in (HOT, COOL, ARCHIVE)},
        recalled={COOL: draw(SIZES)},
        database_bytes=draw(SIZES),
        reads=draw(SIZES),
        writes=draw(SIZES),
        sent=draw(SIZES),
    )


@given(before=states(), after=states(), prices=price_lists())
def test_a_saving_is_the_difference_of_two_priced_states_to_the_cent(
    before: State, after: State, prices: Prices
) -> None:
    first, second = priced(before, prices), priced(after, prices)
    saving = difference(first, second)
    assert saving == first.shown - second.shown
    assert saving == saving.quantize(Decimal("0.01"))
    # What is shown is the sum of the lines, rounded once.
    assert first.shown == cents(sum((line.amount for line in first.lines), Decimal(0)))
    assert difference(first, first) == 0
    assert difference(second, first) == -saving


@given(state=states(), prices=price_lists())
def test_pricing_depends_on_nothing_but_its_arguments_and_has_no_negative_line(state: State, prices: Prices) -> None:
    once, twice = priced(state, prices), priced(state, prices)
    assert once == twice
    assert all(line.amount >= 0 for line in once.lines)
    assert once.total == sum((line.amount for line in once.lines), Decimal(0))
    assert once.total == micro(once.total)


@given(prices=price_lists(), quantity=st.decimals(0, 10**7, places=3), more=st.decimals(0, 10**5, places=3))
def test_more_never_costs_less_within_a_thing(prices: Prices, quantity: Decimal, more: Decimal) -> None:
    for item in prices.items:
        assert item.month(quantity + more) >= item.month(quantity) >= 0


@given(weights=st.dictionaries(st.text(min_size=1, max_size=5), st.decimals(0, 1000, places=5), max_size=8),
       whole=st.decimals(-1000, 10**6, places=6))  # fmt: skip
def test_shares_add_up_to_the_whole(weights: dict[str, Decimal], whole: Decimal) -> None:
    parts = shared(whole, weights)
    if sum(weights.values()) > 0:
        assert sum(parts.values()) == whole
        assert all(abs(parts[name] - whole * weight / sum(weights.values())) < Decimal("0.000002")
                   for name, weight in weights.items())  # fmt: skip
    else:
        assert parts == {}


def test_a_state_is_itemised_by_what_uses_a_thing() -> None:
    prices = shipped("aws-us-east-1")
    state = State(
        fleets={WEB: Units(Decimal(2), ONE, Decimal("0.5")), WORKERS: Units(ONE, Decimal(2), Decimal(2))},
        stored={HOT: 100 * 2**30}, sent=1124 * 2**30, reads=2_000_000, writes=100_000,
    )  # fmt: skip
    found = priced(state, prices)
    lines = {(line.what, line.subject): line.amount for line in found.lines}
    assert lines["compute.cores", WEB] == Decimal("0.04048") * 2 * 730
    assert lines["compute.cores", WORKERS] == Decimal("0.04048") * 2 * 730
    assert lines["compute.memory", WEB] == Decimal("0.004445") * 730
    assert lines["storage.hot", "storage hot"] == Decimal("2.30")
    assert lines["traffic.out", "traffic"] == Decimal("0.09") * 1024
    assert lines["requests.read", "storage requests"] == Decimal("0.80")
    assert lines["requests.write", "storage requests"] == Decimal("0.50")
    assert found.of(WEB) == lines["compute.cores", WEB] + lines["compute.memory", WEB]
    day = priced(state, prices, DAY_HOURS)
    assert abs(day.total * MONTH_HOURS / DAY_HOURS - found.total) < Decimal("0.001")


def test_what_has_no_price_is_told_and_is_not_free() -> None:
    prices = Prices(version="1", provider="p", region="r", currency="EUR", date="", source="",
                    items=(Item(what="traffic.out", unit="GB", price=ONE),))  # fmt: skip
    found = priced(State(stored={HOT: 10**10}, sent=10**9), prices)
    assert found.total == 1
    assert [(one.what, one.quantity) for one in found.unpriced] == [("storage.hot", Decimal(10))]


def terms(scaling: ScalingSettings, **costs: object) -> Terms:
    return made_terms(scaling, CostSettings(**costs))  # type: ignore[arg-type]


def test_unit_prices_work_without_a_list_and_go_before_one() -> None:
    alone = terms(ScalingSettings(web=FleetSettings(unit_price=0.5)))
    assert alone.known
    state = State(fleets={WEB: alone.units(WEB, Decimal(2)), WORKERS: alone.units(WORKERS, Decimal(3))})
    assert priced(state, alone.prices, ONE).total == ONE
    assert not terms(ScalingSettings()).known
    both = terms(ScalingSettings(web=FleetSettings(unit_price=0.5)), prices="own-hardware")
    assert both.units(WEB, ONE).hourly == Decimal("0.5")
    assert both.units(WORKERS, ONE).hourly is None


def test_a_list_gives_scaling_its_unit_prices_and_stays_itemised() -> None:
    costs = CostSettings(prices="aws-us-east-1", web_cores=1.0, web_memory_gb=2.0)
    filled = with_unit_prices(ScalingSettings(workers=FleetSettings(unit_price=9.0)), costs)
    expected = Decimal("0.04048") + 2 * Decimal("0.004445")
    assert listed_price(costs, shipped("aws-us-east-1"), WEB) == expected
    assert filled.web.unit_price == float(expected)
    assert filled.workers.unit_price == 9.0
    both = made_terms(filled, costs)
    # What the list says is not taken for a price of the operator's own.
    assert both.units(WEB, ONE).hourly is None
    assert both.units(WORKERS, ONE).hourly == Decimal(9)
    assert with_unit_prices(ScalingSettings(), CostSettings()) == ScalingSettings()


@pytest.mark.parametrize("value", [0.1, 1e-9, 123456.789, 3.0])
def test_measured_figures_become_the_decimals_that_they_are_shown_as(value: float) -> None:
    assert float(exact(value)) == value
    assert str(exact(0.1)) == "0.1"
