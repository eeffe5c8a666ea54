"""One queue of a worker: in which order what is claimed starts, how much is claimed ahead, what is given up."""

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.jobs import Job
from atomic_guide.engines.queues.lane import Lane
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.slots import Demand

if TYPE_CHECKING:
    from atomic_guide.engines.data.shard import Shard
    from atomic_guide.engines.data.shards import Shards

JOB = Job(CourseKey("t", "c", 0), "id", "q", "k", "s", {}, 1, 3, 1, 0.0, None)


class Nowhere:
    """A lease that waits is only looked at: it needs no database."""

    def of(self, _key: CourseKey) -> None:
        return None


def lease(rank: float) -> Lease:
    return Lease(msgspec.structs.replace(JOB, rank=rank), "w", cast("Shards", Nowhere()), cast("Shard", None))


def lane(*ranks: float, now: float = 0.0, **rules: Any) -> Lane:
    found = Lane("q", QueueRules(**rules), {})
    found.arrive([lease(rank) for rank in ranks], now)
    return found


def ranks(of: Lane) -> list[float]:
    return [of.next().job.rank for _ in range(of.waiting)]


def test_what_was_claimed_starts_in_the_order_of_its_ranks_and_of_equals_the_first_that_came() -> None:
    found = lane(3.0, 1.0, 2.0)
    late = [lease(2.0), lease(0.5)]
    found.arrive(late, 1.0)
    assert found.waiting == 5
    assert sorted(one.job.rank for one in found.leases) == [0.5, 1.0, 2.0, 2.0, 3.0]
    assert found.next() is late[1]
    assert found.next().job.rank == 1.0
    assert found.next() is not late[0]
    assert found.next() is late[0]
    assert ranks(found) == [3.0]
    with pytest.raises(IndexError):
        found.next()


def test_those_that_have_waited_too_long_are_given_up_and_the_others_keep_their_order() -> None:
    found = lane(5.0, 1.0, now=10.0)
    found.arrive([lease(rank) for rank in (4.0, 3.0, 2.0)], 20.0)
    assert sorted(one.job.rank for one in found.leave(20.0)) == [1.0, 5.0]
    assert ranks(found) == [2.0, 3.0, 4.0]
    assert found.leave() == []
    found = lane(2.0, 1.0, now=1e9)
    assert len(found.leave()) == 2
    assert found.waiting == 0


def test_leases_that_were_lost_are_forgotten() -> None:
    found = lane(4.0, 3.0, 2.0, 1.0)
    first = found.next()
    lost = {id(one) for one in found.leases if one.job.rank == 2.0}
    found.drop(lost | {id(first)})
    assert ranks(found) == [3.0, 4.0]


def test_a_paused_queue_asks_for_no_slot_though_jobs_of_it_wait() -> None:
    found = lane(1.0, 2.0, weight=2.0, concurrency=7)
    found.running = 3
    assert found.demand == Demand(2.0, 7, 3, 2)
    found.refusal = "paused"
    assert found.demand == Demand(2.0, 7, 3, 0)
    found.refusal = "memory"
    assert found.demand.ready == 2, "what is claimed already is run"


def test_as_much_is_claimed_as_may_start_now() -> None:
    assert lane().missing(5) == 5
    assert lane(1.0, 2.0).missing(5) == 3
    assert lane(1.0, 2.0).missing(2) == 0
    assert lane(1.0, 2.0).missing(1) == 0
    assert lane().missing(1) == 1
    assert lane().missing(4000) == 1000


def started(count: int, seconds: float, **rules: Any) -> Lane:
    """A lane whose jobs have started at a rate."""
    found = lane(*[1.0] * count, **rules)
    found.measure(1000.0)
    for _ in range(count):
        found.next()
    found.measure(1000.0 + seconds)
    return found


def test_a_fifth_of_a_second_of_work_is_claimed_ahead_when_half_of_it_has_started() -> None:
    found = started(100, 1.0)
    assert found.missing(0) == 20
    found.arrive([lease(1.0)] * 9, 0.0)
    assert found.missing(0) == 11
    found.arrive([lease(1.0)], 0.0)
    assert found.missing(0) == 10
    found.arrive([lease(1.0)], 0.0)
    assert found.missing(0) == 0, "less than half is missing: a claim for each would cost more"
    assert found.missing(1) == 10
    assert started(5000, 0.5).missing(1) == 1000
    assert started(101, 1.01).missing(0) == 20
    assert started(1, 1.0).missing(0) == 0


def test_at_most_two_thousand_jobs_are_claimed_ahead() -> None:
    found = started(20_000, 1.0)
    found.arrive([lease(1.0)] * 1000, 0.0)
    assert found.missing(0) == 1000
    found.arrive([lease(1.0)], 0.0)
    assert found.missing(0) == 0


def test_the_rate_is_taken_anew_after_half_a_second() -> None:
    found = started(100, 0.5)
    assert found.missing(0) == 40
    found.measure(1000.9)
    assert found.missing(0) == 40
    found.measure(1001.0)
    assert found.missing(0) == 0


def test_a_queue_whose_rate_is_limited_claims_nothing_ahead() -> None:
    assert started(100, 1.0, per_second=500.0).missing(0) == 0
    assert started(100, 1.0, per_second=500.0).missing(3) == 3


def test_a_rate_counts_each_start_once() -> None:
    found = lane(*[1.0] * 30)
    for _ in range(10):
        found.next()
    found.measure(1.0)
    assert found.missing(0) == 0, "twenty wait, and two are needed"
    found.leave()
    assert found.missing(0) == 2
    for later in range(2, 6):
        found.measure(float(later))
        assert found.missing(0) == 0, "none has started since"


def test_a_lane_begins_empty() -> None:
    handlers: dict[str, Any] = {}
    assert Lane("q", QueueRules(), handlers).handlers is handlers
    found = lane()
    assert (found.name, found.waiting, found.running, found.refusal, found.published) == ("q", 0, 0, "", False)
    assert not found.woken.is_set()
