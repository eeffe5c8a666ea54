"""How failed jobs go on."""

import errno

import pytest

from atomic_guide.engines.queues.retry import Failure, backoff, decide, judge, trouble_wait
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings, check_queues
from atomic_guide.errors import (
    ConfigurationError,
    DataUnavailable,
    Invalid,
    MachineTrouble,
    OutOfSpace,
    Permanent,
    RetryLater,
    Unavailable,
)
from tests.queueing import declaring

RULES = QueueRules()
SETTINGS = QueueSettings()
ALMOST_ONE = 1 - 2**-53


@pytest.mark.parametrize(("attempt", "most"), [(1, 120), (2, 240), (3, 480), (5, 1920), (6, 3600), (5000, 3600)])
def test_the_wait_doubles_from_two_minutes_up_to_an_hour(attempt: int, most: float) -> None:
    assert backoff(attempt, ALMOST_ONE, RULES) == pytest.approx(most)
    assert backoff(attempt, 0.0, RULES) == most / 2


def test_a_job_has_three_retries_and_then_is_a_dead_letter() -> None:
    failure = judge(RetryLater("the LMS is slow"))
    courses = [
        decide(failure, (attempt, RULES.max_attempts, 0), 0.5, SETTINGS, RULES).course for attempt in (1, 2, 3, 4)
    ]
    assert courses == ["retried", "retried", "retried", "dead"]


def test_an_error_may_ask_for_its_own_wait() -> None:
    assert decide(judge(RetryLater("later", 7)), (1, 4, 0), 0.5, SETTINGS, RULES).wait == 7
    assert decide(judge(RetryLater("later")), (1, 4, 0), 0.5, SETTINGS, RULES).wait == 90


def test_what_can_never_succeed_is_not_tried_again() -> None:
    assert decide(judge(Permanent("no such file")), (1, 4, 0), 0.5, SETTINGS, RULES) == ("dead", "no such file", 0)


@pytest.mark.parametrize(
    "error",
    [
        OutOfSpace("the disk is full"),
        DataUnavailable("the database is away"),
        Unavailable("the store is away"),
        MachineTrouble("no memory for ffmpeg"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError(),
    ],
)
def test_trouble_of_the_machine_is_no_attempt_of_the_job(error: Exception) -> None:
    following = decide(judge(error), (4, 4, 10), 0.5, SETTINGS, RULES)
    assert following.course == "trouble"
    assert 0 < following.wait <= SETTINGS.trouble_wait_seconds


@pytest.mark.parametrize("error", [Invalid("bad"), ValueError("x"), FileNotFoundError(errno.ENOENT, "gone")])
def test_other_errors_are_attempts(error: Exception) -> None:
    assert not judge(error).machine
    assert decide(judge(error), (1, 4, 0), 0.5, SETTINGS, RULES).course == "retried"


def test_an_unexpected_error_shows_its_kind_but_not_its_text() -> None:
    assert judge(ValueError("a password")) == Failure("something went wrong here (ValueError)", expected=False)


def test_trouble_has_a_bound_of_its_own() -> None:
    settings = QueueSettings(trouble_most=3)
    failure = judge(OutOfSpace("the disk is full"))
    courses = [decide(failure, (1, 4, troubles), 0.5, settings, RULES).course for troubles in range(3)]
    assert courses == ["trouble", "trouble", "dead"]
    assert "the disk is full" in decide(failure, (1, 4, 2), 0.5, settings, RULES).reason


def test_waits_for_the_machine_begin_with_a_second_and_end_with_a_minute() -> None:
    assert [trouble_wait(number, ALMOST_ONE, SETTINGS) for number in (1, 2, 7, 1000)] == pytest.approx([1, 2, 60, 60])


def test_a_queue_that_nobody_declared_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="no queue is called vidoe; there are video, analytics"):
        QueueSettings().rules("vidoe")
    with pytest.raises(ConfigurationError):
        QueueSettings().rules("slots")
    assert declaring(letters=QueueRules(weight=3)).rules("letters").weight == 3


def test_settings_that_would_lose_leases_or_starve_a_queue_are_refused() -> None:
    check_queues(QueueSettings())
    with pytest.raises(ConfigurationError, match="heartbeat_seconds"):
        check_queues(QueueSettings(lease_seconds=10, heartbeat_seconds=5))
    with pytest.raises(ConfigurationError, match="slots"):
        check_queues(QueueSettings(slots=3))
