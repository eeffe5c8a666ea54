"""Who a cost is for: every division adds up to the whole, and idle time is somebody's or says that it is nobody's."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.costs.pricing import Line, Priced
from atomic_guide.operations.costs.sharing import by_feature, by_tenant
from atomic_guide.operations.costs.tally import OTHERS, Tally
from atomic_guide.operations.costs.usage import Usage

SUBJECTS = ["web", "workers", "database", "nats", "storage hot", "storage requests", "traffic", "databases", "cluster"]
WEIGHTS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.floats(0, 1e6), max_size=4)


def bill(amounts: dict[str, Decimal]) -> Priced:
    lines = tuple(
        Line("compute.cores", subject, Decimal(1), "core-hour", amount) for subject, amount in amounts.items()
    )
    return Priced("EUR", "1", Decimal(24), lines)


@given(amounts=st.dictionaries(st.sampled_from(SUBJECTS), st.decimals(0, 10**6, places=6)), web=WEIGHTS, jobs=WEIGHTS,
       sent=WEIGHTS, work=WEIGHTS, stored=WEIGHTS)  # fmt: skip
def test_divisions_add_up(
    amounts: dict[str, Decimal], web: dict[str, float], jobs: dict[str, float], sent: dict[str, float],
    work: dict[str, float], stored: dict[str, float],
) -> None:  # fmt: skip
    usage = Usage(Decimal(24), Decimal(24), work={"web": web, "workers": jobs}, sent=sent,
                  tenants={"work": work, "sent": sent, "stored": stored})  # fmt: skip
    whole = bill(amounts)
    assert sum(by_feature(whole, usage).values()) == whole.total
    assert sum(by_tenant(whole, usage).values()) == whole.total


def test_each_line_goes_to_those_who_made_it() -> None:
    usage = Usage(
        Decimal(24), Decimal(24),
        work={"web": {"chat": 3.0, "launch": 1.0}, "workers": {"video": 2.0}}, sent={"video": 1.0},
        tenants={"work": {"t1": 1.0, "t2": 3.0}, "sent": {"t2": 1.0}, "stored": {"t1": 1.0}},
    )  # fmt: skip
    whole = bill({"web": Decimal(4), "workers": Decimal(2), "traffic": Decimal(1), "storage hot": Decimal(8)})
    assert by_feature(whole, usage) == {"chat": 3, "launch": 1, "video": 11}
    assert by_tenant(whole, usage) == {"t1": Decimal("9.5"), "t2": Decimal("5.5")}


def test_where_nobody_did_anything_it_is_idle_and_nobodys() -> None:
    whole, usage = bill({"web": Decimal(4)}), Usage(Decimal(24), Decimal(24))
    assert by_feature(whole, usage) == {"idle": 4}
    assert by_tenant(whole, usage) == {"shared": 4}


def test_a_tally_is_bounded_and_loses_nothing() -> None:
    tally = Tally(most=3)
    for number in range(10):
        tally.add(f"t{number}", 1.0)
    tally.add("t0", 4.0)
    assert tally.sums() == {"t0": 5.0, "t1": 1.0, "t2": 1.0, OTHERS: 7.0}
