"""The courses of a demo: members, chat, scores, lectures and what was watched, all through the course's own parts.

They belong to a tenant of their own, whose platform is inactive and has no address that could exist: nobody can launch
into it, no roster is read from it, and nobody in it has an e-mail address. One lecture is a clip that is made here, two
are files that no program can play; workers find that out, and so there are dead letters with their real reasons.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.clock import ManualClock, iso
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.chat.message import Author
from atomic_guide.course.chat.store import Messages
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.lti.registration import Draft, Platforms, tenant_of
from atomic_guide.course.video.announce import nobody
from atomic_guide.course.video.ffmpeg import Ffmpeg
from atomic_guide.course.video.uploads import Uploads
from atomic_guide.course.watching.taking import Events, Sender
from atomic_guide.engines.data.placement import CourseKey

if TYPE_CHECKING:
    from atomic_guide.app.keeping.assembly import Keeping
    from atomic_guide.config import Settings
    from atomic_guide.course.lti.addresses import Reach

MARKED = "Demo: "
"""What the title of every course of a demo begins with."""

_ISSUER = "https://demo.invalid"
"""A host that can be nobody's (RFC 2606)."""

_DEPLOYMENT = "1"
_CLIP_SECONDS = 12
_PIECE = 64 * 1024
_BROKEN = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 64
"""It begins as an MP4 does, and is none."""

_DAY = 86_400.0

_SAID = (
    "Will the slides be here before the lecture?",
    "Yes, an hour before it begins.",
    "I do not follow the second step of the proof.",
    "It uses the result of last week; have a look at page 12.",
    "That helped, thank you.",
    "Is the exercise due on Friday or on Monday?",
    "On Monday at noon.",
    "The recording of today is up.",
    "Which chapters are in the exam?",
    "One to six, without the appendix.",
    "Can we meet before the seminar?",
    "In the library at three?",
)


class Plan(NamedTuple):
    """A course of a demo."""

    context: str
    title: str
    learners: int
    messages: int


COURSES = (
    Plan("demo-waves", f"{MARKED}Waves and Optics", 42, 60),
    Plan("demo-algebra", f"{MARKED}Linear Algebra", 30, 36),
    Plan("demo-history", f"{MARKED}History of Science", 18, 24),
)
TEACHER = Author("demo-teacher", "Demo Instructor", "instructor")


class Added(msgspec.Struct, frozen=True):
    """What was added of courses; `lectures` are made, or refused, by a server's workers."""

    courses: int
    members: int
    messages: int
    scores: int
    lectures: int
    watched: int


