"""Rooms and what is said in them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from atomic_guide import errors
from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.chat.check import check_content
from atomic_guide.course.chat.limits import PENDING_MESSAGES as PENDING
from atomic_guide.course.chat.message import Author
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.course.chat.store import Messages
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.usage import used
from atomic_guide.limit import Used
from atomic_guide.web.limits import Limits, LimitSettings
from tests.engines import installed
from tests.integration.chat_server import Course, key, running
from tests.integration.members import Member, member
from tests.limit_cases import Ground, Reached, answered, fullest, reaches, until

KEY = CourseKey.of("tenant", "algebra")


@asynccontextmanager
async def full(
    ground: Ground, settings: RoomSettings, *people: str, **session: Any
) -> AsyncIterator[tuple[Course, list[Member]]]:
    """A room with people in it."""
    async with running(ground.folder, rooms=settings) as course, AsyncExitStack() as stack:
        members = []
        for who in people:
            one = await stack.enter_async_context(member(course, who, **session))
            await one.next("welcome")
            members.append(one)
        yield course, members


async def goodbye(one: Member) -> str:
    bye = await one.next("bye")
    return f"bye {await one.closed()} {bye['data']['reason']}"


@reaches("room_sockets")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(room_sockets=2), "ada", "ben") as (course, _):
        seen = fullest(used(course.chat.rooms), "room_sockets")
        async with member(course, "cleo") as third:
            return Reached(await goodbye(third), 2, seen)


@reaches("process_sockets")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(process_sockets=2), "ada", "ben") as (course, _):
        seen = fullest(used(course.chat.rooms), "process_sockets")
        async with member(course, "cleo", context="optics") as third:
            return Reached(await goodbye(third), 2, seen)


@reaches("person_sockets")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(person_sockets=2), "ada", "ada") as (course, _):
        seen = fullest(used(course.chat.rooms), "person_sockets")
        async with member(course, "ada") as third:
            return Reached(await goodbye(third), 2, seen)


@reaches("frame_bytes")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(frame_limit=1024), "ada") as (_, (ada,)):
        await ada.socket.send("x" * 1025)
        return Reached(f"close {await ada.closed()}", 1024)


@reaches("socket_frames")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(frames_per_minute=10), "ada") as (course, (ada,)):
        for _ in range(11):
            await ada.send("typing")
        error = await ada.next("error")
        return Reached(f"error {error['data']['code']}", 10, fullest(used(course.chat.rooms), "socket_frames"))


@reaches("socket_faults")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(faults_per_minute=10), "ada") as (course, (ada,)):
        for _ in range(10):
            await ada.socket.send("{")
            await ada.next("error")
        seen = fullest(used(course.chat.rooms), "socket_faults")
        await ada.socket.send("{")
        return Reached(await goodbye(ada), 10, seen)


class _Held:
    """A conversation that answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def post(self, *_: Any) -> Any:
        self.asked += 1
        await self.go.wait()
        raise errors.Invalid("held")

    page = post


@reaches("socket_messages")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(waiting_messages=2), "ada") as (course, (ada,)):
        held = _Held()
        course.chat.rooms.converse(held)
        for number in range(2):
            await ada.send("message", f"m{number}", content="hello")
        await until(lambda: held.asked == 2)
        seen = fullest(used(course.chat.rooms), "socket_messages")
        await ada.send("message", "m2", content="hello")
        await asyncio.sleep(0.2)
        assert held.asked == 2
        held.go.set()
        await until(lambda: held.asked == 3)
        return Reached("waits", 2, seen)


@reaches("socket_pages")
async def _(ground: Ground) -> Reached:
    async with full(ground, RoomSettings(history_pages=1), "ada") as (course, (ada,)):
        held = _Held()
        course.chat.rooms.converse(held)
        await ada.send("history", "h1", before=10)
        await until(lambda: held.asked)
        seen = fullest(used(course.chat.rooms), "socket_pages")
        await ada.send("history", "h2", before=10)
        error = await ada.next("error")
        held.go.set()
        return Reached(f"error {error['data']['code']}", 1, seen)


