"""The limits of alerts: how many there are at once, how many groups of them, silences, entries of the log."""

from __future__ import annotations

from atomic_guide.limit import Limit

ALERTS = Limit(
    "alerts",
    "alerts",
    "alerts",
    "alerts.most_alerts",
    refuses="A further alert, until others have ended; how many were left out is told.",
    answer="drops",
    use="Alerts that are pending or firing.",
)
GROUPS = Limit(
    "alerts",
    "alert_groups",
    "groups",
    "alerts.most_groups",
    refuses="Nothing: what a further group has to tell is told when another one has ended.",
    answer="waits",
    use="Groups of alerts over all channels.",
)
SILENCES = Limit(
    "alerts",
    "silences",
    "silences",
    "alerts.most_silences",
    refuses="The silence.",
    answer="409 CONFLICT",
    use="Silences in force.",
)
LOG = Limit(
    "alerts",
    "alert_log",
    "entries",
    "alerts.most_entries",
    refuses="Nothing: the oldest entry of the log of alerts is forgotten.",
    answer="forgets",
    use="Entries of the log of alerts.",
    about="kept",
)
LIMITS = (ALERTS, GROUPS, SILENCES, LOG)
