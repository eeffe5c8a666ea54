"""What is told of a group, whatever the channel."""

import msgspec

from atomic_guide.operations.alerts.notice import MOST_TOLD, made
from tests.alert_notices import notice, told


def test_a_message_of_many_alerts_is_bounded_and_says_how_many_are_left() -> None:
    many = made(("a",), {}, [told(queue=f"q{number}") for number in range(MOST_TOLD + 7)], [])
    assert (len(many.alerts), many.more, many.firing) == (MOST_TOLD, 7, MOST_TOLD + 7)
    assert many.headline == f"[FIRING:{MOST_TOLD + 7}] Jobs <Wait> & Wait"


def test_a_test_is_marked() -> None:
    marked = msgspec.structs.replace(notice(), test=True)
    assert marked.headline.startswith("[TEST FIRING:2]")
