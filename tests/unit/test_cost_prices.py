"""Price files: what is read of them, and how a bad one is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from atomic_guide.errors import Invalid, NotFound
from atomic_guide.operations.costs.hardware import Hardware, items_of
from atomic_guide.operations.costs.items import KINDS
from atomic_guide.operations.costs.lines import line_of
from atomic_guide.operations.costs.reading import LIMIT_BYTES, read_prices
from atomic_guide.operations.costs.shipped import load_prices, names, shipped

GOOD = """[prices]
version = "2026-11"
provider = "our data centre"
region = "campus"
currency = "EUR"
date = 2026-11-01
source = "https://prices.example.edu/list"

[[item]]
what = "compute.cores"
unit = "core-hour"
price = "0.02"

[[item]]
what = "traffic.out"
unit = "GB"
price = 0.09
free = 100
tiers = [{ above = 1_000, price = "0.05" }, { above = 10_000, price = "0.01" }]
"""


def test_a_file_is_read_to_the_digit() -> None:
    prices = read_prices(GOOD, "ours.toml")
    assert (prices.currency, prices.date, prices.gigabyte) == ("EUR", "2026-11-01", 10**9)
    traffic = prices.find("traffic.out")
    assert traffic is not None
    # As it is written, and not as the nearest float.
    assert traffic.price == Decimal("0.09")
    assert [(tier.above, tier.price) for tier in traffic.tiers] == [
        (Decimal(1000), Decimal("0.05")),
        (Decimal(10000), Decimal("0.01")),
    ]
    assert prices.find("storage.hot") is None
    assert prices.find("database.cores") == prices.find("compute.cores")


@pytest.mark.parametrize(
    ("quantity", "cost"),
    [("0", "0"), ("100", "0"), ("101", "0.09"), ("1000", "81.00"), ("1001", "81.05"), ("20000", "631.00")],
)
def test_what_is_free_and_tiers_count_from_the_bottom(quantity: str, cost: str) -> None:
    traffic = read_prices(GOOD, "ours.toml").find("traffic.out")
    assert traffic is not None
    assert traffic.month(Decimal(quantity)) == Decimal(cost)


@pytest.mark.parametrize(
    ("good", "bad", "line", "reason"),
    [
        ('version = "2026-11"', "version = 2026", 2, "`version` is a short word"),
        ('currency = "EUR"', 'currency = "euro"', 5, "`currency` is three capital letters"),
        ('currency = "EUR"\n', "", 1, "`currency` is missing"),
        ("date = 2026-11-01", 'date = "soon"', 6, "`date` is the day of the prices"),
        ('source = "https://prices.example.edu/list"', 'source = "a friend"', 7, "`source` is the address"),
        ('what = "compute.cores"', 'what = "compute.core"', 10, "'compute.core' is nothing that is priced"),
        ('unit = "core-hour"', 'unit = "month"', 11, "compute.cores is priced by the core-hour, not by 'month'"),
        ('price = "0.02"', 'price = "cheap"', 12, "`price` is a number"),
        ('price = "0.02"', "price = -1", 12, "`price` is from 0 to"),
        ('price = "0.02"', 'price = "NaN"', 12, "`price` is from 0 to"),
        ('price = "0.02"', 'price = "1e-30"', 12, "more than 12 digits"),
        ('price = "0.02"', "price = true", 12, "`price` is a number"),
        ('price = "0.02"', 'cost = "0.02"', 12, "there is no key cost here"),
        ('price = "0.02"\n', "", 9, "`price` is missing"),
        ('price = "0.02"', 'price = "0.02"\nassumed = true', 13, "says in `note` what it was made from"),
        ('what = "traffic.out"', 'what = "compute.cores"', 16, "priced by the core-hour"),
        ("above = 10_000", "above = 500", 19, "tiers begin one above the other"),
        ("free = 100", "free = [100]", 18, "`free` is a number"),
        ('[[item]]\nwhat = "traffic.out"', '[item.traffic]\nwhat = "traffic.out"', 14, "no key traffic here"),
        ("date = 2026-11-01", "date = 2026-11-31", 6, "it is not TOML"),
        ('provider = "our data centre"', 'provider = "our data centre', 3, "it is not TOML"),
        ("[prices]", "[price]", 1, "there is no table [price]"),
        ("[prices]\n", "gigabyte = 5\n[prices]\n", 1, "there is no table [gigabyte]"),
        ("date = 2026-11-01", "date = 2026-11-01\ngigabyte = 1000", 7, "gigabyte is 1_000_000_000"),
        ("date = 2026-11-01", "date = 2026-11-01\ngigabyte = [1]", 7, "gigabyte is 1_000_000_000"),
        ("date = 2026-11-01", "date = 2026-11-01\ngigabyte = { a = 1 }", 7, "gigabyte is 1_000_000_000"),
        ('what = "compute.cores"', 'what = ["compute.cores"]', 10, "is nothing that is priced"),
        ('what = "compute.cores"', 'what = { a = "compute.cores" }', 10, "is nothing that is priced"),
        ('price = "0.02"', f"price = 0x{'F' * 900}", 12, "not a number of so many digits"),
        ('price = "0.02"', f'price = "{"9" * 900}"', 12, f"not {chr(39)}{'9' * 59}..."),
        ('price = "0.02"', f"price = {'[' * 90}{']' * 90}", 12, "`price` is a number"),
        ('price = "0.02"', f"price = 0.{'0' * 3000}1", 12, "a line has at most 1,000 characters"),
        ("[prices]", f"{'a.' * 60_000}b = 1\n[prices]", 1, "a line has at most 1,000 characters"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_reason(good: str, bad: str, line: int, reason: str) -> None:
    text = GOOD.replace(good, bad, 1)
    assert text != GOOD
    with pytest.raises(Invalid) as refused:
        read_prices(text, "ours.toml")
    assert refused.value.message.startswith(f"ours.toml, line {line}: ")
    assert reason in refused.value.message


@pytest.mark.parametrize(("written", "price"), [("0E+999999999999", "0"), ("1E+2", "100"), ("-0.0", "0.0"), ("2", "2")])
def test_a_price_has_no_exponent_and_no_sign(written: str, price: str) -> None:
    item = read_prices(GOOD.replace('"0.02"', f'"{written}"'), "ours.toml").find("compute.cores")
    assert item is not None
    assert str(item.price) == price


def test_two_prices_of_one_thing_are_refused_and_fixed_ones_need_names() -> None:
    twice = GOOD + '\n[[item]]\nwhat = "compute.cores"\nunit = "core-hour"\nprice = "1"\n'
    with pytest.raises(Invalid, match=r"line 22: compute\.cores has a price already"):
        read_prices(twice, "ours.toml")
    nameless = GOOD + '\n[[item]]\nwhat = "fixed"\nunit = "month"\nprice = "73"\n'
    with pytest.raises(Invalid, match=r"line 21: `name` says what a fixed price is for"):
        read_prices(nameless, "ours.toml")


def test_a_file_without_prices_or_too_large_is_refused() -> None:
    with pytest.raises(Invalid, match="line 1: no price stands here"):
        read_prices(GOOD.partition("[[item]]")[0], "ours.toml")
    with pytest.raises(Invalid, match="at most 128 kB"):
        read_prices("#" * (LIMIT_BYTES + 1), "ours.toml")
    with pytest.raises(Invalid, match=r"line 1: there is no table \[prices\]"):
        read_prices("", "ours.toml")


def test_a_line_is_found_past_texts_of_several_lines() -> None:
    text = '[prices]\nnote = """\n[[item]]\nprice = 1\n"""\n[[item]]\nprice = 2\n[[ item ]]\n"price" = 3\n'
    assert line_of(text, "item", 0, "price") == 7
    assert line_of(text, "item", 1, "price") == 9
    assert line_of(text, "item", 1, "unit") == 8
    assert line_of(text, "hardware") == 1


def test_shipped_lists_say_where_each_price_stands_or_that_it_is_assumed() -> None:
    assert {"own-hardware", "aws-us-east-1", "google-us-central1", "hetzner-fsn1"} == set(names())
    for name in names():
        prices = shipped(name)
        for item in prices.items:
            assert item.what in KINDS
            assert item.source or item.note, (name, item.what)
        assert prices.find("compute.cores") is not None, name
        assert prices.find("storage.hot") is not None, name


def test_a_name_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no price list is called azure; there are aws-us-east-1"):
        load_prices("azure")
    with pytest.raises(Invalid, match=r"the price file .*none\.toml cannot be read: No such file"):
        load_prices(str(tmp_path / "none.toml"))
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"[prices]\nversion = '\xff'\n")
    with pytest.raises(Invalid, match=r"bad\.toml, line 2: it is no text in UTF-8"):
        load_prices(str(bad))


def test_hardware_comes_to_what_it_costs_in_its_life() -> None:
    hardware = Hardware(
        purchase=Decimal(8760), lifetime_years=Decimal(4), cores=Decimal(10), memory_gb=Decimal(100),
        storage_gb=Decimal(1000), power_watts=Decimal(100), kwh_price=Decimal("0.25"), usable=Decimal("0.5"),
        cores_share=Decimal("0.5"), memory_share=Decimal("0.25"),
    )  # fmt: skip
    prices = {item.what: item.price for item in items_of(hardware)}
    # 2190 a year for the machine, 876 kWh at 0.25 for its power: 2409, half of which its cores carry.
    assert prices["compute.cores"] == (Decimal(2409) / 2 / (5 * 8760)).quantize(Decimal("0.000000001"))
    assert prices["storage.hot"] == (Decimal(2409) / 4 / (500 * 12)).quantize(Decimal("0.000000001"))
    # All that may be used, used for a year, pays for the year.
    year = prices["compute.cores"] * 5 * 8760 + prices["compute.memory"] * 50 * 8760 + prices["storage.hot"] * 6000
    assert year.quantize(Decimal("0.01")) == Decimal("2409.00")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("lifetime_years", "0", "more than 0"), ("usable", "1.5", "at most 1"), ("pue", "0.9", "at least 1"),
     ("memory_share", "0.9", "at most 1 together"), ("purchase", "-4", "from 0 to"), ("watts", "3", "no key watts")],
)  # fmt: skip
def test_impossible_hardware_is_refused_with_its_line(key: str, value: str, reason: str) -> None:
    rows = {"purchase": 9000, "lifetime_years": 5, "cores": 32, "memory_gb": 256, "storage_gb": 8000,
            "power_watts": 350, "kwh_price": '"0.25"'} | {key: f'"{value}"'}  # fmt: skip
    head = GOOD.partition("[[item]]")[0]
    text = head + "[hardware]\n" + "".join(f"{name} = {one}\n" for name, one in rows.items())
    line = head.count("\n") + 2 + list(rows).index(key)
    with pytest.raises(Invalid) as refused:
        read_prices(text, "ours.toml")
    assert refused.value.message.startswith(f"ours.toml, line {line}: ")
    assert reason in refused.value.message
