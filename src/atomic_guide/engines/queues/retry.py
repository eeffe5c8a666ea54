"""How a failed job goes on, and when. Pure: no clock, no randomness; the caller rolls the dice."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from atomic_guide.errors import GuideError, MachineTrouble, Permanent, RetryLater

if TYPE_CHECKING:
    from atomic_guide.engines.queues.settings import QueueRules, QueueSettings

_MOST_DOUBLINGS = 32
"""More would overflow long after every cap."""

_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EROFS})
"""What the system says where no job could run, whatever it does."""

_PUT_OFF = re.compile(r"\(put off \d+ times\)$")

Course = Literal["retried", "dead", "trouble"]
"""What becomes of a job after a run that failed."""

Helps = Literal["again", "fix"]
"""What helps a dead letter: `again`: another try may work; `fix`: something must be changed first."""


class Failure(NamedTuple):
    """Why a run failed, in words for people, and of which family that is.

    `permanent`: no attempt can succeed. `machine`: not the job's doing. `delay`: seconds that the error itself asks
    for. `expected`: the handler meant it; others are logged with their traceback.
    """

    reason: str
    permanent: bool = False
    machine: bool = False
    delay: float | None = None
    expected: bool = True


class Next(NamedTuple):
    """What becomes of the job: it runs again after `wait` seconds, or is a dead letter."""

    course: Course
    reason: str
    wait: float = 0.0


def backoff(attempts: int, roll: float, rules: QueueRules) -> float:
    """Seconds until the next attempt after `attempts` of them, for a `roll` in [0, 1).

    At most `retry_first_seconds * 2**attempts`, capped, and at least half of that: jobs that failed together do not
    come back together, and none comes back at once.
    """
    return _jittered(rules.retry_first_seconds * 2.0 ** min(attempts, _MOST_DOUBLINGS), rules.retry_most_seconds, roll)


def trouble_wait(troubles: int, roll: float, settings: QueueSettings) -> float:
    """Seconds until a job is tried again after its machine was in trouble for the `troubles`-th time: from 1 s up."""
    return _jittered(2.0 ** min(troubles - 1, _MOST_DOUBLINGS), settings.trouble_wait_seconds, roll)


def judge(error: BaseException) -> Failure:
    """What an error of a handler says of its job."""
    match error:
        case Permanent():
            return Failure(error.message, permanent=True)
        case MachineTrouble() | RetryLater():
            return Failure(error.message, machine=isinstance(error, MachineTrouble), delay=error.delay)
        case GuideError():
            return Failure(error.message, machine=error.machine, delay=error.retry_after)
        case MemoryError():
            return Failure("this process is out of memory", machine=True, expected=False)
        case OSError() if error.errno in _MACHINE:
            return Failure(f"the machine cannot go on: {error.strerror}", machine=True, expected=False)
        case _:
            return Failure(f"something went wrong here ({type(error).__name__})", expected=False)


def decide(
    failure: Failure, counts: tuple[int, int, int], roll: float, settings: QueueSettings, rules: QueueRules
) -> Next:
    """How a job goes on after a failure.

    `counts` are its attempts with this one, how many it has, and how often its machine was in trouble before.
    """
    attempts, most, troubles = counts
    if failure.permanent:
        return Next("dead", failure.reason)
    if failure.machine:
        if troubles + 1 >= settings.trouble_most:
            return Next("dead", f"{failure.reason} (put off {settings.trouble_most} times)")
        wait = trouble_wait(troubles + 1, roll, settings)
        return Next("trouble", failure.reason, max(wait, min(failure.delay or 0.0, settings.trouble_wait_seconds)))
    if attempts >= most:
        return Next("dead", failure.reason)
    return Next("retried", failure.reason, backoff(attempts, roll, rules) if failure.delay is None else failure.delay)


def what_helps(attempts: int, max_attempts: int, reason: str) -> Helps:
    """What helps a dead letter, as far as its end tells.

    One that used up its attempts, or that the machine put off too often, failed for what may have passed. One that died
    before that can never succeed as it is, nor one whose worker ended in the middle of it once more than that.
    """
    return "again" if attempts == max_attempts or _PUT_OFF.search(reason) else "fix"


def _jittered(wait: float, most: float, roll: float) -> float:
    return min(wait, most) * (1 + roll) / 2
