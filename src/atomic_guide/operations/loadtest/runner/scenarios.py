"""What arrivals do. `spec.SCENARIOS` says what each is for people; each raises `Failed` with its class of error."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.operations.loadtest.media import VIDEO
from atomic_guide.operations.loadtest.runner.people import JSON, Entrance, Person, Steps

if TYPE_CHECKING:
    from atomic_guide.operations.loadtest.plan import Order
    from atomic_guide.operations.loadtest.runner.client import Client
    from atomic_guide.operations.loadtest.runner.sockets import Sockets

TEXT = "What did you get for the second exercise? I have 4.2 cm, and the sheet says something else."
"""A message as students write them: a line of about ninety characters."""

SCORES = 20
"""Rows of one report of scores: a seminar's sheet."""

_ACTIVITIES = 12


class Work:
    """What scenarios need."""

    def __init__(self, order: Order, client: Client, people: list[Person], sockets: Sockets, began: float) -> None:
        self.order = order
        self.client = client
        self.entrance = Entrance(client, order)
        self.sockets = sockets
        self.began = began
        self.people = people
        self.teachers = [person for person in people if person.teaches]
        self.chance = random.Random(f"{order.plan.seed}/people/{order.part}")
        self._pause = random.Random(f"{order.plan.seed}/think/{order.part}")
        self._number = 0

    def pause(self, name: str) -> Callable[[], float]:
        """Think time of a scenario: exponential with the declared mean."""
        mean = self.order.plan.think.get(name, 0.0)
        return (lambda: self._pause.expovariate(1 / mean)) if mean else (lambda: 0.0)

    def somebody(self) -> Person:
        """Whoever acts next."""
        return self.chance.choice(self.people)

    def text(self, due: float) -> tuple[str, str]:
        """An id and a content that tells each socket by whom of the testers it was sent, and when it was due."""
        self._number += 1
        mark = f"{round((due - self.began) * 1e6)}"
        return f"{self.order.part}-{self._number}", f"lt {self.order.part}.{mark} {TEXT}"


def launch(work: Work, steps: Steps, _due: float) -> None:
    """Somebody opens the course again."""
    work.entrance.enter(work.somebody(), steps, work.pause("launch"))


def message(work: Work, _steps: Steps, due: float) -> None:
    """Somebody says something."""
    person = work.somebody()
    identifier, content = work.text(due)
    body = msgspec.json.encode({"id": identifier, "content": content})
    work.client.post("/api/chat/message", JSON, body, person.authorization).check(201)


def frame(work: Work, _steps: Steps, due: float) -> None:
    """Somebody says something by a socket."""
    work.sockets.say(*work.text(due), work.order.plan.timeout)


def upload(work: Work, _steps: Steps, _due: float) -> None:
    """An instructor uploads a lecture."""
    person = work.chance.choice(work.teachers)
    boundary = uuid.uuid4().hex.encode()
    part = b"--" + boundary + b"\r\nContent-Disposition: form-data; name="
    body = (
        part + b'"title"\r\n\r\nLoad test\r\n'
        + part + b'"file"; filename="lecture.mp4"\r\nContent-Type: video/mp4\r\n\r\n' + VIDEO
        + b"\r\n--" + boundary + b"--\r\n"
    )  # fmt: skip
    kind = b"multipart/form-data; boundary=" + boundary
    headers = person.authorization + b"Idempotency-Key: " + boundary + b"\r\n"
    work.client.post("/api/video/upload", kind, body, headers).check(202)


def scores(work: Work, _steps: Steps, _due: float) -> None:
    """An instructor sends the scores of an activity."""
    person = work.chance.choice(work.teachers)
    at = datetime.fromtimestamp(time.time(), UTC).isoformat()
    activity = f"exercise {work.chance.randrange(_ACTIVITIES)}"
    courses, people = work.order.plan.courses, work.order.plan.people
    members = range(person.course, people, courses)
    chosen = work.chance.sample(members, min(SCORES, len(members)))
    rows = [
        {"user": f"person-{number}", "activity": activity, "score": work.chance.randrange(41), "max": 40, "at": at}
        for number in chosen
    ]
    body = msgspec.json.encode({"scores": rows})
    key = b"Idempotency-Key: " + uuid.uuid4().hex.encode() + b"\r\n"
    work.client.post("/api/analytics/performance", JSON, body, person.authorization + key).check(200)


def performance(work: Work, _steps: Steps, _due: float) -> None:
    """Somebody looks at the figures."""
    work.client.get("/api/analytics/performance", work.somebody().authorization).check(200)


ACTS: dict[str, Callable[[Work, Steps, float], None]] = {
    act.__name__: act for act in (launch, message, frame, upload, scores, performance)
}
