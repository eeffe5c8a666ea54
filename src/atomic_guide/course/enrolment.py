"""Who is in a course: the course and its members as launches tell them, one transaction for each launch."""

from __future__ import annotations

from typing import Literal

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.notifications.contacts import Arrived, keep_contact
from atomic_guide.course.video.copies import ask_for_copies
from atomic_guide.course.video.settings import Copies
from atomic_guide.course.video.videos import QUEUE as LECTURES
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Queues

QUERIES = load_queries(__package__, "enrolment.sql")

UNTITLED = "Course"
"""The title of a course that the LMS never named."""


QUEUE = "rosters"
ROSTER = "roster"

ROSTER_SECONDS = 3600.0
"""How long a roster that was read is good; an LMS answers some hundred such calls an hour before it slows down."""


class Services(msgspec.Struct, frozen=True):
    """What the LMS offers for a course; an empty address where it offers nothing."""

    roster_url: str = ""
    line_items_url: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def has_roster(self) -> bool:
        """Whether the LMS lets us read who is in the course."""
        return bool(self.roster_url)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What one launch says of a course and a member. `title` is None where the LMS sent none; `platform` is our id.

    `history` are the courses that it was copied from, by the platform's ids, the latest copy first.
    """

    key: CourseKey
    platform: str
    context: str
    title: str | None
    return_url: str | None
    user: str
    name: str
    role: Literal["instructor", "learner"]
    services: Services
    email: str = ""
    locale: str = "en"
    history: tuple[str, ...] = ()


async def enrol(
    shards: Shards,
    clock: Clock,
    queues: Queues,
    arrival: Arrival,
    *,
    mailed: bool = False,
    copies: Copies = "off",
) -> str:
    """Store the course and the member of a launch; returns the course's title, also where this launch had none.

    An instructor's launch also has the LMS's roster read, by a job of the same transaction. The member's address is
    kept only where e-mail is sent at all (`mailed`). Where the LMS made the course by copying another, an instructor's
    launch has its lectures shown here, too, as far as `copies` allows.
    """
    now = clock.now()
    place = arrival.key.columns
    course = {
        **place,
        "context": arrival.context,
        "title": arrival.title or UNTITLED,
        "titled": int(arrival.title is not None),
        "return_url": arrival.return_url,
        "now": now,
    }
    member = {**place, "user": arrival.user, "name": arrival.name, "role": arrival.role, "now": now}
    services = {
        **place,
        "roster_url": arrival.services.roster_url,
        "line_items_url": arrival.services.line_items_url,
        "scopes": " ".join(arrival.services.scopes),
        "now": now,
    }

    async def work(tx: Transaction) -> str:
        stored = await tx.one(QUERIES["put_course"], course)
        if not await tx.execute(QUERIES["meet_member"], member):
            await tx.execute(QUERIES["put_member"], member)
            await tx.execute(QUERIES["count_people"], place)
        await tx.execute(QUERIES["put_services"], services)
        if mailed:
            await keep_contact(tx, arrival.key, Arrived(arrival.user, arrival.email, arrival.locale), now)
        if arrival.role == "instructor" and arrival.services.has_roster:
            await _ask_for_roster(tx, queues, arrival, now)
        if arrival.role == "instructor" and arrival.history:
            await ask_for_copies(tx, queues, arrival.key, arrival.user, arrival.history, copies)
        return str(stored["title"]) if stored else UNTITLED

    title = await shards.of(arrival.key).write(work)
    queues.wake(QUEUE)
    if arrival.history:
        queues.wake(LECTURES)
    return title


async def _ask_for_roster(tx: Transaction, queues: Queues, arrival: Arrival, now: float) -> None:
    place = arrival.key.columns
    if await tx.execute(QUERIES["claim_roster"], {**place, "now": now, "before": now - ROSTER_SECONDS}):
        payload = {"platform": arrival.platform}
        job = NewJob(queue=QUEUE, kind=ROSTER, subject=arrival.key.course, payload=payload, unique_key=ROSTER)
        await queues.publish(tx, arrival.key, job)


async def services_of(shards: Shards, key: CourseKey) -> Services:
    """What the LMS offered for a course at its last launch; nothing for a course that was never launched."""
    row = await shards.of(key).one(QUERIES["read_services"], key.columns)
    return Services(row["roster_url"], row["line_items_url"], tuple(row["scopes"].split())) if row else Services()
