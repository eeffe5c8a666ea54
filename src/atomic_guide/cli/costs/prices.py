"""`atomic-guide costs prices`: the shipped lists, and whether a file of one's own can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.options import Leading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.operations.costs.prices import Prices

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(name="prices", cls=Leading, leads="list")
def prices() -> None:
    """List the shipped price lists, show one, or check a file of your own. No server is needed."""


@prices.command(name="list")
@_json
def list_all(*, as_json: bool) -> None:
    """List the shipped price lists."""
    from atomic_guide.operations.costs.shipped import names, shipped

    found = {name: shipped(name) for name in names()}
    rows = [
        {
            "name": name, "provider": one.provider, "region": one.region, "currency": one.currency, "date": one.date,
            "version": one.version, "source": one.source,
        }
        for name, one in found.items()
    ]  # fmt: skip
    lines = [
        f"{row['name']:<20}{row['currency']}  {row['date']}  {row['provider']}, {row['region']}  {row['source']}"
        for row in rows
    ]
    _print({"prices": rows}, "\n".join(lines), as_json=as_json)


@prices.command(name="show")
@click.argument("name")
@_json
def show(name: str, *, as_json: bool) -> None:
    """Show the prices of a shipped list, or of a file, each with where it stands."""
    from atomic_guide.operations.costs.shipped import load_prices

    found = load_prices(name)
    _print(msgspec.to_builtins(found), "\n".join(_lines(found)), as_json=as_json)


@prices.command(name="check")
@click.argument("file", type=click.Path(path_type=Path))
@_json
def check(file: Path, *, as_json: bool) -> None:
    """Say whether a price file can be used; a bad one is refused with its line and the reason."""
    from atomic_guide.operations.costs.items import KINDS
    from atomic_guide.operations.costs.shipped import load_prices

    found = load_prices(str(file.resolve()))
    lacking = [what for what in KINDS if what != "fixed" and found.find(what) is None]
    text = f"{file.name} can be used: {len(found.items)} prices in {found.currency}, version {found.version}"
    if lacking:
        text += f"\nwithout a price, and so not counted: {', '.join(lacking)}"
    value = {"file": str(file), "version": found.version, "currency": found.currency, "items": len(found.items)}
    _print({**value, "without_price": lacking}, text, as_json=as_json)


def _lines(found: Prices) -> Iterator[str]:
    yield f"{found.provider}, {found.region}, {found.currency}, version {found.version}, of {found.date}"
    yield f"source: {found.source}"
    if found.note:
        yield found.note
    for item in found.items:
        name = item.what + (f" ({item.name})" if item.name else "")
        yield f"{name:<26}{item.price:>14} a {item.unit}" + _terms(item.free, len(item.tiers))
        for tier in item.tiers:
            yield f"{'':<26}{tier.price:>14} above {tier.above:,} in a month"
        said = f"assumed: {item.note}" if item.assumed else item.note
        yield from (f"{'':<28}{text}" for text in (said, item.source) if text)


def _terms(free: Any, tiers: int) -> str:
    return (f", {free:,} a month free" if free else "") + (f", {tiers} tiers" if tiers else "")


def _print(value: Any, text: str, *, as_json: bool) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if as_json else text)
