"""Whether a forecast may be used: what is expected at a tick, when it is too much or too little, and for how long."""

from typing import Any

from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.decide.watch import Slot, Watch
from atomic_guide.operations.scaling.fleet import Fleet

HOUR, SLOT = 3600.0, 180.0
BEGIN = 1_767_571_200.0
FLAT: dict[str, Any] = {"made_at": BEGIN, "begins": BEGIN, "p50": [100.0] * 6, "p95": [170.0] * 6}


def outlook(**changes: Any) -> Outlook:
    return Outlook(**(FLAT | changes))


def seen(demand: float | None, minutes: float = 60, *, first: float = HOUR, watch: Watch | None = None,
         ahead: Outlook | None = None) -> Watch:  # fmt: skip
    """A watch that has seen a demand every three minutes, the last time `minutes` after `first`."""
    watch = watch or Watch()
    for tick in range(int(minutes / 3) + 1):
        watch.see(BEGIN + first + tick * SLOT, demand, ahead or outlook())
    return watch


def test_a_forecast_is_trusted_when_it_has_held_for_three_hours() -> None:
    watch = Watch()
    assert watch.why == "the forecast has not been watched for three hours yet"
    trusted = [seen(100.0, 0, first=tick * SLOT, watch=watch).trusted for tick in range(90)]
    # Fourteen slots are needed before anything is said: it holds from the fourteenth on.
    assert trusted.index(True) == 13 + 60
    assert watch.why == ""
    assert all(trusted[73:])


def test_what_is_thought_possible_is_the_p95_or_half_as_much_again() -> None:
    assert seen(170.0).why == Watch().why
    assert seen(171.0).why == "the last 45 min brought 171, over the 170 that was thought possible"
    narrow = outlook(p95=[101.0] * 6)
    assert seen(150.0, ahead=narrow).good_since is not None
    over = seen(1151.0, ahead=outlook(p50=[700.0] * 6, p95=[701.0] * 6))
    assert over.why == "the last 45 min brought 1,151, over the 1,050 that was thought possible"
    assert (over.trusted, over.good_since) == (False, None)


def test_less_than_two_thirds_of_what_is_expected_is_too_little_unless_the_forecast_is_wide() -> None:
    assert seen(67.0).good_since is not None
    assert seen(66.0).why == "the last 45 min brought 66, less than two thirds of the 100 expected"
    # By no more than a quarter of what lies between p50 and p95.
    assert seen(60.0, ahead=outlook(p95=[260.0] * 6)).good_since is not None
    assert seen(59.0, ahead=outlook(p95=[260.0] * 6)).good_since is None


def test_an_error_of_less_than_a_tenth_of_a_unit_is_none() -> None:
    idle, cores = outlook(p50=[0.02] * 6, p95=[0.03] * 6), Fleet(1, 0, 1, 4, 0.8, "cores")
    watches = {demand: Watch() for demand in (0.013, 0.1, 0.12)}
    for demand, watch in watches.items():
        for tick in range(20):
            watch.see(BEGIN + HOUR + tick * SLOT, demand, idle, cores)
    assert [watch.good_since is not None for watch in watches.values()] == [True, True, False]
    assert watches[0.12].why == "the last 45 min brought 0.12 cores, over the 0.03 cores that was thought possible"
    fast = Watch()
    for tick in range(20):
        fast.see(BEGIN + HOUR + tick * SLOT, 0.09, outlook(p50=[0.15] * 6, p95=[0.16] * 6), cores)
    assert fast.good_since is not None, "a tenth of a core less is the noise of a server that idles"


def test_what_is_expected_is_any_of_the_hours_within_half_an_hour() -> None:
    rises = outlook(p50=[100.0, 1000.0, 100.0, 100.0, 100.0, 100.0], p95=[150.0, 1500.0, 150.0, 150.0, 150.0, 150.0])
    found = []
    for at in (1799.0, 1800.0, HOUR, HOUR + 1800.0, 2 * HOUR + 1799.0, 2 * HOUR + 1800.0):
        watch = Watch()
        watch.see(BEGIN + at, 1.0, rises)
        found += [(slot.low, slot.high, slot.spread) for slot in watch.slots]
    assert found == [
        (100.0, 150.0, 50.0), (100.0, 1500.0, 50.0), (100.0, 1500.0, 500.0), (100.0, 1500.0, 500.0),
        (100.0, 1500.0, 50.0), (100.0, 150.0, 50.0),
    ]  # fmt: skip


