"""Rooms over several processes, put together from their reports."""

from typing import Any

from atomic_guide.operations.rooms.standing import joined
from atomic_guide.operations.scaling.reports import Report


def report(process: str, *rooms: dict[str, Any]) -> Report:
    same = {"tenant": "t", "bucket": 1, "people": 1, "rate": None, "slow": 0, "behind": 0.0}
    return Report(process, "web", "l", 0.0, 1.0, listed={"rooms": [{**same, **room} for room in rooms]})


def test_a_room_over_two_processes_is_one() -> None:
    found = joined(
        [
            report("a", {"course": "c1", "sockets": 3, "people": 4, "rate": 2.0, "slow": 1, "behind": 1.5}),
            report("b", {"course": "c1", "sockets": 2, "people": 5, "rate": 1.5}, {"course": "c2", "sockets": 4}),
            Report("worker", "worker", "l", 0.0, 1.0),
        ]
    )
    (first, second) = [room for _, room in found]
    assert (first.course, first.sockets, first.people, first.messages_per_second) == ("c1", 5, 5, 2.0)
    assert (first.slow, first.behind_seconds) == (1, 1.5)
    assert [(part.process, part.sockets) for part in first.processes] == [("a", 3), ("b", 2)]
    assert (second.course, second.sockets, second.messages_per_second) == ("c2", 4, None)
