"""Alerts over a real directory: told once, kept over restarts and new leaders, silenced, grouped, retried."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Database
from atomic_guide.errors import MachineTrouble, NotFound, Permanent, RetryLater
from atomic_guide.operations.alerts.channels.channel import Channel
from atomic_guide.operations.alerts.delivery import Count, Delivery
from atomic_guide.operations.alerts.notice import Notice
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.settings import (
    AlertSettings,
    ChannelSettings,
    InhibitionSettings,
    RouteSettings,
    RuleSettings,
)
from atomic_guide.operations.alerts.silences import Silences
from atomic_guide.operations.alerts.store import Reading, Store
from atomic_guide.operations.alerts.watch import Parts, Watch
from atomic_guide.operations.scaling.leader import Deposed, Leader
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_acts import TwoClocks

BEGIN = 1_800_000_000.0
TICK = 15.0
OLDEST = Key("queues", "oldest", "video")
RULES = (
    RuleSettings(name="waits", condition="queues_oldest > 60", for_="1m", severity="warning"),
    RuleSettings(name="fails", condition="web_errors > 0.5", severity="critical"),
)
HOOK = ChannelSettings(name="hook", kind="webhook", url="https://x.test/")


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


class Recorder:
    """A channel that keeps what it takes, and fails as it is told."""

    def __init__(self, name: str = "hook", *, tells_ends: bool = True) -> None:
        self.name = name
        self.tells_ends = tells_ends
        self.taken: list[Notice] = []
        self.attempts: list[str] = []
        self.fails: list[Exception] = []
        self.hangs = False

    async def send(self, notice: Notice) -> None:
        self.attempts.append(notice.id)
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise self.fails.pop(0)
        self.taken.append(notice)

    def said(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Status of each message, and of the alerts in it."""
        return [(one.status, [(each.name, each.status) for each in one.alerts]) for one in self.taken]


class Process:
    """A process that may lead, with its watch."""

    def __init__(
        self,
        directory: Database,
        clock: TwoClocks,
        settings: AlertSettings,
        channels: Sequence[Channel],
        name: str = "a",
    ) -> None:
        self.clock = clock
        self.leader = Leader(directory, name, clock)
        store = Store(directory, self.leader)
        self.silences = Silences(directory, clock, "tester")
        self.delivery = Delivery(channels, store, self.leader, clock, (0.5, 600.0))
        parts = Parts(store, self.silences, self.delivery, Series(directory), self.leader, clock)
        rules = [rule for rule in rules_of(settings.rules).enabled if not rule.given.shipped]
        self.watch = Watch(rules, settings, UTC, parts)

    async def tick(self, oldest: float | None = None, errors: float | None = None) -> None:
        """Fifteen seconds later: evaluate, plan, deliver, and wait for what is sent."""
        self.clock.advance(TICK)
        values = {key: value for key, value in ((OLDEST, oldest), (Key("web", "errors"), errors)) if value is not None}
        await self.leader.campaign()
        await self.watch.tick(self.clock.now(), values)
        await self.beat()

    async def beat(self) -> None:
        await self.watch.beat()
        await asyncio.gather(*self.delivery._sending.values())

    async def ticks(self, count: int, oldest: float | None = None, errors: float | None = None) -> None:
        for _ in range(count):
            await self.tick(oldest, errors)


def settings(**changed: object) -> AlertSettings:
    usual = {"rules": RULES, "channels": (HOOK,), "group_wait_seconds": 0.0, "group_interval_seconds": 60.0,
             "repeat_interval_seconds": 3600.0}  # fmt: skip
    return AlertSettings(**{**usual, **changed})  # type: ignore[arg-type]


async def process(directory: Database, channel: Channel, *more: Channel, **changed: object) -> Process:
    clock = TwoClocks(BEGIN)
    made = Process(directory, clock, settings(**changed), [channel, *more])
    assert await made.leader.campaign()
    return made


