"""The cause before the remedy: what is looked at, when the remedy would not help, and what would."""

import pytest

from atomic_guide.operations.scaling.decide.causes import CAUSES, Finding

Known = dict[str, float]
DOCTOR = "`atomic-guide doctor`"


def found(cause: str, part: str, known: Known) -> Finding:
    """What a check finds where the medians are these, by component.metric[part]."""

    def median(component: str, metric: str, part: str = "") -> float | None:
        return known.get(f"{component}.{metric}[{part}]")

    return CAUSES[cause](part, median)


READS: Known = {"database.write_share[s1]": 0.1, "database.lock_wait[s1]": 0.05, "database.utilisation[s1]": 0.9}


def test_reads_are_the_cause_where_a_busy_database_mostly_reads() -> None:
    inputs: dict[str, float | None] = {
        "database.write_share": 0.1,
        "database.lock_wait": 0.05,
        "database.utilisation": 0.9,
    }
    assert found("reads", "s1", READS) == Finding(inputs)
    assert found("reads", "s2", READS).against != ""


@pytest.mark.parametrize(
    ("known", "says", "helps"),
    [
        ({"database.lock_wait[s1]": 0.2}, "", ""),
        (
            {"database.lock_wait[s1]": 0.21, "database.write_share[s1]": 0.9},
            "21% of the time goes into waiting for locks, and a replica takes no lock away",
            f"find the transaction that holds them: {DOCTOR} names the slow ones",
        ),
        ({"database.write_share[s1]": 0.5}, "", ""),
        (
            {"database.write_share[s1]": 0.51, "database.utilisation[s1]": 0.1},
            "51% of the statements write, and a replica takes no writes",
            "move courses to another shard: `atomic-guide shards rebalance`",
        ),
        ({"database.utilisation[s1]": 0.5}, "", ""),
        (
            {"database.utilisation[s1]": 0.49},
            "the database is used to 49% only: single statements are slow, not the load",
            f"look for a missing index or a scan: {DOCTOR}",
        ),
    ],
)
def test_slow_reads_that_a_replica_would_not_help(known: Known, says: str, helps: str) -> None:
    assert found("reads", "s1", READS | known)[1:] == (says, helps)


def test_of_slow_reads_what_is_not_measured_is_named() -> None:
    look = "look at the shard's source"
    for name in ("write_share", "lock_wait"):
        left = {key: value for key, value in READS.items() if name not in key}
        says = f"database.{name} is not measured, so the cause is not known"
        assert found("reads", "s1", left)[1:] == (says, look)
    assert found("reads", "s1", {})[1] == "database.write_share is not measured, so the cause is not known"
    busy = {key: value for key, value in READS.items() if "utilisation" not in key}
    assert found("reads", "s1", busy)[1:] == ("", ""), "how busy it is need not be known"
    locked = {"database.lock_wait[s1]": 0.9}
    assert "locks" in found("reads", "s1", locked).against, "locks explain it, whatever else is not known"


WRITES: Known = {"database.write_share[s1]": 0.8, "database.utilisation[s1]": 0.9}


@pytest.mark.parametrize(
    ("known", "says", "helps"),
    [
        ({}, "", ""),
        ({"database.utilisation[s1]": 0.5, "database.write_share[s1]": 0.3}, "", ""),
        (
            {"database.utilisation[s1]": 0.49, "database.write_share[s1]": 0.1},
            "the database is used to 49% only: its disk or single transactions are slow, not the load",
            f"look at its disk and for long transactions: {DOCTOR}",
        ),
        (
            {"database.write_share[s1]": 0.29},
            "only 29% of the statements' time is writing: reads are what keeps the database busy",
            "a read replica, or an index that is missing",
        ),
    ],
)
def test_slow_writes_and_whether_another_shard_would_help(known: Known, says: str, helps: str) -> None:
    finding = found("writes", "s1", WRITES | known)
    assert finding[1:] == (says, helps)
    every = WRITES | known
    assert finding.inputs == {
        "database.write_share": every["database.write_share[s1]"],
        "database.utilisation": every["database.utilisation[s1]"],
    }


def test_of_slow_writes_what_is_not_measured_is_named() -> None:
    for name in ("write_share", "utilisation"):
        left = {key: value for key, value in WRITES.items() if name not in key}
        says = f"database.{name} is not measured, so the cause is not known"
        assert found("writes", "s1", left)[1:] == (says, "look at the shard's source")
    assert "database.utilisation" in found("writes", "s1", {}).against


QUEUE: Known = {"queues.backlog[video]": 12_000.0, "queues.throughput[video]": 2.0, "queues.oldest[video]": 700.0,
                "workers.utilisation[]": 0.95}  # fmt: skip


@pytest.mark.parametrize(
    ("known", "says", "helps"),
    [
        ({}, "", ""),
        ({"queues.throughput[video]": 0.0}, "", ""),
        ({"queues.throughput[video]": 199.0}, "", ""),
        ({"queues.throughput[video]": 200.0}, "12,000 jobs at 200.0 a second are done within 60 s", ""),
        ({"workers.utilisation[]": 0.5}, "", ""),
        (
            {"workers.utilisation[]": 0.49},
            "workers are used to 49% only: the queue is paused or its rate or concurrency limited",
            "look at its limits: `atomic-guide queues` and the settings queues.video",
        ),
    ],
)
def test_a_backlog_and_whether_more_workers_would_help(known: Known, says: str, helps: str) -> None:
    finding = found("drain", "video", QUEUE | known)
    assert finding[1:] == (says, helps)
    assert set(finding.inputs) == {"queues.backlog", "queues.oldest", "queues.throughput", "workers.utilisation"}
    assert finding.inputs["queues.oldest"] == 700.0
    assert finding.inputs["queues.backlog"] == 12_000.0


def test_a_backlog_of_which_little_is_measured_may_wait_for_workers() -> None:
    assert found("drain", "video", {"queues.throughput[video]": 5.0})[1:] == ("", "")
    assert found("drain", "video", {"queues.backlog[video]": 5.0})[1:] == ("", "")
    idle = found("drain", "", {"workers.utilisation[]": 0.1})
    assert idle.instead.endswith("the settings queues.QUEUE")
