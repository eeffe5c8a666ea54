"""Messages about alerts, for the tests of channels."""

from __future__ import annotations

from atomic_guide.operations.alerts.notice import Notice, Told, ended, made

NOW = 1_800_000_000.0
SECRET = "a secret of a test"


def told(name: str = "queue-stalled", severity: str = "warning", **own: str) -> Told:
    """An alert that has fired for ten minutes."""
    labels = {"alertname": name, "severity": severity, **own}
    return Told(name + str(own), "firing", labels, "Jobs <Wait> & Wait", "The queue @here waits for 1000 s.",
                "https://x.test/book", 1000.0, NOW - 600)  # fmt: skip


def notice() -> Notice:
    """Two that fire, and one that has ended."""
    firing = [told(queue="video"), told("errors-high", "critical")]
    return made(("hook", "g1", "1"), {"team": "media"}, firing, [ended(told(queue="analytics"), NOW)])
