import asyncio
import base64
import json
import os
import ssl
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from atomic_guide.clock import ManualClock
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.web.limits import LimitSettings
from atomic_guide.web.room_metrics import RoomMetrics
from tests.integration.chat_server import Course, key, running
from tests.integration.members import SECONDS, Member, caller, member
from tests.operating import TOKEN


async def refused(url: str, **options: object) -> tuple[int, dict[str, str], dict[str, object]]:
    """Open a socket that must be refused: status, headers, the error."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, **options):  # type: ignore[arg-type]
            pass
    response = caught.value.response
    return response.status_code, dict(response.headers), json.loads(response.body or b"{}")["error"]


async def post(client: httpx.AsyncClient, content: str, **fields: str) -> httpx.Response:
    return await client.post("/api/chat/message", json={"content": content, **fields})


async def test_what_one_says_everybody_gets_by_socket_and_by_http(tmp_path: Path) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada, member(course, "ben") as ben:
        welcome = (await ben.next())["data"]
        assert welcome == {
            "last_seq": 0,
            "resumed": False,
            "members": [{"id": user, "name": user.title(), "role": "learner"} for user in ("ada", "ben")],
            "count": 2,
            "role": "learner",
            "open": True,
            "live": None,
            "muted": False,
            "mutes": [],
            "revision": 0,
        }  # fmt: skip
        await ada.send("message", "m-1", content="Hello, everybody")
        assert (await ada.next("ack")) == {"type": "ack", "id": "m-1", "data": {"id": "m-1", "seq": 1}}
        async with caller(course, "cyd", role="instructor") as cyd:
            answer = await post(cyd, "Good morning\n\u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f52c")
            assert answer.status_code == 201
            second = answer.json()
            first, heard = await ben.messages(2)
            assert first["author"] == {"id": "ada", "name": "Ada", "role": "learner"}
            assert (first["id"], first["seq"], first["content"]) == ("m-1", 1, "Hello, everybody")
            assert heard == second
            assert second["author"]["role"] == "instructor"
            page = (await cyd.get("/api/chat/messages")).json()
            assert [message["seq"] for message in page["messages"]] == [1, 2]
            assert page["last_seq"] == 2


async def test_a_sender_gets_the_own_message_once_like_everybody(tmp_path: Path) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada:
        for number in range(5):
            await ada.send("message", f"m{number}", content=str(number))
        assert [message["content"] for message in await ada.messages(5)] == list("01234")
        await ada.send("ping", "p")
        while (frame := await ada.next())["type"] != "pong":
            assert frame["type"] == "ack"
        assert frame == {"type": "pong", "id": "p", "data": {}}


async def test_who_reconnects_gets_what_was_missed_first(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(ring_messages=3, resume_page=2)) as course:
        async with member(course, "ada") as ada:
            await ada.next("welcome")
            await ada.send("message", content="before")
            assert (await ada.messages(1))[0]["seq"] == 1
        async with caller(course, "ben") as ben:
            for number in range(2, 12):
                assert (await post(ben, f"missed {number}")).status_code == 201
            for after, missed in ((1, 10), (9, 2), (11, 0)):
                async with member(course, "ada", after=after) as ada:
                    welcome = (await ada.next())["data"]
                    assert (welcome["resumed"], welcome["last_seq"]) == (True, 11)
                    seqs = [message["seq"] for message in await ada.messages(missed)]
                    assert seqs == list(range(after + 1, 12))
                    await ada.send("ping")
                    assert (await ada.next())["type"] == "pong"


async def test_a_number_that_does_not_exist_yet_is_not_resumed(tmp_path: Path) -> None:
    """As after a restored backup: the client has seen more than there is."""
    async with running(tmp_path) as course, member(course, "ada", after=99) as ada:
        assert (await ada.next())["data"]["resumed"] is False
        assert await ada.next() == {"type": "behind", "data": {"last_seq": 0}}


async def test_the_same_id_is_the_same_message(tmp_path: Path) -> None:
    async with running(tmp_path) as course, caller(course, "ada") as ada, caller(course, "ben") as ben:
        first = await post(ada, "once", id="x")
        again = await post(ada, "another text", id="x")
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()
        answers = await asyncio.gather(*(post(ada, "together", id="y") for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert len({answer.text for answer in answers}) == 1
        assert (await post(ben, "mine", id="x")).json()["seq"] == 3
        keyed = [
            await ben.post("/api/chat/message", json={"content": "by header"}, headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in keyed] == [201, 200]
        both = [
            await ben.post("/api/chat/message", json={"content": "c", "id": "a"}, headers={"Idempotency-Key": each})
            for each in ("k", "b")
        ]
        assert [(answer.status_code, answer.json()["id"]) for answer in both] == [(201, "a"), (200, "a")]
        async with member(course, "ada") as socket:
            await socket.send("message", "x", content="by socket")
            assert (await socket.next("ack"))["data"] == {"id": "x", "seq": 1}


async def test_history_pages_in_order_by_http_and_socket(tmp_path: Path) -> None:
    async with running(tmp_path) as course, caller(course, "ada") as ada, member(course, "ben") as ben:
        for number in range(1, 8):
            await post(ada, f"message {number}")

        async def seqs(**params: int) -> list[int]:
            answer = (await ada.get("/api/chat/messages", params=params)).json()
            assert answer["last_seq"] == 7
            await ben.send("history", "h", **params)
            frame = await ben.next("history")
            assert frame == {"type": "history", "id": "h", "data": answer}
            return [message["seq"] for message in answer["messages"]]

        assert await seqs() == [1, 2, 3, 4, 5, 6, 7]
        assert await seqs(limit=3) == [5, 6, 7]
        assert await seqs(before=5, limit=3) == [2, 3, 4]
        assert await seqs(after=5) == [6, 7]
        assert await seqs(after=7) == []
        for bad in ({"limit": "0"}, {"limit": "201"}, {"after": "-1"}, {"after": "x"}, {"after": "1", "before": "3"}):
            assert (await ada.get("/api/chat/messages", params=bad)).status_code == 400


async def test_courses_and_tenants_hear_nothing_of_each_other(tmp_path: Path) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada, member(course, "ada", context="b") as other:
        await ada.next("welcome")
        assert (await other.next("welcome"))["data"]["count"] == 1
        await ada.send("message", content="here")
        await other.send("message", content="there")
        assert [(message["seq"], message["content"]) for message in await ada.messages(1)] == [(1, "here")]
        assert [(message["seq"], message["content"]) for message in await other.messages(1)] == [(1, "there")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"content": ""}', 400),
        (b'{"content": "  \\n "}', 400),
        (b'{"content": 7}', 400),
        (b"{}", 400),
        (b"[]", 400),
        (b"not json", 400),
        (b'{"content": "\xff"}', 400),
        (b'{"content": "\\ud800"}', 400),
        (b'{"content": "nul \\u0000"}', 400),
        (b'{"content": "x", "id": ""}', 400),
        (b'{"content": "x", "id": "a b"}', 400),
        (json.dumps({"content": "x" * 4001}).encode(), 400),
        (json.dumps({"content": "x" * 70_000}).encode(), 413),
        (b"[" * 30_000, 400),
    ],
)
async def test_a_bad_message_is_refused_with_a_reason_and_nothing_is_stored(
    tmp_path: Path, body: bytes, status: int
) -> None:
    async with running(tmp_path) as course, caller(course, "ada") as ada:
        answer = await ada.post("/api/chat/message", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert (await ada.get("/api/chat/messages")).json() == {"messages": [], "last_seq": 0}


async def test_bad_frames_get_an_error_and_the_socket_stays_open(tmp_path: Path) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada:
        await ada.next("welcome")
        for text in ("no json", "[]", '{"type": 1}', '{"data": {}}', '{"type": "dance"}', '{"type": "message"}',
                     '{"type": "message", "data": null}', '{"type": "message", "data": {"content": ""}}',
                     '{"type": "history", "data": {"limit": 1000}}', '{"type": "message", "id": 5, "data": {}}',
                     '{"type": "history", "data": {"before": -1}}',
                     '{"type": "history", "data": {"after": 1000000000000000000000000000000}}',
                     "[" * 60_000):  # fmt: skip
            await ada.socket.send(text)
            error = await ada.next()
            assert (error["type"], error["data"]["code"]) == ("error", "VALIDATION_ERROR"), text[:80]
        await ada.send("message", "late", content="")
        assert (await ada.next("error"))["data"]["id"] == "late"
        await ada.send("message", content="still here")
        assert (await ada.messages(1))[0]["seq"] == 1


async def test_who_goes_on_sending_bad_frames_is_closed(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(faults_per_minute=5)) as course, member(course, "ada") as ada:
        for _ in range(7):
            await ada.socket.send("bad")
        assert (await ada.next("bye"))["data"]["reason"] == "policy"
        assert await ada.closed() == 1008


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.TEXT, b"x" * 65_537).serialize(mask=True), 1009),
        (Frame(Opcode.BINARY, b"x").serialize(mask=True), 1003),
        (Frame(Opcode.TEXT, b'{"type": "ping", "id": "\xff"}').serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
        (Frame(Opcode.TEXT, b"x" * 60_000, fin=False).serialize(mask=True)
         + Frame(Opcode.CONT, b"x" * 60_000).serialize(mask=True), 1009),
    ],
    ids=["too big", "binary", "not UTF-8", "unmasked", "too big in fragments"],
)  # fmt: skip
async def test_broken_frames_close_the_socket_with_their_code(tmp_path: Path, frame: bytes, code: int) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada, member(course, "ben") as ben:
        await ben.next("welcome")
        await ada.next("welcome")
        ada.socket.transport.write(frame)
        assert await ada.closed() == code
        await ben.send("message", content="undisturbed")
        assert (await ben.messages(1))[0]["seq"] == 1


async def test_the_same_holds_over_tls(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=certificate[0])
    async with running(tmp_path / "data", tls=certificate) as course:
        url = course.socket_url(await course.ticket("ada")).replace("ws://", "wss://")
        async with connect(url, ssl=trust, compression=None) as socket:
            ada = Member(socket)
            for number in range(3):
                await ada.send("message", content=str(number))
            assert [message["seq"] for message in await ada.messages(3)] == [1, 2, 3]
            socket.transport.write(Frame(Opcode.TEXT, b"x" * 65_537).serialize(mask=True))
            assert await ada.closed() == 1009


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this computer and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def test_the_largest_message_fits_into_a_frame(tmp_path: Path) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada:
        await ada.send("message", content="\U0001f600" * 4000)
        assert (await ada.messages(1))[0]["content"] == "\U0001f600" * 4000


async def test_a_ticket_opens_one_socket_once(tmp_path: Path) -> None:
    async with running(tmp_path) as course, caller(course, "ada") as ada:
        answer = await ada.post("/api/chat/ticket")
        url = course.socket_url(answer.json()["ticket"])
        async with connect(url):
            status, headers, error = await refused(url)
        assert (status, error["code"]) == (401, "UNAUTHENTICATED")
        assert headers["content-type"] == "application/json"
        code = await course.sessions.issue_code((await course.sessions.verify(await course.token("ada"))), "launch")
        for wrong in ("", "x", "ticket=", f"ticket={code}", f"ticket={await course.token('ada')}"):
            assert (await refused(f"ws://127.0.0.1:{course.port}/api/chat/ws?{wrong}"))[0] == 401


async def test_attempts_without_a_ticket_are_limited_and_a_lecture_hall_is_not(tmp_path: Path) -> None:
    async with running(tmp_path) as course:
        bad = course.socket_url("x" * 43)
        assert [(await refused(bad))[0] for _ in range(10)] == [401] * 10
        status, headers, error = await refused(bad)
        assert (status, error["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(headers["retry-after"]) <= 60
        async with AsyncExitStack() as hall:
            for number in range(30):
                student = await hall.enter_async_context(member(course, f"student {number}"))
                await student.next("welcome")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_another_site_may_not_open_a_socket_and_costs_no_ticket(tmp_path: Path, origin: str) -> None:
    async with running(tmp_path) as course:
        url = course.socket_url(await course.ticket("ada"))
        status, _, error = await refused(url, origin=origin)
        assert (status, error["code"]) == (403, "FORBIDDEN")
        async with connect(url, origin=course.url):  # type: ignore[arg-type]
            pass


async def test_upgrades_and_plain_requests_at_the_wrong_place_are_answered_in_json(tmp_path: Path) -> None:
    async with running(tmp_path) as course, httpx.AsyncClient(base_url=course.url) as client:
        assert (await refused(f"ws://127.0.0.1:{course.port}/elsewhere"))[0] == 404
        for number in ("after=x", "after=", "after=-1", "revision=1.5"):
            assert (await refused(course.socket_url(await course.ticket("ada")) + f"&{number}"))[0] == 400
        plain = await client.get("/api/chat/ws")
        assert (plain.status_code, plain.headers["Upgrade"]) == (426, "websocket")
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        key = base64.b64encode(os.urandom(16)).decode()
        for method, headers, status in (
            ("POST", {"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}, 405),
            ("GET", {"Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "8"}, 426),
            ("GET", {"Sec-WebSocket-Version": "13"}, 400),
            ("GET", {"Sec-WebSocket-Key": "short", "Sec-WebSocket-Version": "13"}, 400),
        ):
            answer = await client.request(method, "/api/chat/ws?ticket=x", headers=upgrade | headers)
            assert answer.status_code == status
            assert answer.json()["error"]["timestamp"].endswith("Z")


async def test_one_person_may_not_flood_a_course(tmp_path: Path) -> None:
    limits = LimitSettings(person_messages=5, instructor_messages=50)
    async with (
        running(tmp_path, limits=limits) as course,
        caller(course, "ada") as ada,
        member(course, "ada") as socket,
    ):
        for _ in range(5):
            assert (await post(ada, "x")).status_code == 201
        answer = await post(ada, "x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert int(answer.headers["Retry-After"]) >= 1
        await socket.send("message", "m", content="x")
        error = (await socket.next("error"))["data"]
        assert (error["code"], error["id"]) == ("RATE_LIMITED", "m")
        assert error["retry_after"] > 1
        async with caller(course, "teacher", role="instructor") as teacher:
            assert [(await post(teacher, "x")).status_code for _ in range(20)] == [201] * 20


async def test_a_full_room_says_when_to_come_again(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(room_sockets=2)) as course:
        async with member(course, "a") as first, member(course, "b") as second, member(course, "c") as third:
            await first.next("welcome")
            await second.next("welcome")
            bye = await third.next()
            assert bye["type"] == "bye"
            assert bye["data"]["reason"] == "full"
            assert bye["data"]["retry_after"] > 0
            assert await third.closed() == 1013
        async with member(course, "c", after=0) as third:
            assert (await third.next())["type"] == "welcome"


async def test_a_sixth_socket_of_one_person_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as course, AsyncExitStack() as tabs:
        for _ in range(5):
            tab = await tabs.enter_async_context(member(course, "ada"))
            assert (await tab.next())["data"]["count"] == 1
        async with member(course, "ada") as sixth:
            assert (await sixth.next())["data"]["reason"] == "tabs"
            assert await sixth.closed() == 1013
        async with member(course, "ben") as ben:
            assert (await ben.next())["data"]["count"] == 2


async def test_people_come_and_go_once_however_many_tabs_they_have(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(leave_seconds=0.05)) as course, member(course, "ada") as ada:
        await ada.next("welcome")
        async with member(course, "ben") as first:
            joined = await ada.next()
            assert joined == {"type": "joined", "data": {"id": "ben", "name": "Ben", "role": "learner", "count": 2}}
            async with member(course, "ben"):
                pass
            await first.send("typing")
            assert await ada.next() == {"type": "typing", "data": {"id": "ben", "name": "Ben"}}
        left = await ada.next()
        assert left == {"type": "left", "data": {"id": "ben", "name": "Ben", "role": "learner", "count": 1}}


async def test_a_stop_says_a_resumable_goodbye_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    async with running(tmp_path) as course, AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(course, f"user {number}")) for number in range(10)]
        for each in members:
            await each.next("welcome")
        for number in range(20):
            await members[0].send("message", f"m{number}", content="last words")
        await members[0].next("ack")
        course.server.should_exit = True
        for each in members:
            bye = (await each.next("bye"))["data"]
            assert bye["reason"] == "restart"
            assert bye["retry_after"] >= 0.5
            assert await each.closed() == 1012
    async with running(tmp_path) as course, member(course, "user 0", after=0) as back:
        last = (await back.next("welcome"))["data"]["last_seq"]
        assert [message["seq"] for message in await back.messages(last)] == list(range(1, last + 1))


async def test_silent_sockets_are_pinged_then_given_up(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as course:
        transport, peer = await _silent_member(course)
        clock.advance(26)
        await course.chat.rooms.sweep()
        assert await asyncio.wait_for(peer.pinged.wait(), SECONDS)
        clock.advance(35)
        await course.chat.rooms.sweep()
        await asyncio.wait_for(peer.ended.wait(), SECONDS)
        transport.close()


async def test_a_socket_ends_with_its_session(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as course, member(course, "ada") as ada:
        await ada.next("welcome")
        socket = next(iter(course.chat.rooms.sockets))
        socket.ends_at = clock.now() + 10
        clock.advance(11)
        await course.chat.rooms.sweep()
        assert await ada.closed() == 1008


async def test_two_hundred_members_get_everything_once_in_order(tmp_path: Path) -> None:
    async with running(tmp_path) as course, AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(course, f"user {number}")) for number in range(200)]
        async with caller(course, "teacher", role="instructor") as teacher:
            answers = await asyncio.gather(*(post(teacher, f"message {number}") for number in range(50)))
            assert {answer.status_code for answer in answers} == {201}
        for each in members:
            assert [message["seq"] for message in await each.messages(50)] == list(range(1, 51))
            assert (await each.socket.ping()) is not None
        assert course.chat.rooms.delivered >= 200 * 50


async def test_who_asks_and_does_not_read_costs_bounded_memory(tmp_path: Path) -> None:
    """Pages of history for a peer that never reads: refused beyond a few, and no more requests are read."""
    rooms = RoomSettings(frames_per_minute=100_000, faults_per_minute=10_000)
    async with running(tmp_path, rooms=rooms) as course, caller(course, "teacher", role="instructor") as teacher:
        answers = await asyncio.gather(*(post(teacher, "x" * 4000) for _ in range(200)))
        assert {answer.status_code for answer in answers} == {201}
        transport, peer = await _silent_member(course)
        transport.pause_reading()
        ask = Frame(Opcode.TEXT, b'{"type": "history", "data": {"limit": 200}}').serialize(mask=True)
        for _ in range(200):
            transport.write(ask * 20)
            await asyncio.sleep(0.001)
        socket = next(iter(course.chat.rooms.sockets))
        assert socket.transport.get_write_buffer_size() < 8 * 1024 * 1024
        transport.resume_reading()
        transport.abort()
        await asyncio.wait_for(peer.ended.wait(), SECONDS)


async def test_rooms_show_their_figures(tmp_path: Path) -> None:
    async with running(tmp_path) as course, member(course, "ada") as ada:
        await ada.send("message", content="counted")
        await ada.messages(1)
        registry = CollectorRegistry()
        registry.register(RoomMetrics(course.chat.rooms))
        assert registry.get_sample_value("atomic_guide_room_sockets") == 1
        assert registry.get_sample_value("atomic_guide_rooms") == 1
        assert registry.get_sample_value("atomic_guide_room_delivered_total") == 1
        assert registry.get_sample_value("atomic_guide_room_lag_bytes_bucket", {"le": "0"}) == 1


async def test_operators_see_who_does_not_read_and_how_far_that_is_behind(tmp_path: Path) -> None:
    rooms = RoomSettings(hard_buffer=8 << 20)
    async with running(tmp_path, rooms=rooms) as course, caller(course, "teacher", role="instructor") as teacher:
        transport, _ = await _silent_member(course)
        transport.pause_reading()
        url = "/api/ops/rooms/laggards"
        async with member(course, "ada") as ada, caller(course, "ada") as ada_asks:
            while not course.chat.rooms.laggards():
                course.chat.rooms.announce(key("algebra"), "notification", {"text": "x" * 100_000})
                await asyncio.sleep(0.001)
            assert (await post(teacher, "waits")).status_code == 201
            await ada.messages(1)
            seen = await ada_asks.get(url)
            assert seen.status_code == 401
            ada_asks.headers["Authorization"] = f"Bearer {TOKEN}"
            [shown] = (await ada_asks.get(url)).json()["laggards"]
            assert (await ada_asks.get(url, params={"limit": 0})).status_code == 400
        [worst] = course.chat.rooms.laggards()
        assert (shown["person"], shown["course"], shown["frames"]) == (worst.person, worst.course, worst.frames)
        assert (worst.person, worst.course) == ("silent", key("algebra").course)
        assert worst.bytes > 0
        assert worst.frames >= 2
        assert 0 < worst.seconds < SECONDS
        registry = CollectorRegistry()
        registry.register(RoomMetrics(course.chat.rooms))
        kept_up = registry.get_sample_value("atomic_guide_room_lag_bytes_bucket", {"le": "0"})
        everybody = registry.get_sample_value("atomic_guide_room_lag_bytes_bucket", {"le": "+Inf"})
        assert everybody is not None
        assert kept_up == everybody - 1
        transport.abort()


class _Peer(asyncio.Protocol):
    """A client that never answers."""

    def __init__(self) -> None:
        self.pinged, self.ended, self.welcome = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if b'"welcome"' in data:
            self.welcome.set()
        if b"\x89\x00" in data:
            self.pinged.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def _silent_member(course: Course) -> tuple[asyncio.Transport, _Peer]:
    ticket = await course.ticket("silent")
    transport, peer = await asyncio.get_running_loop().create_connection(_Peer, "127.0.0.1", course.port)
    transport.write(
        f"GET /api/chat/ws?ticket={ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await asyncio.wait_for(peer.welcome.wait(), SECONDS)
    return transport, peer
