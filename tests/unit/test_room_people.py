"""The people of a room over several processes, in virtual time."""

import asyncio
import functools

from atomic_guide.engines.rooms import bus
from atomic_guide.engines.rooms.settings import PEOPLE_LIMIT, TYPING_LIMIT, RoomSettings
from tests.rooms_apart import KEY, Site, play
from tests.virtual import VirtualClock

LIMITS = RoomSettings(person_sockets=100, named_people=10, linger_seconds=2, close_seconds=0.1, silence_seconds=3600)


played = functools.partial(play, settings=LIMITS)


class Ahead(VirtualClock):
    """The clock of a process that has done nothing for half a minute."""

    def monotonic(self) -> float:
        return super().monotonic() + 30


def test_after_a_crash_its_people_have_left_within_five_seconds() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [ada] = await site.members(one, ["ada"])
        many = await site.members(other, [f"student {number}" for number in range(30)])
        await asyncio.sleep(7.3)
        assert ada.count == 31
        await other.crash()
        await asyncio.sleep(5.0)
        assert ada.count == 1
        assert ada.people == {"ada"}
        assert not any(member.online for member in many)

    played(scene)


def test_people_of_a_process_that_drains_stay_until_they_have_come_back() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [ada] = await site.members(one, ["ada"])
        [ben] = await site.members(other, ["ben"])
        await asyncio.sleep(2)
        counts: set[int] = set()
        ending = asyncio.create_task(other.drain())
        for _ in range(100):
            await asyncio.sleep(0.1)
            counts.add(ada.count)
            if ben.bye is not None and not ben.online:
                await asyncio.sleep(ben.bye["retry_after"])
                await ben.join(one, ben.cursor)
        await ending
        assert counts == {2}
        assert ada.people == {"ada", "ben"}

    played(scene)


def test_a_big_room_hears_numbers_and_instructors_and_a_small_one_names() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [ada] = await site.members(one, ["ada"])
        await asyncio.sleep(1)
        crowd = await site.members(other, [f"student {number}" for number in range(9)])
        await asyncio.sleep(1)
        assert ada.people == {"ada", *(member.user for member in crowd)}
        more = await site.members(other, [f"guest {number}" for number in range(200)])
        await asyncio.sleep(2)
        before = ada.frames
        more += await site.members(other, [f"late {number}" for number in range(100)])
        more += await site.members(other, ["teacher"])
        await asyncio.sleep(3)
        assert ada.count == 311
        assert ada.frames - before <= 4
        assert "teacher" in ada.people
        assert "late 5" not in ada.people
        for member in more:
            member.leave()
        await asyncio.sleep(4)
        assert ada.count == 10
        await site.members(other, ["ben"])
        crowd[0].leave()
        crowd[1].leave()
        await asyncio.sleep(4)
        assert ada.people == {"ada", "ben", *(member.user for member in crowd[2:])}

    played(scene)


def test_a_person_types_once_a_second_over_all_processes_and_a_room_hears_few_at_a_time() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [reader] = await site.members(one, ["reader"])
        tabs = [*await site.members(one, ["ada"]), *await site.members(other, ["ada", "ada"])]
        await asyncio.sleep(1)
        for _ in range(5):
            for tab in tabs:
                tab.send("typing")
            await asyncio.sleep(0.19)
        assert reader.typing == 1
        crowd = await site.members(other, [f"student {number}" for number in range(100)])
        await asyncio.sleep(2)
        reader.typing = 0
        for member in crowd:
            member.send("typing")
        await asyncio.sleep(0.5)
        assert reader.typing == TYPING_LIMIT

    played(scene)


def test_idle_rooms_of_a_process_are_one_notice_a_second_and_nobody_listens_to_empty_ones() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        members = [await site.members(process, ["ada", "ben"]) for process in (one, other)]
        await asyncio.sleep(10)
        before = site.net.sent
        await asyncio.sleep(20)
        assert site.net.sent - before <= 2 * 21
        assert bus.subject(KEY) in other.bus.subjects
        for member in members[1]:
            member.leave()
        await asyncio.sleep(5)
        assert other.bus.subjects == {bus.BEATS}
        assert bus.subject(KEY) in one.bus.subjects

    played(scene)


def test_a_list_of_thousands_comes_in_parts_that_nats_takes() -> None:
    async def scene(site: Site) -> None:
        longest = "x" * 200
        crowd, reader = site.process(), site.process()
        largest = 0
        carry = site.net.carry

        def weigh(subject: str, payload: bytes) -> None:
            nonlocal largest
            largest = max(largest, len(payload))
            carry(subject, payload)

        site.net.carry = weigh  # type: ignore[method-assign]
        await site.members(crowd, [f"{longest} {number}" for number in range(3 * PEOPLE_LIMIT + 7)])
        await asyncio.sleep(1)
        [ada] = await site.members(reader, ["ada"])
        await asyncio.sleep(3)
        assert ada.count == 3 * PEOPLE_LIMIT + 8
        assert largest < 1 << 20

    play(scene, RoomSettings(room_sockets=5000, named_people=10, silence_seconds=3600))


