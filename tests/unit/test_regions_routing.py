"""Which region answers a request, and why; and which are thought well."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.regions.countries import countries
from atomic_guide.regions.health import Board, Found, Standing
from atomic_guide.regions.here import Here
from atomic_guide.regions.routing import Asked, Sight, choose, sight
from atomic_guide.regions.settings import ROLES, ProbeSettings, RegionSettings, RegionsSettings

CENTRAL = RegionSettings("eu-central", (50.1, 8.7), countries=("DE",), zones=("eu", "de"), address="https://c")
NORTH = RegionSettings("eu-north", (59.3, 18.1), zones=("eu",), roles=("web", "analytics"), address="https://n")
EAST = RegionSettings("us-east", (39.0, -77.5), zones=("us",), address="https://e")
SETTINGS = RegionsSettings((CENTRAL, NORTH, EAST))


def _chosen(own: RegionSettings, country: str | None, away: set[str] | None = None, **asked: Any) -> tuple[str, str]:
    choice = choose(own, sight(SETTINGS, country, "header"), Asked(**asked), away or set())
    return (choice.region.name if choice.region else ""), choice.reason


@pytest.mark.parametrize(
    ("own", "country", "away", "asked", "expected"),
    [
        # A call is answered where it has come, wherever somebody is nearest to.
        (CENTRAL, "SE", set(), {"zone": "eu"}, ("eu-central", "here")),
        (NORTH, "US", set(), {"zone": "eu"}, ("eu-north", "here")),
        # A login goes to the nearest region of its zone, and stays there when it has come from another one.
        (CENTRAL, "SE", set(), {"zone": "eu", "opens": True}, ("eu-north", "nearest")),
        (NORTH, "SE", set(), {"zone": "eu", "opens": True}, ("eu-north", "here")),
        (CENTRAL, "SE", set(), {"zone": "eu", "opens": True, "hopped": True}, ("eu-central", "here")),
        (CENTRAL, "SE", {"eu-north"}, {"zone": "eu", "opens": True}, ("eu-central", "failover")),
        (EAST, None, set(), {"zone": None, "opens": True}, ("eu-central", "nearest")),
        # Who travels to America stays in their own zone.
        (EAST, "US", set(), {"zone": "eu"}, ("eu-north", "zone")),
        (EAST, "US", set(), {"zone": "eu", "opens": True}, ("eu-north", "zone")),
        (CENTRAL, "DE", set(), {"zone": "us"}, ("us-east", "zone")),
        # A region that is away is passed over for the next nearest of the zone, and for no other.
        (EAST, "DE", {"eu-central"}, {"zone": "eu"}, ("eu-north", "failover")),
        (NORTH, "DE", {"eu-central"}, {"zone": "de"}, ("", "zone away")),
        (CENTRAL, "US", {"us-east"}, {"zone": "us"}, ("", "zone away")),
        (CENTRAL, "DE", set(), {"zone": "asia"}, ("", "zone unknown")),
        # Two regions that disagree send nobody to and fro.
        (EAST, "DE", set(), {"zone": "eu", "hopped": True}, ("", "loop")),
        # Work goes where a region does it.
        (NORTH, "SE", set(), {"zone": "eu", "role": "media"}, ("eu-central", "role")),
        (NORTH, "SE", set(), {"zone": "eu", "role": "analytics"}, ("eu-north", "here")),
        (NORTH, "SE", {"eu-central"}, {"zone": "eu", "role": "media"}, ("", "zone away")),
        # What began somewhere stays there; an upload waits for its region, a socket begins again.
        (CENTRAL, "DE", set(), {"zone": "eu", "began": "eu-north"}, ("eu-north", "began")),
        (CENTRAL, "DE", set(), {"zone": "eu", "began": "eu-central"}, ("eu-central", "here")),
        (CENTRAL, "DE", {"eu-north"}, {"zone": "eu", "began": "eu-north"}, ("eu-central", "here")),
        (CENTRAL, "DE", {"eu-north"}, {"zone": "eu", "began": "eu-north", "stays": True}, ("", "began away")),
        (CENTRAL, "DE", set(), {"zone": "de", "began": "eu-north"}, ("eu-central", "here")),
        (CENTRAL, "DE", set(), {"zone": "eu", "began": "eu-north", "hopped": True}, ("", "loop")),
        # A drained region sends logins on and answers what has begun there.
        (CENTRAL, "DE", {"eu-central"}, {"zone": "eu", "opens": True}, ("eu-north", "failover")),
        (CENTRAL, "DE", {"eu-central"}, {"zone": "eu"}, ("eu-central", "here")),
        (CENTRAL, "DE", {"eu-central", "eu-north"}, {"zone": "eu", "opens": True}, ("eu-central", "here")),
    ],
)  # fmt: skip
def test_a_request_is_answered(
    own: RegionSettings, country: str | None, away: set[str], asked: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert _chosen(own, country, away, **asked) == expected


@given(
    own=st.sampled_from(SETTINGS.declared),
    country=st.sampled_from([None, *countries()]),
    away=st.sets(st.sampled_from([one.name for one in SETTINGS.declared])),
    zone=st.sampled_from(["eu", "de", "us", "asia"]),
    role=st.sampled_from(ROLES),
    began=st.sampled_from(["", *(one.name for one in SETTINGS.declared)]),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_no_choice_leaves_the_zone_and_no_request_goes_in_circles(
    *, own: RegionSettings, country: str | None, away: set[str], zone: str, role: Any, began: str,
    flags: tuple[bool, bool, bool],
) -> None:  # fmt: skip
    asked = Asked(zone, role, began, *flags)
    choice = choose(own, sight(SETTINGS, country, "header"), asked, away)
    if choice.region is None:
        assert choice.reason in {"zone away", "zone unknown", "began away", "loop"}
        return
    assert zone in choice.region.zones
    if choice.reason != "began":
        assert role in choice.region.roles
    if choice.region != own:
        assert choice.region.name not in away
        assert not asked.hopped
        # Where it is sent, it is answered or refused, whatever that region thinks of the others.
        for thought in (set(), away, {one.name for one in SETTINGS.declared}):
            there = choose(choice.region, sight(SETTINGS, country, "header"), asked._replace(hopped=True), thought)
            assert there.region in {choice.region, None}


def test_every_country_and_nobody_knows_where_has_a_first_region() -> None:
    for country in [None, "XX", *countries()]:
        assert sight(SETTINGS, country, "header").order
    assert sight(SETTINGS, None, "header").by == "default"
    assert sight(SETTINGS, None, "header").order[0] == CENTRAL
    assert sight(RegionsSettings((CENTRAL, EAST), "us-east"), "XX", "header").order[0] == EAST


def test_the_country_comes_from_the_header_else_from_the_address_else_from_nowhere() -> None:
    here = Here(SETTINGS, "eu-central", lambda _tenant: "eu", {"192.0.2.1": "US"}.get)
    assert here.see("se", "192.0.2.1")[:2] == ("SE", "header")
    for nonsense in (None, "", "XX", "T1", "Sweden", "\x00", "ZZ"):
        assert here.see(nonsense, "192.0.2.1")[:2] == ("US", "address")
        assert here.see(nonsense, "198.51.100.1")[:2] == (None, "default")


def test_a_region_is_away_after_some_failures_and_back_after_more_answers() -> None:
    board = Board(ProbeSettings(down=3, up=5), ["eu-north"])
    good, bad = Found("eu-north", well=True, ms=1.0), Found("eu-north", well=False, ms=9.0, why="no answer")
    assert board.away == frozenset()
    # Two failures between answers move nobody, as often as they come.
    for at in range(1, 40):
        assert board.note(bad if at % 3 else good, at) is None
    assert board.away == frozenset()
    assert [board.note(bad, at) is not None for at in range(40, 43)] == [False, False, True]
    assert board.away == {"eu-north"}
    # It has to answer five times in a row.
    assert [board.note(good if at % 5 else bad, at) for at in range(46, 60)].count(None) == 14
    assert board.note(bad, 60) is None
    for at in range(61, 65):
        assert board.note(good, at) is None
    turn = board.note(good, 65)
    assert turn is not None
    assert (turn.region, turn.well, turn.at) == ("eu-north", True, 65)
    assert board.standings["eu-north"] == Standing(well=True, in_a_row=5, answered=True, ms=1.0, at=65, since=65)
    assert board.note(Found("elsewhere", well=False, ms=0.0), 66) is None


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_a_region_turns_only_after_so_many_equal_probes(answers: list[bool], down: int, up: int) -> None:
    board = Board(ProbeSettings(down=down, up=up), ["a"])
    well = True
    for at, answer in enumerate(answers, 1):
        turn = board.note(Found("a", answer, 1.0), at)
        needed = down if well else up
        last = answers[max(0, at - needed) : at]
        turns = answer != well and len(last) == needed and all(one == answer for one in last)
        assert (turn is not None) == turns
        well = answer if turns else well
        assert (board.away == frozenset()) == well


def test_without_regions_nobody_is_nearest() -> None:
    assert sight(RegionsSettings(()), "DE", "header").order == ()
    assert sight(RegionsSettings(()), None, "header") == Sight(None, "default", ())