async def test_an_alert_is_told_once_when_it_fires_and_once_when_it_ends(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    await one.ticks(4, oldest=100.0)
    assert hook.taken == [], "it is pending"
    await one.ticks(20, oldest=100.0)
    assert hook.said() == [("firing", [("waits", "firing")])]
    await one.ticks(10, oldest=1.0)
    assert hook.said()[1:] == [("resolved", [("waits", "resolved")])]
    told = hook.taken[0].alerts[0]
    assert (told.labels["queue"], told.severity, told.value) == ("video", "warning", 100.0)
    assert (await one.watch._parts.store.groups()) == {}, "nothing is left of it"
    entries = await Reading(directory).entries()
    assert [entry.what for entry in reversed(entries)] == ["fired", "told", "resolved", "told"]
    assert one.delivery.counts == {Count("hook", "taken"): 2}


async def test_what_is_unknown_neither_fires_nor_ends(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    await one.ticks(10)
    assert one.watch.standing.unknown.keys() == {"waits", "fails"}
    await one.ticks(10, oldest=100.0)
    assert len(hook.taken) == 1
    await one.ticks(50)
    assert one.watch.alerts, "it goes on without figures"
    assert len(hook.taken) == 1
    await one.ticks(20)
    assert hook.said()[-1][0] == "resolved", "but not for ever"


async def test_after_a_restart_for_goes_on_and_nothing_is_told_twice(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    await one.ticks(3, oldest=100.0)
    await one.leader.step_down()
    one.clock.advance(600)
    two = Process(directory, one.clock, settings(), [hook], "b")
    assert await two.leader.campaign()
    await two.tick(oldest=None)
    assert [alert.state for alert in two.watch.alerts.values()] == ["pending"], "the first tick knows nothing yet"
    await two.tick(oldest=100.0)
    assert hook.taken == [], "the ten minutes in between do not count"
    await two.tick(oldest=100.0)
    assert hook.said() == [("firing", [("waits", "firing")])]
    await two.leader.step_down()
    three = Process(directory, one.clock, settings(), [hook], "c")
    assert await three.leader.campaign()
    await three.ticks(10, oldest=100.0)
    assert len(hook.taken) == 1
    await three.ticks(10, oldest=1.0)
    assert [status for status, _ in hook.said()] == ["firing", "resolved"]


async def test_a_process_that_does_not_lead_neither_writes_nor_tells(directory: Database) -> None:
    first, second = Recorder(), Recorder()
    one = await process(directory, first)
    two = Process(directory, one.clock, settings(), [second], "b")
    assert not await two.leader.campaign()
    for _ in range(10):
        await one.tick(oldest=100.0)
        two.watch._token = two.leader.token
        with pytest.raises(Deposed):
            await two.watch.tick(one.clock.now(), {OLDEST: 100.0})
        await two.beat()
    assert (len(first.taken), len(second.taken)) == (1, 0)


async def test_a_message_under_way_is_cancelled_with_the_lead_and_sent_by_the_next_one(directory: Database) -> None:
    hung, hook = Recorder(), Recorder()
    one = await process(directory, hung)
    await one.ticks(4, oldest=100.0)
    hung.hangs = True
    one.clock.advance(TICK)
    await one.leader.campaign()
    await one.watch.tick(one.clock.now(), {OLDEST: 100.0})
    await one.watch.beat()
    await asyncio.sleep(0)
    await one.leader.step_down()
    await asyncio.gather(*one.delivery._sending.values())
    assert (len(hung.attempts), hung.taken) == (1, [])
    two = Process(directory, one.clock, settings(), [hook], "b")
    assert await two.leader.campaign()
    await two.tick(oldest=100.0)
    assert [one.id for one in hook.taken] == hung.attempts, "under the same id, so that a receiver can tell"


async def test_alerts_of_a_group_are_told_together_and_what_changes_after_the_interval(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook, group_by=(), group_wait_seconds=45.0)
    await one.ticks(4, oldest=100.0)
    await one.tick(oldest=100.0, errors=0.9)
    assert hook.taken == []
    await one.ticks(3, oldest=100.0, errors=0.9)
    assert hook.said() == [("firing", [("fails", "firing"), ("waits", "firing")])], "the worse one first"
    await one.ticks(2, oldest=100.0, errors=0.1)
    assert len(hook.taken) == 1
    await one.ticks(3, oldest=100.0, errors=0.1)
    assert hook.said()[1:] == [("firing", [("waits", "firing"), ("fails", "resolved")])]


async def test_an_alert_that_goes_on_is_told_again_after_the_interval_for_that(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook, repeat_interval_seconds=600.0)
    await one.ticks(4 + 100, oldest=100.0)
    assert [status for status, _ in hook.said()] == ["firing"] * 3
    assert len({notice.id for notice in hook.taken}) == 3


async def test_a_silence_keeps_it_quiet_and_its_end_is_told_to_who_knew_it(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    made = await one.silences.add(["waits", "queue=video"], 3600, "being mended", key="k1")
    assert await one.silences.add(["waits"], 3600, "again", key="k1") == made, "the same key is the same silence"
    await one.ticks(20, oldest=100.0)
    assert hook.taken == []
    await one.silences.end(made.id)
    await one.ticks(5, oldest=100.0)
    assert hook.said() == [("firing", [("waits", "firing")])]
    await one.silences.add(["severity=~warn.*"], 36000, "once more")
    await one.ticks(300, oldest=100.0)
    assert len(hook.taken) == 1, "it is not told again"
    await one.ticks(10, oldest=1.0)
    assert hook.said()[1:] == [("resolved", [("waits", "resolved")])]
    entries = await Reading(directory).entries(what="silenced")
    assert [entry.who for entry in entries] == ["tester", "tester"]
    assert [entry.what for entry in await Reading(directory).entries(what="unsilenced")] == ["unsilenced"]
    with pytest.raises(NotFound, match="no silence"):
        await one.silences.end("nothing")


async def test_a_silence_ends_by_itself(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    await one.silences.add(["waits"], 300, "for five minutes")
    await one.ticks(19, oldest=100.0)
    assert hook.taken == []
    await one.ticks(8, oldest=100.0)
    assert len(hook.taken) == 1


async def test_what_something_worse_explains_is_not_told(directory: Database) -> None:
    hook = Recorder()
    inhibition = InhibitionSettings(source=("severity=critical",), target=("severity=warning",))
    one = await process(directory, hook, inhibitions=(inhibition,))
    await one.ticks(20, oldest=100.0, errors=0.9)
    assert hook.said() == [("firing", [("fails", "firing")])]
    await one.ticks(10, oldest=100.0, errors=0.1)
    assert ("firing", [("waits", "firing")]) in hook.said()


async def test_alerts_go_where_routes_say(directory: Database) -> None:
    hook, pager, quiet = Recorder(), Recorder("pager"), Recorder("quiet", tells_ends=False)
    channels = tuple(
        ChannelSettings(name=name, kind="webhook", url="https://x.test/") for name in ("hook", "pager", "quiet")
    )
    routes = (
        RouteSettings(matchers=("severity=critical",), channels=("pager",), go_on=True),
        RouteSettings(matchers=("severity=~critical|warning",), channels=("hook", "quiet"), group_wait="30s"),
    )
    one = await process(directory, hook, pager, quiet, channels=channels, routes=routes)
    await one.ticks(8, oldest=100.0, errors=0.9)
    await one.ticks(10, oldest=1.0, errors=0.1)
    assert {name for _, each in pager.said() for name, _ in each} == {"fails"}
    assert {name for _, each in hook.said() for name, _ in each} == {"waits", "fails"}
    assert [status for status, _ in hook.said()] == ["firing", "firing", "resolved", "resolved"]
    assert [status for status, _ in quiet.said()] == ["firing", "firing"], "it does not want to hear of the end"


async def test_what_is_not_taken_is_tried_again_and_counts_only_when_it_is(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    hook.fails = [RetryLater("not now", 20.0), MachineTrouble("cannot be reached", 20.0)]
    await one.ticks(5, oldest=100.0)
    assert len(hook.attempts) == 1
    [group] = (await Reading(directory).groups()).values()
    assert (group.error, group.taken, group.attempts) == ("not now", {}, 1)
    await one.ticks(4, oldest=100.0)
    assert len(hook.taken) == 1
    assert len(set(hook.attempts)) == 1, "it is the same message"
    assert one.delivery.counts == {Count("hook", "retried"): 2, Count("hook", "taken"): 1}
    entries = await Reading(directory).entries()
    assert [entry.what for entry in reversed(entries)] == ["fired", "retrying", "told"]


async def test_what_ends_before_it_was_taken_is_not_told_at_all(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    hook.fails = [RetryLater("not now", 45.0)] * 2
    await one.ticks(5, oldest=100.0)
    await one.ticks(10, oldest=1.0)
    assert hook.taken == []
    assert await Reading(directory).groups() == {}


async def test_what_changes_before_it_was_taken_is_told_as_it_is_then(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook, group_by=())
    hook.fails = [RetryLater("not now", 100.0)]
    await one.ticks(5, oldest=100.0)
    await one.ticks(8, oldest=100.0, errors=0.9)
    assert hook.said() == [("firing", [("fails", "firing"), ("waits", "firing")])]


async def test_a_channel_that_refuses_for_good_is_asked_again_with_the_next_look_at_the_group(
    directory: Database,
) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    hook.fails = [Permanent("404")]
    await one.ticks(5, oldest=100.0)
    assert hook.taken == []
    assert one.delivery.counts[Count("hook", "failed")] == 1
    await one.ticks(4, oldest=100.0)
    assert len(hook.taken) == 1
    hook.fails = [Permanent("410")]
    await one.ticks(10, oldest=1.0)
    assert [status for status, _ in hook.said()] == ["firing"], "that it has ended is not tried for ever"
    assert await Reading(directory).groups() == {}


async def test_a_channel_that_hangs_holds_up_no_other_and_no_evaluation(directory: Database) -> None:
    slow, hook = Recorder("slow"), Recorder()
    channels = tuple(ChannelSettings(name=name, kind="webhook", url="https://x.test/") for name in ("slow", "hook"))
    one = await process(directory, slow, hook, channels=channels)
    slow.hangs = True
    for _ in range(6):
        one.clock.advance(TICK)
        await one.leader.campaign()
        await one.watch.tick(one.clock.now(), {OLDEST: 100.0})
        await one.watch.beat()
        await asyncio.sleep(0.05)
    assert len(hook.taken) == 1
    assert len(slow.attempts) == 1
    await one.delivery.stop()


async def test_a_channel_that_fails_always_rests(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook, group_by=("alertname", "queue"))
    hook.fails = [RetryLater("no", 0.0)] * 100
    await one.ticks(5, oldest=100.0)
    for _ in range(50):
        one.clock.advance(1)
        await one.leader.campaign()
        await one.beat()
    assert len(hook.attempts) <= 7, "five failures open the breaker"


async def test_a_rule_that_is_gone_takes_its_alerts_along(directory: Database) -> None:
    hook = Recorder()
    one = await process(directory, hook)
    await one.ticks(6, oldest=100.0)
    await one.leader.step_down()
    two = Process(directory, one.clock, settings(rules=RULES[1:]), [hook], "b")
    assert await two.leader.campaign()
    await two.ticks(6, oldest=100.0)
    assert [status for status, _ in hook.said()] == ["firing", "resolved"]
    assert await Reading(directory).alerts() == {}


async def test_a_watch_goes_on_from_what_is_on_record_of_earlier_days(directory: Database) -> None:
    series = Series(directory)
    for tick in range(20):
        await series.store(BEGIN - 86_400 + 15 * tick, [Sample(OLDEST, 10.0)])
    rule = RuleSettings(name="more", condition="queues_oldest > previous_day_queues_oldest * 2")
    hook = Recorder()
    one = await process(directory, hook, rules=(rule,))
    await one.ticks(2, oldest=15.0)
    assert one.watch.standing.unknown == {}
    await one.tick(oldest=25.0)
    assert [each.name for each in hook.taken[0].alerts] == ["more"]