def test_who_left_unheard_is_noticed_although_the_room_is_closed_there() -> None:
    """The last notice and every beat about it are lost; a room that is never mentioned again has nobody there."""

    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [ada] = await site.members(one, ["ada"])
        [ben] = await site.members(other, ["ben"])
        await asyncio.sleep(2)
        assert ada.count == 2
        site.net.loss = 1.0
        one.rooms.peers._echoed_at = 10**9  # nobody is given up for silence meanwhile
        for peer in one.rooms.peers._peers.values():
            peer.heard_at = 10**9
        ben.leave()
        await asyncio.sleep(8)
        assert not other.rooms.rooms
        site.net.loss = 0.0
        await asyncio.sleep(20)
        assert ada.count == 1

    played(scene)


def test_a_process_that_was_held_up_gives_nobody_up_for_what_it_has_not_read() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [ada] = await site.members(one, ["ada"])
        await site.members(other, ["ben"])
        await asyncio.sleep(3)
        peers = one.rooms.peers
        peers._clock = Ahead(asyncio.get_running_loop())
        peers.tick()
        await asyncio.sleep(0.2)
        assert ada.count == 2
        assert peers.alive == 1

    played(scene)


def test_members_are_told_once_that_messages_come_late_and_once_that_they_are_current() -> None:
    """Whether the bus is known to be away, or only silent."""

    async def scene(site: Site, *, silently: bool) -> None:
        one, other = site.process(), site.process()
        [ada], [ben] = await site.members(one, ["ada"]), await site.members(other, ["ben"])
        await asyncio.sleep(2)
        for process in (one, other):
            process.bus.deaf = silently
            process.bus.cut(connected=silently)
        await asyncio.sleep(5)
        assert (ada.late, ben.late) == ([True], [True])
        for place in (one, other, one, other):
            seq = site.database.add()
            place.rooms.deliver(KEY, seq, site.database.frame(seq))
            await asyncio.sleep(6)
        assert ada.order == ben.order == [1, 2, 3, 4]
        [cyd] = await site.members(one, ["cyd"])
        await asyncio.sleep(0.5)
        assert cyd.late == [True]
        assert ada.count == 3  # nobody is given up for the silence of the bus
        for process in (one, other):
            process.bus.deaf = False
            process.bus.cut(connected=True)
        await asyncio.sleep(5)
        assert (ada.late, ben.late, cyd.late) == ([True, False], [True, False], [True, False])
        assert ben.people == {"ada", "ben", "cyd"}

    for silently in (False, True):
        played(lambda site, silently=silently: scene(site, silently=silently))  # type: ignore[misc]


def test_a_room_within_one_process_is_not_late_without_the_bus() -> None:
    async def scene(site: Site) -> None:
        one, other = site.process(), site.process()
        [ada] = await site.members(one, ["ada"])
        await asyncio.sleep(2)
        one.bus.cut(connected=False)
        await asyncio.sleep(10)
        assert ada.late == []
        # Somebody writes elsewhere after all, which the database tells.
        seq = site.database.add()
        other.rooms.deliver(KEY, seq, site.database.frame(seq))
        await asyncio.sleep(3)
        assert (ada.order, ada.late) == ([1], [True])

    played(scene)


def test_a_lone_process_tells_nobody_of_messages_and_who_comes_meanwhile_misses_none() -> None:
    """The newcomer has opened its room when a message is stored that is not announced, as its beat is not here yet."""

    async def scene(site: Site) -> None:
        one = site.process()
        [ada] = await site.members(one, ["ada"])
        await asyncio.sleep(5)
        before = site.net.sent
        for _ in range(20):
            seq = site.database.add()
            one.rooms.deliver(KEY, seq, site.database.frame(seq))
        assert site.net.sent == before
        other = site.process()
        one.bus.deaf = True  # the newcomer's first beats are lost
        [ben] = await site.members(other, ["ben"])
        await asyncio.sleep(0.5)
        one.bus.deaf = False
        seq = site.database.add()
        one.rooms.deliver(KEY, seq, site.database.frame(seq))
        assert ben.order == []
        await asyncio.sleep(1.5)
        assert ben.order == [21]
        seq = site.database.add()
        one.rooms.deliver(KEY, seq, site.database.frame(seq))
        await asyncio.sleep(0.1)
        assert ben.order == [21, 22]
        assert ada.order == list(range(1, 23))

    played(scene)
