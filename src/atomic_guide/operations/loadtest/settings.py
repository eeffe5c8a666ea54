"""Settings of load tests: whether this server may be a target, and how much a tester may send."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.setting import setting


class LoadtestSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be tested, and how hard."""

    target: Annotated[
        bool,
        setting(
            "This server is a test target: testers with the operator token may register a platform of their own and"
            " load it. Never a server on which people learn.",
            "switch",
        ),
    ] = False
    most_rps: Annotated[
        float,
        setting(
            "Highest rate that `loadtest run` sends; a slip of a zero must not take down what shares the network.",
            "arrivals/s",
            gt=0,
            le=100_000,
        ),
    ] = 2000.0
    most_seconds: Annotated[
        float,
        setting("Longest load test; what is learnt after two hours is about endurance.", "s", ge=1, le=7 * 86_400),
    ] = 7200.0
    most_sockets: Annotated[
        int,
        setting("Most sockets that a load test holds open.", "sockets", ge=0, le=1_000_000),
    ] = 20_000
    kept: Annotated[
        int,
        setting("Reports kept in the data directory, about 300 kB each; older ones are removed.", "reports", ge=1,
                le=100_000),
    ] = 200  # fmt: skip
