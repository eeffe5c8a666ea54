"""Errors that cross a layer: each carries a code, a status, a message for people, and details.

Two families. `GuideError` answers a request: the web layer turns it into one JSON shape, the command line
into one line on stderr. `RetryLater`, `MachineTrouble` and `Permanent` answer a worker: try the job again, or
never.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GuideError(Exception):
    """A failure with a stable `code`, an HTTP `status` and a message that names the thing and the remedy.

    `details` is JSON-ready; `retry_after` is in seconds and becomes the header `Retry-After`. `machine` says that an
    engine is at fault, so that a job which meets it is put off without losing an attempt.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    machine: ClassVar[bool] = False

    def __init__(
        self, message: str, *, details: dict[str, Any] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after


class Invalid(GuideError):
    """The request is not what the call takes."""

    code = "VALIDATION_ERROR"
    status = 400


class Unauthenticated(GuideError):
    """No session, or one that has ended."""

    code = "UNAUTHENTICATED"
    status = 401


class Forbidden(GuideError):
    """The session may not do this."""

    code = "FORBIDDEN"
    status = 403


class Muted(Forbidden):
    """Somebody may not write in a room, until a time or until an instructor lifts it."""

    code = "MUTED"


class RoomClosed(Forbidden):
    """A room is closed: only instructors write in it."""

    code = "ROOM_CLOSED"


class NotFound(GuideError):
    """There is no such thing in this course, or the caller may not know of it."""

    code = "NOT_FOUND"
    status = 404


class MethodNotAllowed(GuideError):
    """The path exists, with other methods."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class Conflict(GuideError):
    """The state of the thing forbids the call, or a unique key is taken."""

    code = "CONFLICT"
    status = 409


class Gone(GuideError):
    """It was here and has been removed or used up."""

    code = "GONE"
    status = 410


class PreconditionFailed(GuideError):
    """A header names a version that is not the current one."""

    code = "PRECONDITION_FAILED"
    status = 412


class TooLarge(GuideError):
    """The body or a part of it is over its limit."""

    code = "TOO_LARGE"
    status = 413


class UnsupportedMedia(GuideError):
    """The body is of a kind that the call does not take."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class RangeUnsatisfiable(GuideError):
    """The asked range lies outside the object."""

    code = "RANGE_NOT_SATISFIABLE"
    status = 416


class ChecksumMismatch(GuideError):
    """The bytes that arrived are not those whose checksum was sent (460, as tus names it); nothing of them is kept."""

    code = "CHECKSUM_MISMATCH"
    status = 460


class WrongRegion(GuideError):
    """Another region answers this (421, as RFC 9110 names it); `details` has its name and its address."""

    code = "WRONG_REGION"
    status = 421


class KeyReused(GuideError):
    """An Idempotency-Key that was used for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422


class UpgradeRequired(GuideError):
    """The path speaks WebSocket only."""

    code = "UPGRADE_REQUIRED"
    status = 426


class RateLimited(GuideError):
    """Too many calls; `retry_after` says when the next one is welcome."""

    code = "RATE_LIMITED"
    status = 429


class Unavailable(GuideError):
    """An engine that the call needs is away or overloaded; trying again later may work."""

    code = "UNAVAILABLE"
    status = 503
    machine = True


class RegionAway(Unavailable):
    """No region that may answer this is there at the moment; `details` has the names of those that may."""

    code = "REGION_AWAY"


class Overloaded(Unavailable):
    """The server has too much to do, and sheds calls of this class first."""

    code = "OVERLOADED"


class DataUnavailable(Unavailable):
    """A database cannot be reached, is corrupt, or did not answer in time."""

    code = "DATA_UNAVAILABLE"


class Disconnected(DataUnavailable):
    """The connection to a database failed: nothing is stored, and the statement may be tried elsewhere."""


class Fenced(DataUnavailable):
    """A shard refuses rows that it does not own, or no longer: read the map again and go to their owner."""


class OutOfSpace(GuideError):
    """The disk, the course's quota or the store is full."""

    code = "OUT_OF_SPACE"
    status = 507
    machine = True


class ConfigurationError(GuideError):
    """A setting is unknown or impossible; raised at start, never while serving."""

    code = "CONFIGURATION_ERROR"


class WorkerError(Exception):
    """A job's failure, for the queue to act on."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RetryLater(WorkerError):
    """The job may succeed later; `delay` in seconds overrides the queue's own back-off."""

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class MachineTrouble(WorkerError):
    """The machine cannot run the job now (its disk is full, say): tried again without counting as an attempt."""

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class Permanent(WorkerError):
    """The job can never succeed; it goes to the dead letters with this message."""
