"""What somebody is told, and what makes telling it twice harmless: its id comes from its cause. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from atomic_guide.clock import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.data.database import Row
    from atomic_guide.engines.data.placement import CourseKey

Kind = Literal["video.ready", "video.failed", "captions.missing", "scores.posted"]

_TITLE = 200
_REASON = 500
"""Characters of a reason; longer ones are those of a program, whose beginning says what is wrong."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell a person. `cause` names the event: the same cause again tells nothing new.

    `subject` is what it is about, such as a video's id. `mailed`: also by e-mail, where the person has it.
    """

    user: str
    kind: Kind
    subject: str
    cause: str
    data: dict[str, Any] = {}
    mailed: bool = True

    @property
    def id(self) -> str:
        """What the notification is called in its person's feed."""
        return f"n{hashlib.sha256(f'{self.kind} {self.cause}'.encode()).hexdigest()[:16]}"


class Notification(msgspec.Struct, frozen=True):
    """An entry of a person's feed. Times are ISO 8601 UTC."""

    id: str
    kind: str
    subject: str
    data: dict[str, Any]
    created_at: str
    read: bool


def read_notification(row: Row) -> Notification:
    """An entry from its row."""
    return Notification(
        id=row["id"],
        kind=row["kind"],
        subject=row["subject"],
        data=msgspec.json.decode(row["data"]),
        created_at=iso(row["created_at"]),
        read=row["read_at"] is not None,
    )


def video_ready(
    video: str, title: str, uploader: str, run: str, *, captions: bool, others: Sequence[str] = ()
) -> list[Notice]:
    """What is told of a lecture that is ready; `run` names the processing that made it so.

    The `others` who teach the course find it in their feeds. The uploader is mailed too, and asked for captions: that
    there are none is an entry of its own, because it stays open until there are some; the e-mail says both.
    """
    data = {"title": title[:_TITLE]}
    shared: dict[str, Any] = {"subject": video, "cause": f"{video} {run}", "data": {**data, "captions": captions}}
    told = [Notice(user=one, kind="video.ready", mailed=False, **shared) for one in others if one != uploader]
    if not uploader:
        return told
    ready = Notice(user=uploader, kind="video.ready", **shared)
    missing = Notice(
        user=uploader, kind="captions.missing", subject=video, cause=f"{video} {run}", data=data, mailed=False
    )
    return [ready, *told] if captions else [ready, missing, *told]


def video_failed(video: str, title: str, uploader: str, run: str, reason: str) -> list[Notice]:
    """What the uploader is told of a lecture that cannot be processed."""
    if not uploader:
        return []
    data = {"title": title[:_TITLE], "reason": reason[:_REASON]}
    return [Notice(user=uploader, kind="video.failed", subject=video, cause=f"{video} {run}", data=data)]


def scores_posted(user: str, transfer: str, activity: str | None) -> Notice:
    """What a student is told of one transfer of scores; `activity` where theirs are all of one."""
    data = {"activity": activity[:_TITLE]} if activity else {}
    return Notice(user=user, kind="scores.posted", subject="", cause=transfer, data=data)


def message_id(key: CourseKey, user: str, notification: str, domain: str) -> str:
    """The Message-ID of the e-mail about a notification: the same at every attempt, and telling nobody's id."""
    whose = hashlib.sha256(f"{key.tenant}\x00{key.course}\x00{user}\x00{notification}".encode()).hexdigest()[:32]
    return f"<{notification}.{whose}@{domain}>"