class Courses:
    """Adds the courses of one demo; `tenant` is theirs."""

    def __init__(self, keeping: Keeping, settings: Settings, until: float) -> None:
        parts = keeping.parts
        self._parts = parts
        self._settings = settings
        self._until = until
        self._client = _client(until)
        self._uploads = Uploads(parts, keeping.spool, nobody)
        self.tenant = tenant_at(until)

    async def register(self, reach: Reach) -> None:
        """Make the platform known, as one that nobody can come from."""
        draft = Draft(
            issuer=_ISSUER, client_id=self._client, deployment_id=_DEPLOYMENT, name="Demo data", active=False,
            auth_url=f"{_ISSUER}/auth", token_url=f"{_ISSUER}/token", keyset_url=f"{_ISSUER}/keys",
        )  # fmt: skip
        await Platforms(self._parts.shards.directory, self._parts.clock, reach).add(draft)

    async def add(self) -> Added:
        """All of them. Raises as the parts do."""
        found = Added(len(COURSES), 0, 0, 0, 0, 0)
        clip = await self._clip()
        for number, plan in enumerate(COURSES):
            key, draw = CourseKey.of(self.tenant, plan.context), random.Random(number)
            people = await self._enrol(key, plan)
            messages = await self._chat(key, people, plan.messages, draw)
            scores = await self._score(key, people[1:], draw)
            files = [(f"Lecture {number + 1}", clip)] if clip else []
            # Two that nobody can play, in two courses.
            files += [(f"Recording {number + 1} (damaged)", _BROKEN)] if number < 2 else []  # noqa: PLR2004
            lectures = [await self._upload(key, title, content) for title, content in files]
            watched = await self._watch(key, people[1:], lectures[0], draw) if clip else 0
            counted = (len(people), messages, scores, len(lectures), watched)
            names = ("members", "messages", "scores", "lectures", "watched")
            more = {name: getattr(found, name) + count for name, count in zip(names, counted, strict=True)}
            found = msgspec.structs.replace(found, **more)
        return found

    async def _enrol(self, key: CourseKey, plan: Plan) -> list[Author]:
        learners = [Author(f"demo-{n}", f"Demo Student {n}") for n in range(1, plan.learners + 1)]
        parts = self._parts
        for one in (TEACHER, *learners):
            arrival = Arrival(
                key=key, platform="", context=plan.context, title=plan.title, return_url=None, user=one.id,
                name=one.name, role="instructor" if one is TEACHER else "learner", services=Services(),
            )  # fmt: skip
            await enrol(parts.shards, parts.clock, parts.queues, arrival)
        return [TEACHER, *learners]

    async def _chat(self, key: CourseKey, people: list[Author], count: int, draw: random.Random) -> int:
        clock = ManualClock(self._until - 2 * _DAY)
        messages = Messages(self._parts.shards, clock, lambda _key, _message: None)
        for number in range(count):
            clock.advance(1.8 * _DAY / count * draw.uniform(0.5, 1.1))
            author = TEACHER if number % 4 == 1 else draw.choice(people[1:])
            await messages.post(key, author, _SAID[number % len(_SAID)])
        await messages.close()
        return count

    async def _score(self, key: CourseKey, learners: list[Author], draw: random.Random) -> int:
        rows = ["user,activity,score,max,at"]
        for learner in learners:
            level = min(max(draw.gauss(0.72, 0.14), 0.2), 0.98)
            for week in range(1, 5):
                share = min(max(draw.gauss(level, 0.08), 0.0), 1.0)
                at = iso(self._until - (5 - week) * 5 * _DAY)
                rows.append(f"{learner.id},Exercise {week},{20 * share:.1f},20,{at}")
        scores = Scores(self._parts.shards, self._parts.clock, self._settings.analytics)
        return (await scores.take_csv(key, _pieces("\n".join(rows).encode()))).accepted

    async def _upload(self, key: CourseKey, title: str, content: bytes) -> str:
        async with self._uploads.receive(key, TEACHER.id, len(content)) as receiving:
            for start in range(0, len(content), _PIECE):
                await receiving.write(content[start : start + _PIECE])
            return await receiving.complete(title, "demo.mp4")

    async def _watch(self, key: CourseKey, learners: list[Author], video: str, draw: random.Random) -> int:
        events = Events(self._parts.shards, self._parts.clock, self._parts.queues, self._settings.events)
        taken = 0
        for learner in learners[::2]:
            at = self._until - draw.uniform(0.05, 1.5) * _DAY
            reached = draw.randint(3, _CLIP_SECONDS)
            told: list[dict[str, Any]] = [
                {"type": "opened"},
                {"type": "played", "data": {"video": video, "position": 0}},
                {"type": "watched", "data": {"video": video, "from": 0, "to": reached}},
            ]
            if reached == _CLIP_SECONDS:
                told.append({"type": "finished", "data": {"video": video}})
            rows = [{"id": f"demo-{n}", "at": iso(at + 5 * n), **one} for n, one in enumerate(told)]
            sender = Sender(key, learner.id, learner=True)
            taken += (await events.take(sender, msgspec.json.encode({"events": rows}))).accepted
        return taken

    async def _clip(self) -> bytes:
        """A test picture with a tone; empty where the program that makes it does not run."""
        program = Ffmpeg(self._settings.video)
        picture = ("-f", "lavfi", "-i", f"testsrc2=s=640x360:r=25:d={_CLIP_SECONDS}")
        tone = ("-f", "lavfi", "-i", f"sine=f=330:d={_CLIP_SECONDS}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            coding = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "clip.mp4")
            report = await program.run([*picture, *tone, *coding], folder, folder, program.bounds(_CLIP_SECONDS))
            return (folder / "clip.mp4").read_bytes() if report.status == 0 else b""


def tenant_at(until: float) -> str:
    """The tenant of the demo whose history ends at a moment: another for each, as nothing of an old one comes back."""
    return tenant_of(_ISSUER, _client(until), _DEPLOYMENT)


def _client(until: float) -> str:
    return f"demo-{until:.0f}"


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content