@reaches("socket_unsent")
async def _(ground: Ground) -> Reached:
    settings = RoomSettings(hard_buffer=65_536, soft_buffer=4096, compress_from=0)
    async with running(ground.folder, rooms=settings) as course:
        url = course.socket_url(await course.ticket("ada"))
        reader, writer = await asyncio.open_connection("127.0.0.1", course.port, limit=1024)
        path = url.partition(f":{course.port}")[2]
        head = ("Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        lines = [f"GET {path} HTTP/1.1", *head, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        rooms, seen = course.chat.rooms, list[Used]()
        await until(lambda: any(socket.room is not None for socket in rooms.sockets))
        closed = rooms.slow_closed
        for _ in range(400):
            rooms.announce(key(), "big", {"filler": "x" * 30_000})
            await asyncio.sleep(0.01)
            found = fullest(used(rooms), "socket_unsent")
            seen = max(seen, found, key=lambda one: one[0].value if one else 0.0)
            if rooms.slow_closed > closed:
                break
        said = b""
        while chunk := await asyncio.wait_for(reader.read(1 << 16), 10):
            said = (said + chunk)[-400:]
        writer.close()
        bye = json.loads(said[said.rindex(b'{"type":"bye"') : said.rindex(b"}") + 1])
        code = int.from_bytes(said[said.rindex(b"\x88") + 2 :][:2], "big")
        return Reached(f"bye {code} {bye['data']['reason']}", 65_536, seen)


async def _until_refused(limits: Limits, role: str, name: str, most: float) -> Reached:
    """One user for a person's limit, many for a room's."""
    for number in range(100):
        user = f"user {number}" if name == "room_messages" else "ada"
        seen = fullest(limits.used(), name)
        try:
            limits.check_message(KEY, user, role)
        except errors.RateLimited as error:
            return Reached(answered(error), most, seen)
    raise AssertionError("never refused")


@reaches("person_messages")
async def _(_ground: Ground) -> Reached:
    limits = Limits(LimitSettings(person_messages=10), ManualClock())
    return await _until_refused(limits, "learner", "person_messages", 10)


@reaches("instructor_messages")
async def _(_ground: Ground) -> Reached:
    limits = Limits(LimitSettings(instructor_messages=10), ManualClock())
    return await _until_refused(limits, "instructor", "instructor_messages", 10)


@reaches("room_messages")
async def _(_ground: Ground) -> Reached:
    return await _until_refused(Limits(LimitSettings(room_messages=10), ManualClock()), "learner", "room_messages", 10)


@reaches("refused_tickets")
async def _(_ground: Ground) -> Reached:
    limits = Limits(LimitSettings(refused_tickets=10), ManualClock())
    for _ in range(10):
        limits.check_refused("10.0.0.1")
    try:
        limits.check_refused("10.0.0.1")
    except errors.RateLimited as error:
        return Reached(answered(error), 10, fullest(limits.used(), "refused_tickets"))
    raise AssertionError("not refused")


@reaches("budgets")
async def _(_ground: Ground) -> Reached:
    limits = Limits(LimitSettings(remembered=10, room_messages=1000), ManualClock())
    for number in range(11):
        limits.check_message(KEY, f"user {number}", "learner")
    seen = fullest(limits.used(), "budgets")
    assert max(one.value for one in seen) == 10
    return Reached("forgets", 10, seen)


@reaches("message_characters")
async def _(_ground: Ground) -> Reached:
    try:
        check_content("x" * 11, 10)
    except errors.Invalid as error:
        return Reached(answered(error), 10)
    raise AssertionError("not refused")


@reaches("pending_messages")
async def _(ground: Ground) -> Reached:
    shards = await open_embedded(installed(ground.folder))
    try:
        settings = ChatSettings(pending_messages=2)
        messages = Messages(shards, SystemClock(), lambda _key, _message: None, settings=settings)
        posts = [asyncio.create_task(messages.post(KEY, Author("ada", "Ada"), f"text {n}")) for n in range(3)]
        await asyncio.sleep(0)
        seen = [Used(PENDING, messages.waiting)]
        answers = await asyncio.gather(*posts, return_exceptions=True)
        (error,) = [answer for answer in answers if isinstance(answer, errors.GuideError)]
        return Reached(answered(error), 2, seen)
    finally:
        await shards.close()
