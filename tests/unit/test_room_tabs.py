"""How many sockets a person may have, over several processes, in virtual time."""

import asyncio
import functools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomic_guide.engines.rooms.settings import RoomSettings
from tests.rooms_apart import Member, Process, Site, play

LIMITS = RoomSettings(person_sockets=3, close_seconds=0.1, silence_seconds=3600, linger_seconds=2)
played = functools.partial(play, settings=LIMITS)


async def tab(process: Process, user: str = "ada") -> Member:
    member = Member(user)
    await member.join(process)
    return member


async def opened(*processes: Process) -> None:
    """Open the room in each process, so that it knows who is there."""
    await asyncio.gather(*(tab(process, "ben") for process in processes))
    await asyncio.sleep(1)


def refused(member: Member) -> bool:
    return member.bye is not None and member.bye["reason"] == "tabs"


def test_sockets_in_other_processes_count_at_the_door() -> None:
    async def scene(site: Site) -> None:
        one, other, third = (site.process() for _ in range(3))
        await opened(one, other, third)
        tabs = [await tab(one), await tab(one), await tab(other)]
        await asyncio.sleep(1)
        late = await tab(third)
        assert refused(late)
        assert not late.welcomed
        assert late.bye is not None
        assert late.bye["retry_after"] < 10  # one of the others might have died, which shows before
        assert not refused(await tab(third, "cyd"))
        tabs[0].leave()
        await asyncio.sleep(1)
        assert (await tab(third)).welcomed
        assert not any(map(refused, tabs))

    played(scene)


def test_a_reload_that_lands_elsewhere_finds_its_own_place() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        tabs = [await tab(one), await tab(one), await tab(one)]
        await asyncio.sleep(1)
        tabs[1].leave()
        assert (await tab(other)).welcomed
        await asyncio.sleep(2)
        assert not any(map(refused, tabs))

    played(scene)


def test_of_sockets_that_come_at_once_the_newest_are_closed() -> None:
    async def scene(site: Site) -> None:
        processes = [site.process() for _ in range(3)]
        await opened(*processes)
        oldest = [await tab(processes[0]), await tab(processes[1])]
        await asyncio.sleep(1)
        newest = []
        for process in processes:
            newest.append(await tab(process))
            await asyncio.sleep(0.01)
        assert all(member.welcomed for member in newest)
        await asyncio.sleep(1.5)
        assert [refused(member) for member in [*oldest, *newest]] == [False, False, False, True, True]

    played(scene)


def test_a_process_that_has_only_just_opened_the_room_closes_what_was_too_many() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        tabs = [await tab(one), await tab(one), await tab(one)]
        await asyncio.sleep(1)
        late = await tab(other)
        await asyncio.sleep(1.5)
        assert [refused(member) for member in [*tabs, late]] == [False, False, False, True]

    played(scene)


def test_what_a_dead_process_had_is_forgotten_and_what_a_draining_one_had_at_once() -> None:
    async def scene(site: Site) -> None:
        one, other, third = (site.process() for _ in range(3))
        await opened(one, other, third)
        tabs = [await tab(one), await tab(one), await tab(one)]
        await asyncio.sleep(1)
        await one.crash()
        assert refused(await tab(other))
        await asyncio.sleep(5)
        tabs = [await tab(other), await tab(other), await tab(other)]
        await asyncio.sleep(1)
        ending = asyncio.create_task(other.drain())
        await asyncio.sleep(0.6)
        back = [await tab(third) for _ in range(3)]
        assert all(member.welcomed for member in back)
        await ending
        await asyncio.sleep(10)
        assert not any(map(refused, [*tabs, *back]))

    played(scene)


def test_without_the_bus_each_process_counts_its_own_and_the_newest_go_when_it_is_back() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        mine = [await tab(one), await tab(one)]
        await asyncio.sleep(1)
        for process in (one, other):
            process.bus.cut(connected=False)
        theirs = [await tab(other), await tab(other), await tab(other)]
        assert all(member.welcomed for member in theirs)
        late = await tab(other)
        assert refused(late)
        assert late.bye is not None
        assert late.bye["retry_after"] >= 30
        await asyncio.sleep(20)
        for process in (one, other):
            process.bus.cut(connected=True)
        await asyncio.sleep(10)
        assert [refused(member) for member in [*mine, *theirs]] == [False, False, False, True, True]

    played(scene)


steps = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["come", "come", "leave"]), st.sampled_from([0.0, 0.05, 0.3, 1.0])),
    max_size=30,
)


LATE: list[tuple[int, str, float]] = [
    *((0, "come", 0.0), (1, "come", 0.0), (0, "come", 0.0), (0, "come", 0.05), (0, "leave", 0.3), (0, "leave", 0.05)),
    *((0, "come", 1.0), (0, "come", 1.0), (0, "leave", 0.0), (1, "come", 0.0), (1, "come", 0.0)),
]
"""While the first of the last two waits at the door of the second process, the room there is closed as empty."""


@given(steps)
@example(LATE)
@settings(max_examples=60, deadline=None)
def test_however_they_come_the_oldest_stay_and_no_place_is_lost(script: list[tuple[int, str, float]]) -> None:
    async def scene(site: Site) -> None:
        processes = [site.process() for _ in range(3)]
        await asyncio.sleep(1)
        come: list[Member] = []
        for place, what, pause in script:
            if what == "come":
                come.append(await tab(processes[place]))
            elif left := [member for member in come if member.online]:
                left[place % len(left)].leave()
            await asyncio.sleep(pause)
        before = [member for member in come if member.online]
        await asyncio.sleep(5)
        # Nobody left meanwhile but those who are too many.
        assert [member for member in come if member.online] == before[: LIMITS.person_sockets]

    played(scene)
