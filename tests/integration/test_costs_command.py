"""`atomic-guide costs`: what people read, what scripts read, and how it says no."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.errors import ConfigurationError, Invalid, NotFound
from atomic_guide.operations.scaling.loop import Counted
from atomic_guide.operations.scaling.model import Key
from tests.costs_recorded import DAY, lectures_week, record, stand
from tests.engines import installed

SETTINGS = {
    "COSTS_PRICES": "hetzner-fsn1",
    "COSTS_LOOK_BACK_DAYS": "8",
    "SCALING_WEB_MODE": "auto",
    "SCALING_WEB_MIN": "3",
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight days of three web processes where one would do, until now."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"ATOMIC_GUIDE_{name}", value)
    folder = installed(tmp_path / "data")
    now = time.time()

    async def recorded(directory: Database) -> None:
        def values(at: float) -> dict[Key, float]:
            return {
                Key("costs", "units", "web"): 3.0,
                Key("web", "demand"): lectures_week(at) / 4,
                Key("web", "work", "chat"): 0.2,
                Key("costs", "tenant_work", "t-1"): 0.2,
                Key("costs", "messages"): 0.1,
                Key("rooms", "sockets"): 40.0,
                Key("rooms", "largest_room"): 30.0,
            }

        await record(directory, now - 8 * DAY, now, values)
        await stand(directory, now, {"web": Counted(3, 0, 1, 4, 0.8, "auto")})

    opened(folder, recorded)
    return folder


def opened(folder: Path, work: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        shards = await open_embedded(folder)
        try:
            await work(shards.directory)
        finally:
            await shards.close()

    asyncio.run(run())


def ask(data: Path | None, *arguments: str) -> Result:
    where = ["--data", str(data)] if data is not None else []
    return CliRunner().invoke(program, ["costs", *arguments, *where])


def told(data: Path | None, *arguments: str) -> Any:
    answer = ask(data, *arguments, "--json")
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def test_a_report_in_words_says_prices_pace_days_and_shares(data: Path) -> None:
    text = ask(data, "report", "--days", "5").stdout
    assert "Prices: Hetzner Cloud, fsn1, version 2026-10, of 2026-10-28 (https://www.hetzner.com/cloud/)" in text
    assert "assumed, not listed: compute.cores" in text
    assert "web: compute.cores" in text
    assert "object storage" in text
    for head in ("By feature:", "By tenant:", "By region:", "For each:"):
        assert head in text
    found = told(data, "report", "--days", "5")
    assert sum(map(float, found["tenants"].values())) == pytest.approx(float(found["total"]), abs=0.01)
    assert "." in found["total"], "as text, to the cent"


def test_advice_is_listed_explained_applied_and_taken_back(data: Path) -> None:
    listed = ask(data, "recommendations").stdout
    assert "web-fewest-1" in listed
    assert "saves" in listed
    explained = ask(data, "explain", "web-fewest-1").stdout
    for said in (
        "Because of right-size, few-sockets",
        "Confidence: low",
        "Risk:",
        "Checked against what scaling wants:",
    ):
        assert said in explained
    assert "nothing is done without --yes" in ask(data, "apply", "web-fewest-1").stdout
    assert told(data, "changes")["changes"] == []
    assert "is in force since" in ask(data, "apply", "web-fewest-1", "--yes").stdout
    assert "too early, so far" in ask(data, "changes").stdout
    assert "In force since" in ask(data, "explain", "web-fewest-1").stdout
    assert ask(data, "rollback", "web-fewest-1").stdout == "web-fewest-1 is taken back\n"
    assert ask(data, "rollback", "web-fewest-1").stdout == "web-fewest-1 was taken back before\n"
    assert "web-fewest-1 rolled back" in ask(data, "changes", "--audit").stdout
    assert isinstance(ask(data, "apply", "web-fewest-9").exception, NotFound)
    assert isinstance(ask(data, "rollback", "web-fewest-9").exception, NotFound)


def test_prices_are_listed_shown_and_checked_without_a_server(tmp_path: Path) -> None:
    names = [row["name"] for row in told(None, "prices", "list")["prices"]]
    assert names == ["aws-us-east-1", "google-us-central1", "hetzner-fsn1", "own-hardware"]
    assert "above 51,200 in a month" in ask(None, "prices", "show", "aws-us-east-1").stdout
    good = tmp_path / "ours.toml"
    good.write_text(
        '[prices]\nversion = "1"\nprovider = "us"\nregion = "campus"\ncurrency = "EUR"\ndate = 2026-11-01\n'
        'source = "stated by IT"\n\n[[item]]\nwhat = "traffic.out"\nunit = "GB"\nprice = "0.05"\n'
    )
    assert "can be used: 1 prices in EUR" in ask(None, "prices", "check", str(good)).stdout
    assert "storage.hot" in told(None, "prices", "check", str(good))["without_price"]
    bad = tmp_path / "bad.toml"
    bad.write_text(good.read_text().replace("0.05", "five cents"))
    refused = ask(None, "prices", "check", str(bad)).exception
    assert isinstance(refused, Invalid)
    assert refused.message == "bad.toml, line 12: `price` is a number such as \"0.05\", not 'five cents'"


def test_a_bad_price_list_is_refused_at_start_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[prices]\nversion = 1\n[[item]]\n")
    monkeypatch.setenv("ATOMIC_GUIDE_COSTS_PRICES", str(bad))
    refused = ask(tmp_path / "data", "report").exception
    assert isinstance(refused, ConfigurationError)
    assert refused.message.startswith("setting costs.prices: bad.toml, line 3: ")


def test_a_new_server_has_no_figures_yet_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path / "data")
    assert "nothing has a price" in ask(tmp_path / "data", "report").stdout
    monkeypatch.setenv("ATOMIC_GUIDE_COSTS_PRICES", "own-hardware")
    assert "nothing was measured in the last hour" in ask(tmp_path / "data", "report").stdout
    assert "and a week (168 h) is needed" in ask(tmp_path / "data", "recommendations").stdout
    assert ask(tmp_path / "data", "changes").stdout == "no change is in force\n"
