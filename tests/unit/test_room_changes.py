"""State plus events equals a fresh read: what members know of deletions, mutes and the room, whatever gets lost."""

import asyncio
import random
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide.clock import SystemClock
from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.record import DELETIONS_LIMIT, Changes, Deletion, Record, Standing
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from tests.unit.test_room import KEY, BadBus, Wire, socket_in, until

NOW = 1_000_000.0
STEPS = ["post", "post", "delete", "delete", "mute", "unmute", "close", "open", "join", "come back", "wait"]


class Snapshot(NamedTuple):
    """What a page has when its connection breaks."""

    last: int
    revision: int
    deleted: frozenset[int]


class Stored:
    """The database: numbered messages, some of them deleted, and how the room is."""

    def __init__(self) -> None:
        self.count = self.revision = 0
        self.deleted: dict[int, Deletion] = {}
        self.muted: dict[str, dict[str, Any]] = {}
        self.open = True

    def snapshot(self) -> Snapshot:
        return Snapshot(self.count, self.revision, frozenset(self.deleted))

    def delete(self, *seqs: int) -> None:
        self.revision += 1
        for seq in seqs:
            self.deleted[seq] = Deletion(self.revision, seq, SystemClock().now())

    def frame(self, seq: int) -> bytes:
        return wire.text_frame("message", {"seq": seq, "deleted": seq in self.deleted})

    async def standing(self, key: Any) -> Standing:
        await asyncio.sleep(0)
        return Standing(self.count, self.revision)

    async def frames(self, key: Any, after: int, limit: int) -> list[tuple[int, bytes]]:
        found = [(seq, self.frame(seq)) for seq in range(after + 1, min(after + limit, self.count) + 1)]
        # As a database that answers slowly: something may be deleted meanwhile.
        await asyncio.sleep(0.001)
        return found

    async def changes(self, key: Any, after: int) -> Changes:
        new = sorted(one for one in self.deleted.values() if one.revision > after)
        found = Changes(
            self.revision, {"open": self.open}, dict(self.muted), new[-DELETIONS_LIMIT:], len(new) <= DELETIONS_LIMIT
        )
        await asyncio.sleep(0.001)
        return found


class Page:
    """A member's page: what it had when it left, and what it was told since."""

    def __init__(self, transport: Wire, had: Snapshot | None) -> None:
        self.transport = transport
        self.had = had

    def known(self) -> tuple[dict[int, bool], bool, set[str]]:
        """(whether each known message is deleted, whether the room is open, who is muted)."""
        first, *frames = self.transport.frames()
        resumed = self.had is not None and first["data"]["resumed"]
        messages = {seq: seq in self.had.deleted for seq in range(1, self.had.last + 1)} if self.had and resumed else {}
        is_open, muted = first["data"]["open"], {one["id"] for one in first["data"]["mutes"]}
        for frame in frames:
            data = frame["data"]
            if frame["type"] == "message":
                # A number may be told to be deleted before it comes; then it comes as a tombstone.
                messages[data["seq"]] = data["deleted"]
            elif frame["type"] == "deleted" and data["seq"] in messages:
                messages[data["seq"]] = True
            elif frame["type"] == "room":
                is_open = data["open"]
            elif frame["type"] == "muted":
                (muted.add if data["muted"] else muted.discard)(data["id"])
            elif frame["type"] == "behind" and data.get("reload"):
                messages = {}
        return messages, is_open, muted


class Play:
    """Two processes, their members, and what happens to them by chance."""

    def __init__(self, seed: int, loss: float) -> None:
        self.chance = random.Random(seed)
        self.stored = Stored()
        bus = BadBus(self.chance, loss)
        limits = RoomSettings(ring_messages=4, resume_page=3, person_sockets=100, close_seconds=0.1)
        self.processes = [Rooms(limits, SystemClock(), bus, self.stored) for _ in range(2)]
        self.snapshots = [self.stored.snapshot()]
        self.pages: list[Page] = []
        self.joins: list[asyncio.Task[None]] = []

    def step(self, what: str) -> None:
        stored, rooms = self.stored, self.chance.choice(self.processes)
        silent = self.chance.random() < 0.2  # stored by a process that died before it could tell
        if what == "post":
            stored.count += 1
            if not silent:
                rooms.deliver(KEY, stored.count, stored.frame(stored.count))
        elif what in {"join", "come back"}:
            self._join(rooms, self.chance.choice(self.snapshots) if what == "come back" else None)
        else:
            self._change(what)
            if not silent:
                rooms.changed(KEY, stored.revision)
        self.snapshots.append(stored.snapshot())

    def _change(self, what: str) -> None:
        user = f"user {self.chance.randint(1, 3)}"
        if what == "delete" and self.stored.count:
            self.stored.delete(self.chance.randint(max(1, self.stored.count - 5), self.stored.count))
            return
        self.stored.revision += 1
        if what == "mute":
            self.stored.muted[user] = {"id": user, "name": user, "until": None}
        elif what == "unmute":
            self.stored.muted.pop(user, None)
        else:
            self.stored.open = what == "open"

    def _join(self, rooms: Rooms, had: Snapshot | None) -> None:
        socket, transport = socket_in(rooms, f"user {self.chance.randint(1, 3)}")
        after = had.last if had else None
        revision = had.revision if had and self.chance.random() < 0.7 else None
        self.joins.append(asyncio.create_task(rooms.join(KEY, socket, after, revision)))
        self.pages.append(Page(transport, had))

    def agrees(self, page: Page) -> bool:
        messages, is_open, muted = page.known()
        told = {seq: seq in self.stored.deleted for seq in messages}
        newest = max(messages, default=self.stored.count)
        return (messages, is_open, muted, newest) == (
            told,
            self.stored.open,
            set(self.stored.muted),
            self.stored.count,
        )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.3, 1.0]),
    script=st.lists(st.sampled_from(STEPS), min_size=15, max_size=40),
)
def test_state_and_events_make_a_fresh_read(seed: int, loss: float, script: list[str]) -> None:
    async def play() -> None:
        game = Play(seed, loss)
        for what in script:
            if what == "wait":
                await asyncio.sleep(0.003)
            else:
                game.step(what)
        await asyncio.gather(*game.joins)
        for rooms in game.processes:
            for room in rooms._rooms.values():
                await room.check()
        await until(lambda: all(game.agrees(page) for page in game.pages))
        for rooms in game.processes:
            await rooms.drain()
        for page in game.pages:
            seqs = page.transport.seqs()
            assert seqs == sorted(set(seqs))

    asyncio.run(play())