def test_ticks_of_three_minutes_are_added_up() -> None:
    watch = Watch()
    for at, demand in ((0.0, 90.0), (15.0, 110.0), (179.0, 130.0), (180.0, 50.0)):
        watch.see(BEGIN + HOUR + at, demand, outlook())
    assert watch.slots == [
        Slot(BEGIN + HOUR, 3, 330.0, 300.0, 510.0, 210.0),
        Slot(BEGIN + HOUR + SLOT, 1, 50.0, 100.0, 170.0, 70.0),
    ]
    assert watch.judged_at == BEGIN + HOUR + 180.0


def test_a_verdict_is_of_the_mean_over_ticks_not_of_the_last_one() -> None:
    watch = seen(100.0, 42)
    watch.see(BEGIN + HOUR + 15 * SLOT, 1000.0, outlook())
    assert watch.good_since is not None, "a burst of three minutes"
    for tick in range(16, 19):
        watch.see(BEGIN + HOUR + tick * SLOT, 1000.0, outlook())
    assert watch.good_since is None


def test_only_the_last_45_minutes_are_judged_and_a_clock_set_back_forgets_what_seems_to_come() -> None:
    watch = seen(1000.0, 42)
    assert len(watch.slots) == 15
    assert "1,000" in watch.why
    watch = seen(100.0, 51, first=HOUR + 45 * 60, watch=watch)
    assert watch.slots[0].at == BEGIN + HOUR + 51 * 60
    assert len(watch.slots) == 16
    watch.see(BEGIN + HOUR, 100.0, outlook())
    assert [slot.at for slot in watch.slots] == [BEGIN + HOUR]


def test_trust_ends_at_once_and_comes_back_after_three_hours_more() -> None:
    watch = Watch(trusted=True, why="")
    seen(1000.0, 42, watch=watch)
    assert not watch.trusted
    ahead = outlook(p50=[100.0] * 24, p95=[170.0] * 24)
    begun = None
    for tick in range(120):
        watch.see(BEGIN + 2 * HOUR + tick * SLOT, 100.0, ahead)
        begun = begun or watch.good_since
        if watch.trusted:
            assert begun is not None
            assert BEGIN + 2 * HOUR + tick * SLOT - begun == 3 * HOUR
            return
    raise AssertionError(watch.why)


def test_nothing_is_trusted_for_more_than_45_minutes_without_being_measured() -> None:
    watch = Watch(trusted=True, why="", judged_at=BEGIN)
    watch.see(BEGIN + 2700.0, None, outlook())
    assert watch.trusted
    watch.see(BEGIN + 2701.0, None, outlook())
    assert (watch.trusted, watch.why) == (False, "demand is not measured, so that it cannot be judged")


def test_why_there_is_no_forecast_is_said() -> None:
    for ahead, says in (
        (outlook(p50=[], p95=[], why="two weeks are needed"), "two weeks are needed"),
        (outlook(p50=[], p95=[]), "there is no forecast for this hour"),
    ):
        watch = Watch(trusted=True)
        watch.see(BEGIN + HOUR, 100.0, ahead)
        assert watch.why == f"{says}, so that it cannot be judged"
        assert not watch.trusted


def test_the_hours_of_an_outlook() -> None:
    ahead = outlook(p50=[1.0, 2.0, 5.0], p95=[3.0, 9.0, 6.0], quiet=[(BEGIN, BEGIN + 60), (BEGIN + 90, BEGIN + 120)])
    assert ahead.hour(BEGIN - 1) is None
    assert ahead.hour(BEGIN) == (1.0, 3.0)
    assert ahead.hour(BEGIN + 3599) == (1.0, 3.0)
    assert ahead.hour(BEGIN + 3 * HOUR - 1) == (5.0, 6.0)
    assert ahead.hour(BEGIN + 3 * HOUR) is None
    assert ahead.most(BEGIN, BEGIN + HOUR - 1, upper=False) == 1.0
    assert ahead.most(BEGIN, BEGIN + HOUR, upper=False) == 2.0
    assert ahead.most(BEGIN - 9 * HOUR, BEGIN + 9 * HOUR, upper=True) == 9.0
    assert ahead.most(BEGIN + 2 * HOUR, BEGIN + 9 * HOUR, upper=True) == 6.0
    assert ahead.most(BEGIN - 1, BEGIN + HOUR - 1, upper=False) == 1.0
    assert ahead.most(BEGIN - 9 * HOUR, BEGIN - 1, upper=True) is None
    assert ahead.most(BEGIN - 9 * HOUR, BEGIN - 5 * HOUR, upper=True) is None
    assert ahead.most(BEGIN + 3 * HOUR, BEGIN + 9 * HOUR, upper=False) is None
    quiet = [offset for offset in (-1, 0, 59, 60, 89, 90, 119, 120) if ahead.quiet_at(BEGIN + offset)]
    assert quiet == [0, 59, 90, 119]
