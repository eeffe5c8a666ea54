"""State plus events equals a fresh read: several processes, members that come and go, a bus and processes that fail."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from atomic_guide.engines.rooms.bus import mark
from atomic_guide.engines.rooms.settings import RoomSettings
from tests.rooms_apart import KEY, TEACHERS, Database, Member, Net, Process
from tests.virtual import VirtualClock, VirtualLoop

USERS = ("ada", "ben", "cyd", "dan", *TEACHERS)
LIMITS = RoomSettings(
    ring_messages=4,
    resume_page=3,
    resume_limit=12,
    person_sockets=100,
    named_people=3,
    linger_seconds=2,
    close_seconds=0.1,
    ping_seconds=600,
    silence_seconds=3600,
)
SETTLED = 60.0
"""Seconds after the last failure; rooms that nobody changes are mentioned within 10."""

places = st.integers(0, 2)


class ManyProcesses(RuleBasedStateMachine):
    """Three processes; whatever happens between them, everybody ends up with what the database and the rooms hold."""

    @initialize(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.1, 0.4]))
    def begin(self, seed: int, loss: float) -> None:
        self.loop = VirtualLoop()
        self.chance = random.Random(seed)
        self.database = Database(VirtualClock(self.loop))
        self.members: list[Member] = []
        self.places: dict[Member, int] = {}
        self.net = Net(self.chance, loss)
        self.processes: list[Process] = []
        for _ in range(3):
            self.play(self.start())

    def play(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    async def start(self) -> None:
        self.processes.append(Process(self.net, self.database, LIMITS))

    @rule(place=places, user=st.sampled_from(USERS))
    def join(self, place: int, user: str) -> None:
        member = Member(user)
        member.first = self.database.last
        self.members.append(member)
        self.places[member] = place
        self.play(self.enter(member))

    async def enter(self, member: Member, after: int | None = None) -> None:
        await member.join(self.processes[self.places[member]], after)
        if after is None:
            # Nothing before the welcome; what is stored while somebody joins comes as a message.
            member.first = min(member.first, self.database.last)

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 50))
    def lose_connection(self, number: int) -> None:
        async def lose() -> None:
            self.members[number % len(self.members)].leave()

        self.play(lose())

    @precondition(lambda self: any(not member.online for member in self.members))
    @rule(place=places)
    def come_back(self, place: int) -> None:
        member = next(member for member in self.members if not member.online)
        self.places[member] = place
        self.play(self.enter(member, member.cursor))

    @rule(place=places, count=st.sampled_from([1, 1, 2, 5]))
    def post(self, place: int, count: int) -> None:
        async def say() -> None:
            for _ in range(count):
                seq = self.database.add()
                self.processes[place].rooms.deliver(KEY, seq, self.database.frame(seq))

        self.play(say())

    @rule()
    def post_and_die_before_saying_so(self) -> None:
        self.database.add()

    @precondition(lambda self: self.database.last)
    @rule(place=places, number=st.integers(0, 100), announced=st.booleans())
    def delete(self, place: int, number: int, *, announced: bool) -> None:
        revision = self.database.delete(number % self.database.last + 1)

        async def tell() -> None:
            self.processes[place].rooms.changed(KEY, revision)

        if announced:
            self.play(tell())

    @rule(place=places, seconds=st.sampled_from([0.05, 1.0, 4.0, 10.0]))
    def wait(self, place: int, seconds: float) -> None:
        del place
        self.play(asyncio.sleep(seconds))

    @rule(place=places, silently=st.booleans())
    def cut_off(self, place: int, *, silently: bool) -> None:
        async def cut() -> None:
            if silently:
                self.processes[place].bus.deaf = True
            else:
                self.processes[place].bus.cut(connected=False)

        self.play(cut())

    @rule(place=places)
    def join_up(self, place: int) -> None:
        self.play(self.connect(self.processes[place]))

    @staticmethod
    async def connect(process: Process) -> None:
        process.bus.deaf = False
        process.bus.cut(connected=True)

    @rule(place=places, gently=st.booleans())
    def end_process(self, place: int, *, gently: bool) -> None:
        async def end() -> None:
            process = self.processes[place]
            await (process.drain() if gently else process.crash())
            self.processes[place] = Process(self.net, self.database, LIMITS)

        self.play(end())

    @rule(place=places)
    def type(self, place: int) -> None:
        async def typing() -> None:
            for member in self.members:
                if member.online and self.places[member] == place:
                    member.send("typing")

        self.play(typing())

    @invariant()
    def messages_come_once_and_in_order(self) -> None:
        for member in getattr(self, "members", []):
            assert member.order == sorted(set(member.order)), member.order

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            try:
                self.play(self.settle())
                self.check()
            finally:
                self.play(self.end())
                self.loop.close()

    async def settle(self) -> None:
        self.net.loss = 0.0
        for process in self.processes:
            await self.connect(process)
        await asyncio.sleep(SETTLED)

    def check(self) -> None:
        here = {member.user for member in self.members if member.online}
        for process in self.processes:
            room = process.rooms.marked(mark(KEY))
            if room is not None and room.size:
                assert sorted(one.id for one in room.people.presence.sample(100)) == sorted(here), process.rooms.origin
                assert room.people.presence.count == len(here)
        for member in self.members:
            if member.online:
                self.check_member(member, here)

    def check_member(self, member: Member, here: set[str]) -> None:
        assert member.count == len(here)
        if len(here) <= LIMITS.named_people * 0.9:
            assert member.people == here
        fresh = self.database.fresh_read(member.first)
        if not member.skipped_to:
            assert member.order == list(fresh)
        missed = [seq for seq in fresh if seq not in member.seen]
        assert all(seq <= member.skipped_to for seq in missed)
        assert member.seen == {seq: fresh[seq] for seq in member.seen}

    async def end(self) -> None:
        for process in self.processes:
            await process.crash()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


TestManyProcesses = ManyProcesses.TestCase
TestManyProcesses.settings = settings(
    max_examples=settings().max_examples * 3 // 2,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
