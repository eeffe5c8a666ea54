"""The limits of load tests: what a tester may send, and how many reports are kept. Kept by the command that tests."""

from __future__ import annotations

from atomic_guide.limit import Limit

RATE = Limit(
    "loadtest",
    "loadtest_rate",
    "arrivals/s",
    "loadtest.most_rps",
    refuses="The load test, before anything is sent.",
    answer="exit 2",
    use="The highest rate of the load test that runs from this data directory.",
    about="own",
)
LENGTH = Limit(
    "loadtest",
    "loadtest_length",
    "s",
    "loadtest.most_seconds",
    refuses="The load test, before anything is sent.",
    answer="exit 2",
    use="The length of the load test that runs from this data directory.",
    about="own",
)
SOCKETS = Limit(
    "loadtest",
    "loadtest_sockets",
    "sockets",
    "loadtest.most_sockets",
    refuses="The load test, before anything is sent.",
    answer="exit 2",
    use="Sockets of the load test that runs from this data directory.",
    about="own",
)
REPORTS = Limit(
    "loadtest",
    "loadtest_reports",
    "reports",
    "loadtest.kept",
    refuses="Nothing: the oldest report is removed.",
    answer="forgets",
    use="Reports in this data directory.",
    about="kept",
)
LIMITS = (RATE, LENGTH, SOCKETS, REPORTS)
