"""Growth as operators write it: what it means, and where it is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.growth import DAYS, DRIVERS, Driver, read_growth, told

MIDDLE = np.array([0.5])
YEAR = np.array([DAYS["year"]])


def after(text: str, days: float = DAYS["year"], driver: Driver = "users", base: float | None = 1000.0) -> float:
    return float(read_growth(text, 0.25)[driver].factor(np.array([days]), MIDDLE, base)[0, 0])


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("2x/year", 2.0),
        ("0.5x/year", 0.5),
        ("1.5x / quarter", 1.5**4),
        ("+10%/month", 1.1**12),
        ("-5%/month", 0.95**12),
        ("+10%/month linear", 2.2),
        ("2x/year linear", 2.0),
        ("+500 users/month", 7.0),
        ("users=+500/month", 7.0),
        ("-50 users/month", 0.4),
        ("-500 users/month", 0.0),
        ("courses=2x/year", 1.0),
        ("+0%/month", 1.0),
    ],
)
def test_growth_in_a_year(text: str, factor: float) -> None:
    assert after(text) == pytest.approx(factor)


def test_half_a_year_of_compound_growth_is_the_root() -> None:
    assert after("2x/year", DAYS["year"] / 2) == pytest.approx(2**0.5)


def test_each_driver_has_its_own_and_others_stay() -> None:
    text = "users=2x/year, lectures=+100/month"
    assert [after(text, driver=driver) for driver in DRIVERS] == pytest.approx([2.0, 1.0, 2.2])
    assert told(read_growth(text, 0.25)) == "users users=2x/year, courses none, lectures lectures=+100/month"


def test_a_range_is_the_interval_and_one_figure_is_spread() -> None:
    told_range = read_growth("1.5x..3x/year", 0.25)["users"].factor(YEAR, np.array([0.05, 0.95]), None)
    assert told_range.ravel() == pytest.approx([1.5, 3.0])
    figure = read_growth("2x/year", 0.25)["users"].factor(YEAR, np.array([0.05, 0.5, 0.95]), None)
    assert figure.ravel() == pytest.approx([2**0.75, 2.0, 2**1.25])
    sure = read_growth("2x/year", 0.0)["users"].factor(YEAR, np.array([0.05, 0.95]), None)
    assert sure.ravel() == pytest.approx([2.0, 2.0])


def test_a_growth_in_numbers_needs_to_know_how_many_there_are() -> None:
    with pytest.raises(Invalid, match="how many there are today is not known"):
        after("+500 users/month", base=None)


@given(st.floats(1.0, 9.0), st.floats(0.0, 5.0), st.floats(0, 1))
def test_more_growth_is_more_at_every_day_and_in_every_draw(factor: float, more: float, level: float) -> None:
    days, levels = np.linspace(0, 1000, 20), np.array([level])
    less, greater = (read_growth(f"{one:.4f}x/year", 0.25)["users"] for one in (factor, factor + more))
    assert (greater.factor(days, levels, None) >= less.factor(days, levels, None) - 1e-9).all()


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("", 1, "there is nothing"),
        ("2/year", 1, r"say \+ or - before 2"),
        ("10%/month", 1, r"say \+ or - before 10%"),
        ("+2x/year", 1, "a factor has no sign"),
        ("+500/month", 5, "500 of what"),
        ("2x/fortnight", 4, "'fortnight' is none of day"),
        ("students=2x/year", 1, "'students' is none of users"),
        ("2x/year,users=3x/year", 9, "users was told already"),
        ("2x per year", 4, "'per year' is not understood"),
        ("users=+5 courses/month", 10, "users do not grow by courses"),
        ("users=2x/year,courses=9**9**9", 24, "'[*][*]9[*][*]9' is not understood"),
        ("1000x/year", 1, "over 100-fold in a year"),
        ("2x/day", 1, "over 100-fold in a year"),
        ("+99999%/day linear", 2, "over 100-fold in a year"),
        ("0x/year", 1, "a factor is over 0"),
        ("-100%/month", 2, "no more than all can go"),
        ("1.5x..+3%/year", 8, "both ends of a range are of one kind"),
        ("users=2x/year,,", 15, "is not understood"),
        ("+5% users/month", 5, "write users=[+]5%/month"),
        ("2e9x/year", 2, "'e9x/year' is not understood"),
        ("nan", 1, "is not understood"),
        ("\u0661x/year", 1, "is not understood"),
        ("2x/year" + " " * 400, 300, "over 300 characters"),
    ],
)
def test_bad_growth_is_refused_with_its_column(text: str, column: int, why: str) -> None:
    with pytest.raises(Invalid, match=f"^growth, column {column}: .*{why}") as caught:
        read_growth(text, 0.25)
    assert caught.value.details == {"column": column}


@given(st.text("0123456789.x%+-=/, useryarmonthcoslct", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_growth(text, 0.25)
    except Invalid as refusal:
        assert 1 <= refusal.details["column"] <= len(text) + 1  # noqa: PT017 - whether it is raised is not the point
    else:
        assert set(found) == set(DRIVERS)