async def joined(rooms: Rooms, user: str, after: int | None = None, revision: int | None = None) -> Wire:
    socket, transport = socket_in(rooms, user)
    await rooms.join(KEY, socket, after, revision)
    return transport


def told(transport: Wire, kind: str) -> list[Any]:
    """The data of the frames of a kind, without the revision."""
    found = [frame["data"] for frame in transport.frames() if frame["type"] == kind]
    return [{name: value for name, value in data.items() if name != "revision"} for data in found]


async def test_a_message_that_is_announced_after_its_deletion_comes_as_a_tombstone() -> None:
    stored = Stored()
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), stored)
    member = await joined(rooms, "ada")
    stored.count = 1
    announced = stored.frame(1)
    stored.delete(1)
    rooms.changed(KEY, stored.revision)
    await until(lambda: told(member, "deleted") == [{"seq": 1}])
    rooms.deliver(KEY, 1, announced)
    await until(lambda: told(member, "message") == [{"seq": 1, "deleted": True}])
    await rooms.drain()


async def test_a_page_that_was_read_before_a_deletion_is_read_again() -> None:
    class Slow(Stored):
        began = asyncio.Event()
        ended = asyncio.Event()

        async def frames(self, key: Any, after: int, limit: int) -> list[tuple[int, bytes]]:
            found = await super().frames(key, after, limit)
            self.began.set()
            await self.ended.wait()
            return found

    stored = Slow()
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), stored)
    member = await joined(rooms, "ada")
    stored.count = 1
    rooms._rooms[KEY].expect(1)
    await stored.began.wait()
    stored.delete(1)
    rooms.changed(KEY, stored.revision)
    await until(lambda: told(member, "deleted") == [{"seq": 1}])
    stored.ended.set()
    await until(lambda: told(member, "message") == [{"seq": 1, "deleted": True}])
    await rooms.drain()


async def test_more_deletions_than_are_told_one_by_one_make_members_read_anew() -> None:
    stored = Stored()
    stored.count = 3000
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), stored)
    member = await joined(rooms, "ada")
    stored.delete(*range(1, DELETIONS_LIMIT + 2))
    rooms.changed(KEY, stored.revision)
    await until(lambda: told(member, "behind") != [])
    assert told(member, "behind")[-1] == {"last_seq": 3000, "reload": True}
    # Who knew less than that is not resumed either; who knew as much hears of what came later.
    assert told(await joined(rooms, "ben", 3000, 0), "welcome")[0]["resumed"] is False
    stored.delete(2999)
    rooms.changed(KEY, stored.revision)
    await until(lambda: told(member, "deleted")[-1:] == [{"seq": 2999}])
    again = await joined(rooms, "cem", 3000, 1)
    assert told(again, "welcome")[0]["resumed"] is True
    assert told(again, "deleted") == [{"seq": 2999}]
    await rooms.drain()


async def test_what_ends_by_itself_is_told_when_it_has() -> None:
    stored = Stored()
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), stored)
    member = await joined(rooms, "ada")
    room = rooms._rooms[KEY]
    stored.muted["ada"] = {"id": "ada", "name": "Ada", "until": "soon"}
    stored.revision += 1
    rooms.changed(KEY, stored.revision)
    await until(lambda: told(member, "muted") == [{"id": "ada", "name": "Ada", "until": "soon", "muted": True}])
    del stored.muted["ada"]
    room.changes.record.ends_at = NOW
    await rooms.sweep()
    await until(lambda: told(member, "muted")[-1] == {"id": "ada", "name": "Ada", "until": None, "muted": False})
    await rooms.drain()


def test_a_database_that_went_back_makes_those_who_know_more_read_anew() -> None:
    record = Record()
    record.take(Changes(7, {"open": True}, {}, [Deletion(7, 3, NOW)]))
    record.take(Changes(2, {"open": True}, {}, []))
    assert record.deleted_since(7, 10, NOW) is None
    assert record.deleted_since(2, 10, NOW) == []


def test_only_deletions_of_lately_are_told_to_who_does_not_say_what_they_know() -> None:
    record = Record()
    old, new = Deletion(1, 3, NOW - 100_000), Deletion(2, 4, NOW - 60)
    record.take(Changes(2, {}, {}, [old, new]))
    assert record.deleted_since(None, 10, NOW) == [wire.text_frame("deleted", {"seq": 4, "revision": 2})]
    assert record.deleted_since(0, 10, NOW) == [
        wire.text_frame("deleted", {"seq": seq, "revision": seq - 2}) for seq in (3, 4)
    ]
    assert record.deleted_since(None, 3, NOW) == []
